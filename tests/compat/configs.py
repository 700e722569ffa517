"""Configuration by Kafka's ConfigCommand, and more partitions by its TopicCommand."""

import struct

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import (AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions,
                                   ResourceType)

from ..harness import procs
from ..harness.broker import ROOT
from . import suite
from .context import code_of
from .wire import Raw, string

# What Kafka 4.3.1 tells of a group without configuration.
GROUP = {
    "consumer.assignment.interval.ms": "1000", "consumer.heartbeat.interval.ms": "5000",
    "consumer.session.timeout.ms": "45000", "share.assignment.interval.ms": "1000",
    "share.auto.offset.reset": "latest", "share.delivery.count.limit": "5",
    "share.heartbeat.interval.ms": "5000", "share.isolation.level": "read_uncommitted",
    "share.partition.max.record.locks": "2000", "share.record.lock.duration.ms": "30000",
    "share.renew.acknowledge.enable": "true", "share.session.timeout.ms": "45000",
    "streams.assignment.interval.ms": "1000", "streams.heartbeat.interval.ms": "5000",
    "streams.initial.rebalance.delay.ms": "3000", "streams.num.standby.replicas": "0",
    "streams.session.timeout.ms": "45000",
}
# Keys of topics whose sources differ because Kafka sets them itself, or that 4.4 adds.
TOPIC_APART = {"min.insync.replicas", "errors.deadletterqueue.group.enable",
               "remote.copy.lag.bytes", "remote.copy.lag.ms"}


class Command:
    """Kafka's ConfigCommand on one kind of entity."""

    def __init__(self, context, kind):
        self.context, self.kind = context, kind

    def run(self, name, *arguments):
        """Runs it; no name is the default of all brokers."""
        entity = ["--entity-default"] if name is None else ["--entity-name", name]
        return self.context.tool("configs", "--entity-type", self.kind, *entity, *arguments)

    def set(self, name, text):
        """Sets keys."""
        self.run(name, "--alter", "--add-config", text).ok()

    def delete(self, name, text):
        """Deletes keys."""
        self.run(name, "--alter", "--delete-config", text).ok()

    def refused(self, name, text, error):
        """A setting that must be refused with this exception, and changes nothing."""
        before = self.told(name)
        done = self.run(name, "--alter", "--add-config", text)
        assert done.code == 1 and error in done.err + done.out, f"{text}: {done.err[-600:]}"
        assert self.told(name) == before, f"{text} was refused and changed something"

    def told(self, name, *arguments):
        """What is described: a value and its synonyms by key."""
        told = {}
        for line in self.run(name, "--describe", *arguments).ok().out.splitlines()[1:]:
            key, rest = line.strip().split("=", 1)
            value, rest = rest.split(" sensitive=", 1)
            told[key] = (value, rest.split("synonyms={", 1)[1].rstrip("}"))
        return told


def _size_limit(context, topic, size, large):
    """Waits until records of this size are refused, or taken: Kafka's broker follows its own
    answer a moment later."""
    def holds():
        try:
            context.produce(topic, [b"x" * size])
            return not large
        except KafkaException as error:
            assert error.args[0].name() == "MSG_SIZE_TOO_LARGE", error
            return large
    procs.wait_until(holds, f"{size} bytes are {'too large' if large else 'taken'}", 20)


@suite.scenario
def topic_configs(context):
    """ConfigCommand sets, describes and deletes keys of a topic, which hold at once."""
    name = context.topic("configured")
    command = Command(context, "topics")
    context.produce(name, [b"x" * 5000])
    command.set(name, "max.message.bytes=1000,cleanup.policy=[delete,compact]")
    _size_limit(context, name, 5000, large=True)
    told = command.told(name)
    assert set(told) == {"max.message.bytes", "cleanup.policy"}, told
    assert told["max.message.bytes"] == (
        "1000", "DYNAMIC_TOPIC_CONFIG:max.message.bytes=1000, "
        "DEFAULT_CONFIG:message.max.bytes=1048588"), told
    assert told["cleanup.policy"][0] == "delete,compact"
    for text, error in [("nope=1", "Unknown topic config name: nope"),
                        ("retention.ms=-2", "Value must be at least -1"),
                        ("retention.ms=soon", "InvalidConfigurationException"),
                        ("cleanup.policy=shred", "InvalidConfigurationException"),
                        ("segment.bytes=1", "Value must be at least 1048576")]:
        command.refused(name, text, error)
    command.delete(name, "max.message.bytes,cleanup.policy")
    _size_limit(context, name, 5000, large=False)
    missing = command.run(context.name("missing"), "--alter", "--add-config", "retention.ms=1")
    assert missing.code == 1 and "UnknownTopicOrPartitionException" in missing.err, missing.err


@suite.scenario
def topic_configs_in_full(context):
    """--describe --all tells every key of a topic with Kafka's values and synonyms."""
    name = context.topic("full", segment_ms=700000)
    told = Command(context, "topics").told(name, "--all")
    assert told["segment.ms"] == ("700000", "DYNAMIC_TOPIC_CONFIG:segment.ms=700000")
    assert told["retention.ms"] == ("604800000", "")
    assert told["segment.bytes"] == (
        "16777216", "STATIC_BROKER_CONFIG:log.segment.bytes=16777216, "
        "DEFAULT_CONFIG:log.segment.bytes=1073741824")
    assert told["compression.type"] == ("producer", "DEFAULT_CONFIG:compression.type=producer")
    assert told["flush.ms"] == ("9223372036854775807", "")
    assert len(set(told) - TOPIC_APART) == 32, sorted(told)


@suite.scenario
def retention_changed(context):
    """Records go when retention.ms of a topic, or of the brokers, becomes short."""
    name = context.topic("retention", file_delete_delay_ms=100)
    context.produce(name, [b"x"] * 5)
    command = Command(context, "topics")
    command.set(name, "retention.ms=1")
    procs.wait_until(lambda: context.watermarks(name) == (5, 5), "old records are gone", 60)
    command.delete(name, "retention.ms")
    context.produce(name, [b"y"] * 5)
    assert context.watermarks(name) == (5, 10)


@suite.scenario
@suite.one_broker
def broker_configs(context):
    """Keys of all brokers and of one, with their precedence, refusals and effect on topics."""
    command = Command(context, "brokers")
    name = context.topic("follows")
    try:
        command.set(None, "message.max.bytes=2000")
        _size_limit(context, name, 5000, large=True)
        command.set("1", "message.max.bytes=9000,background.threads=12")
        _size_limit(context, name, 5000, large=False)
        layers = ("DYNAMIC_BROKER_CONFIG:message.max.bytes=9000, "
                  "DYNAMIC_DEFAULT_BROKER_CONFIG:message.max.bytes=2000, "
                  "DEFAULT_CONFIG:message.max.bytes=1048588")
        told = command.told("1")
        assert told["message.max.bytes"] == ("9000", layers), told
        assert told["background.threads"][0] == "12", told
        of_topic = Command(context, "topics").told(name, "--all")
        assert of_topic["max.message.bytes"] == ("9000", layers), of_topic
        assert command.told(None)["message.max.bytes"][0] == "2000"
        invalid = "InvalidRequestException"
        for entity, text in [
                (None, "log.retention.hours=5"), (None, "ssl.protocol=TLSv1.3"),
                (None, "message.max.bytes=many"), (None, "num.io.threads=1000"),
                (None, "num.io.threads=1"), ("1", "node.id=3"), ("1", "message.max.bytes=-1"),
                ("1", "max.connections.per.ip.overrides=x"), ("1", "ssl.key.password=x"),
                ("1", "listeners=PLAINTEXT://127.0.0.1:1"), ("1", "min.insync.replicas=0")]:
            command.refused(entity, text, invalid)
    finally:
        command.delete("1", "message.max.bytes,background.threads")
        command.delete(None, "message.max.bytes")
    _size_limit(context, name, 20_000, large=False)
    assert not command.told("1")


@suite.scenario
def broker_configs_in_full(context):
    """--describe --all tells every key of Kafka's broker, with its default."""
    told = Command(context, "brokers").told("1", "--all")
    facts = ROOT / "broker/server/src/config/tests/kafka-4.3.1.tsv"
    missing, other = [], {}
    for line in facts.read_text().splitlines():
        key, kind, default, _update, internal, _values = line.split("\t")
        if internal == "internal":
            continue
        if key not in told:
            missing.append(key)
        elif "DEFAULT_CONFIG" in told[key][1] and told[key][1].count("_CONFIG:") == 1 and (
                told[key][0] != default and kind != "PASSWORD"):
            other[key] = told[key][0]
    assert not missing, missing
    if context.broker.name == "tidelog":
        # The documented table of differences.
        assert set(other) <= {"log.dir", "max.connections.per.ip", "process.roles", "node.id",
                              "broker.heartbeat.interval.ms", "broker.session.timeout.ms",
                              "controller.quorum.fetch.timeout.ms",
                              "controller.listener.names"}, other
    else:
        assert not other, other


@suite.scenario
def group_configs(context):
    """Keys of a group that need not exist."""
    command, name = Command(context, "groups"), context.name("group")
    assert {key: value for key, (value, _) in command.told(name, "--all").items()} == GROUP
    command.set(name, "consumer.session.timeout.ms=50000")
    assert command.told(name) == {"consumer.session.timeout.ms": (
        "50000", "DYNAMIC_GROUP_CONFIG:consumer.session.timeout.ms=50000, "
        "DEFAULT_CONFIG:group.consumer.session.timeout.ms=45000")}
    for text in ("consumer.session.timeout.ms=1", "consumer.session.timeout.ms=60001",
                 "consumer.heartbeat.interval.ms=50000", "nope=1", "share.auto.offset.reset=never"):
        command.refused(name, text, "InvalidConfigurationException")
    command.delete(name, "consumer.session.timeout.ms")
    assert not command.told(name)


@suite.scenario
def client_metrics_configs(context):
    """Subscriptions to clients' metrics are kept, though nobody pushes here."""
    command, name = Command(context, "client-metrics"), context.name("metrics")
    command.set(name, "interval.ms=1000")
    assert command.told(name) == {
        "interval.ms": ("1000", "DYNAMIC_CLIENT_METRICS_CONFIG:interval.ms=1000")}
    command.refused(name, "interval.ms=1", "InvalidRequestException")
    command.refused(name, "nope=1", "InvalidRequestException")
    listed = context.tool("configs", "--entity-type", "client-metrics", "--describe").ok().out
    assert name in listed, listed
    command.delete(name, "interval.ms")


@suite.scenario
def broker_loggers(context):
    """Levels of loggers change; wrong ones are refused."""
    command = Command(context, "broker-loggers")
    before = command.told("1")["root"][0]
    try:
        command.set("1", "root=ERROR")
        assert command.told("1")["root"][0] == "ERROR"
        command.refused("1", "root=LOUD", "InvalidConfigurationException")
        removed = command.run("1", "--alter", "--delete-config", "root")
        assert removed.code == 1 and "InvalidRequestException" in removed.err, removed.err
    finally:
        command.set("1", f"root={before}")


@suite.ours
def a_logger_says_more(context):
    """A logger set to DEBUG logs from then on what it did not; back at INFO it does not."""
    command, logger = Command(context, "broker-loggers"), "tidelog_server.listener"
    before = command.told("1")[logger][0]

    def ends():
        with Raw(context.broker.port) as raw:
            raw.frame(18, 0, b"")
            address = raw.socket.getsockname()
        return f"connection from 127.0.0.1:{address[1]} ended"

    def logged(text):
        return text in context.broker.log.read_text("utf-8", "replace")
    try:
        silent = ends()
        command.set("1", f"{logger}=DEBUG")
        said = ends()
        procs.wait_until(lambda: logged(said), "the end of a connection is logged", 20)
        assert not logged(silent)
        command.set("1", f"{logger}=INFO")
        silent = ends()
        command.set("1", f"{logger}=DEBUG")
        said = ends()
        procs.wait_until(lambda: logged(said), "the end of a connection is logged again", 20)
        assert not logged(silent)
    finally:
        command.set("1", f"{logger}={before}")


@suite.scenario
def settings_survive(context):
    """What was set on a topic, all brokers and a group is there after a restart."""
    topic, group = context.topic("kept"), context.name("kept")
    commands = {kind: Command(context, kind) for kind in ("topics", "brokers", "groups")}
    commands["topics"].set(topic, "retention.ms=7777777")
    commands["brokers"].set(None, "log.cleaner.threads=2")
    commands["groups"].set(group, "share.isolation.level=read_committed")
    context.broker.stop()
    context.broker.start()
    context.wait_for_topic(topic)
    assert commands["topics"].told(topic)["retention.ms"][0] == "7777777"
    assert commands["brokers"].told(None)["log.cleaner.threads"][0] == "2"
    assert commands["groups"].told(group)["share.isolation.level"][0] == "read_committed"
    commands["brokers"].delete(None, "log.cleaner.threads")


@suite.scenario
def alter_refusals(context):
    """librdkafka's admin client: each mistake has Kafka's code, both ways of altering."""
    name, admin = context.topic("altered"), context.admin()
    kinds = ResourceType

    def legacy(kind, entity, configs):
        resource = ConfigResource(kind, entity, set_config=configs)
        return admin.alter_configs([resource])[resource].result(20)

    def incremental(kind, entity, key, value, operation=AlterConfigOpType.SET):
        entry = ConfigEntry(key, value, incremental_operation=operation)
        resource = ConfigResource(kind, entity, incremental_configs=[entry])
        return admin.incremental_alter_configs([resource])[resource].result(20)

    for kind, entity, key, value, expected in [
            (kinds.TOPIC, name, "nope", "1", "INVALID_CONFIG"),
            (kinds.TOPIC, name, "retention.ms", "soon", "INVALID_CONFIG"),
            (kinds.TOPIC, context.name("absent"), "retention.ms", "1", "UNKNOWN_TOPIC_OR_PART"),
            (kinds.TOPIC, "a b", "retention.ms", "1", "TOPIC_EXCEPTION"),
            (kinds.BROKER, "1", "node.id", "1", "INVALID_REQUEST"),
            (kinds.BROKER, "1", "message.max.bytes", "x", "INVALID_REQUEST")]:
        found = code_of(lambda: incremental(kind, entity, key, value))
        assert found == expected, f"incremental {entity} {key}={value}: {found}"
        found = code_of(lambda: legacy(kind, entity, {key: value}))
        assert found == expected, f"legacy {entity} {key}={value}: {found}"
    for operation in (AlterConfigOpType.APPEND, AlterConfigOpType.SUBTRACT):
        found = code_of(lambda: incremental(kinds.TOPIC, name, "retention.ms", "1", operation))
        assert found == "INVALID_CONFIG", found
    incremental(kinds.TOPIC, name, "cleanup.policy", "compact", AlterConfigOpType.APPEND)
    command = Command(context, "topics")
    assert command.told(name)["cleanup.policy"][0] == "delete,compact"
    incremental(kinds.TOPIC, name, "cleanup.policy", "delete", AlterConfigOpType.SUBTRACT)
    assert command.told(name)["cleanup.policy"][0] == "compact"
    legacy(kinds.TOPIC, name, {"retention.ms": "1234567"})
    assert set(command.told(name)) == {"retention.ms"}


@suite.scenario
def partitions_added(context):
    """TopicCommand adds partitions; a running member of a group is given them."""
    name = context.topic("grows")
    consumer = context.consumer(auto_offset_reset="earliest",
                                topic_metadata_refresh_interval_ms=500)
    try:
        consumer.subscribe([name])
        procs.wait_until(lambda: consumer.poll(0.2) or len(consumer.assignment()) == 1,
                         "the first partition", 30, 0)
        context.tool("topics", "--alter", "--topic", name, "--partitions", 4).ok()
        lines = context.tool("topics", "--describe", "--topic", name).ok().out.splitlines()
        assert "PartitionCount: 4" in lines[0] and len(lines) == 5, lines
        context.wait_for_topic(name)
        for partition in range(4):
            procs.wait_until(lambda: _produced(context, name, partition),
                             f"partition {partition} takes records", 20)
        found = set()
        procs.wait_until(lambda: found.update(
            m.partition() for m in consumer.consume(10, 0.2) if not m.error())
            or found == {0, 1, 2, 3}, "records of all partitions", 60, 0)
    finally:
        consumer.close()
    for count, error in ((1, "would not be an increase"), (4, "already has 4 partition"),
                         (0, "would not be an increase")):
        done = context.tool("topics", "--alter", "--topic", name, "--partitions", count)
        assert done.code == 1 and error in done.err + done.out, done.err + done.out


def _produced(context, name, partition):
    try:
        return bool(context.produce(name, [b"x"], partition=partition))
    except KafkaException:
        return False


@suite.scenario
def partitions_refused(context):
    """librdkafka's admin client: wrong numbers and assignments have Kafka's codes."""
    name = context.topic("fixed", partitions=2)

    def add(topic, count, **options):
        new = NewPartitions(topic, count, **options)
        return context.admin().create_partitions([new], operation_timeout=10)[topic].result(20)
    for topic, count, assignment, expected in [
            (name, 1, None, "INVALID_PARTITIONS"), (name, 2, None, "INVALID_PARTITIONS"),
            (context.name("absent"), 3, None, "UNKNOWN_TOPIC_OR_PART"),
            (name, 3, [[9]], "INVALID_REPLICA_ASSIGNMENT"),
            (name, 3, [[1, 1]], "INVALID_REPLICA_ASSIGNMENT"),
            (name, 4, [[1]], "INVALID_REPLICA_ASSIGNMENT")]:
        options = {} if assignment is None else {"replica_assignment": assignment}
        found = code_of(lambda: add(topic, count, **options))
        assert found == expected, f"{topic} {count} {assignment}: {found}"
    context.admin().create_partitions([NewPartitions(name, 5)], validate_only=True)[name].result(20)
    found = context.admin().list_topics(name, timeout=20).topics[name]
    assert len(found.partitions) == 2
    add(name, 3, replica_assignment=[[1]])
    procs.wait_until(lambda: context.consumer().get_watermark_offsets(
        TopicPartition(name, 2), timeout=5) == (0, 0), "the new partition", 20)


TOPIC, BROKER, LOGGER, METRICS, GROUPS = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3


def _array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def _incremental(raw, resources, validate_only=False):
    """IncrementalAlterConfigs 0 by hand: (kind, name, [(key, operation, value)]); the codes."""
    def config(key, operation, value):
        return string(key) + struct.pack(">b", operation) + string(value)
    body = _array([struct.pack(">b", kind) + string(name) + _array([config(*c) for c in configs])
                   for kind, name, configs in resources])
    return _codes(raw.request(44, 0, body + bytes([validate_only])))


def _replaced(raw, kind, name, configs):
    """AlterConfigs 1 by hand: [(key, value)]; the code."""
    body = _array([struct.pack(">b", kind) + string(name)
                   + _array([string(key) + string(value) for key, value in configs])])
    return _codes(raw.request(33, 1, body + b"\0"))[0]


def _codes(answer):
    """The error codes of an answer of either; (code, message, kind, name) after the throttle."""
    count, codes, at = struct.unpack(">i", answer[4:8])[0], [], 8
    for _ in range(count):
        code, length = struct.unpack(">hh", answer[at:at + 4])
        at += 4 + max(length, 0) + 1
        at += 2 + struct.unpack(">h", answer[at:at + 2])[0]
        codes.append(code)
    return codes


def _described(raw, resources, keys=None):
    """DescribeConfigs 1 by hand: the codes and the numbers of keys."""
    wanted = struct.pack(">i", -1) if keys is None else _array([string(key) for key in keys])
    body = _array([struct.pack(">b", kind) + string(name) + wanted for kind, name in resources])
    answer, at, found = raw.request(32, 1, body + b"\0"), 8, []

    def text():
        nonlocal at
        at += 2 + max(struct.unpack(">h", answer[at:at + 2])[0], 0)
    for _ in range(struct.unpack(">i", answer[4:8])[0]):
        code = struct.unpack(">h", answer[at:at + 2])[0]
        at += 2
        text()
        at += 1
        text()
        count = struct.unpack(">i", answer[at:at + 4])[0]
        at += 4
        for _ in range(count):
            text()
            text()
            at += 3 + 4  # read-only, source, sensitive; no synonyms
        found.append((code, count))
    return found


INVALID_REQUEST, INVALID_CONFIG, INVALID_TOPIC, NO_TOPIC = 42, 40, 17, 3


@suite.scenario
def alter_by_hand(context):
    """What no client would ask: each mistake has Kafka's code and changes nothing."""
    name = context.topic("hand", retention_ms=7654321)
    good = [("retention.ms", SET, "1")]
    with Raw(context.broker.port) as raw:
        for resource, expected in [
                ((TOPIC, name, [("retention.ms", SET, None)]), INVALID_REQUEST),
                ((TOPIC, name, good * 2), INVALID_REQUEST),
                ((TOPIC, name, [("retention.ms", APPEND, "1")]), INVALID_CONFIG),
                ((TOPIC, name, [("nope", SUBTRACT, "1")]), INVALID_CONFIG),
                ((TOPIC, name, good + [("nope", SET, "1")]), INVALID_CONFIG),
                ((TOPIC, "", good), INVALID_REQUEST),
                ((TOPIC, "a/b", good), INVALID_TOPIC),
                ((TOPIC, context.name("no"), good), NO_TOPIC),
                ((TOPIC, context.name("no"), [("nope", SET, "1")]), INVALID_CONFIG),
                ((0, name, good), INVALID_REQUEST), ((3, name, good), INVALID_REQUEST),
                ((BROKER, "7", [("message.max.bytes", SET, "9")]), INVALID_REQUEST),
                ((BROKER, "x", [("message.max.bytes", SET, "9")]), INVALID_REQUEST),
                ((BROKER, "1", [("message.max.bytes", APPEND, "9")]), INVALID_CONFIG),
                ((BROKER, "1", [("message.max.bytes", 9, "9")]), INVALID_REQUEST),
                ((LOGGER, "7", [("root", SET, "INFO")]), INVALID_REQUEST),
                ((LOGGER, "", [("root", SET, "INFO")]), INVALID_REQUEST),
                ((LOGGER, "1", [("nobody", SET, "INFO")]), INVALID_CONFIG),
                ((LOGGER, "1", [("root", SET, "info")]), INVALID_CONFIG),
                ((LOGGER, "1", [("root", APPEND, "INFO")]), INVALID_REQUEST),
                ((GROUPS, "", [("share.isolation.level", SET, "read_committed")]),
                 INVALID_REQUEST),
                ((METRICS, "", [("interval.ms", SET, "1000")]), INVALID_REQUEST),
                ((METRICS, "m", [("match", SET, "nobody=x")]), INVALID_CONFIG)]:
            found = _incremental(raw, [resource])
            assert found == [expected], f"{resource}: {found}, not {expected}"
        twice = [(TOPIC, name, good)] * 2
        assert _incremental(raw, twice) == [INVALID_REQUEST] * 2
        mixed = [(TOPIC, name, [("nope", SET, "1")]), (GROUPS, "g", good)]
        assert _incremental(raw, mixed) == [INVALID_CONFIG] * 2
        assert _incremental(raw, [(TOPIC, name, good)], validate_only=True) == [0]
        for kind, entity, configs, expected in [
                (TOPIC, name, [("retention.ms", None)], INVALID_REQUEST),
                (TOPIC, name, [("retention.ms", "1"), ("nope", "1")], INVALID_CONFIG),
                (LOGGER, "1", [("root", "INFO")], INVALID_REQUEST),
                (BROKER, "7", [("message.max.bytes", "9")], INVALID_REQUEST)]:
            found = _replaced(raw, kind, entity, configs)
            assert found == expected, f"legacy {kind} {entity} {configs}: {found}"
    told = Command(context, "topics").told(name)
    assert told["retention.ms"][0] == "7654321", told


@suite.scenario
def describe_by_hand(context):
    """Descriptions of what is not there, of unknown kinds, of chosen keys."""
    name = context.topic("described")
    with Raw(context.broker.port) as raw:
        for resource, expected in [
                ((TOPIC, context.name("no")), (NO_TOPIC, 0)), ((TOPIC, "a/b"), (INVALID_TOPIC, 0)),
                ((TOPIC, ""), (INVALID_TOPIC, 0)), ((BROKER, "7"), (INVALID_REQUEST, 0)),
                ((BROKER, "x"), (INVALID_REQUEST, 0)), ((LOGGER, ""), (INVALID_REQUEST, 0)),
                ((LOGGER, "7"), (INVALID_REQUEST, 0)), ((GROUPS, ""), (INVALID_REQUEST, 0)),
                ((METRICS, ""), (INVALID_REQUEST, 0)), ((METRICS, "none"), (0, 3)),
                ((GROUPS, "none"), (0, 17)), ((3, name), (INVALID_REQUEST, 0))]:
            found = _described(raw, [resource])
            assert found == [expected], f"{resource}: {found}"
        both = _described(raw, [(TOPIC, name), (3, name)])
        assert both == [(INVALID_REQUEST, 0)] * 2, both
        assert _described(raw, [(TOPIC, name)], ["retention.ms", "nope"]) == [(0, 1)]
        chosen, every = _described(raw, [(TOPIC, name)], []), _described(raw, [(TOPIC, name)])
        assert chosen == every, chosen
