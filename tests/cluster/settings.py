"""Settings that are changed by way of one broker are those of every broker.

Apache Kafka can be the peer.
"""

from confluent_kafka import KafkaException
from confluent_kafka.admin import (AlterConfigOpType, ConfigEntry, ConfigResource, ConfigSource,
                                   ResourceType)

from ..harness import procs
from . import suite
from .clients import leaders

SET, DELETE = AlterConfigOpType.SET, AlterConfigOpType.DELETE
APPEND = AlterConfigOpType.APPEND
SMALL, LARGE = 500, 5_000
BROKER_KEY, TOPIC_KEY = "message.max.bytes", "max.message.bytes"


def change(context, address, kind, name, key, value, operation=SET):
    """IncrementalAlterConfigs of one key."""
    entry = ConfigEntry(key, value, incremental_operation=operation)
    resource = ConfigResource(kind, name, incremental_configs=[entry])
    context.admin(address).incremental_alter_configs([resource])[resource].result(30)


def shown(context, address, kind, name, key):
    """(value, source) as this broker tells it."""
    resource = ConfigResource(kind, name)
    entry = context.admin(address).describe_configs([resource])[resource].result(30)[key]
    return entry.value, ConfigSource(entry.source)


def shown_by_all(context, cluster, name, key, wanted):
    """Waits until every broker shows this of a topic."""
    for member in cluster.members:
        def same(member=member):
            return shown(context, member.address, ResourceType.TOPIC, name, key) == wanted
        procs.wait_until(same, f"{member.node_id} shows {key} {wanted}", 10, 0.02)


def taken(context, cluster, topic, size):
    """{partition: whether a record of this size was taken}; the partitions are of all brokers."""
    found = {}
    producer = context.producer(cluster.address, **{"message.max.bytes": 1_000_000})

    def answered(error, message):
        found[message.partition()] = error is None
        if error is not None and error.name() != "MSG_SIZE_TOO_LARGE":
            raise KafkaException(error)
    for partition in range(3):
        producer.produce(topic, bytes(size), partition=partition, on_delivery=answered)
    assert producer.flush(30) == 0
    return found


def none_but_small(context, cluster, topic):
    """Waits until every leader refuses large records; it takes small ones."""
    procs.wait_until(lambda: not any(taken(context, cluster, topic, LARGE).values()),
                     "every leader refuses large records", 10, 0.02)
    assert all(taken(context, cluster, topic, SMALL).values())


def every_size(context, cluster, topic):
    """Waits until every leader takes large records."""
    procs.wait_until(lambda: all(taken(context, cluster, topic, LARGE).values()),
                     "every leader takes large records", 10, 0.02)


@suite.scenario
def a_topics_setting_holds_at_every_broker(context):
    """Set, appended to and deleted by way of each broker: all show it, all leaders obey it."""
    cluster = context.cluster
    topic = context.topic(cluster.address, partitions=3)
    topical = ConfigSource.DYNAMIC_TOPIC_CONFIG
    for member in cluster.members:
        def by_member(*what, member=member):
            change(context, member.address, ResourceType.TOPIC, topic, *what)
        limit = str(1_000 + member.node_id)
        by_member(TOPIC_KEY, limit)
        shown_by_all(context, cluster, topic, TOPIC_KEY, (limit, topical))
        none_but_small(context, cluster, topic)
        by_member("cleanup.policy", "compact", APPEND)
        shown_by_all(context, cluster, topic, "cleanup.policy", ("delete,compact", topical))
        by_member("cleanup.policy", None, DELETE)
        shown_by_all(context, cluster, topic, "cleanup.policy",
                     ("delete", ConfigSource.DEFAULT_CONFIG))
        by_member(TOPIC_KEY, None, DELETE)
        every_size(context, cluster, topic)


def shown_of_brokers(context, cluster, wanted):
    """Waits until each broker shows this of itself: {id: (value, source)}."""
    for member in cluster.members:
        def same(member=member):
            name = str(member.node_id)
            told = shown(context, member.address, ResourceType.BROKER, name, BROKER_KEY)
            return told == wanted[member.node_id]
        procs.wait_until(same, f"{member.node_id} shows {wanted[member.node_id]}", 10, 0.02)


@suite.scenario
def a_brokers_setting_holds_where_it_should(context):
    """All brokers' setting, and one broker's own, by way of each: shown by whom it is for, obeyed
    by the leaders of a topic that has none."""
    cluster = context.cluster
    topic = context.topic(cluster.address, partitions=3)
    leader = leaders(context, cluster.address, topic)
    every = ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG
    for member, chosen in zip(cluster.members, (2, 3, 1)):
        limit = str(1_000 + member.node_id)

        def by_member(*what, member=member, own=str(chosen)):
            change(context, member.address, ResourceType.BROKER, own, BROKER_KEY, *what)

        def of_all(*what, member=member):
            # The Python client takes no resource without a name.
            context.tools("configs", "--bootstrap-server", member.address, "--alter",
                          "--entity-type", "brokers", "--entity-default", *what).ok()
        of_all("--add-config", f"{BROKER_KEY}={limit}")
        shown_of_brokers(context, cluster, {node: (limit, every) for node in (1, 2, 3)})
        none_but_small(context, cluster, topic)
        by_member("100000")
        shown_of_brokers(context, cluster, {
            node: ("100000", ConfigSource.DYNAMIC_BROKER_CONFIG) if node == chosen
            else (limit, every) for node in (1, 2, 3)})
        wanted = {partition: node == chosen for partition, node in leader.items()}
        procs.wait_until(lambda wanted=wanted: taken(context, cluster, topic, LARGE) == wanted,
                         f"{chosen} alone takes large records", 10, 0.02)
        by_member(None, DELETE)
        none_but_small(context, cluster, topic)
        of_all("--delete-config", BROKER_KEY)
        every_size(context, cluster, topic)
        usual = ("1048588", ConfigSource.DEFAULT_CONFIG)
        shown_of_brokers(context, cluster, {node: usual for node in (1, 2, 3)})
