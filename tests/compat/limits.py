"""Every topic configuration at, below and above its limits: accepted or refused as by Kafka."""

import time

from confluent_kafka import KafkaException
from confluent_kafka.admin import NewTopic

from . import suite
from .wire import Raw, batch, record

INT, LONG = 2**31 - 1, 2**63 - 1
# For each key the values that are taken and those that are refused with INVALID_CONFIG.
VALUES = {
    "cleanup.policy": (["compact", "delete", "compact,delete", "delete,compact", "",
                        " delete ", "delete, compact", "delete,delete"],
                       ["none", "delete,", ",", "Delete"]),
    "compression.gzip.level": ([-1, 1, 9], [-2, 0, 10, "x"]),
    "compression.lz4.level": ([1, 9, 17], [-1, 0, 18]),
    "compression.type": (["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"],
                         ["none", "GZIP", "", "brotli"]),
    "compression.zstd.level": ([-131072, -1, 0, 22], [-131073, 23]),
    "delete.retention.ms": ([0, LONG], [-1, LONG + 1]),
    "file.delete.delay.ms": ([0, LONG], [-1]),
    "flush.messages": ([1, LONG], [0, -1]),
    "flush.ms": ([0, LONG], [-1]),
    "follower.replication.throttled.replicas": (["", "*", "0:1", "0:1,1:1", ",", "0:1,"],
                                                ["x", "0", "*,0:1", "0:", "0:1:2"]),
    "index.interval.bytes": ([0, INT], [-1, INT + 1]),
    "leader.replication.throttled.replicas": (["", "*", "0:1"], ["x", "1"]),
    "local.retention.bytes": ([-2, -1, 0, 5], [-3]),
    "local.retention.ms": ([-2, -1, 0, 5], [-3]),
    "max.compaction.lag.ms": ([1, LONG], [0, -1]),
    "max.message.bytes": ([0, 1, INT], [-1, INT + 1]),
    "message.timestamp.after.max.ms": ([0, LONG], [-1]),
    "message.timestamp.before.max.ms": ([0, LONG], [-1]),
    "message.timestamp.type": (["CreateTime", "LogAppendTime"], ["createtime", ""]),
    "min.cleanable.dirty.ratio": ([0, 1, 0.5, "1e-3", " 0.5 "], [-0.1, 1.1, "x", ""]),
    "min.compaction.lag.ms": ([0, LONG], [-1]),
    "min.insync.replicas": ([1, 2, INT], [0, -1]),
    "preallocate": (["true", "false", "TRUE", " true"], ["yes", "1", ""]),
    "remote.log.copy.disable": (["false"], ["no"]),
    "remote.log.delete.on.disable": (["false"], ["no"]),
    "remote.storage.enable": (["false"], ["true", "x"]),
    "retention.bytes": ([-1, -2, 0, LONG, -LONG], [LONG + 1, "", "1.5"]),
    "retention.ms": ([-1, 0, LONG, " 7 "], [-2, "1 h"]),
    "segment.bytes": ([1048576, INT], [1048575, 14, 0, INT + 1]),
    "segment.index.bytes": ([4, INT], [3, 0]),
    "segment.jitter.ms": ([0, LONG], [-1]),
    "segment.ms": ([1, LONG], [0, -1]),
    "unclean.leader.election.enable": (["true", "false"], ["maybe"]),
    "no.such.key": ([], ["1"]),
}
INVALID_TIMESTAMP, INVALID_RECORD = 32, 87


def outcome(context, configs):
    """What creating a topic with these settings would answer."""
    new = NewTopic(context.name("limit"), 1, 1, config={k: str(v) for k, v in configs.items()})
    done = context.admin().create_topics([new], operation_timeout=20, validate_only=True)
    try:
        done[new.topic].result(30)
    except KafkaException as error:
        return error.args[0].name()
    return "taken"


@suite.scenario
def limits_of_every_topic_key(context):
    """At, below and above: taken, or INVALID_CONFIG."""
    wrong = []
    count = 0
    for key, (good, bad) in VALUES.items():
        for values, expected in ((good, "taken"), (bad, "INVALID_CONFIG")):
            for value in values:
                count += 1
                found = outcome(context, {key: value})
                if found != expected:
                    wrong.append(f"{key}={value!r}: {found}, not {expected}")
    assert not wrong, "\n".join(wrong)
    return f"{count} values"


@suite.scenario
def limits_between_keys(context):
    """What must hold between two keys."""
    cases = [
        ({"min.compaction.lag.ms": 10, "max.compaction.lag.ms": 10}, "taken"),
        ({"min.compaction.lag.ms": 11, "max.compaction.lag.ms": 10}, "INVALID_CONFIG"),
        ({"segment.ms": 5, "segment.jitter.ms": 100}, "taken"),
        ({"retention.ms": 5, "local.retention.ms": 10}, "taken"),
        ({"retention.bytes": 5, "local.retention.bytes": 10}, "taken"),
        ({"retention.ms": 5, "local.retention.ms": -1}, "taken"),
        ({"remote.log.copy.disable": "true"}, "taken"),
        ({"remote.log.delete.on.disable": "true"}, "taken"),
        ({"cleanup.policy": "compact", "remote.storage.enable": "true"}, "INVALID_CONFIG"),
        ({"message.timestamp.before.max.ms": 1, "message.timestamp.after.max.ms": 1}, "taken"),
        ({"segment.bytes": 1048576, "max.message.bytes": 2000000}, "taken"),
    ]
    wrong = [f"{configs}: {found}, not {expected}" for configs, expected in cases
             if (found := outcome(context, configs)) != expected]
    assert not wrong, "\n".join(wrong)


@suite.scenario
@suite.one_broker
def limits_of_timestamps(context):
    """How far a record's time may be from the broker's, before and after; none at all."""
    topic = context.topic("times", message_timestamp_before_max_ms=3_600_000,
                          message_timestamp_after_max_ms=600_000)
    minute = 60_000
    cases = {0: 0, -59 * minute: 0, -61 * minute: INVALID_TIMESTAMP, 9 * minute: 0,
             11 * minute: INVALID_TIMESTAMP, -(2**42): INVALID_TIMESTAMP, None: 0}
    append_time = context.topic("appended", message_timestamp_type="LogAppendTime",
                                message_timestamp_before_max_ms=0,
                                message_timestamp_after_max_ms=0)
    usual = context.topic("usual")
    with Raw(context.broker.port) as raw:
        for distance, expected in cases.items():
            now = int(time.time() * 1000)
            stamp = -1 if distance is None else now + distance
            found = raw.produce(topic, batch((b"x",), timestamp=stamp))[0]
            assert found == expected, (distance, found)
            assert raw.produce(append_time, batch((b"x",), timestamp=stamp))[0] == 0, distance
        now = int(time.time() * 1000)
        assert raw.produce(usual, batch((b"x",), timestamp=0))[0] == 0, "any age, by default"
        assert raw.produce(usual, batch((b"x",), timestamp=now + 59 * minute))[0] == 0
        late = raw.produce(usual, batch((b"x",), timestamp=now + 61 * minute))[0]
        assert late == INVALID_TIMESTAMP, late
        # One record out of range is enough, and nothing of the batch is stored.
        end = context.watermarks(topic)[1]
        two = batch((b"x", b"y"), timestamp=now, records=record(0, b"x")
                    + record(1, b"y", timestamp_delta=30 * minute))
        assert raw.produce(topic, two)[0] == INVALID_TIMESTAMP
        assert context.watermarks(topic)[1] == end


@suite.scenario
def compaction_is_accepted(context):
    """cleanup.policy=compact: records need keys, and all of them are there; also with delete."""
    for policy in ("compact", "compact,delete"):
        topic = context.topic("compact", cleanup_policy=policy)
        with Raw(context.broker.port_of(topic)) as raw:
            assert raw.produce(topic, batch((b"no key",)))[0] == INVALID_RECORD
        producer = context.producer()
        for n in range(10):
            producer.produce(topic, b"%d" % n, b"key %d" % (n % 2))
        assert producer.flush(30) == 0
        assert [m.value() for m in context.read(topic, 10)] == [b"%d" % n for n in range(10)]
    for_ever = context.topic("kept", cleanup_policy="", retention_ms=1, segment_ms=1)
    assert context.produce(for_ever, [b"1", b"2"], linger_ms=0) == [0, 1]
    assert len(context.read(for_ever, 2)) == 2
