"""Moving in: Tidelog serves the directory that a one-node Apache Kafka 4.3.1 leaves behind."""

import re
import shutil

from confluent_kafka import Consumer, TopicCollection, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from ..harness import procs
from ..harness.broker import Broker, Kafka, Tidelog, binary
from . import suite
from .context import Context
from .dump import dump
from .produce import CODECS

# Small, so that Kafka's metadata log has snapshots, several of them.
KAFKA = {"metadata.log.max.record.bytes.between.snapshots": "8000",
         "log.cleaner.backoff.ms": "200", "log.cleaner.enable": "true"}


class MovedIn(Tidelog):
    """`tidelog serve` with the configuration file and the directory of a stopped Kafka."""

    def __init__(self, kafka):
        Broker.__init__(self)
        self.kafka = kafka
        self.data, self.port = kafka.data, kafka.port

    def command(self):
        return [binary(), "serve", "--config", self.kafka.home / "server.properties",
                "--set", f"tidelog.admin.port={self.second_port}"]


class House(Context):
    """The tools of a scenario around a broker of its own."""

    def __init__(self, broker, other):
        super().__init__(lambda: broker)
        self.tools = other.tools

    def close(self):
        """Ends everything but the tools, which are shared."""
        self.broker.close()
        shutil.rmtree(self.scratch, ignore_errors=True)


def value(n, size=200):
    """The n-th value."""
    return b"%06d " % n + b"tide " * (size // 5)


def everything(house, topics):
    """All that a client sees: records, watermarks, ids and configs of topics."""
    seen = {}
    described = house.admin().describe_topics(TopicCollection(topics))
    for name in topics:
        about = described[name].result(30)
        resource = ConfigResource(ResourceType.TOPIC, name)
        configs = house.admin().describe_configs([resource])[resource].result(30)
        own = {key: entry.value for key, entry in configs.items() if entry.source == 1}
        partitions = {}
        for part in about.partitions:
            marks = house.watermarks(name, part.id)
            found = [records(house, name, part.id, marks, "read_uncommitted")]
            if name.startswith("tx"):
                found.append(records(house, name, part.id, marks, "read_committed"))
            partitions[part.id] = (marks, *found)
        seen[name] = (str(about.topic_id), own, partitions)
    return seen


def records(house, topic, partition, marks, isolation):
    """Every record of a partition, read to its end."""
    consumer = Consumer(house.client_config(group_id="reader", enable_auto_commit=False,
                                            enable_partition_eof=True,
                                            isolation_level=isolation))
    found = []
    try:
        consumer.assign([TopicPartition(topic, partition, marks[0])])

        def ended():
            for message in consumer.consume(1000, 0.3):
                if message.error():
                    return True
                found.append((message.offset(), message.key(), message.value(),
                              message.headers(), message.timestamp()))
            return False
        procs.wait_until(ended, f"the end of {topic}-{partition}", 60, 0)
    finally:
        consumer.close()
    return found


def consume(house, topic, offsets, group, **config):
    """A member of the group is given exactly these offsets next, and commits them."""
    consumer = house.consumer(group_id=group, auto_offset_reset="earliest", **config)
    got = []
    try:
        consumer.subscribe([topic])
        procs.wait_until(lambda: got.extend(consumer.consume(len(offsets) - len(got), 0.5))
                         or len(got) >= len(offsets), f"{offsets} for {group}", 60, 0)
        assert [message.offset() for message in got] == list(offsets), got[0].offset()
        consumer.commit(message=got[-1], asynchronous=False)
    finally:
        consumer.close()


def transactions(house, topic):
    """Committed and aborted transactions, of records and of a group's offsets."""
    producer = house.producer(transactional_id=house.name("tx"))
    producer.init_transactions(30)
    member = house.consumer(group_id="in-tx")
    for end in (producer.commit_transaction, producer.commit_transaction,
                producer.abort_transaction):
        producer.begin_transaction()
        for n in range(10):
            producer.produce(topic, f"{end.__name__} {n}".encode(), partition=0)
        assert producer.flush(30) == 0
        # The committed ones commit offset 7, then the aborted one 8.
        at = 8 if end == producer.abort_transaction else 7
        producer.send_offsets_to_transaction([TopicPartition(topic, 0, at)],
                                             member.consumer_group_metadata(), 30)
        end(30)
    member.close()


def left_open(house, topic, behind=3):
    """A transaction that nobody ends, and records behind it. Returns whose it is."""
    name = house.name("open")
    producer = house.producer(transactional_id=name, transaction_timeout_ms=800_000)
    producer.init_transactions(30)
    producer.begin_transaction()
    for n in range(10):
        producer.produce(topic, b"open %d" % n, partition=0)
    assert producer.flush(30) == 0
    house.produce(topic, [b"behind"] * behind)
    return name


def furnish(house):
    """What a cluster in use has. Returns the names of its topics."""
    names = [house.topic("plain", partitions=3, retention_ms=86_400_000,
                         max_message_bytes=2_000_000)]
    for partition in range(3):
        house.produce(names[0], [value(n) for n in range(2000)], partition)
    for codec in CODECS:
        names.append(house.topic(f"of-{codec}", segment_bytes=1_048_576))
        house.produce(names[-1], [value(n, 2000) for n in range(800)],
                      compression_type=codec, enable_idempotence=True, linger_ms=1,
                      batch_num_messages=100)
    names.append(house.topic("carried", message_timestamp_type="LogAppendTime"))
    producer = house.producer()
    for n in range(20):
        producer.produce(names[-1], None if n % 2 else b"v%d" % n, b"k%d" % n,
                         headers=[("h", b"%d" % n), ("h", None)])
    assert producer.flush(30) == 0
    names.append(house.topic("compacted", cleanup_policy="compact", segment_bytes=1_048_576,
                             min_cleanable_dirty_ratio=0.01, delete_retention_ms=100))
    producer = house.producer(linger_ms=5, enable_idempotence=True)
    for n in range(6000):
        producer.produce(names[-1], value(n, 1000), b"key %d" % (n % 10))
        producer.poll(0)
    assert producer.flush(60) == 0
    names.append(house.topic("tx"))
    transactions(house, names[-1])
    names.append(house.topic("tx-open"))
    transactions(house, names[-1])
    names.append(house.topic("trimmed"))
    house.produce(names[-1], [value(n) for n in range(100)])
    part = TopicPartition(names[-1], 0, 40)
    house.admin().delete_records([part])[part].result(30)
    names.append(house.topic("altered"))
    entry = ConfigEntry("retention.ms", "7200000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, names[-1], incremental_configs=[entry])
    house.admin().incremental_alter_configs([resource])[resource].result(30)
    gone = house.topic("gone")
    house.produce(gone, [b"x"] * 10)
    house.admin().delete_topics([gone], operation_timeout=20)[gone].result(30)
    return names


def stop_kafka(kafka):
    """A clean stop."""
    code, _ = kafka.stop(90)
    assert code in (0, 143), code


@suite.ours
def a_kafka_moves_in(context):
    """Topics, ids, configs, records, offsets of a cleanly stopped Kafka; then life goes on."""
    kafka = Kafka(KAFKA)
    house = House(kafka, context)
    moved = None
    try:
        kafka.start()
        names = furnish(house)
        plain = names[0]
        single = names[1]
        consume(house, single, range(700), "classic")
        consume(house, single, range(300), "newer", group_protocol="consumer")
        context.tools("configs", "--bootstrap-server", kafka.address, "--alter", "--entity-type",
                      "users", "--entity-default", "--add-config", "producer_byte_rate=1e9").ok()
        producer = house.producer(enable_idempotence=True, message_timeout_ms=120_000)
        producer.produce(plain, b"before", partition=0)
        assert producer.flush(30) == 0
        procs.wait_until(lambda: cleaned(kafka, names), "the cleaner has run", 60)
        tx, still_open = [name for name in names if name.startswith("tx")]
        left_open(house, still_open)
        before = everything(house, names)
        stop_kafka(kafka)
        moved = MovedIn(kafka)
        took = moved.start()
        house.broker, house._admin = moved, None
        after = everything(house, names)
        for name in names:
            assert after[name] == before[name], difference(name, before[name], after[name])
        listed = {name for name in house.admin().list_topics(timeout=20).topics}
        assert listed == {*names, "__consumer_offsets", "__transaction_state"}, listed
        producer.produce(plain, b"after", partition=0)
        assert producer.flush(60) == 0, "the producer that lived through it goes on"
        last = house.read(plain, 2, offset=2000)
        assert [m.value() for m in last] == [b"before", b"after"]
        consume(house, single, range(700, 750), "classic")
        consume(house, single, range(300, 350), "newer")
        seen = [[len(found) for found in after[name][2][0][1:]] for name in (tx, still_open)]
        assert seen == [[30, 20], [43, 20]], f"10 were aborted, 10 are open, 3 behind: {seen}"
        assert f"{still_open}-0: a transaction is open" in moved.tail(), moved.tail()
        assert f"{tx}-0: a trans" not in moved.tail(), moved.tail()
        assert moved.tail().count("newer protocols") == 1, moved.tail()
        assert moved.tail().count("1 client quotas") == 1, moved.tail()
        member = house.consumer(group_id="in-tx")
        offset = member.committed([TopicPartition(tx, 0)], timeout=30)[0].offset
        member.close()
        assert offset == 7, f"what an aborted transaction committed counts: {offset}"
        code, _ = moved.stop()
        assert code == 0, code
        kafkas_tools_read(context, kafka.data)
        # And back: what Tidelog wrote is a Kafka's.
        kafka.start()
        house.broker, house._admin = kafka, None
        kinds = ("tx", "carried", "trimmed", "altered")
        few = [name for name in names if name.startswith(kinds)]
        for name in (*few, single, plain):
            house.wait_for_topic(name)
        again = everything(house, few)
        for name in few:
            assert again[name] == before[name], difference(name, before[name], again[name])
        consume(house, single, range(750, 760), "classic")
        consume(house, single, range(350, 360), "newer")
        assert house.produce(plain, [b"back"]) == [2002]
        return f"start {took:.1f} s"
    finally:
        if moved is not None:
            moved.close()
        house.close()
        kafka.close()


def kafkas_tools_read(context, data):
    """DumpLogSegments reads every file that Kafka and Tidelog wrote there, one after the other."""
    folders = [path for path in sorted(data.iterdir()) if re.search(r"-\d+$", path.name)]
    logs, indexes = [], []
    for folder in folders:
        if folder.name.startswith("__cluster_metadata"):
            dump(context, sorted(folder.glob("*.log")), "--cluster-metadata-decoder")
            dump(context, sorted(folder.glob("*.checkpoint")), "--cluster-metadata-decoder")
            continue
        logs += sorted(folder.glob("*.log"))
        indexes += sorted(folder.glob("*index"))
    dump(context, logs, "--deep-iteration", "--skip-record-metadata")
    dump(context, indexes, "--index-sanity-check")


class Standalone(Kafka):
    """Kafka whose only voter has the id of its directory."""

    standalone = True


@suite.ours
def a_killed_kafka_moves_in(context):
    """kill -9 of a Kafka with a dynamic quorum: everything that was acknowledged is there."""
    kafka = Standalone(KAFKA)
    house = House(kafka, context)
    moved = None
    try:
        kafka.start()
        tx = house.topic("tx")
        transactions(house, tx)
        whose = left_open(house, tx)
        topic = house.topic("killed", partitions=2)
        values = [value(n) for n in range(1000)]
        for partition in range(2):
            house.produce(topic, values, partition, compression_type="lz4")
        single = house.topic("single")
        house.produce(single, values)
        consume(house, single, range(10), "group")
        before = everything(house, [topic, single, tx])
        assert [len(found) for found in before[tx][2][0][1:]] == [43, 20], before[tx]
        kafka.kill()
        # A power cut takes more than a kill: the batches say which transactions were aborted.
        index = kafka.data / f"{tx}-0" / "00000000000000000000.txnindex"
        index.unlink()
        moved = MovedIn(kafka)
        moved.start()
        house.broker, house._admin = moved, None
        after = everything(house, [topic, single, tx])
        for name in before:
            assert after[name] == before[name], difference(name, before[name], after[name])
        assert index.exists()
        consume(house, single, range(10, 20), "group")
        assert house.produce(single, [b"next"]) == [1000]
        code, _ = moved.stop()
        assert code == 0, code
        kafka.start()
        house.broker, house._admin = kafka, None
        house.wait_for_topic(single)
        assert house.watermarks(single) == (0, 1001)
        house.wait_for_topic(tx)
        again = everything(house, [tx])[tx]
        assert again == before[tx], difference(tx, before[tx], again)
        # Whose it was comes back, and Kafka ends it.
        house.producer(transactional_id=whose).init_transactions(60)
        procs.wait_until(lambda: [len(found) for found in everything(house, [tx])[tx][2][0][1:]]
                         == [43, 23], "the transaction has ended", 30)
    finally:
        if moved is not None:
            moved.close()
        house.close()
        kafka.close()


def cleaned(kafka, names):
    """Whether the compacted topic has lost records."""
    name = next(name for name in names if name.startswith("compacted"))
    return kafka.log_bytes(name) < 3_000_000


def difference(name, one, two):
    """Where two descriptions of a topic differ."""
    if one[:2] != two[:2]:
        return f"{name}: {one[:2]} became {two[:2]}"
    for index, (marks, *found) in one[2].items():
        marks2, *found2 = two[2][index]
        for before, after in zip(found, found2):
            if (marks, before) != (marks2, after):
                wrong = next((pair for pair in zip(before, after) if pair[0] != pair[1]), None)
                return (f"{name}-{index}: {marks} {len(before)} records, now {marks2} "
                        f"{len(after)}; first difference {wrong}")
    return name
