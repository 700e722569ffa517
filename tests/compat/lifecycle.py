"""Starting, stopping, coming back: what a restart keeps."""

import os
import time

from confluent_kafka import TopicCollection

from ..harness import procs
from . import suite


@suite.scenario
def a_clean_restart_is_quick(context):
    """SIGTERM ends the broker at once with everything in place; the start re-reads nothing."""
    topic = context.topic("clean", partitions=3)
    for partition in range(3):
        context.produce(topic, [b"%d" % n for n in range(1000)], partition)
    before = context.admin().describe_topics(TopicCollection([topic]))[topic].result(20)
    cluster = context.admin().describe_cluster().result(20).cluster_id
    code, stopped = context.broker.stop()
    assert code in (0, 143), code
    started = context.broker.start()
    after = context.admin().describe_topics(TopicCollection([topic]))[topic].result(20)
    assert str(after.topic_id) == str(before.topic_id)
    assert context.admin().describe_cluster().result(20).cluster_id == cluster
    context.wait_for_topic(topic)
    for partition in range(3):
        assert context.watermarks(topic, partition) == (0, 1000)
        assert context.produce(topic, [b"next"], partition) == [1000]
    if context.broker.name == "tidelog":
        assert code == 0 and stopped < 10 and started < 5, (code, stopped, started)
    return f"stop {stopped:.2f} s, start {started:.2f} s"


@suite.scenario
def a_producer_lives_through_restarts(context):
    """One idempotent producer, three restarts: every record once, in order."""
    topic = context.topic("lives")
    producer = context.producer(enable_idempotence=True, message_timeout_ms=120_000,
                                reconnect_backoff_max_ms=200)
    acknowledged = []

    def delivered(error, message):
        assert error is None, error
        acknowledged.append((message.offset(), message.value()))
    number = 0
    for restart in (context.broker.kill, context.broker.stop, context.broker.kill):
        for _ in range(500):
            producer.produce(topic, b"%d" % number, partition=0, on_delivery=delivered)
            number += 1
        producer.poll(0.01)
        restart()
        context.broker.start()
    assert producer.flush(90) == 0
    assert acknowledged == [(n, b"%d" % n) for n in range(number)]
    assert [m.value() for m in context.read(topic, number)] == [v for _, v in acknowledged]
    assert context.watermarks(topic) == (0, number)


@suite.scenario
def deleted_topics_stay_deleted(context):
    """A topic deleted right before kill -9 does not come back, one created does."""
    gone, kept = context.topic("gone"), context.name("kept")
    context.produce(gone, [b"x"])
    context.admin().delete_topics([gone], operation_timeout=20)[gone].result(30)
    from .topics import create
    create(context, kept)
    context.broker.kill()
    context.broker.start()
    context.wait_for_topic(kept)
    assert gone not in context.admin().list_topics(timeout=20).topics
    assert context.produce(kept, [b"y"]) == [0]


@suite.scenario
@suite.one_broker
def lost_indexes_are_made_again(context):
    """Index files deleted while the broker is down are rebuilt; every record is found."""
    topic = context.topic("indexes")
    values = [b"%06d" % n + b"." * 400 for n in range(5000)]
    context.produce(topic, values)
    code, _ = context.broker.stop()
    assert code in (0, 143), code
    folder = context.broker.data / f"{topic}-0"
    removed = [path for kind in ("index", "timeindex", "snapshot")
               for path in folder.glob(f"*.{kind}")]
    for path in removed:
        path.unlink()
    assert len(removed) >= 2, removed
    context.broker.start()
    context.wait_for_topic(topic)
    assert [m.value() for m in context.read(topic, 5000)] == values
    assert [m.offset() for m in context.read(topic, 10, offset=4321)] == list(range(4321, 4331))


@suite.scenario
@suite.one_broker
def a_torn_tail_is_cut(context):
    """Half a batch at the end of the log, as a crash leaves it: cut; the rest is there."""
    topic = context.topic("torn")
    context.produce(topic, [b"%d" % n for n in range(100)])
    context.broker.kill()
    [log] = context.broker.logs(topic)
    data = log.read_bytes().rstrip(b"\0")
    with open(log, "r+b") as file:
        file.truncate(len(data))
        file.seek(len(data))
        file.write(data[:40])
    context.broker.start()
    context.wait_for_topic(topic)
    assert context.watermarks(topic) == (0, 100)
    assert context.produce(topic, [b"after"]) == [100]
    assert [m.value() for m in context.read(topic, 101)][-2:] == [b"99", b"after"]


@suite.scenario
def retention_by_size(context):
    """Old segments go when the log is over its size; the start of the log moves."""
    topic = context.topic("retention", retention_bytes=2_000_000, segment_bytes=1_048_576,
                          file_delete_delay_ms=100)
    values = [os.urandom(1000) for _ in range(6000)]
    context.produce(topic, values)
    procs.wait_until(lambda: context.watermarks(topic)[0] > 0, "the log start moves",
                     context.retention_seconds, 0.5)
    low, high = context.watermarks(topic)
    assert high == 6000 and 0 < low < 6000, (low, high)
    found = context.read(topic, 6000 - low, offset=low)
    assert [m.value() for m in found] == values[low:]
    procs.wait_until(lambda: context.broker.log_bytes(topic) < 4_500_000, "files are deleted",
                     30, 0.2)
    return f"log starts at {low}"


@suite.ours
def a_second_broker_is_refused(context):
    """The data directory in use is locked: a second process ends and harms nothing.

    Not asked of Apache Kafka: its second process writes to the metadata log of the first.
    """
    other = type(context.broker)()
    home, other.home = other.home, context.broker.home
    other.data, other.log = context.broker.data, home / "broker.log"
    started = time.monotonic()
    config = context.broker.command()[-1]
    command = other.command()
    other.home = home
    alone = procs.spawn(command, stdout=-3, stderr=-3)
    try:
        procs.wait_until(lambda: alone.poll() is not None, "the second process ends", 60)
    finally:
        procs.kill(alone)
    assert alone.returncode != 0
    assert context.broker.command()[-1] == config
    other.close()
    topic = context.topic("unharmed")
    assert context.produce(topic, [b"ok"]) == [0]
    return f"{time.monotonic() - started:.1f} s"
