"""Racks: what clients are told of them, and how partitions are placed over them.

`--peer kafka` runs it against Apache Kafka: what is asserted is what both do.
"""

from confluent_kafka import KafkaException
from confluent_kafka.admin import NewPartitions, NewTopic

from ..compat.wire import Raw
from ..harness import procs
from . import suite
from .clients import leaders
from .makers import brokers
from .roles import rows_of

RACKS = {1: "east", 2: "east", 3: "west", 4: "west"}
ROUNDS = 3


def evenly(placed, racks):
    """Partition after partition: racks alternate until each broker had one, and again."""
    for first in range(0, len(placed), len(racks)):
        turn = placed[first:first + len(racks)]
        assert sorted(turn) == sorted(racks), placed
        sides = [racks[node] for node in turn]
        assert all(one != next_one for one, next_one in zip(sides, sides[1:])), (placed, sides)


def in_order(context, address, topic, count):
    """The leader of each of so many partitions."""
    def all_led():
        told = leaders(context, address, topic)
        return len(told) == count and min(told.values()) > 0 and told
    told = procs.wait_until(all_led, f"{count} partitions of {topic}", 20, 0.02)
    return [told[partition] for partition in range(count)]


def told_of_racks(context, cluster):
    """Each broker tells everybody's rack, in Metadata, DescribeCluster, and to Kafka's tool."""
    for member in cluster.members:
        with Raw(member.port, 5) as raw:
            assert brokers(raw) == RACKS, member.node_id
        described = context.admin(member.address).describe_cluster(request_timeout=10).result(20)
        assert {node.id: node.rack for node in described.nodes} == RACKS, member.node_id
    listed = context.tools("cluster", "list-endpoints", "--bootstrap-server",
                           cluster.address).ok().out
    assert {int(row["ID"]): row["RACK"] for row in rows_of(listed)} == RACKS, listed


def refused_replicas(context, address):
    """Two replicas, by number and by name: refused, saying why, and there is no such topic."""
    name = context.name("pairs")
    for new in (NewTopic(name, num_partitions=4, replication_factor=2),
                NewTopic(name, num_partitions=2, replica_assignment=[[1, 3], [3, 1]])):
        try:
            context.admin(address).create_topics([new])[name].result(30)
        except KafkaException as error:
            assert error.args[0].name() == "INVALID_REPLICATION_FACTOR", error
            assert "replication is not built yet" in error.args[0].str(), error
        else:
            raise AssertionError("two replicas were promised")
    assert name not in context.admin(address).list_topics(timeout=10).topics


@suite.scenario
def partitions_alternate_between_racks(context):
    """Two racks of two: topics and added partitions go round racks and brokers; one that is fenced
    gets none."""
    cluster = context.own(size=4)
    for member in cluster.members:
        member.settings["broker.rack"] = RACKS[member.node_id]
    cluster.start()
    told_of_racks(context, cluster)
    for member in cluster.members[:ROUNDS]:
        topic = context.topic(member.address, partitions=12)
        evenly(in_order(context, member.address, topic, 12), RACKS)
        context.admin(member.address).create_partitions([NewPartitions(topic, 20)])[topic] \
            .result(30)
        evenly(in_order(context, member.address, topic, 20)[12:], RACKS)
    if context.kind.name == "tidelog":
        refused_replicas(context, cluster.address)
    cluster.members[3].kill()
    left = cluster.members[:3]
    cluster.wait_formed(members=left)
    address = ",".join(member.address for member in left)
    topic = context.topic(address, partitions=12)
    placed = in_order(context, address, topic, 12)
    counts = [placed.count(node) for node in (1, 2, 3, 4)]
    assert counts == [4, 4, 4, 0], placed
