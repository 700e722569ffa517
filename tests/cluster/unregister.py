"""Brokers that run, hold partitions, and are unregistered all the same; and come back."""

from ..compat.wire import Raw
from ..harness import procs
from . import suite
from .clients import consume, produce
from .formation import voters
from .makers import brokers, metadata
from .quorum import status
from .roles import rows_of

PARTITIONS, RECORDS = 8, 80
BROKER_ONLY = 4


def three_and_a_broker(context):
    """Three that are controllers and brokers, and one that is a broker only."""
    cluster = context.own(size=4)
    controllers = cluster.members[:3]
    named = ",".join(f"{one.node_id}@{one.controller_address}" for one in controllers)
    for member in cluster.members:
        member.voters = named
    last = cluster[BROKER_ONLY]
    last.settings.update({"process.roles": "broker", "listeners": f"PLAINTEXT://{last.address}",
                          "controller.quorum.auto.join.enable": None})
    cluster.start()
    return cluster


def unregister(context, address, node_id):
    """kafka-cluster unregister."""
    return context.tools("cluster", "unregister", "--bootstrap-server", address, "--id",
                         str(node_id))


def gone_from_metadata(member, topic, gone):
    """Whether a member tells nobody of a broker, but of the partitions that wait for it."""
    with Raw(member.port, 5) as raw:
        others = {1, 2, 3, 4} - {gone}
        if set(brokers(raw)) != others or member.health() is None:
            return False
        led = list(metadata(raw, [topic])[topic].values())
    health = member.health()
    known = {one["id"] for one in health["brokers"]}
    return (known == others and sorted(set(led)) == sorted({-1} | others) and led.count(-1) == 2
            and health["partitions"]["offline"] >= 2)


def is_unregistered(context, cluster, victim, topic):
    """Unregisters a member that runs: it ends, saying so; the others go on without it."""
    left = [member for member in cluster.members if member is not victim]
    address = ",".join(member.address for member in left)
    unregister(context, address, victim.node_id).ok()
    code = victim.child.wait(20)
    said = victim.tail()
    victim.child = None
    assert code == 1 and f"broker {victim.node_id} was unregistered while it ran" in said, said
    for member in left:
        procs.wait_until(lambda member=member: gone_from_metadata(member, topic, victim.node_id),
                         f"{member.node_id} has forgotten {victim.node_id}", 20, 0.05)
    listed = context.tools("cluster", "list-endpoints", "--bootstrap-server", address,
                           "--include-fenced-brokers").ok().out
    assert sorted(int(row["ID"]) for row in rows_of(listed)) == \
        [member.node_id for member in left], listed
    told = context.tools("topics", "--bootstrap-server", address, "--describe", "--topic",
                         topic).ok().out
    assert told.count("Leader: none") == told.count(f"Replicas: {victim.node_id}\t") == 2, told
    again = unregister(context, address, victim.node_id)
    assert again.code != 0 and "BrokerIdNotRegistered" in again.err + again.out, again.err
    # Who is left is placed on, and leads.
    cluster.wait_formed(members=left)
    produce(context, address, context.topic(address, partitions=3), 30, partitions=3)


@suite.scenario
def a_running_broker_is_unregistered_and_comes_back(context):
    """A broker, and the leader of the quorum, each unregistered while it runs and leads
    partitions: it ends, its partitions wait, and a start brings back all that it has."""
    cluster = three_and_a_broker(context)
    before, ids = voters(context, cluster), cluster.cluster_ids()
    topic = context.topic(cluster.address, partitions=PARTITIONS)
    leader = int(status(context, "--bootstrap-server", cluster.address)["LeaderId"])
    for rounds, node_id in enumerate((BROKER_ONLY, leader), 1):
        produce(context, cluster.address, topic, RECORDS, PARTITIONS)
        victim = cluster[node_id]
        is_unregistered(context, cluster, victim, topic)
        victim.start(wait=False)
        cluster.wait_formed()
        consumer = context.consumer(cluster.address, context.name("back"))
        consumer.subscribe([topic])
        assert sorted(consume(consumer, RECORDS * rounds)) == sorted(list(range(RECORDS)) * rounds)
        consumer.close()
    assert voters(context, cluster) == before and cluster.cluster_ids() == ids
