"""Producing: every codec and level of acknowledgement, what a record carries, and refusals."""

import time

from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME

from . import suite
from .context import code_of

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
ACKS = ["0", "1", "all"]


def values_for(codec, acks, count=500):
    """Compressible values that name their codec and acks."""
    return [f"{codec} {acks} {number} {'tide ' * 20}".encode() for number in range(count)]


@suite.scenario
def every_codec_and_acks(context):
    """librdkafka: five codecs by three levels of acks, read back by it and the console tool."""
    for codec in CODECS:
        topic = context.topic(f"codec-{codec}", partitions=len(ACKS))
        for partition, acks in enumerate(ACKS):
            values = values_for(codec, acks)
            context.produce(topic, values, partition, acks=acks, compression_type=codec)
            found = context.read(topic, len(values), partition)
            assert [m.value() for m in found] == values, (codec, acks)
            assert [m.offset() for m in found] == list(range(len(values))), (codec, acks)
        result = context.tool("consumer", "--topic", topic, "--from-beginning",
                              "--max-messages", 1500, "--timeout-ms", 15000).ok()
        expected = sorted(v for acks in ACKS for v in values_for(codec, acks))
        assert sorted(result.out_file.read_bytes().splitlines()) == expected, codec


@suite.scenario
def console_producer_codecs_and_acks(context):
    """Kafka's own producer: five codecs, each acks once at least; read back by kcat."""
    cases = list(zip(CODECS, ["0", "1", "all", "all", "1"]))
    for codec, acks in cases:
        topic = context.topic(f"console-{codec}")
        values = values_for(codec, acks, 300)
        context.tool("producer", "--topic", topic, "--compression-codec", codec,
                     "--request-required-acks", acks,
                     stdin=context.file(b"\n".join(values) + b"\n")).ok()
        assert context.watermarks(topic) == (0, 300), (codec, acks)
        out = context.kcat("-C", "-q", "-e", "-t", topic).stdout
        assert out.splitlines() == values, codec


@suite.scenario
def kcat_codecs(context):
    """kcat's librdkafka 2.0 with each codec into one topic: batches of five codecs in a row."""
    topic = context.topic("kcat-codecs")
    expected = []
    for codec in CODECS:
        values = values_for(codec, "all", 200)
        expected += values
        context.kcat("-P", "-t", topic, "-z", codec, "-l", context.file(b"\n".join(values)))
    out = context.kcat("-C", "-q", "-e", "-t", topic).stdout
    assert out.splitlines() == expected


@suite.scenario
def keys_headers_nulls(context):
    """Keys, headers, empty and null values survive as they are, through every reader."""
    topic = context.topic("carried")
    records = [
        (b"key", b"value", [("one", b"1"), ("one", b"again"), ("none", None), ("empty", b"")]),
        (None, b"no key", []),
        (b"tombstone", None, []),
        (b"", b"", []),
        ("schlüssel".encode(), "wert ≠ null".encode(), [("kopf", "ü".encode())]),
        (bytes(range(256)), bytes(range(255, -1, -1)), []),
    ]
    producer = context.producer(acks="all")
    for key, value, headers in records:
        producer.produce(topic, value, key, headers=headers)
    assert producer.flush(30) == 0
    found = context.read(topic, len(records))
    for (key, value, headers), message in zip(records, found):
        assert message.key() == key, (message.key(), key)
        assert message.value() == value, (message.value(), value)
        assert (message.headers() or []) == headers, (message.headers(), headers)
    out = context.kcat("-C", "-q", "-e", "-t", topic, "-c", "3", "-f", "%k|%S|%h\\n").stdout
    assert out.splitlines() == [b"key|5|one=1,one=again,none=NULL,empty=", b"|6|",
                                b"tombstone|-1|"], out
    result = context.tool("consumer", "--topic", topic, "--from-beginning", "--max-messages", 3,
                          "--timeout-ms", 15000, "--formatter-property", "print.key=true",
                          "--formatter-property", "print.offset=true",
                          "--formatter-property", "print.headers=true").ok()
    lines = result.out.splitlines()
    assert lines[0] == "Offset:0\tone:1,one:again,none:null,empty:\tkey\tvalue", lines[0]
    assert lines[2] == "Offset:2\tNO_HEADERS\ttombstone\tnull", lines[2]


@suite.scenario
def idempotent_producers_interleave(context):
    """Two idempotent producers on one partition: both in order, nothing twice."""
    topic = context.topic("idempotent")
    producers = [context.producer(enable_idempotence=True, linger_ms=1) for _ in range(2)]
    for number in range(2000):
        for who, producer in enumerate(producers):
            producer.produce(topic, f"{who} {number}".encode(), partition=0)
            producer.poll(0)
    for producer in producers:
        assert producer.flush(60) == 0
    found = [m.value().split() for m in context.read(topic, 4000)]
    for who in (b"0", b"1"):
        numbers = [int(number) for name, number in found if name == who]
        assert numbers == list(range(2000))
    assert context.watermarks(topic) == (0, 4000)


@suite.scenario
def timestamps(context):
    """CreateTime is kept, LogAppendTime is given by the broker, a far future is refused."""
    # What is of 2020 is past its retention, and may be gone before it is looked for.
    created = context.topic("create-time", retention_ms="-1")
    producer = context.producer(acks="all")
    stamp = 1_600_000_000_123
    producer.produce(created, b"old", timestamp=stamp)
    assert producer.flush(30) == 0
    [message] = context.read(created, 1)
    assert message.timestamp() == (TIMESTAMP_CREATE_TIME, stamp), message.timestamp()

    appended = context.topic("append-time", message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000)
    for codec in CODECS:
        context.produce(appended, [b"now"], compression_type=codec)
    for message in context.read(appended, len(CODECS)):
        kind, value = message.timestamp()
        assert kind == TIMESTAMP_LOG_APPEND_TIME
        assert before <= value <= int(time.time() * 1000), value

    future = int((time.time() + 7200) * 1000)
    errors = []
    producer.produce(created, b"future", timestamp=future,
                     on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(30) == 0
    assert errors[0] is not None and errors[0].name() == "INVALID_TIMESTAMP", errors[0]
    marks = context.watermarks(created)
    assert marks == (0, 1), marks


@suite.scenario
def big_messages(context):
    """Up to max.message.bytes passes, above it is refused and the connection lives on."""
    topic = context.topic("big")
    big = b"x" * 1_000_000
    assert context.produce(topic, [big, b"small"], message_max_bytes=5_000_000) == [0, 1]
    assert code_of(lambda: context.produce(
        topic, [b"y" * 1_100_000], message_max_bytes=5_000_000)) == "MSG_SIZE_TOO_LARGE"
    assert context.produce(topic, [b"after"]) == [2]
    wide = context.topic("wide", max_message_bytes=3_000_000)
    assert context.produce(wide, [b"z" * 2_500_000], message_max_bytes=5_000_000) == [0]
    assert [len(m.value()) for m in context.read(wide, 1)] == [2_500_000]
    assert [m.value() for m in context.read(topic, 3)] == [big, b"small", b"after"]


@suite.scenario
def unknown_places(context):
    """A partition that does not exist, a bad name, a topic that is not there."""
    topic = context.topic("places", partitions=2)
    found = code_of(lambda: context.produce(topic, [b"x"], 7, message_timeout_ms=3000))
    assert found in ("_UNKNOWN_PARTITION", "UNKNOWN_TOPIC_OR_PART"), found
    assert code_of(lambda: context.produce(
        "bad/name", [b"x"], message_timeout_ms=3000)) == "TOPIC_EXCEPTION"
    absent = context.name("absent")
    context.kcat("-L", "-t", absent, "-X", "allow.auto.create.topics=false")
    done = context.kcat("-C", "-e", "-t", absent, "-X", "allow.auto.create.topics=false",
                        check=False)
    assert done.returncode == 1 and b"Unknown topic" in done.stderr, done


@suite.scenario
def auto_creation(context):
    """Producing to an absent topic makes it, with num.partitions partitions."""
    topic = context.name("auto")
    context.kcat("-P", "-t", topic, "-l", context.file(b"first\nsecond\n"))
    assert context.kcat("-C", "-q", "-e", "-t", topic).stdout == b"first\nsecond\n"
    metadata = context.admin().list_topics(topic, timeout=20).topics[topic]
    assert len(metadata.partitions) == 1 and metadata.error is None


@suite.scenario
def a_full_queue_of_small_batches(context):
    """One record per request, pipelined: every acknowledgement in order."""
    topic = context.topic("small")
    offsets = context.produce(topic, [b"%d" % n for n in range(2000)], linger_ms=0,
                              batch_num_messages=1)
    assert offsets == list(range(2000))
