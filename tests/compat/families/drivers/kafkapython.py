"""The driver of kafka-python."""

import re
import sys
import threading
import time

import kafka
from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka import TopicPartition, errors
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.coordinator.assignors.abstract import (AbstractPartitionAssignor,
                                                  ConsumerProtocolAssignment,
                                                  ConsumerProtocolSubscription)
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.structs import OffsetAndMetadata

from serve import Failure, Lacks, Member, Members, dec, record, serve

ADDRESS = sys.argv[1]
CODECS = {"none": None, "gzip": "gzip", "snappy": "snappy", "lz4": "lz4", "zstd": "zstd"}


class Backwards(AbstractPartitionAssignor):
    """The custom assignor of README."""

    name = "backwards"
    version = 0

    @classmethod
    def assign(cls, cluster, members):
        """Deals all partitions round, from the last member to the first."""
        topics = sorted({topic for member in members for topic in member.metadata.topics})
        every = [(topic, number) for topic in topics
                 for number in sorted(cluster.partitions_for_topic(topic) or ())]
        names = sorted((member.member_id for member in members), reverse=True)
        dealt = {name: {} for name in names}
        for at, (topic, number) in enumerate(every):
            dealt[names[at % len(names)]].setdefault(topic, []).append(number)
        return {name: ConsumerProtocolAssignment(cls.version, sorted(topics.items()), b"")
                for name, topics in dealt.items()}

    @classmethod
    def metadata(cls, topics):
        """The subscription."""
        return ConsumerProtocolSubscription(cls.version, list(topics), b"hello")

    @classmethod
    def on_assignment(cls, assignment, generation):
        """Nothing to keep."""


ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor,
             "sticky": StickyPartitionAssignor, "cooperative": CooperativeStickyAssignor,
             "custom": Backwards}


def failure(error):
    """A failure with Kafka's code; the library's own are negative or none."""
    code = getattr(error, "errno", None)
    code = code if isinstance(code, int) and code > 0 else None
    if isinstance(error, errors.OffsetOutOfRangeError):
        code = 1
    return Failure(code, f"{type(error).__name__}: {error}")


def checked(call):
    """Runs a call of the library."""
    try:
        return call()
    except errors.KafkaError as error:
        raise failure(error) from error


def refused(kind):
    """Raises an error class that an answer holds."""
    if kind is not errors.NoError:
        raise failure(kind())


def stored(found):
    """A record of an answer."""
    return record(found.topic, found.partition, found.offset, found.timestamp, found.key,
                  found.value, found.headers)


class GroupMember(Member, ConsumerRebalanceListener):
    """A member of a group, or a consumer by assignment that commits to one."""

    def __init__(self, commit_on_revoke=False, **config):
        super().__init__()
        self.commit_on_revoke = commit_on_revoke
        self.positions = {}
        self.consumer = KafkaConsumer(bootstrap_servers=ADDRESS, fetch_max_wait_ms=100,
                                      metrics_enabled=False, **config)

    async def on_partitions_assigned(self, assigned):
        """Notes."""
        self.note("assigned", {tuple(part) for part in assigned})

    async def on_partitions_revoked(self, revoked):
        """Commits if told to; the callback runs in the library's own thread."""
        gone = {tuple(part) for part in revoked}
        if self.commit_on_revoke:
            offsets = {TopicPartition(*part): OffsetAndMetadata(at, "", -1)
                       for part, at in self.positions.items() if part in gone}
            if offsets:
                await self.consumer.commit_async(offsets)
        self.note("revoked", gone)

    async def on_partitions_lost(self, lost):
        """Notes."""
        self.note("lost", {tuple(part) for part in lost})

    def poll(self):
        """Takes what is there."""
        try:
            polled = self.consumer.poll(timeout_ms=500)
        except errors.KafkaError as error:
            raise failure(error) from error
        for records in polled.values():
            for found in records:
                self.positions[found.topic, found.partition] = found.offset + 1
                self.got(stored(found))

    def offsets(self, asked):
        """What to commit."""
        if asked is None:
            return {TopicPartition(*part): OffsetAndMetadata(at, "", -1)
                    for part, at in self.positions.items() if part in self.assigned}
        return {TopicPartition(topic, number): OffsetAndMetadata(at, metadata, -1)
                for topic, number, at, metadata in asked}


class Ops(Members):
    """The operations of README."""

    def __init__(self):
        super().__init__()
        self.producers = {}
        self.lock = threading.Lock()
        self.admin = KafkaAdminClient(bootstrap_servers=ADDRESS)

    # -- producing and reading

    def producer(self, **config):
        """A producer, kept."""
        key = tuple(sorted(config.items(), key=str))
        with self.lock:
            if key not in self.producers:
                self.producers[key] = KafkaProducer(bootstrap_servers=ADDRESS,
                                                    metrics_enabled=False, **config)
            return self.producers[key]

    def produce(self, topic, records, acks="all", codec="none", idempotent=False,
                max_bytes=None, linger_ms=5):
        """Sends all, then waits."""
        config = {"acks": acks if acks == "all" else int(acks),
                  "compression_type": CODECS[codec], "linger_ms": linger_ms,
                  "enable_idempotence": idempotent, "metadata_max_age_ms": 1000}
        if not idempotent:
            config["max_in_flight_requests_per_connection"] = 1
        if max_bytes:
            config["max_request_size"] = max_bytes
        if any(data is None for each in records for _, data in each.get("headers") or []):
            raise Lacks("a header needs a value")
        producer = self.producer(**config)
        futures = [checked(lambda each=each: producer.send(
            topic, value=dec(each["value"]), key=dec(each.get("key")),
            partition=each.get("partition"), timestamp_ms=each.get("timestamp"),
            headers=[(name, dec(data)) for name, data in each.get("headers") or []]))
            for each in records]
        producer.flush(55)
        found = [checked(lambda f=future: f.get(55)) for future in futures]
        return {"acks": [[each.partition, each.offset if acks != "0" else -1]
                         for each in found]}

    def consume(self, topic, partition, count, reset="none", timeout_ms=10000, max_bytes=None,
                **fields):
        """Reads by assignment."""
        config = {"auto_offset_reset": reset, "fetch_max_wait_ms": 100}
        if max_bytes:
            config |= {"max_partition_fetch_bytes": max_bytes, "fetch_max_bytes": max_bytes}
        consumer = KafkaConsumer(bootstrap_servers=ADDRESS, group_id=None,
                                 metrics_enabled=False, **config)
        found = []
        try:
            where = TopicPartition(topic, partition)
            consumer.assign([where])
            start = fields["from"]
            if start == "earliest":
                consumer.seek_to_beginning(where)
            elif start == "latest":
                consumer.seek_to_end(where)
            else:
                consumer.seek(where, start)
            deadline = time.monotonic() + timeout_ms / 1000
            while len(found) < count and time.monotonic() < deadline:
                polled = checked(lambda: consumer.poll(100, max_records=count - len(found)))
                found += [stored(each) for records in polled.values() for each in records]
        finally:
            consumer.close()
        return {"records": found}

    def offset(self, topic, partition, at):
        """Asks for an offset."""
        when = {"earliest": -2, "latest": -1}.get(at, at)
        where = TopicPartition(topic, partition)
        return {"offset": checked(
            lambda: self.admin.list_partition_offsets({where: when}))[where].offset}

    # -- members

    def join(self, member, group, topics, assignor="range", reset="earliest", session_ms=6000,
             heartbeat_ms=300, rebalance_ms=30000, commit_on_revoke=False, instance=None,
             metadata_ms=1000, auto_commit_ms=0):
        """A member of a group."""
        config = {"group_id": group, "auto_offset_reset": reset,
                  "session_timeout_ms": session_ms, "heartbeat_interval_ms": heartbeat_ms,
                  "max_poll_interval_ms": rebalance_ms, "metadata_max_age_ms": metadata_ms,
                  "partition_assignment_strategy": [ASSIGNORS[assignor]],
                  "enable_auto_commit": auto_commit_ms > 0, "group_instance_id": instance}
        if auto_commit_ms:
            config["auto_commit_interval_ms"] = auto_commit_ms
        made = GroupMember(commit_on_revoke, **config)
        made.consumer.subscribe(topics, listener=made)
        self.members[member] = made
        made.thread.start()

    def assign(self, member, group, partitions, reset="earliest"):
        """A consumer by assignment that commits."""
        made = GroupMember(group_id=group, auto_offset_reset=reset, enable_auto_commit=False)
        made.consumer.assign([TopicPartition(*part) for part in partitions])
        made.assigned = {tuple(part) for part in partitions}
        self.members[member] = made
        made.thread.start()

    def commit(self, member, how="sync", offsets=None):
        """Commits; an asynchronous commit is waited for by its callback."""
        made = self.members[member]
        asked = made.offsets(offsets)
        if not asked:
            return
        if how == "sync":
            made.do(lambda: checked(lambda: made.consumer.commit(asked)))
            return
        answered = threading.Event()
        answers = []

        def called(_offsets, answer):
            answers.append(answer)
            answered.set()
        made.do(lambda: made.consumer.commit_async(asked, callback=called))
        if not answered.wait(20):
            raise Failure(None, "no callback")
        if isinstance(answers[0], Exception):
            raise failure(answers[0])

    def committed(self, member, partitions):
        """What the group committed, as the member sees it."""
        made = self.members[member]

        def ask():
            found = []
            for topic, number in partitions:
                got = made.consumer.committed(TopicPartition(topic, number), metadata=True)
                found.append([topic, number, got.offset if got else -1,
                              got.metadata if got else ""])
            return found
        return {"offsets": made.do(lambda: checked(ask))}

    def subscribe(self, member, topics):
        """Changes the subscription."""
        made = self.members[member]
        made.do(lambda: made.consumer.subscribe(topics, listener=made))

    def seek(self, member, topic, partition, offset):
        """Moves the position."""
        made = self.members[member]
        made.do(lambda: made.consumer.seek(TopicPartition(topic, partition), offset))

    def leave(self, member):
        """Closes."""
        made = self.members.pop(member)

        def close():
            made.closed = True
            made.consumer.close(autocommit=False)
        made.do(close)

    # -- administration

    def create_topic(self, topic, partitions, replication=1, configs=None):
        """Creates."""
        checked(lambda: self.admin.create_topics({topic: {
            "num_partitions": partitions, "replication_factor": replication,
            "configs": configs or {}}}))

    def delete_topic(self, topic):
        """Deletes."""
        checked(lambda: self.admin.delete_topics([topic]))

    def create_partitions(self, topic, count):
        """Adds partitions."""
        checked(lambda: self.admin.create_partitions({topic: count}))

    def topic(self, topic):
        """Metadata."""
        [found] = checked(lambda: self.admin.describe_topics([topic]))
        refused(errors.for_code(found["error_code"]))
        parts = sorted(found["partitions"], key=lambda part: part["partition_index"])
        return {"partitions": [[part["partition_index"], part["leader_id"],
                                part["replica_nodes"], part["isr_nodes"]] for part in parts]}

    def configs(self, topic):
        """Describes."""
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        found = checked(lambda: self.admin.describe_configs([resource], config_filter="all"))
        return {"configs": {name: entry["value"]
                            for name, entry in found["topic"][topic].items()}}

    def alter_config(self, topic, name, value):
        """Sets or unsets one."""
        change = ("DELETE", None) if value is None else ("SET", value)
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, {name: change})
        found = checked(lambda: self.admin.alter_configs([resource], raise_on_unknown=False))
        result = found["topic"][topic]
        if result != "OK":
            code = re.search(r"\[Error (\d+)\]", result)
            raise Failure(int(code.group(1)) if code else None, result)

    def delete_records(self, topic, partition, before):
        """Moves the first offset."""
        where = TopicPartition(topic, partition)
        found = checked(lambda: self.admin.delete_records({where: before}))
        return {"low": found[where]["low_watermark"]}

    def groups(self):
        """Lists."""
        found = checked(self.admin.list_groups)
        return {"groups": sorted(group["group_id"] for group in found)}

    def group(self, group):
        """Describes."""
        found = checked(lambda: self.admin.describe_groups([group]))[group]
        return {"state": found["group_state"], "protocol": found["protocol_data"],
                "members": len(found["members"])}

    def group_offsets(self, group, partitions):
        """Lists what is committed."""
        wanted = [TopicPartition(*part) for part in partitions]
        found = checked(lambda: self.admin.list_group_offsets({group: wanted}))[group]
        return {"offsets": [[*part, found[part].offset, found[part].metadata or ""]
                            if part in found else [*part, -1, ""] for part in wanted]}

    def delete_offsets(self, group, topic, partition):
        """Deletes one committed offset."""
        where = TopicPartition(topic, partition)
        refused(checked(lambda: self.admin.delete_group_offsets(group, [where]))[where])

    def delete_group(self, group):
        """Deletes."""
        result = checked(lambda: self.admin.delete_groups([group]))[group]
        if result != "OK":
            raise failure(getattr(errors, result)())


serve(f"kafka-python {kafka.__version__}", Ops())
