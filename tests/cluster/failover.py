"""Processes die and stall while topics are made: nothing is lost, nothing is half."""

import random
import threading
import time

from confluent_kafka import KafkaException
from confluent_kafka.admin import NewTopic

from ..harness import procs
from . import suite
from .clients import consume, produce

PARTITIONS = 3


def is_active(member):
    """Whether it says of itself that it is the active controller."""
    line = "\nkafka_controller_kafkacontroller_activecontrollercount 1\n"
    return line in member.http("/metrics", timeout=5)[1]


def leader_of(cluster):
    """The active controller; None while there is none, or while two think they are."""
    found = [member for member in cluster.members if member.alive() and is_active(member)]
    return found[0] if len(found) == 1 else None


class Maker(threading.Thread):
    """Makes numbered topics one after another by way of any broker that answers."""

    def __init__(self, context, cluster, stem):
        super().__init__(daemon=True)
        self.context, self.cluster, self.stem = context, cluster, stem
        self.acknowledged, self.unsure, self.gap = [], [], 0.0
        self.error = None

    def run(self):
        try:
            self.make()
        except BaseException as error:  # told by the scenario's thread
            self.error = error

    def make(self):
        """Each topic once; what is not answered is unsure."""
        admin = self.context.admin(self.cluster.address)
        last = time.monotonic()
        for number in range(self.context.topics):
            name = f"{self.stem}-{number}"
            while True:
                new = NewTopic(name, num_partitions=PARTITIONS, replication_factor=1)
                try:
                    admin.create_topics([new], operation_timeout=10, request_timeout=10)[name] \
                        .result(30)
                except KafkaException as error:
                    code = error.args[0].name()
                    if code == "TOPIC_ALREADY_EXISTS":
                        break  # an earlier try was carried out
                    if name not in self.unsure:
                        self.unsure.append(name)
                    # The client's own codes are about the connection.
                    assert error.args[0].retriable() or code.startswith("_") or code in (
                        "REQUEST_TIMED_OUT", "NOT_CONTROLLER"), code
                    continue
                break
            self.acknowledged.append(name)
            now = time.monotonic()
            self.gap = max(self.gap, now - last)
            last = now


def judge(context, cluster, maker):
    """Every acknowledged topic is at every broker with all its partitions, led by a live one."""
    alive = {member.node_id for member in cluster.members if member.alive()}
    for member in cluster.members:
        def whole(member=member):
            listed = context.admin(member.address).list_topics(timeout=20).topics
            for name in maker.acknowledged:
                if name not in listed:
                    return False
                parts = listed[name].partitions
                assert len(parts) == PARTITIONS, (member.node_id, name, parts)
                if not all(part.leader in alive for part in parts.values()):
                    return False
            return True
        procs.wait_until(whole, f"{member.node_id} has all topics", 40, 0.2)


@suite.scenario
def the_active_controller_is_killed_while_topics_are_made(context):
    """kill -9 of the active controller, three times: no topic lost, none half."""
    cluster = context.own()
    cluster.start()
    source = random.Random(context.seed)
    maker = Maker(context, cluster, context.name("made"))
    maker.start()
    for round_number in range(3):
        aim = context.topics * (round_number + 1) // 4 - source.randrange(10)
        procs.wait_until(lambda: len(maker.acknowledged) >= aim or maker.error,
                         f"{aim} topics", 90, 0.005)
        assert maker.error is None, maker.error
        victim = procs.wait_until(lambda: leader_of(cluster), "a controller", 20, 0.02)
        victim.kill()
        procs.wait_until(lambda: leader_of(cluster), "another controller", 30, 0.02)
        victim.start(wait=False)
        cluster.wait_formed()
    maker.join(120)
    assert maker.error is None and not maker.is_alive(), maker.error
    assert len(maker.acknowledged) == context.topics
    judge(context, cluster, maker)
    topic = maker.acknowledged[-1]
    produce(context, cluster.address, topic, 30, PARTITIONS)
    consumer = context.consumer(cluster.address, context.name("after"))
    consumer.subscribe([topic])
    assert sorted(consume(consumer, 30)) == list(range(30))
    consumer.close()
    return f"seed {context.seed}, {len(maker.unsure)} tried again, longest gap {maker.gap:.2f} s"


@suite.scenario
def the_active_controller_is_paused(context):
    """SIGSTOP of the active controller: another takes over; the old one comes back as follower."""
    cluster = context.own()
    cluster.start()
    old = procs.wait_until(lambda: leader_of(cluster), "a controller", 20, 0.02)
    others = [member for member in cluster.members if member is not old]
    began = time.monotonic()
    old.pause()
    procs.wait_until(lambda: any(map(is_active, others)), "another controller", 30, 0.02)
    took = time.monotonic() - began
    address = ",".join(member.address for member in others)
    topic = context.topic(address)
    old.resume()
    cluster.wait_formed()
    procs.wait_until(lambda: leader_of(cluster) in others, "one controller, another", 20, 0.05)

    def listed():
        return topic in context.admin(old.address).list_topics(timeout=20).topics
    procs.wait_until(listed, "the topic at the old controller", 20, 0.05)
    return f"another after {took:.2f} s"


@suite.scenario
def a_dead_brokers_partitions_have_no_leader_until_it_is_back(context):
    """One replica each: its partitions wait for it, the others' go on; nothing is lost."""
    cluster = context.own()
    cluster.start()
    topic = context.topic(cluster.address, partitions=3)
    produce(context, cluster.address, topic, 300, 3)
    victim = cluster.members[1]
    victim.kill()
    left = [cluster[1], cluster[3]]
    address = ",".join(member.address for member in left)

    def fenced():
        parts = context.admin(address).list_topics(topic, timeout=20).topics[topic].partitions
        return sorted(part.leader for part in parts.values()) == [-1, 1, 3]
    procs.wait_until(fenced, "its partition has no leader", 30, 0.1)
    for member in left:
        health = member.health()
        assert not health["healthy"] and health["partitions"]["offline"] == 1, health
        lost = [one["id"] for one in health["brokers"] if one["fenced"]]
        assert lost == [victim.node_id], health
    began = time.monotonic()
    victim.start(wait=False)
    cluster.wait_formed()
    took = time.monotonic() - began
    for member in cluster.members:
        procs.wait_until(lambda member=member: member.health()["healthy"], "healthy again", 10)
    consumer = context.consumer(cluster.address, context.name("all"))
    consumer.subscribe([topic])
    assert sorted(consume(consumer, 300)) == list(range(300))
    consumer.close()
    return f"back after {took:.2f} s"


@suite.scenario
def a_clean_stop_is_agreed_with_the_controller(context):
    """SIGTERM one after another, the active controller too: quick, and clients go on."""
    cluster = context.own()
    cluster.start()
    longest = 0.0
    for member in list(cluster.members):
        code, took = member.stop()
        assert code in (0, 143), code
        longest = max(longest, took)
        left = [other for other in cluster.members if other is not member]
        cluster.wait_formed(members=left)
        context.topic(",".join(other.address for other in left))
        member.start(wait=False)
        cluster.wait_formed()
    return f"at most {longest:.2f} s to stop"
