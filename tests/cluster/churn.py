"""Topics come and go under the same names, all processes die at once, again and again.

What was acknowledged holds: a topic that was made is there and whole, with the records that were
acknowledged since and none of those that the topic of this name had before; one that was deleted
is not.
"""

import random
import struct
import threading

from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition

from ..compat.wire import Raw, batch, string
from ..harness import procs
from . import suite
from .makers import NONE, PARTITIONS, TIMEOUT_S, Reader, create, metadata

PRODUCE, DELETE_TOPICS = 0, 20
UNKNOWN_TOPIC, NOT_LEADER = 3, 6
NAMES, ROUNDS, RECORDS = 4, 3, 5
# A restart of all waits for these: an election, and the sessions of the brokers that died.
TIMES = {"controller.quorum.fetch.timeout.ms": "500", "broker.session.timeout.ms": "700",
         "broker.heartbeat.interval.ms": "150"}


def delete(raw, name):
    """Deletes a topic; returns the error code, or None if there was no answer."""
    answer = raw.request(DELETE_TOPICS, 1, struct.pack(">i", 1) + string(name)
                         + struct.pack(">i", TIMEOUT_S * 1000))
    return None if answer is None else struct.unpack(">h", answer[-2:])[0]


def append(raw, name, partition, values):
    """Appends records with acks=all; returns the error code, or None if there was no answer."""
    records = batch(values)
    body = string(None) + struct.pack(">hii", -1, TIMEOUT_S * 1000, 1) + string(name)
    body += struct.pack(">iii", 1, partition, len(records)) + records
    answer = raw.request(PRODUCE, 3, body)
    if answer is None:
        return None
    fields = Reader(answer)
    fields.take("i"), fields.string()
    return fields.take("iih")[2]


class Topic:
    """A name, and what is known of the topic that has it."""

    def __init__(self, name):
        self.name = name
        # Whether there is such a topic; None when the last answer is missing.
        self.exists = False
        # Counts the topics of this name; records carry it.
        self.life = 0
        self.acknowledged, self.unsure = set(), set()


class Churn(threading.Thread):
    """Makes, fills and deletes topics of its own names by way of one member, until that dies."""

    def __init__(self, cluster, member, topics, source):
        super().__init__(daemon=True)
        self.cluster, self.member, self.topics, self.source = cluster, member, topics, source
        self.connections = {}
        self.done = {self.make: 0, self.fill: 0, self.remove: 0}
        self.error = None
        self.start()

    def run(self):
        try:
            while True:
                topic = self.source.choice([one for one in self.topics if one.exists is not None])
                step = self.make if not topic.exists else self.source.choice(
                    [self.fill, self.fill, self.remove])
                step(topic)
                self.done[step] += 1
        except (OSError, IndexError):
            pass  # killed, or nothing is sure any more
        except BaseException as error:  # told by the scenario's thread
            self.error = error

    def to(self, member):
        """A connection to a member."""
        if member not in self.connections:
            self.connections[member] = Raw(member.port, TIMEOUT_S + 2)
        return self.connections[member]

    def make(self, topic):
        """Makes the topic."""
        topic.exists, topic.life = None, topic.life + 1
        topic.acknowledged, topic.unsure = set(), set()
        code = create(self.to(self.member), topic.name)
        if code is None:
            raise ConnectionError("closed")
        topic.exists = True if code == NONE else None

    def remove(self, topic):
        """Deletes it."""
        topic.exists = None
        code = delete(self.to(self.member), topic.name)
        if code is None:
            raise ConnectionError("closed")
        topic.exists = False if code == NONE else None

    def fill(self, topic):
        """Appends to one of its partitions, at its leader."""
        partition = self.source.randrange(PARTITIONS)
        leader = metadata(self.to(self.member), [topic.name])[topic.name][partition]
        if leader < 0:
            return
        values = [f"{topic.life} {partition} {self.source.random()}".encode()
                  for _ in range(RECORDS)]
        topic.unsure |= set(values)
        code = append(self.to(self.cluster[leader]), topic.name, partition, values)
        if code is None:
            raise ConnectionError("closed")
        # The leader may not know yet that it is one.
        assert code in (NONE, UNKNOWN_TOPIC, NOT_LEADER), code
        if code == NONE:
            topic.acknowledged |= set(values)


def kill_all(cluster):
    """kill -9 of all, then they are waited for."""
    for member in cluster.members:
        member.child.kill()
    for member in cluster.members:
        procs.kill(member.child)
        member.child = None


def agreed(cluster, topics):
    """{name: {partition: leader}} once all members tell the same of these topics, and leaders."""
    names = {topic.name for topic in topics}

    def same():
        told = []
        for member in cluster.members:
            with Raw(member.port, 10) as raw:
                found = metadata(raw)
            told.append({name: found[name] for name in names & set(found)})
        led = all(leader > 0 for parts in told[0].values() for leader in parts.values())
        return [told[0]] if led and told[0] == told[1] == told[2] else None
    return procs.wait_until(same, "all tell the same", 30, 0.02)[0]


def read_all(context, cluster, names):
    """{name: the values of all its records}."""
    consumer = context.consumer(cluster.address, context.name("churn"),
                                **{"enable.partition.eof": True, "fetch.wait.max.ms": 10})
    found = {name: [] for name in names}
    left = {(name, partition) for name in names for partition in range(PARTITIONS)}
    consumer.assign([TopicPartition(*one, OFFSET_BEGINNING) for one in left])

    def ended():
        for message in consumer.consume(200, 0.05):
            if message.error() is None:
                found[message.topic()].append(message.value())
            elif message.error().code() == KafkaError._PARTITION_EOF:
                left.discard((message.topic(), message.partition()))
        return not left
    procs.wait_until(ended, f"the ends of {left}", 30, 0)
    consumer.close()
    return found


def judge(context, cluster, topics):
    """What was acknowledged holds; what was not is learned."""
    told = agreed(cluster, topics)
    values = read_all(context, cluster, told)
    for topic in topics:
        there = topic.name in told
        assert topic.exists in (there, None), f"{topic.name}: {topic.exists}, and it is {there}"
        topic.exists = there
        if not there:
            continue
        assert sorted(told[topic.name]) == list(range(PARTITIONS)), told[topic.name]
        held = values[topic.name]
        lost = topic.acknowledged - set(held)
        assert not lost, f"{topic.name}: lost {sorted(lost)[:3]}"
        strange = set(held) - topic.unsure
        assert not strange, f"{topic.name} in life {topic.life}: {sorted(strange)[:3]}"
        assert len(held) == len(set(held)), f"{topic.name}: records twice"
        topic.acknowledged = set(held)


@suite.scenario
def all_are_killed_while_topics_come_and_go(context):
    """kill -9 of all three at once, again and again, under topics that are made, filled, deleted
    and made again: whatever was acknowledged holds after each."""
    cluster = context.own(settings=TIMES)
    cluster.start()
    source = random.Random(context.seed)
    stem = context.name("churn")
    topics = {member: [Topic(f"{stem}-{member.node_id}-{number}") for number in range(NAMES)]
              for member in cluster.members}
    every = [topic for some in topics.values() for topic in some]
    steps, unsure = 0, 0
    for _ in range(ROUNDS * (5 if context.long else 1)):
        churns = [Churn(cluster, member, topics[member], random.Random(source.random()))
                  for member in cluster.members]
        aim = source.randrange(8, 30)

        def busy(churns=churns, aim=aim):
            for churn in churns:
                assert churn.error is None and churn.is_alive(), (context.seed, churn.error)
            return all(min(churn.done.values()) >= 2 and sum(churn.done.values()) >= aim
                       for churn in churns)
        procs.wait_until(busy, f"{aim} steps each", 30, 0.005)
        kill_all(cluster)
        for churn in churns:
            churn.join(TIMEOUT_S + 5)
            assert not churn.is_alive() and churn.error is None, (context.seed, churn.error)
            steps += sum(churn.done.values())
        unsure += sum(topic.exists is None for topic in every)
        cluster.start()
        judge(context, cluster, every)
    return (f"seed {context.seed}, {steps} steps, {max(topic.life for topic in every)} lives of "
            f"one name at most, {unsure} not answered")
