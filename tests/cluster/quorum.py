"""Kafka's own tools for the quorum and for features, by brokers and by controllers."""

import re

from ..harness import procs
from . import suite
from .formation import voters


def status(context, *by):
    """`describe --status` as {name: text}."""
    out = context.tools("quorum", *by, "describe", "--status").ok().out
    pairs = (line.split(":", 1) for line in out.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


@suite.scenario
def the_quorum_is_described(context):
    """describe --status and --replication, by a broker and by a controller: the same quorum."""
    cluster = context.cluster
    ways = [("--bootstrap-server", cluster.address),
            ("--bootstrap-server", cluster[3].address),
            ("--bootstrap-controller", cluster.controller_address)]
    found = [status(context, *way) for way in ways]
    for one in found:
        assert one["ClusterId"] in cluster.cluster_ids(), one
        assert one["LeaderId"] == found[0]["LeaderId"] in ("1", "2", "3"), one
        assert one["LeaderEpoch"] == found[0]["LeaderEpoch"], one
        assert int(one["HighWatermark"]) > 0, one
        ids = re.findall(r'"id": (\d+)', one["CurrentVoters"])
        assert ids == ["1", "2", "3"], one
        assert one["CurrentObservers"] == "[]", one
    for way in ways:
        out = context.tools("quorum", *way, "describe", "--replication").ok().out
        rows = [line.split() for line in out.splitlines() if line.strip()]
        head, rows = rows[0], rows[1:]
        states = [dict(zip(head, row)) for row in rows]
        assert sorted(one["NodeId"] for one in states) == ["1", "2", "3"], out
        assert sorted(one["Status"] for one in states) == ["Follower", "Follower", "Leader"], out
        assert all(int(one["Lag"]) < 100 for one in states), out


@suite.scenario
def a_voter_is_removed_and_added_again(context):
    """remove-controller and add-controller change the voters, one at a time."""
    cluster = context.own(settings={"controller.quorum.auto.join.enable": "false"})
    cluster.start()
    before = voters(context, cluster)
    leader = int(status(context, "--bootstrap-server", cluster.address)["LeaderId"])
    gone = next(member for member in cluster.members if member.node_id != leader)
    context.tools("quorum", "--bootstrap-server", cluster.address, "remove-controller",
                  "--controller-id", str(gone.node_id),
                  "--controller-directory-id", before[gone.node_id]).ok()

    def without():
        return gone.node_id not in voters(context, cluster)
    procs.wait_until(without, "the voter is gone", 20, 0.3)
    # Again: an error that says why, and the same voters.
    again = context.tools("quorum", "--bootstrap-controller", cluster.controller_address,
                          "remove-controller", "--controller-id", str(gone.node_id),
                          "--controller-directory-id", before[gone.node_id])
    assert again.code != 0 and "VoterNotFound" in again.err + again.out, again.err
    # It observes now, and serves its partitions all the same.
    context.topic(gone.address)
    config = gone.home / "broker.properties"
    context.tools("quorum", "--command-config", config, "--bootstrap-server", cluster.address,
                  "add-controller").ok()
    procs.wait_until(lambda: voters(context, cluster) == before, "the voter is back", 20, 0.3)


@suite.scenario
def features_are_described_and_kept(context):
    """FeatureCommand by brokers and controllers; a level that nobody supports is refused."""
    cluster = context.cluster
    for way in (("--bootstrap-server", cluster.address),
                ("--bootstrap-controller", cluster.controller_address)):
        out = context.tools("features", *way, "describe").ok().out
        line = next(line for line in out.splitlines() if "metadata.version" in line)
        assert "FinalizedVersionLevel" in line, out
    refused = context.tools("features", "--bootstrap-server", cluster.address, "upgrade",
                            "--feature", "metadata.version=99")
    assert refused.code != 0, refused.out
    kept = context.tools("features", "--bootstrap-server", cluster.address, "describe").ok().out
    assert kept.splitlines()[0] in out and "99" not in kept, kept
    same = re.search(r"metadata\.version.*FinalizedVersionLevel: (\S+)", kept)
    again = context.tools("features", "--bootstrap-server", cluster.address, "upgrade",
                          "--metadata", same.group(1))
    assert "has not registered" not in again.out + again.err, again.err


@suite.scenario
def controllers_are_listed_with_their_endpoints(context):
    """kafka-cluster list-endpoints at a controller: all three, as each has said of itself."""
    cluster = context.cluster

    def listed():
        out = context.tools("cluster", "list-endpoints", "--bootstrap-controller",
                            cluster.controller_address).ok().out
        rows = [line.split() for line in out.splitlines()[1:] if line.strip()]
        ids = sorted(int(row[0]) for row in rows if row[0].isdigit())
        return ids == sorted(member.node_id for member in cluster.members)
    procs.wait_until(listed, "every controller is listed", 20, 0.3)


@suite.scenario
def a_broker_that_is_gone_can_be_unregistered(context):
    """kafka-cluster unregister: the broker is not listed any more."""
    cluster = context.own()
    cluster.start()
    leader = int(status(context, "--bootstrap-server", cluster.address)["LeaderId"])
    gone = next(member for member in cluster.members if member.node_id != leader)
    left = [member for member in cluster.members if member is not gone]
    gone.kill()
    cluster.wait_formed(members=left)
    context.tools("cluster", "unregister", "--bootstrap-server",
                  ",".join(member.address for member in left), "--id", str(gone.node_id)).ok()

    def forgotten():
        return all(gone.node_id not in [one["id"] for one in member.health()["brokers"]]
                   for member in left)
    procs.wait_until(forgotten, "nobody lists it", 20, 0.1)


@suite.scenario
def controllers_move_to_other_ports_one_after_another(context):
    """Each restarts on a new port, with the new list; the voters say so; then the leader dies."""
    cluster = context.own()
    cluster.start()
    way = "--bootstrap-server", cluster.address
    for member in cluster.members:
        code, _ = member.stop()
        assert code == 0, (code, member.tail())
        member.controller_port = procs.free_port()
        named = ",".join(f"{one.node_id}@{one.controller_address}" for one in cluster.members)
        for one in cluster.members:
            one.voters = named
        member.start(wait=False)
        cluster.wait_formed(20)

        def told(place=f"CONTROLLER://{member.controller_address}"):
            return place in status(context, *way)["CurrentVoters"]
        procs.wait_until(told, f"the voters say where {member.node_id} is", 5, 0.1)
    leader = int(status(context, *way)["LeaderId"])
    cluster[leader].kill()
    others = [one for one in cluster.members if one.node_id != leader]
    cluster.wait_formed(20, others)
    topic = context.topic(others[0].address, partitions=2)
    assert topic in context.admin(others[1].address).list_topics(timeout=10).topics
