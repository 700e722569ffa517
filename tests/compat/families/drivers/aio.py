"""The driver of aiokafka."""

import asyncio
import json
import os
import sys
import threading
import time

import aiokafka
from aiokafka import (AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener,
                      TopicPartition, errors)
from aiokafka.admin import (AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete)
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.coordinator.protocol import (ConsumerProtocolMemberAssignment,
                                           ConsumerProtocolMemberMetadata)
from aiokafka.structs import OffsetAndMetadata

from serve import Failure, Lacks, dec, error_of, record, say

ADDRESS = sys.argv[1]
CODECS = {"none": None, "gzip": "gzip", "snappy": "snappy", "lz4": "lz4", "zstd": "zstd"}


class Backwards(AbstractPartitionAssignor):
    """The custom assignor of README."""

    name = "backwards"
    version = 0

    @classmethod
    def assign(cls, cluster, members):
        """Deals all partitions round, from the last member to the first."""
        topics = sorted({topic for found in members.values() for topic in found.subscription})
        every = [(topic, number) for topic in topics
                 for number in sorted(cluster.partitions_for_topic(topic) or ())]
        names = sorted(members, reverse=True)
        dealt = {name: {} for name in names}
        for at, (topic, number) in enumerate(every):
            dealt[names[at % len(names)]].setdefault(topic, []).append(number)
        return {name: ConsumerProtocolMemberAssignment(cls.version, sorted(topics.items()), b"")
                for name, topics in dealt.items()}

    @classmethod
    def metadata(cls, topics):
        """The subscription."""
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), b"hello")

    @classmethod
    def on_assignment(cls, assignment):
        """Nothing to keep."""


ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor,
             "sticky": StickyPartitionAssignor, "custom": Backwards}


def failure(error):
    """A failure with Kafka's code; the library's own are negative or none."""
    if isinstance(error, (Failure, Lacks)):
        return error
    code = getattr(error, "errno", None)
    code = code if isinstance(code, int) and code > 0 else None
    if isinstance(error, errors.OffsetOutOfRangeError):
        code = 1
    return Failure(code, f"{type(error).__name__}: {error}")


def refused(code):
    """Raises for an error code of an answer."""
    if code:
        raise Failure(code, errors.for_code(code).__name__)


def stored(found):
    """A record of an answer."""
    return record(found.topic, found.partition, found.offset, found.timestamp, found.key,
                  found.value, found.headers)


class Member(ConsumerRebalanceListener):
    """A member of a group, or a consumer by assignment that commits to one."""

    def __init__(self, commit_on_revoke=False, **config):
        self.records, self.events, self.error = [], [], None
        self.assigned, self.positions = set(), {}
        self.commit_on_revoke = commit_on_revoke
        self.stalled_until = 0
        self.consumer = AIOKafkaConsumer(bootstrap_servers=ADDRESS, fetch_max_wait_ms=100,
                                         **config)
        self.task = None

    def note(self, kind, partitions):
        """Keeps what a rebalance did."""
        found = sorted(tuple(part) for part in partitions)
        self.events.append([kind, [list(part) for part in found]])
        if kind == "assigned":
            self.assigned |= set(found)
        else:
            self.assigned -= set(found)

    async def on_partitions_assigned(self, assigned):
        """Notes."""
        self.note("assigned", assigned)

    async def on_partitions_revoked(self, revoked):
        """Commits if told to."""
        if self.commit_on_revoke:
            offsets = {TopicPartition(*part): at for part, at in self.positions.items()
                       if part in {tuple(each) for each in revoked}}
            if offsets:
                await self.consumer.commit(offsets)
        self.note("revoked", revoked)

    async def run(self):
        """Polls until cancelled."""
        started = False
        while True:
            try:
                if not started:
                    await self.consumer.start()
                    started = True
                pause = self.stalled_until - time.monotonic()
                if pause > 0:
                    await asyncio.sleep(pause)
                polled = await self.consumer.getmany(timeout_ms=100)
            except errors.KafkaError as error:
                self.error = error_of(failure(error))
                await asyncio.sleep(0.1)
                continue
            for records in polled.values():
                for found in records:
                    self.positions[found.topic, found.partition] = found.offset + 1
                    self.records.append(stored(found))

    def offsets(self, asked):
        """What to commit."""
        if asked is None:
            return {TopicPartition(*part): at for part, at in self.positions.items()
                    if part in self.assigned}
        return {TopicPartition(topic, number): OffsetAndMetadata(at, metadata)
                for topic, number, at, metadata in asked}


class Ops:
    """The operations of README."""

    def __init__(self):
        self.members = {}
        self.producers = {}
        self.lock = asyncio.Lock()
        self.admin = AIOKafkaAdminClient(bootstrap_servers=ADDRESS)

    # -- producing and reading

    async def producer(self, **config):
        """A producer, kept."""
        key = tuple(sorted(config.items(), key=str))
        async with self.lock:
            if key not in self.producers:
                made = AIOKafkaProducer(bootstrap_servers=ADDRESS, **config)
                await made.start()
                self.producers[key] = made
            return self.producers[key]

    async def produce(self, topic, records, acks="all", codec="none", idempotent=False,
                      max_bytes=None, linger_ms=5):
        """Sends all, then waits."""
        config = {"acks": acks if acks == "all" else int(acks),
                  "compression_type": CODECS[codec], "linger_ms": linger_ms,
                  "enable_idempotence": idempotent, "metadata_max_age_ms": 1000}
        if max_bytes:
            config["max_request_size"] = max_bytes
        producer = await self.producer(**config)
        futures = [await producer.send(
            topic, value=dec(each["value"]), key=dec(each.get("key")),
            partition=each.get("partition"), timestamp_ms=each.get("timestamp"),
            headers=[(name, dec(data)) for name, data in each.get("headers") or []])
            for each in records]
        found = await asyncio.wait_for(asyncio.gather(*futures), 55)
        if acks == "0":
            return {"acks": [[each.get("partition"), -1] for each in records]}
        return {"acks": [[each.partition, each.offset] for each in found]}

    async def consume(self, topic, partition, count, reset="none", timeout_ms=10000,
                      max_bytes=None, **fields):
        """Reads by assignment."""
        config = {"auto_offset_reset": reset, "fetch_max_wait_ms": 100}
        if max_bytes:
            config |= {"max_partition_fetch_bytes": max_bytes, "fetch_max_bytes": max_bytes}
        consumer = AIOKafkaConsumer(bootstrap_servers=ADDRESS, group_id=None, **config)
        where = TopicPartition(topic, partition)
        consumer.assign([where])
        await consumer.start()
        found = []
        try:
            start = fields["from"]
            if start == "earliest":
                await consumer.seek_to_beginning(where)
            elif start == "latest":
                await consumer.seek_to_end(where)
            else:
                consumer.seek(where, start)
            deadline = time.monotonic() + timeout_ms / 1000
            while len(found) < count and time.monotonic() < deadline:
                polled = await consumer.getmany(where, timeout_ms=100,
                                                max_records=count - len(found))
                found += [stored(each) for records in polled.values() for each in records]
        finally:
            await consumer.stop()
        return {"records": found}

    async def offset(self, topic, partition, at):
        """Asks for an offset by a consumer."""
        where = TopicPartition(topic, partition)
        consumer = AIOKafkaConsumer(bootstrap_servers=ADDRESS, group_id=None)
        await consumer.start()
        try:
            if at == "earliest":
                return {"offset": (await consumer.beginning_offsets([where]))[where]}
            if at == "latest":
                return {"offset": (await consumer.end_offsets([where]))[where]}
            found = (await consumer.offsets_for_times({where: at}))[where]
            return {"offset": found.offset if found else -1}
        finally:
            await consumer.stop()

    # -- members

    async def join(self, member, group, topics, assignor="range", reset="earliest",
                   session_ms=6000, heartbeat_ms=300, rebalance_ms=30000,
                   commit_on_revoke=False, instance=None, metadata_ms=1000, auto_commit_ms=0):
        """A member of a group."""
        if assignor not in ASSIGNORS:
            raise Lacks("no cooperative assignor")
        config = {"group_id": group, "auto_offset_reset": reset,
                  "session_timeout_ms": session_ms, "heartbeat_interval_ms": heartbeat_ms,
                  "max_poll_interval_ms": rebalance_ms, "rebalance_timeout_ms": rebalance_ms,
                  "metadata_max_age_ms": metadata_ms,
                  "partition_assignment_strategy": [ASSIGNORS[assignor]],
                  "enable_auto_commit": auto_commit_ms > 0, "group_instance_id": instance}
        if auto_commit_ms:
            config["auto_commit_interval_ms"] = auto_commit_ms
        made = Member(commit_on_revoke, **config)
        made.consumer.subscribe(topics, listener=made)
        self.members[member] = made
        made.task = asyncio.create_task(made.run())

    async def assign(self, member, group, partitions, reset="earliest"):
        """A consumer by assignment that commits."""
        made = Member(group_id=group, auto_offset_reset=reset, enable_auto_commit=False)
        made.consumer.assign([TopicPartition(*part) for part in partitions])
        made.assigned = {tuple(part) for part in partitions}
        self.members[member] = made
        made.task = asyncio.create_task(made.run())

    async def take(self, member):
        """The records since the last call."""
        made = self.members[member]
        found, made.records = made.records, []
        return {"records": found}

    async def state(self, member):
        """What is assigned, and what happened."""
        made = self.members[member]
        return {"assigned": [list(part) for part in sorted(made.assigned)],
                "events": made.events, "error": made.error}

    async def stall(self, member, ms):
        """See README."""
        self.members[member].stalled_until = time.monotonic() + ms / 1000

    async def commit(self, member, how="sync", offsets=None):
        """Commits; an asynchronous commit is a task that is not waited for at once."""
        made = self.members[member]
        asked = made.offsets(offsets)
        if not asked:
            return
        if how == "sync":
            await made.consumer.commit(asked)
            return
        done = asyncio.Event()
        task = asyncio.create_task(made.consumer.commit(asked))
        task.add_done_callback(lambda _: done.set())
        await done.wait()
        task.result()

    async def committed(self, member, partitions):
        """What the group committed, as the member sees it."""
        made = self.members[member]
        found = []
        for topic, number in partitions:
            at = await made.consumer.committed(TopicPartition(topic, number))
            found.append([topic, number, -1 if at is None else at, ""])
        return {"offsets": found}

    async def subscribe(self, member, topics):
        """Changes the subscription."""
        made = self.members[member]
        made.consumer.subscribe(topics, listener=made)

    async def seek(self, member, topic, partition, offset):
        """Moves the position."""
        self.members[member].consumer.seek(TopicPartition(topic, partition), offset)

    async def leave(self, member):
        """Closes."""
        made = self.members.pop(member)
        made.task.cancel()
        try:
            await made.task
        except asyncio.CancelledError:
            pass
        await made.consumer.stop()

    # -- administration

    async def create_topic(self, topic, partitions, replication=1, configs=None):
        """Creates."""
        new = NewTopic(topic, partitions, replication, topic_configs=configs or {})
        answer = await self.admin.create_topics([new])
        refused(answer.topic_errors[0][1])

    async def delete_topic(self, topic):
        """Deletes."""
        answer = await self.admin.delete_topics([topic])
        refused(answer.topic_error_codes[0][1])

    async def create_partitions(self, topic, count):
        """Adds partitions."""
        await self.admin.create_partitions({topic: NewPartitions(count)})

    async def topic(self, topic):
        """Metadata."""
        [found] = await self.admin.describe_topics([topic])
        refused(found["error_code"])
        parts = sorted(found["partitions"], key=lambda part: part["partition"])
        return {"partitions": [[part["partition"], part["leader"], part["replicas"],
                                part["isr"]] for part in parts]}

    async def configs(self, topic):
        """Describes."""
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        [answer] = await self.admin.describe_configs([resource])
        code, _, _, _, entries = answer.resources[0][:5]
        refused(code)
        return {"configs": {entry[0]: entry[1] for entry in entries}}

    async def alter_config(self, topic, name, value):
        """Replaces all: the library has no incremental form."""
        configs = {} if value is None else {name: value}
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs)
        [answer] = await self.admin.alter_configs([resource])
        refused(answer.resources[0][0])

    async def delete_records(self, topic, partition, before):
        """Moves the first offset."""
        where = TopicPartition(topic, partition)
        found = await self.admin.delete_records({where: RecordsToDelete(before)})
        return {"low": found[where]}

    async def groups(self):
        """Lists."""
        return {"groups": sorted(group[0] for group in await self.admin.list_consumer_groups())}

    async def group(self, group):
        """Describes."""
        [answer] = await self.admin.describe_consumer_groups([group])
        code, _, state, _, protocol, members = answer.groups[0][:6]
        refused(code)
        return {"state": state, "protocol": protocol, "members": len(members)}

    async def group_offsets(self, group, partitions):
        """Lists what is committed."""
        wanted = [TopicPartition(*part) for part in partitions]
        found = await self.admin.list_consumer_group_offsets(group, partitions=wanted)
        return {"offsets": [[*part, found[part].offset, found[part].metadata or ""]
                            for part in wanted]}


async def answer(ops, request):
    """Runs one request."""
    number, op = request.pop("id"), request.pop("op")
    function = getattr(ops, op, None)
    try:
        if function is None:
            raise Lacks(f"no {op}")
        say({"id": number, "ok": await function(**request) or {}})
    except Lacks as lacks:
        say({"id": number, "lacks": str(lacks)})
    except Exception as error:
        say({"id": number, "error": error_of(failure(error))})


async def main():
    """Reads requests in a thread, serves each in a task."""
    ops = Ops()
    await ops.admin.start()
    loop = asyncio.get_running_loop()
    tasks = set()

    def begin(line):
        task = loop.create_task(answer(ops, json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def read():
        for line in sys.stdin:
            loop.call_soon_threadsafe(begin, line)
        os._exit(0)
    threading.Thread(target=read, daemon=True).start()
    say({"ready": True, "client": f"aiokafka {aiokafka.__version__}"})
    await asyncio.Event().wait()


asyncio.run(main())
