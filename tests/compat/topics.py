"""Topics: made, listed, described and deleted by several clients, with Kafka's refusals."""

from confluent_kafka.admin import NewTopic

from ..harness import procs
from . import suite
from .context import code_of


def create(context, name, partitions=1, replication=1, config=None, **options):
    """Creates by librdkafka's admin client; raises what the broker answered."""
    new = NewTopic(name, num_partitions=partitions, replication_factor=replication,
                   config=config or {})
    return context.admin().create_topics([new], operation_timeout=20, **options)[name].result(30)


def delete(context, name):
    """Deletes and returns when the broker answered."""
    return context.admin().delete_topics([name], operation_timeout=20)[name].result(30)


@suite.scenario
def topic_command(context):
    """Kafka's TopicCommand creates, lists, refuses and deletes."""
    name = context.name("command")
    context.tool("topics", "--create", "--topic", name, "--partitions", 3, "--config",
                 "retention.ms=3600000").ok()
    again = context.tool("topics", "--create", "--topic", name)
    assert again.code == 1 and "already exists" in again.out + again.err, again.out + again.err
    context.tool("topics", "--create", "--if-not-exists", "--topic", name).ok()
    assert name in context.tool("topics", "--list").ok().out.splitlines()
    context.tool("topics", "--delete", "--topic", name).ok()
    assert name not in context.tool("topics", "--list").ok().out.splitlines()
    gone = context.tool("topics", "--delete", "--topic", name)
    assert gone.code == 1 and "does not exist" in gone.out + gone.err, gone.out + gone.err


@suite.scenario
@suite.one_broker
def topic_command_describe(context):
    """Kafka's TopicCommand describes partitions, leader and configuration."""
    name = context.topic("describe", partitions=2, retention_ms=3600000)
    lines = context.tool("topics", "--describe", "--topic", name).ok().out.splitlines()
    assert f"Topic: {name}" in lines[0] and "PartitionCount: 2" in lines[0], lines
    assert "ReplicationFactor: 1" in lines[0] and "retention.ms=3600000" in lines[0], lines
    assert len(lines) == 3 and "Leader: 1\tReplicas: 1\tIsr: 1" in lines[2], lines


@suite.scenario
@suite.one_broker
def describe_by_librdkafka(context):
    """Metadata by name and id, cluster description."""
    name = context.topic("metadata", partitions=3)
    from confluent_kafka import TopicCollection
    described = context.admin().describe_topics(TopicCollection([name]))[name].result(20)
    assert [p.id for p in described.partitions] == [0, 1, 2]
    assert all(p.leader.id == 1 and [r.id for r in p.isr] == [1] for p in described.partitions)
    assert str(described.topic_id) != "AAAAAAAAAAAAAAAAAAAAAA"
    cluster = context.admin().describe_cluster().result(20)
    assert len(cluster.nodes) == 1 and cluster.controller.id == 1 and cluster.cluster_id
    missing = context.name("missing")
    assert code_of(lambda: context.admin().describe_topics(
        TopicCollection([missing]))[missing].result(20)) == "UNKNOWN_TOPIC_OR_PART"


@suite.scenario
def refusals(context):
    """Each mistake has Kafka's error code."""
    name = context.topic("refused")
    cases = [
        (name, 1, 1, {}, "TOPIC_ALREADY_EXISTS"),
        ("bad name", 1, 1, {}, "TOPIC_EXCEPTION"),
        ("..", 1, 1, {}, "TOPIC_EXCEPTION"),
        ("x" * 250, 1, 1, {}, "TOPIC_EXCEPTION"),
        (context.name(), 0, 1, {}, "INVALID_PARTITIONS"),
        (context.name(), 1, 3, {}, "INVALID_REPLICATION_FACTOR"),
        (context.name(), 1, 1, {"retention.ms": "soon"}, "INVALID_CONFIG"),
        (context.name(), 1, 1, {"no.such.key": "1"}, "INVALID_CONFIG"),
        (context.name(), 1, 1, {"cleanup.policy": "shred"}, "INVALID_CONFIG"),
    ]
    for topic, partitions, replication, config, expected in cases:
        found = code_of(lambda: create(context, topic, partitions, replication, config))
        assert found == expected, f"{topic[:20]} {partitions} {replication} {config}: {found}"
    assert code_of(lambda: delete(context, context.name("absent"))) == "UNKNOWN_TOPIC_OR_PART"
    dotted = context.name("a.b")
    create(context, dotted)
    found = code_of(lambda: create(context, dotted.replace(".", "_")))
    assert found == "TOPIC_EXCEPTION", f"a collision of . and _ gives {found}"


@suite.scenario
def validate_only_makes_nothing(context):
    """A dry run answers as a real one and changes nothing."""
    name = context.name("dry")
    create(context, name, validate_only=True)
    assert name not in context.admin().list_topics(timeout=20).topics


@suite.scenario
def delete_and_make_again(context):
    """A topic made again under its name has a new id, starts empty and at offset 0."""
    from confluent_kafka import TopicCollection
    name = context.topic("again")
    context.produce(name, [b"old"] * 10)

    def topic_id():
        found = context.admin().describe_topics(TopicCollection([name]))[name].result(20)
        return str(found.topic_id)
    first = topic_id()
    delete(context, name)
    procs.wait_until(lambda: not (context.broker.data / f"{name}-0").exists(),
                     "the directory is gone", 20)
    create(context, name)
    context.wait_for_topic(name)
    assert topic_id() != first
    assert context.watermarks(name) == (0, 0)
    assert context.produce(name, [b"new"]) == [0]
    assert [m.value() for m in context.read(name, 1)] == [b"new"]


@suite.scenario
def many_partitions(context):
    """Sixty partitions at once, a record in each, all found by a subscriber."""
    name = context.topic("many", partitions=60)
    producer = context.producer(acks="all")
    for partition in range(60):
        producer.produce(name, b"%d" % partition, partition=partition)
    assert producer.flush(30) == 0
    consumer = context.consumer(auto_offset_reset="earliest")
    try:
        consumer.subscribe([name])
        found = set()
        procs.wait_until(lambda: found.update(
            int(m.value()) for m in consumer.consume(100, 0.2) if not m.error())
            or len(found) == 60, "a record of each partition", 30, 0)
    finally:
        consumer.close()


@suite.scenario
@suite.one_broker
def listings(context):
    """kcat and BrokerApiVersionsCommand see the broker and what it serves."""
    name = context.topic("listed")
    text = context.kcat("-L").stdout.decode()
    assert f"broker 1 at {context.broker.address}" in text and f'topic "{name}"' in text
    out = context.tool("versions").ok().out
    assert out.startswith(f"{context.broker.address} (id: 1 rack: null isFenced: false"), out[:200]
    for api in ("Produce(0): ", "Fetch(1): ", "ListOffsets(2): ", "Metadata(3): ",
                "ApiVersions(18): ", "CreateTopics(19): ", "DeleteTopics(20): ",
                "InitProducerId(22): ", "DescribeCluster(60): ", "DescribeTopicPartitions(75): "):
        line = next((line for line in out.splitlines() if line.strip().startswith(api)), "")
        assert line and "UNSUPPORTED" not in line, f"{api}{line}"
