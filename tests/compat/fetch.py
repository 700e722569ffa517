"""Fetching: long polls, limits, many partitions at once."""

import threading
import time

from confluent_kafka import TopicPartition

from ..harness import procs
from . import suite


@suite.scenario
def a_long_poll_ends_with_the_record(context):
    """A fetch that waits is answered as soon as a record is there, not at its deadline."""
    topic = context.topic("poll")
    consumer = context.consumer(fetch_wait_max_ms=10_000, socket_timeout_ms=30_000)
    consumer.assign([TopicPartition(topic, 0, 0)])
    assert consumer.poll(1.5) is None  # the fetch is parked now
    times = []
    producer = context.producer(acks="all", linger_ms=0)
    for number in range(5):
        sent = time.monotonic()
        producer.produce(topic, b"%d" % number)
        threading.Thread(target=producer.flush, args=(10,)).start()
        message = consumer.poll(15)
        times.append(time.monotonic() - sent)
        assert message is not None and message.value() == b"%d" % number
    consumer.close()
    assert max(times) < 2.0, f"waited {times} s, of at most 10"
    return f"at most {max(times) * 1000:.0f} ms"


@suite.scenario
def an_idle_poll_is_held(context):
    """Without records a fetch is held for its time: no busy loop of empty answers."""
    topic = context.topic("idle")
    consumer = context.consumer(fetch_wait_max_ms=1000, debug="fetch", log_level=7,
                                logger=_Counter())
    counter = _Counter.last
    consumer.assign([TopicPartition(topic, 0, 0)])
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        assert consumer.poll(0.5) is None
    consumer.close()
    assert 2 <= counter.fetches <= 8, f"{counter.fetches} fetches in 4 s, each to wait 1 s"


class _Counter:
    """A logger that counts the fetch requests librdkafka reports."""

    last = None

    def __init__(self):
        self.fetches = 0
        _Counter.last = self

    def log(self, _level, form, *arguments):
        """Called by librdkafka for each line."""
        text = form % arguments if arguments else form
        if "Fetch 1/1" in text:
            self.fetches += 1


@suite.scenario
def min_bytes_are_waited_for(context):
    """fetch.min.bytes holds the answer until there is enough, or the time is over."""
    topic = context.topic("min")
    context.produce(topic, [b"x" * 1000])
    consumer = context.consumer(fetch_min_bytes=100_000, fetch_wait_max_ms=2500)
    consumer.assign([TopicPartition(topic, 0, 0)])
    started = time.monotonic()
    message = consumer.poll(20)
    took = time.monotonic() - started
    assert message is not None and 2.0 < took < 8.0, took
    started = time.monotonic()
    context.produce(topic, [b"y" * 1000] * 200)
    assert consumer.poll(20) is not None
    assert time.monotonic() - started < 2.4, "enough bytes were there"
    consumer.close()


@suite.scenario
def a_record_larger_than_the_limit(context):
    """At least one batch is given, however small the fetch limits are."""
    topic = context.topic("limits")
    values = [b"a" * 500_000, b"b", b"c" * 300_000]
    for value in values:
        context.produce(topic, [value])
    for limits in ({"max_partition_fetch_bytes": 1000},
                   {"fetch_max_bytes": 1000, "message_max_bytes": 1000,
                    "max_partition_fetch_bytes": 1000}):
        found = context.read(topic, 3, **limits)
        assert [m.value() for m in found] == values, limits


@suite.scenario
def the_same_records_again(context):
    """Many readers at once get the same bytes."""
    topic = context.topic("shared", partitions=4)
    values = [b"%05d" % n + b"-" * 200 for n in range(3000)]
    for partition in range(4):
        context.produce(topic, values, partition, compression_type="lz4")
    wrong = []

    def reader():
        for partition in range(4):
            found = context.read(topic, 3000, partition)
            if [m.value() for m in found] != values:
                wrong.append(partition)
    threads = [threading.Thread(target=reader) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong and not any(t.is_alive() for t in threads)


@suite.scenario
def reading_while_writing(context):
    """A reader behind a writer sees every record once, in order."""
    topic = context.topic("tail")
    count = 20_000
    consumer = context.consumer(fetch_wait_max_ms=100)
    consumer.assign([TopicPartition(topic, 0, 0)])
    producer = context.producer(acks="all", linger_ms=2)
    for number in range(count):
        producer.produce(topic, b"%d" % number)
        if number % 500 == 0:
            producer.poll(0.005)
    flusher = threading.Thread(target=producer.flush, args=(60,))
    flusher.start()
    found = []
    procs.wait_until(lambda: found.extend(
        int(m.value()) for m in consumer.consume(5000, 0.2)) or len(found) >= count,
        "all records", 60, 0)
    flusher.join()
    consumer.close()
    assert found == list(range(count))
