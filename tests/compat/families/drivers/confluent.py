"""The driver of librdkafka, by its Python binding confluent-kafka."""

import sys
import threading
import time

import confluent_kafka
from confluent_kafka import (Consumer, ConsumerGroupTopicPartitions, IsolationLevel, KafkaError,
                             KafkaException, Producer, TopicPartition)
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource,
                                   NewPartitions, NewTopic, OffsetSpec)

from serve import Failure, Lacks, Member, Members, dec, record, serve

ADDRESS = sys.argv[1]
BASE = {"bootstrap.servers": ADDRESS, "log_level": 0}
STRATEGIES = {"range": "range", "roundrobin": "roundrobin", "cooperative": "cooperative-sticky"}
POSITION = {"earliest": confluent_kafka.OFFSET_BEGINNING, "latest": confluent_kafka.OFFSET_END}
RESET = {"earliest": "earliest", "latest": "latest", "none": "error"}


def failure(error):
    """A failure with Kafka's code; librdkafka's own codes are negative."""
    if isinstance(error, KafkaException):
        error = error.args[0]
    code = error.code()
    if code == KafkaError._AUTO_OFFSET_RESET and "out of range" in error.str().lower():
        code = 1
    return Failure(code if code >= 0 else None, f"{error.name()}: {error.str()}")


def checked(call):
    """Runs a call of the library."""
    try:
        return call()
    except KafkaException as error:
        raise failure(error) from None


def stored(message):
    """A record of an answer."""
    return record(message.topic(), message.partition(), message.offset(),
                  message.timestamp()[1], message.key(), message.value(), message.headers())


class GroupMember(Member):
    """A member of a group, or a consumer by assignment that commits to one."""

    def __init__(self, config, assignor=None, commit_on_revoke=False):
        super().__init__()
        self.cooperative = assignor == "cooperative"
        self.commit_on_revoke = commit_on_revoke
        self.positions = {}
        self.commits = {}
        self.consumer = Consumer({
            **BASE, **config, "on_commit": self.committed_by_callback,
            "enable.auto.offset.store": False, "fetch.wait.max.ms": 100,
            "error_cb": self.failed})

    def failed(self, error):
        """Errors that poll does not return."""
        if error.fatal():
            self.error = {"code": None, "text": error.str()}

    def committed_by_callback(self, error, _partitions):
        """The answer to an asynchronous commit."""
        for done in list(self.commits.values()):
            done["error"] = error
            done["event"].set()

    def subscribe(self, topics):
        """Subscribes with callbacks."""
        self.consumer.subscribe(topics, on_assign=self.on_assign, on_revoke=self.on_revoke,
                                on_lost=self.on_lost)

    def on_assign(self, _consumer, partitions):
        """Notes; the library assigns when we do not."""
        self.note("assigned", {(part.topic, part.partition) for part in partitions})

    def on_revoke(self, consumer, partitions):
        """Commits if told to."""
        gone = {(part.topic, part.partition) for part in partitions}
        if self.commit_on_revoke:
            offsets = [TopicPartition(*part, at) for part, at in self.positions.items()
                       if part in gone]
            if offsets:
                consumer.commit(offsets=offsets, asynchronous=False)
        self.note("revoked", gone)

    def on_lost(self, _consumer, partitions):
        """Partitions taken away without a chance to commit."""
        self.note("lost", {(part.topic, part.partition) for part in partitions})

    def poll(self):
        """Takes what is there."""
        for message in self.consumer.consume(1000, 0.05):
            if message.error():
                self.error = {"code": failure(message.error()).code,
                              "text": message.error().str()}
                continue
            self.positions[message.topic(), message.partition()] = message.offset() + 1
            self.got(stored(message))
            if self.auto:
                self.consumer.store_offsets(message)

    auto = False


def offsets_of(member, offsets):
    """The offsets to commit."""
    if offsets is None:
        return [TopicPartition(*part, at) for part, at in member.positions.items()
                if part in member.assigned]
    return [TopicPartition(topic, partition, at, metadata=metadata)
            for topic, partition, at, metadata in offsets]


class Ops(Members):
    """The operations of README."""

    def __init__(self):
        super().__init__()
        self.producers = {}
        self.lock = threading.Lock()
        self.admin = AdminClient(BASE)

    # -- producing and reading

    def producer(self, **config):
        """A producer, kept."""
        key = tuple(sorted(config.items()))
        with self.lock:
            if key not in self.producers:
                self.producers[key] = Producer({**BASE, **config})
            return self.producers[key]

    def produce(self, topic, records, acks="all", codec="none", idempotent=False,
                max_bytes=None, linger_ms=5):
        """Sends all, then waits."""
        config = {"acks": acks, "compression.type": codec, "linger.ms": linger_ms,
                  "enable.idempotence": idempotent, "partitioner": "murmur2_random",
                  "topic.metadata.refresh.interval.ms": 1000}
        if max_bytes:
            config["message.max.bytes"] = max_bytes
        producer = self.producer(**config)
        found = [None] * len(records)
        errors = []

        def note(index):
            def delivered(error, message):
                if error is not None:
                    errors.append(error)
                    return
                offset = message.offset()
                found[index] = [message.partition(), -1 if offset is None else offset]
            return delivered

        for index, each in enumerate(records):
            options = {}
            if each.get("partition") is not None:
                options["partition"] = each["partition"]
            if each.get("timestamp") is not None:
                options["timestamp"] = each["timestamp"]
            headers = [(name, dec(data)) for name, data in each.get("headers") or []]
            checked(lambda: producer.produce(
                topic, dec(each["value"]), dec(each.get("key")), headers=headers,
                on_delivery=note(index), **options))
        producer.flush(55)
        if errors:
            raise failure(errors[0])
        if None in found:
            raise Failure(None, "not answered")
        return {"acks": found}

    def consume(self, topic, partition, count, reset="none", timeout_ms=10000, max_bytes=None,
                **fields):
        """Reads by assignment."""
        start = fields["from"]
        config = {**BASE, "group.id": "unused", "enable.auto.commit": False,
                  "auto.offset.reset": RESET[reset], "fetch.wait.max.ms": 100}
        if max_bytes:
            config |= {"max.partition.fetch.bytes": max_bytes, "fetch.max.bytes": max_bytes,
                       "receive.message.max.bytes": max_bytes + 1024}
        consumer = Consumer(config)
        found = []
        try:
            consumer.assign([TopicPartition(topic, partition, POSITION.get(start, start))])
            deadline = time.monotonic() + timeout_ms / 1000
            while len(found) < count and time.monotonic() < deadline:
                for message in consumer.consume(count - len(found), 0.1):
                    if message.error():
                        raise failure(message.error())
                    found.append(stored(message))
        finally:
            consumer.close()
        return {"records": found}

    def offset(self, topic, partition, at):
        """Asks for an offset."""
        spec = {"earliest": OffsetSpec.earliest(), "latest": OffsetSpec.latest()}.get(at)
        spec = spec or OffsetSpec.for_timestamp(at)
        where = TopicPartition(topic, partition)
        futures = self.admin.list_offsets({where: spec}, request_timeout=20,
                                          isolation_level=IsolationLevel.READ_UNCOMMITTED)
        return {"offset": checked(lambda: futures[where].result(20)).offset}

    # -- members

    def join(self, member, group, topics, assignor="range", reset="earliest", session_ms=6000,
             heartbeat_ms=300, rebalance_ms=30000, commit_on_revoke=False, instance=None,
             metadata_ms=1000, auto_commit_ms=0):
        """A member of a group."""
        if assignor not in STRATEGIES:
            raise Lacks({"custom": "librdkafka has no interface for assignors of one's own",
                         "sticky": "librdkafka's sticky assignor is the cooperative one only",
                         }[assignor])
        config = {
            "group.id": group, "auto.offset.reset": RESET[reset],
            "session.timeout.ms": session_ms, "heartbeat.interval.ms": heartbeat_ms,
            "max.poll.interval.ms": max(rebalance_ms, session_ms),
            "partition.assignment.strategy": STRATEGIES[assignor],
            "topic.metadata.refresh.interval.ms": metadata_ms,
            "enable.auto.commit": auto_commit_ms > 0}
        if auto_commit_ms:
            config["auto.commit.interval.ms"] = auto_commit_ms
        if instance:
            config["group.instance.id"] = instance
        made = GroupMember(config, assignor, commit_on_revoke)
        made.auto = auto_commit_ms > 0
        self.members[member] = made
        made.subscribe(topics)
        made.thread.start()

    def assign(self, member, group, partitions, reset="earliest"):
        """A consumer by assignment that commits."""
        made = GroupMember({"group.id": group, "auto.offset.reset": RESET[reset],
                            "enable.auto.commit": False})
        made.consumer.assign([TopicPartition(topic, part) for topic, part in partitions])
        made.assigned = {(topic, part) for topic, part in partitions}
        self.members[member] = made
        made.thread.start()

    def commit(self, member, how="sync", offsets=None):
        """Commits; an asynchronous commit is waited for by its callback."""
        made = self.members[member]
        if offsets is None and not offsets_of(made, None):
            return
        if how == "sync":
            done = made.do(lambda: checked(lambda: made.consumer.commit(
                offsets=offsets_of(made, offsets), asynchronous=False)))
            for part in done:
                if part.error:
                    raise failure(part.error)
            return
        waiting = {"event": threading.Event(), "error": None}
        made.commits[id(waiting)] = waiting
        made.do(lambda: checked(lambda: made.consumer.commit(
            offsets=offsets_of(made, offsets), asynchronous=True)))
        answered = waiting["event"].wait(20)
        del made.commits[id(waiting)]
        if not answered:
            raise Failure(None, "no callback")
        if waiting["error"]:
            raise failure(waiting["error"])

    def committed(self, member, partitions):
        """What the group committed, as the member sees it."""
        made = self.members[member]
        wanted = [TopicPartition(topic, part) for topic, part in partitions]
        found = made.do(lambda: checked(lambda: made.consumer.committed(wanted, timeout=20)))
        return {"offsets": [[part.topic, part.partition, max(part.offset, -1),
                             part.metadata or ""] for part in found]}

    def subscribe(self, member, topics):
        """Changes the subscription."""
        made = self.members[member]
        made.do(lambda: made.subscribe(topics))

    def seek(self, member, topic, partition, offset):
        """Moves the position."""
        made = self.members[member]
        made.do(lambda: checked(lambda: made.consumer.seek(
            TopicPartition(topic, partition, offset))))

    def leave(self, member):
        """Closes."""
        made = self.members.pop(member)

        def close():
            made.closed = True
            made.consumer.close()
        made.do(close)

    # -- administration

    def create_topic(self, topic, partitions, replication=1, configs=None):
        """Creates."""
        new = NewTopic(topic, num_partitions=partitions, replication_factor=replication,
                       config=configs or {})
        checked(lambda: self.admin.create_topics([new], operation_timeout=20)[topic].result(30))

    def delete_topic(self, topic):
        """Deletes."""
        checked(lambda: self.admin.delete_topics([topic])[topic].result(30))

    def create_partitions(self, topic, count):
        """Adds partitions."""
        new = NewPartitions(topic, count)
        checked(lambda: self.admin.create_partitions([new])[topic].result(30))

    def topic(self, topic):
        """Metadata."""
        found = checked(lambda: self.admin.list_topics(topic, timeout=20)).topics[topic]
        if found.error:
            raise failure(found.error)
        return {"partitions": [[number, part.leader, part.replicas, part.isrs]
                               for number, part in sorted(found.partitions.items())]}

    def configs(self, topic):
        """Describes."""
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        found = checked(lambda: self.admin.describe_configs([resource])[resource].result(30))
        return {"configs": {name: entry.value for name, entry in found.items()}}

    def alter_config(self, topic, name, value):
        """Sets or unsets one."""
        kind = AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET
        entry = ConfigEntry(name, value, incremental_operation=kind)
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic,
                                  incremental_configs=[entry])
        checked(lambda: self.admin.incremental_alter_configs([resource])[resource].result(30))

    def delete_records(self, topic, partition, before):
        """Moves the first offset."""
        where = TopicPartition(topic, partition, before)
        [future] = self.admin.delete_records([where]).values()
        return {"low": checked(lambda: future.result(30)).low_watermark}

    def groups(self):
        """Lists."""
        found = checked(lambda: self.admin.list_consumer_groups().result(30))
        return {"groups": sorted(group.group_id for group in found.valid)}

    def group(self, group):
        """Describes."""
        future = self.admin.describe_consumer_groups([group])[group]
        found = checked(lambda: future.result(30))
        state = "".join(word.capitalize() for word in found.state.name.split("_"))
        return {"state": state, "protocol": found.partition_assignor,
                "members": len(found.members)}

    def group_offsets(self, group, partitions):
        """Lists what is committed."""
        wanted = ConsumerGroupTopicPartitions(
            group, [TopicPartition(topic, part) for topic, part in partitions])
        found = checked(lambda: self.admin.list_consumer_group_offsets([wanted])[group]
                        .result(30))
        return {"offsets": [[part.topic, part.partition, max(part.offset, -1),
                             part.metadata or ""] for part in found.topic_partitions]}

    def delete_offsets(self, group, topic, partition):
        """Not bound in Python."""
        raise Lacks("confluent-kafka does not bind librdkafka's OffsetDelete")

    def delete_group(self, group):
        """Deletes."""
        checked(lambda: self.admin.delete_consumer_groups([group])[group].result(30))


serve(f"confluent-kafka {confluent_kafka.__version__}", Ops())
