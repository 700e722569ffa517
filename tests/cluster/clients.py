"""Clients of a cluster: any broker for any request, partitions and groups where they live."""

from confluent_kafka import KafkaException
from confluent_kafka.admin import ConfigResource, NewPartitions, NewTopic

from ..harness import procs
from . import suite

RECORDS = 600


def leaders(context, address, topic):
    """{partition: leader} as this broker tells it."""
    parts = context.admin(address).list_topics(topic, timeout=20).topics[topic].partitions
    return {index: part.leader for index, part in parts.items()}


def produce(context, address, topic, count, partitions=6):
    """Spreads numbered records over the partitions; all are acknowledged."""
    producer = context.producer(address)
    errors = []
    for number in range(count):
        producer.produce(topic, b"%d" % number, partition=number % partitions,
                         on_delivery=lambda error, _: errors.append(error) if error else None)
        producer.poll(0)
    assert producer.flush(60) == 0 and not errors, errors[:3]


def consume(consumer, count, timeout=60):
    """The values of `count` records."""
    found = []

    def enough():
        for message in consumer.consume(500, 0.3):
            if message.error():
                raise KafkaException(message.error())
            found.append(int(message.value()))
        return len(found) >= count
    procs.wait_until(enough, f"{count} records, {len(found)} found", timeout, 0)
    return found


@suite.scenario
def partitions_are_spread_and_served(context):
    """Six partitions, three brokers: each leads two, whoever is asked says so, all is read back."""
    cluster = context.cluster
    topic = context.topic(cluster[2].address)
    told = [leaders(context, member.address, topic) for member in cluster.members]
    assert told[0] == told[1] == told[2], told
    counts = sorted(list(told[0].values()).count(node) for node in (1, 2, 3))
    assert counts == [2, 2, 2], told[0]
    # Each client knows one broker only; the others it learns from that one.
    for member in cluster.members:
        produce(context, member.address, topic, RECORDS)
    for member in cluster.members:
        consumer = context.consumer(member.address, context.name("group"))
        consumer.subscribe([topic])
        found = consume(consumer, RECORDS * 3)
        consumer.close()
        assert sorted(found) == sorted(list(range(RECORDS)) * 3), member.node_id


@suite.scenario
def kcat_and_kafkas_tools_see_one_cluster(context):
    """kcat and Kafka's console tools, one by one broker, one by another."""
    cluster = context.cluster
    topic = context.topic(cluster[1].address, partitions=3)
    procs.run(["sh", "-c", 'seq 0 299 | "$0" -b "$1" -P -t "$2" -X acks=all',
               context.kcat_path, cluster[1].address, topic])
    out = context.tools("consumer", "--bootstrap-server", cluster[2].address, "--topic", topic,
                        "--from-beginning", "--max-messages", "300", timeout=120).ok().out
    assert sorted(map(int, out.split())) == list(range(300))
    described = context.tools("topics", "--bootstrap-server", cluster[3].address, "--describe",
                              "--topic", topic).ok().out
    assert described.count("Leader: ") == 3 and "Leader: none" not in described, described


@suite.scenario
def groups_work_at_any_broker(context):
    """Groups are kept by the brokers that lead their partitions of __consumer_offsets."""
    cluster = context.cluster
    topic = context.topic(cluster.address, partitions=6)
    produce(context, cluster.address, topic, RECORDS)
    groups = [context.name("kept") for _ in range(6)]
    for number, group in enumerate(groups):
        member = cluster.members[number % 3]
        consumer = context.consumer(member.address, group)
        consumer.subscribe([topic])
        consume(consumer, RECORDS)
        consumer.commit(asynchronous=False)
        consumer.close()
    for member in cluster.members:
        listed = context.admin(member.address).list_consumer_groups().result(30).valid
        assert set(groups) <= {one.group_id for one in listed}, member.node_id
    keepers = {context.admin(cluster.address).describe_consumer_groups([group])[group]
               .result(30).coordinator.id for group in groups}
    assert len(keepers) > 1, f"one broker keeps all: {keepers}"


@suite.scenario
def two_members_of_one_group_share(context):
    """Two consumers that know different brokers are one group."""
    cluster = context.cluster
    topic = context.topic(cluster.address, partitions=6)
    group = context.name("shared")
    pair = [context.consumer(cluster[node].address, group) for node in (1, 3)]
    for consumer in pair:
        consumer.subscribe([topic])

    def shared():
        for consumer in pair:
            consumer.poll(0.1)
        return [len(consumer.assignment()) for consumer in pair] == [3, 3]
    procs.wait_until(shared, "each has three partitions", 60, 0)
    for consumer in pair:
        consumer.close()


@suite.scenario
def any_broker_takes_what_the_controller_decides(context):
    """Topics, partitions and settings by way of each broker; each broker shows them at once."""
    cluster = context.cluster
    for number, member in enumerate(cluster.members):
        admin = context.admin(member.address)
        topic = context.topic(member.address, partitions=1)
        procs.wait_until(lambda: topic in admin.list_topics(timeout=10).topics,
                         "the topic is listed", 10, 0.05)
        admin.create_partitions([NewPartitions(topic, 4)])[topic].result(30)
        procs.wait_until(lambda: len(leaders(context, member.address, topic)) == 4,
                         "four partitions", 10, 0.05)
        resource = ConfigResource("topic", topic, set_config={"retention.ms": str(777 + number)})
        admin.alter_configs([resource])[resource].result(30)
        for other in cluster.members:
            def shown(other=other):
                asked = ConfigResource("topic", topic)
                held = context.admin(other.address).describe_configs([asked])[asked].result(30)
                return held["retention.ms"].value == str(777 + number)
            procs.wait_until(shown, f"{other.node_id} has the setting", 10, 0.1)
        broker = ConfigResource("broker", str(member.node_id),
                                set_config={"log.retention.ms": str(86400000 + number)})
        admin.alter_configs([broker])[broker].result(30)
        admin.delete_topics([topic])[topic].result(30)
        # The client's admin asks the controller, its metadata comes from any broker.
        procs.wait_until(lambda: topic not in admin.list_topics(timeout=10).topics,
                         "the topic is gone", 10, 0.05)


@suite.scenario
def idempotent_producers_get_different_ids(context):
    """Blocks of producer ids come from the controller, one broker never gives another's."""
    cluster = context.cluster
    topic = context.topic(cluster.address, partitions=6)
    for _ in range(3):
        for member in cluster.members:
            producer = context.producer(member.address, **{"enable.idempotence": True})
            for number in range(12):
                producer.produce(topic, b"%d" % number, partition=number % 6)
            assert producer.flush(30) == 0
    consumer = context.consumer(cluster.address, context.name("ids"))
    consumer.subscribe([topic])
    assert len(consume(consumer, 108)) == 108
    consumer.close()


@suite.scenario
def more_than_one_replica_is_refused(context):
    """Until replication exists a factor above 1 is refused, and the error says so."""
    new = NewTopic(context.name("rf"), num_partitions=1, replication_factor=3)
    try:
        context.admin(context.cluster.address).create_topics([new])[new.topic].result(30)
    except KafkaException as error:
        assert error.args[0].name() == "INVALID_REPLICATION_FACTOR", error
        assert "replic" in error.args[0].str().lower(), error
    else:
        raise AssertionError("a factor of 3 was taken")
