"""`compression.type`: batches are stored in the topic's codec, whatever their producer chose."""

import struct
import time

from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, KafkaException
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from ..harness import procs
from . import suite
from .context import code_of
from .produce import CODECS
from .wire import Raw

TARGETS = {"uncompressed": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def stored_codecs(context, topic):
    """The codec of every batch of a partition, in order."""
    found, offset = [], 0
    end = context.watermarks(topic)[1]
    with Raw(context.broker.port_of(topic)) as raw:
        while offset < end:
            code, _, data = raw.fetch(topic, offset)
            assert code == 0 and data, (code, offset, end)
            while len(data) >= 61:
                base, length = struct.unpack(">qi", data[:12])
                if len(data) < 12 + length:
                    break
                attributes, last = struct.unpack(">hi", data[21:27])
                found.append(attributes & 7)
                offset = base + last + 1
                data = data[12 + length:]
    return found


@suite.scenario
def every_codec_into_every_other(context):
    """Five codecs from an idempotent producer into topics of five: one codec each on disk."""
    for target, number in TARGETS.items():
        topic = context.topic(f"into-{target}", compression_type=target)
        base = int(time.time() * 1000) - 60_000
        expected = []
        for codec in CODECS:
            producer = context.producer(acks="all", enable_idempotence=True, linger_ms=20,
                                        compression_type=codec)
            for n in range(300):
                record = (b"key %d" % n if n % 3 else None, f"{codec} {n} {'tide ' * 20}".encode(),
                          [("h", b"%d" % n), ("h", None)], base + n)
                producer.produce(topic, key=record[0], value=record[1], headers=record[2],
                                 timestamp=record[3], partition=0)
                expected.append(record)
            assert producer.flush(30) == 0
        found = context.read(topic, len(expected))
        assert [m.offset() for m in found] == list(range(len(expected)))
        assert [(m.key(), m.value(), m.headers(), m.timestamp()) for m in found] == \
            [(k, v, h, (TIMESTAMP_CREATE_TIME, t)) for k, v, h, t in expected], target
        codecs = stored_codecs(context, topic)
        assert set(codecs) == {number}, (target, codecs)


@suite.scenario
def levels_and_append_time(context):
    """A level of the topic's own, with the broker's time; changed while the topic is in use."""
    value = b"".join(b"%d " % (n * 7919 % 10007) for n in range(8000))
    sizes = {}
    for target, levels in {"gzip": (1, 9), "zstd": (1, 19)}.items():
        for level in levels:
            config = {f"compression_{target}_level": level, "compression_type": target,
                      "message_timestamp_type": "LogAppendTime"}
            topic = context.topic(f"{target}-{level}", **config)
            context.produce(topic, [value] * 5, linger_ms=50)
            sizes[target, level] = context.broker.log_bytes(topic)
            kinds = {m.timestamp()[0] for m in context.read(topic, 5)}
            assert kinds == {TIMESTAMP_LOG_APPEND_TIME}, kinds
        low, high = levels
        assert sizes[target, high] < sizes[target, low], sizes
    entry = ConfigEntry("compression.type", "snappy",
                        incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    context.admin().incremental_alter_configs([resource])[resource].result(20)

    def changed():
        context.produce(topic, [b"next"])
        return stored_codecs(context, topic)[-1] == TARGETS["snappy"]
    procs.wait_until(changed, "batches are stored by snappy", 20)
    return f"{sizes}"


@suite.scenario
def what_grows_too_large_is_refused(context):
    """The limit holds for what would be stored; the next batch is taken."""
    topic = context.topic("grows", compression_type="uncompressed", max_message_bytes=20000)
    small, large = b"x" * 10000, b"x" * 30000
    assert context.produce(topic, [small], compression_type="gzip") == [0]
    code = code_of(lambda: context.produce(topic, [large], compression_type="gzip"))
    assert code == "MSG_SIZE_TOO_LARGE", code
    assert context.produce(topic, [small], compression_type="zstd") == [1]
    assert context.watermarks(topic) == (0, 2)
    shrinks = context.topic("shrinks", compression_type="gzip", max_message_bytes=20000)
    try:
        found = context.produce(shrinks, [large], compression_type="none")
    except KafkaException as error:
        found = error.args[0].name()
    assert found == "MSG_SIZE_TOO_LARGE", f"too large as it came: {found}"
