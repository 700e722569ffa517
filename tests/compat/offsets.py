"""Offsets by time and by every special timestamp, ranges, and reset policies."""

from confluent_kafka import KafkaException, TopicPartition

from . import suite
from .context import code_of

DAY = 86_400_000
START = 1_700_000_000_000


def stamped_topic(context, count=20):
    """A topic whose record n has the timestamp START + n days, each in a batch of its own."""
    topic = context.topic("stamped", retention_ms=-1)
    producer = context.producer(acks="all")
    for number in range(count):
        producer.produce(topic, b"%d" % number, timestamp=START + number * DAY)
        assert producer.flush(30) == 0
    return topic


@suite.scenario
def get_offset_shell(context):
    """GetOffsetShell: latest, earliest, max timestamp, local, and by time."""
    topic = stamped_topic(context)
    producer = context.producer(acks="all")
    producer.produce(topic, b"late but old", timestamp=START + 5 * DAY)
    assert producer.flush(30) == 0
    cases = {"-1": 21, "latest": 21, "-2": 0, "earliest": 0, "-3": 19, "max-timestamp": 19,
             "-4": 0, str(START): 0, str(START + 1): 1, str(START + 19 * DAY): 19}
    for time, expected in cases.items():
        out = context.tool("offsets", "--topic", topic, "--time", time).ok().out.strip()
        assert out == f"{topic}:0:{expected}", f"--time {time}: {out}"


@suite.scenario
def offsets_for_times(context):
    """librdkafka: the first offset at or after a time; after the last, the end."""
    topic = stamped_topic(context, 5)
    consumer = context.consumer()
    try:
        for stamp, expected in [(START - 1, 0), (START, 0), (START + DAY - 1, 1),
                                (START + 4 * DAY, 4), (START + 4 * DAY + 1, -1)]:
            [found] = consumer.offsets_for_times([TopicPartition(topic, 0, stamp)], timeout=20)
            assert found.error is None and found.offset == expected, (stamp, found)
        empty = context.topic("empty")
        [found] = consumer.offsets_for_times([TopicPartition(empty, 0, START)], timeout=20)
        assert found.offset == -1, found
    finally:
        consumer.close()


@suite.scenario
def kcat_by_time(context):
    """kcat reads a range of time."""
    topic = stamped_topic(context, 6)
    out = context.kcat("-C", "-q", "-e", "-t", topic, "-o", f"s@{START + 2 * DAY}", "-o",
                       f"e@{START + 4 * DAY}").stdout
    assert out == b"2\n3\n", out


@suite.scenario
def out_of_range(context):
    """An offset beyond the end: error, earliest or latest, as the policy says."""
    topic = context.topic("range")
    context.produce(topic, [b"%d" % n for n in range(10)])
    for policy, expected in [("earliest", b"0"), ("latest", None)]:
        consumer = context.consumer(auto_offset_reset=policy)
        consumer.assign([TopicPartition(topic, 0, 500)])
        message = consumer.poll(15 if expected else 2)
        consumer.close()
        if expected:
            assert message is not None and message.value() == expected, policy
        else:
            assert message is None, message
    code = code_of(lambda: context.read(topic, 1, offset=500, auto_offset_reset="error"))
    assert code == "_AUTO_OFFSET_RESET", code


@suite.scenario
def read_from_every_offset(context):
    """Any offset of a log of large and small, compressed and plain batches can be read from."""
    topic = context.topic("seek", segment_bytes=1048576)
    values = [b"%06d" % n + b"." * (n * 37 % 900) for n in range(4000)]
    for start, codec in zip(range(0, 4000, 1000), ["none", "zstd", "lz4", "none"]):
        context.produce(topic, values[start:start + 1000], compression_type=codec)
    consumer = context.consumer()
    try:
        for offset in list(range(0, 4000, 97)) + [3999]:
            consumer.assign([TopicPartition(topic, 0, offset)])
            message = consumer.poll(15)
            if message is None or message.error():
                raise KafkaException(message and message.error())
            assert (message.offset(), message.value()) == (offset, values[offset]), offset
    finally:
        consumer.close()
