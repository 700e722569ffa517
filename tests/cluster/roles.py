"""Controllers without a broker, brokers without a controller, and Kafka's tools by either."""

import re

from ..harness import procs
from ..harness.cluster import Cluster
from . import suite
from .clients import consume, produce
from .formation import voters
from .quorum import status

CONTROLLERS, BROKERS = 3, 2


class Mixed(Cluster):
    """Processes that are controllers only, and two that are brokers only."""

    def __init__(self, settings=None, controllers=CONTROLLERS):
        super().__init__(controllers + BROKERS, settings)
        self.controllers = self.members[:controllers]
        self.brokers = self.members[controllers:]
        named = ",".join(f"{one.node_id}@{one.controller_address}" for one in self.controllers)
        for member in self.members:
            member.voters = named
        for member in self.controllers:
            member.settings.update({
                "process.roles": "controller",
                "listeners": f"CONTROLLER://{member.controller_address}"})
        for member in self.brokers:
            member.settings.update({
                "process.roles": "broker",
                "listeners": f"PLAINTEXT://127.0.0.1:{member.port}",
                "controller.quorum.auto.join.enable": None})

    @property
    def address(self):
        """The brokers' addresses."""
        return ",".join(member.address for member in self.brokers)

    @property
    def controller_address(self):
        """The controllers' addresses."""
        return ",".join(member.controller_address for member in self.controllers)

    def start(self, timeout=60):
        """All at once, until the brokers serve."""
        for member in self.members:
            member.start(wait=False)
        self.wait_formed(timeout, self.brokers)

    @property
    def ways(self):
        """How Kafka's tools get there."""
        return (("--bootstrap-server", self.address),
                ("--bootstrap-controller", self.controller_address))


def rows_of(out):
    """A table's rows as dictionaries."""
    head, *rows = [line.split() for line in out.splitlines() if line.strip()]
    return [dict(zip(head, row)) for row in rows]


@suite.scenario
def each_role_in_a_process_of_its_own(context):
    """Clients, a consumer group and Kafka's tools on three controllers and two brokers."""
    cluster = context.keep(Mixed())
    cluster.start()
    topic = context.topic(cluster.address, partitions=4)
    produce(context, cluster.address, topic, 200, partitions=4)
    consumer = context.consumer(cluster.brokers[1].address, context.name("roles"))
    consumer.subscribe([topic])
    assert sorted(consume(consumer, 200)) == list(range(200))
    consumer.close()
    told = context.tools("topics", "--bootstrap-server", cluster.address, "--describe",
                         "--topic", topic).ok().out
    assert sorted(re.findall(r"Leader: (\d+)", told)) == ["4", "4", "5", "5"], told
    for way in cluster.ways:
        states = rows_of(context.tools("quorum", *way, "describe", "--replication").ok().out)
        by_status = {name: sorted(one["NodeId"] for one in states if one["Status"] == name)
                     for name in ("Leader", "Follower", "Observer")}
        assert by_status["Observer"] == ["4", "5"], states
        assert sorted(by_status["Leader"] + by_status["Follower"]) == ["1", "2", "3"], states
        features = context.tools("features", *way, "describe").ok().out
        line = next(one for one in features.splitlines() if "kraft.version" in one)
        assert "FinalizedVersionLevel: 1" in line and not line.endswith("Epoch: 0"), line
        listed = rows_of(context.tools("cluster", "list-endpoints", *way).ok().out)
        kind = "controller" if way[0] == "--bootstrap-controller" else "broker"
        wanted = ["1", "2", "3"] if kind == "controller" else ["4", "5"]
        assert sorted(one["ID"] for one in listed) == wanted, listed
        assert {one["ENDPOINT_TYPE"] for one in listed} == {kind}, listed


@suite.scenario
def one_controller_for_all_brokers(context):
    """The smallest layout with roles: brokers find it, outlive it, and no topic lands on it."""
    cluster = context.keep(Mixed(controllers=1))
    cluster.start()
    controller = cluster.controllers[0]
    assert "listener PLAINTEXT" not in controller.tail(), controller.tail()
    topic = context.topic(cluster.address, partitions=4)
    told = context.tools("topics", "--bootstrap-server", cluster.address, "--describe",
                         "--topic", topic).ok().out
    assert sorted(re.findall(r"Leader: (\d+)", told)) == ["2", "2", "3", "3"], told
    for way in cluster.ways:
        now = status(context, *way)
        assert f"CONTROLLER://{controller.controller_address}" in now["CurrentVoters"], now
        assert now["LeaderId"] == "1", now
    controller.kill()
    produce(context, cluster.address, topic, 100, partitions=4)
    controller.start(wait=False)
    assert context.topic(cluster.address, partitions=2)
    assert [one.sees() for one in cluster.brokers] == [[2, 3], [2, 3]]


@suite.scenario
def a_lone_node_is_joined(context):
    """Kafka's sample file, one bootstrap server: the founder stands there, the others join it."""
    cluster = context.own()
    founder = cluster.members[0]
    for member in cluster.members:
        member.voters = None
        member.settings["controller.quorum.bootstrap.servers"] = founder.controller_address
    cluster.start()
    procs.wait_until(lambda: sorted(voters(context, cluster)) == [1, 2, 3], "all vote", 20, 0.2)
    topic = context.topic(cluster.address, partitions=3)
    produce(context, cluster.address, topic, 60, partitions=3)
    founder.kill()
    others = ",".join(one.address for one in cluster.members[1:])
    topics = [topic, context.topic(others, partitions=2)]
    founder.start(wait=False)
    procs.wait_until(lambda: all(one.sees() == [1, 2, 3] for one in cluster.members),
                     "the founder is back among them", 20, 0.1)
    # A lost disk with partitions would be asked for first.
    for deleted in context.admin(others).delete_topics(topics, operation_timeout=20).values():
        deleted.result(30)
    before = cluster.cluster_ids()
    # Its disk is lost, and its list names nobody else: it says that it belongs to the others.
    founder.kill()
    founder.wipe()
    founder.start(wait=False)
    procs.wait_until(lambda: "takes this node of cluster" in founder.tail(), "told", 20, 0.1)
    founder.kill()
    founder.wipe()
    founder.settings["controller.quorum.bootstrap.servers"] = cluster[2].controller_address
    founder.start(wait=False)
    procs.wait_until(lambda: all(one.sees() == [1, 2, 3] for one in cluster.members),
                     "the founder is one of them again", 20, 0.1)
    assert cluster.cluster_ids() == before
    procs.wait_until(lambda: sorted(voters(context, cluster)) == [1, 2, 3], "all vote", 20, 0.2)


@suite.scenario
def the_leader_is_removed_and_added_again(context):
    """remove-controller of the active controller: another leads; add-controller brings it back."""
    cluster = context.keep(Mixed({"controller.quorum.auto.join.enable": "false"}))
    cluster.start()
    before = voters(context, cluster)
    by_broker, by_controller = cluster.ways
    leader = int(status(context, *by_broker)["LeaderId"])
    context.tools("quorum", *by_controller, "remove-controller", "--controller-id", str(leader),
                  "--controller-directory-id", before[leader]).ok()

    def replaced():
        now = status(context, *by_broker)
        return now if int(now["LeaderId"]) not in (leader, -1) else None
    now = procs.wait_until(replaced, "another controller leads", 20, 0.2)
    ids = re.findall(r'"id": (\d+)', now["CurrentVoters"])
    assert str(leader) not in ids and len(ids) == 2, now
    # It follows now (an admin client that asks a node that knows no leader asks no other: Kafka's
    # waits for its time-out then), and what is decided without it reaches the brokers.
    removed = cluster[leader]
    procs.wait_until(lambda: f"\nkafka_server_raftmetrics_current_leader {now['LeaderId']}\n"
                     in removed.http("/metrics", timeout=5)[1], "it follows", 2, 0.02)
    topic = context.topic(cluster.address, partitions=2)
    config = cluster[leader].home / "broker.properties"
    context.tools("quorum", "--command-config", config, *by_controller, "add-controller").ok()
    procs.wait_until(lambda: voters(context, cluster) == before, "the voter is back", 20, 0.2)
    # All stop; what they leave, Kafka reads: log and snapshots, with voters that came and went.
    for member in reversed(cluster.members):
        code, _ = member.stop()
        assert code == 0, (code, member.tail())
    for member in cluster.controllers:
        read_by_kafka(context, member, topic)


@suite.scenario
def a_broker_that_is_killed_is_missed_within_its_session(context):
    """A refused connection is evidence: nobody waits for the session of a killed broker."""
    cluster = context.keep(Mixed({"broker.session.timeout.ms": "20000"}))
    cluster.start()
    first, second = cluster.brokers
    second.kill()

    def fenced():
        return any(one["id"] == second.node_id and one["fenced"]
                   for one in first.health()["brokers"])
    # A tenth of the session, on a machine that is busy.
    procs.wait_until(fenced, "the killed broker is fenced", 2, 0.02)
    context.tools("cluster", "unregister", *cluster.ways[1], "--id", str(second.node_id)).ok()
    listed = context.tools("cluster", "list-endpoints", *cluster.ways[0],
                           "--include-fenced-brokers").ok().out
    assert [one["ID"] for one in rows_of(listed)] == [str(first.node_id)], listed


@suite.scenario
def kafka_reads_log_and_snapshots_of_several_voters(context):
    """DumpLogSegments on snapshots and log of three voters: no line of an error."""
    settings = {"metadata.log.max.record.bytes.between.snapshots": "2000"}
    cluster = context.own(settings=settings)
    cluster.start()
    for _ in range(3):
        topic = context.topic(cluster.address, partitions=12)

    def snapshots():
        found = [list((one.data / "__cluster_metadata-0").glob("*.checkpoint"))
                 for one in cluster.members]
        return all(found)
    procs.wait_until(snapshots, "each has a snapshot", 20, 0.1)
    for member in cluster.members:
        member.kill()
    for member in cluster.members:
        out = read_by_kafka(context, member, topic)
        assert "SnapshotHeader" in out and "SnapshotFooter" in out, out[-2000:]
        snapshot = out.split("SnapshotHeader")[1]
        assert "KRaftVersion" in snapshot and snapshot.count('"voterId":') >= 3, snapshot[:2000]


def read_by_kafka(context, member, topic):
    """What Kafka's dump tool makes of a controller's log and snapshots."""
    directory = member.data / "__cluster_metadata-0"
    files = sorted([*directory.glob("*.checkpoint"), *directory.glob("*.log")])
    dumped = context.tools("dump", "--cluster-metadata-decoder", "--files",
                           ",".join(str(file) for file in files)).ok()
    for line in (dumped.out + dumped.err).splitlines():
        assert not re.search(r"error|invalid|exception|could not|mismatch", line, re.I), line
    assert "KRaftVersion" in dumped.out and "KRaftVoters" in dumped.out, dumped.out[:3000]
    assert topic in dumped.out, f"{topic} of node {member.node_id}"
    return dumped.out
