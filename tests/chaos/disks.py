"""A full disk and one that turns read-only, on an ext4 of their own: reads go on, nothing is lost.

Needs root and loop devices; left out, and said so, where there are none.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource,
                                   NewPartitions, NewTopic)

from ..harness import procs
from . import suite

SIZE = 48 << 20
VALUE = b"x" * 20_000


def can_mount():
    """Whether this machine lets us have a disk of our own."""
    return (os.geteuid() == 0 and shutil.which("mkfs.ext4") is not None
            and pathlib.Path("/dev/loop-control").exists())


class Mounted:
    """A small ext4 in a file for one broker's data."""

    def __init__(self, context):
        self.kind = context.kind
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="tidelog-disk-"))
        self.image, self.place = self.home / "image", self.home / "disk"
        self.broker = None

    def __enter__(self):
        self.place.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", self.image], check=True)
        self.mount()
        self.broker = self.kind({"log.dirs": str(self.place / "data"),
                                 "log.segment.bytes": "4194304",
                                 "metadata.log.max.record.bytes.between.snapshots": "2000"})
        self.broker.start()
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print(self.broker.tail(3000), flush=True)
        self.broker.close()
        self.unmount()
        shutil.rmtree(self.home, ignore_errors=True)

    def mount(self):
        """Attaches it."""
        subprocess.run(["mount", "-o", "loop", self.image, self.place], check=True)

    def unmount(self):
        """Detaches it."""
        subprocess.run(["umount", self.place], check=True)

    def turn_read_only(self):
        """What the kernel does to a file system whose device fails."""
        os.sync()
        subprocess.run(["mount", "-o", "remount,abort", self.place], check=True)


def topic(broker, name):
    """A topic of one partition."""
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic(name, 1, 1)], operation_timeout=20)[name].result(30)


def produce(broker, name, upto, timeout_ms=4000):
    """Produces until so many are sent or the broker refuses: acknowledged offsets, and why."""
    producer = Producer({"bootstrap.servers": broker.address, "enable.idempotence": True,
                         "message.timeout.ms": timeout_ms, "log_level": 0, "linger.ms": 0})
    acked, errors = [], []

    def delivered(error, message):
        if error is None:
            acked.append((message.offset(), message.key()))
        else:
            errors.append(error.name())
    for number in range(upto):
        if errors:
            break
        producer.produce(name, VALUE, key=b"%d" % number, on_delivery=delivered)
        producer.poll(0.5 if number % 100 == 99 else 0)
    producer.flush(60)
    return acked, errors


def check_readable(broker, name, acked):
    """Every acknowledged record at its offset."""
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "checker",
                         "enable.auto.commit": False})
    consumer.assign([TopicPartition(name, 0, 0)])
    wanted, found = max(offset for offset, _ in acked), {}

    def more():
        for message in consumer.consume(10_000, 0.5):
            if message.error():
                raise KafkaException(message.error())
            found[message.offset()] = message.key()
        return wanted in found
    try:
        procs.wait_until(more, f"offset {wanted} of {name}", 30, 0)
    finally:
        consumer.close()
    wrong = [offset for offset, key in acked if found.get(offset) != key]
    assert not wrong, f"{len(wrong)} acknowledged records are not there: {wrong[:5]}"


@suite.ours
def full_disk(context):
    """Until full, kill -9, start, read everything; room again, and writes go on by themselves."""
    if not can_mount():
        return "no root or no loop devices: left out"
    with Mounted(context) as disk:
        broker = disk.broker
        topic(broker, "full")
        filler = disk.place / "filler"
        filler.write_bytes(bytes(8 << 20))
        acked, errors = produce(broker, "full", 2 * SIZE // len(VALUE), 2000)
        assert acked and errors, "the disk did not fill"
        # Not a block is left for the start.
        with open(filler, "ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"y" * 4096)
            except OSError:
                pass
        for _ in range(2):
            broker.kill()
            broker.start()
            check_readable(broker, "full", acked)
            more, errors = produce(broker, "full", 1, 1000)
            assert not more and errors, "a full disk takes no records"
        assert "no space left" in broker.tail(100_000), broker.tail()
        # A topic can be deleted, which is what an operator would do.
        topic_room(broker)
        no_room_for_topics(broker)
        a_snapshot_waits(broker)
        # A stop is a clean one as far as can be, and nobody's failure.
        code, _ = broker.stop()
        assert code in (0, 143), broker.tail()
        assert "Nothing is lost" in broker.tail(), broker.tail()
        broker.start()
        check_readable(broker, "full", acked)
        filler.unlink()
        topic(broker, "more")
        more, errors = produce(broker, "full", 100, 20_000)
        assert len(more) == 100 and not errors, errors[:3]
        assert min(more)[0] > max(acked)[0], "an offset was given twice"
        check_readable(broker, "full", acked + more)
        code, _ = broker.stop()
        assert code in (0, 143), broker.tail()
        broker.start()
        check_readable(broker, "full", acked + more)
        return f"{len(acked)} records kept on a full disk"


def topic_room(broker):
    """Metadata has space of its own: deleting a topic that is not there is answered as such."""
    admin = AdminClient({"bootstrap.servers": broker.address})
    answer = admin.delete_topics(["absent"], operation_timeout=10)["absent"]
    try:
        answer.result(15)
    except KafkaException as error:
        assert error.args[0].name() == "UNKNOWN_TOPIC_OR_PART", error
    assert broker.alive()


def a_snapshot_waits(broker):
    """A snapshot of the metadata that is due waits for space: said once, and nothing stops."""
    admin = AdminClient({"bootstrap.servers": broker.address})
    for number in range(60):
        entry = ConfigEntry("retention.ms", str(600_000_000 + number),
                            incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource("topic", "full", incremental_configs=[entry])
        admin.incremental_alter_configs([resource])[resource].result(15)

    def waits():
        return sum(".checkpoint.tmp: no space left" in line
                   for line in broker.tail(1_000_000).splitlines())
    procs.wait_until(waits, "the snapshot that waits", 20, 0)
    topic_room(broker)
    assert waits() == 1, broker.tail()
    assert "the controller has stopped" not in broker.tail(1_000_000), broker.tail()


def no_room_for_topics(broker):
    """What cannot be written to is not made, and the answer says why."""
    admin = AdminClient({"bootstrap.servers": broker.address})
    asked = {**admin.create_topics([NewTopic("more", 3, 1)]),
             **admin.create_partitions([NewPartitions("full", 3)])}
    for name, answer in asked.items():
        try:
            answer.result(15)
            raise AssertionError(f"{name} was made on a full disk")
        except KafkaException as error:
            assert error.args[0].name() == "KAFKA_STORAGE_ERROR", error
            assert "no space left" in error.args[0].str(), error
    topics = admin.list_topics(timeout=10).topics
    assert "more" not in topics and len(topics["full"].partitions) == 1, topics


@suite.ours
def read_only_disk(context):
    """The only disk turns read-only: produce is refused, why is said, a restart heals."""
    if not can_mount():
        return "no root or no loop devices: left out"
    with Mounted(context) as disk:
        broker = disk.broker
        topic(broker, "ro")
        acked, errors = produce(broker, "ro", 500)
        assert len(acked) == 500 and not errors, errors
        disk.turn_read_only()
        more, errors = produce(broker, "ro", 1, 3000)
        assert not more and errors, "a read-only disk takes no records"
        said = broker.tail(100_000)
        assert "read-only file system" in said and "offline" in said, said
        assert "panicked" not in said, said
        # Its only directory: the broker ends, as Kafka does, and is started when the disk works.
        assert broker.child.wait(30) == 1, said
        broker.child = None
        disk.unmount()
        disk.mount()
        broker.start()
        check_readable(broker, "ro", acked)
        more, errors = produce(broker, "ro", 10, 10_000)
        assert len(more) == 10 and not errors, errors
        return "refused, said, healed by a restart"


@suite.ours
def one_of_two_disks(context):
    """One of two disks fails: its partitions have no leader, the others go on, a restart heals."""
    if not can_mount():
        return "no root or no loop devices: left out"
    with Mounted(context) as disk:
        broker = disk.broker
        broker.kill()
        broker.settings["log.dirs"] = f"{broker.home / 'sound'},{disk.place / 'other'}"
        broker.start()
        names = [f"two-{number}" for number in range(4)]
        acked = {}
        for name in names:
            topic(broker, name)
            acked[name], errors = produce(broker, name, 50)
            assert len(acked[name]) == 50 and not errors, errors
        broken = {name for name in names if (disk.place / "other" / f"{name}-0").is_dir()}
        assert 0 < len(broken) < len(names), broken
        disk.turn_read_only()
        for name in names:
            more, errors = produce(broker, name, 1, 2000)
            assert bool(more) == (name not in broken), (name, broken, errors)
            acked[name] += more
        for name in names:
            described = described_partition(broker, name)
            lost = (described.leader, described.error is not None) == (-1, True)
            assert lost == (name in broken), (name, described.leader, described.error)
            if name not in broken:
                check_readable(broker, name, acked[name])
        broker.kill()
        disk.unmount()
        disk.mount()
        broker.start()
        for name in names:
            assert described_partition(broker, name).leader == 1
            check_readable(broker, name, acked[name])
            more, errors = produce(broker, name, 1)
            assert len(more) == 1, errors
        return f"{len(broken)} of {len(names)} partitions out and back"


def described_partition(broker, name):
    """What Metadata says of the topic's partition."""
    admin = AdminClient({"bootstrap.servers": broker.address})
    return admin.list_topics(name, timeout=10).topics[name].partitions[0]
