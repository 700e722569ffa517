"""How a cluster forms, and what a disk that is lost, or not its own, does to it."""

import pathlib
import re
import shutil
import tempfile
import time

from ..harness import procs
from ..harness.broker import binary
from . import suite

# What users are promised, from the start of the processes until clients are served.
FORMED_S = 2


def formed(context, cluster):
    """Starts all on empty disks; they are one cluster, to everybody. Returns the seconds from the
    moment that all are started."""
    for member in cluster.members:
        member.start(wait=False)
    began = time.monotonic()
    cluster.wait_formed()
    took = time.monotonic() - began
    wanted = [member.node_id for member in cluster.members]
    ids = cluster.cluster_ids()
    assert len(ids) == 1 and ids != {""}, ids
    for member in cluster.members:
        listed = context.admin(member.address).list_topics(timeout=10)
        assert sorted(listed.brokers) == wanted, listed.brokers
        assert listed.cluster_id in ids, (listed.cluster_id, ids)
        assert listed.controller_id in wanted, listed.controller_id
    written = {re.search(r"cluster\.id=(\S+)", (member.data / "meta.properties").read_text())
               .group(1) for member in cluster.members}
    assert written == ids, (written, ids)
    assert took < FORMED_S, took
    return took


@suite.scenario
def three_processes_form_one_cluster(context):
    """One configuration, three processes, empty disks: one cluster, whatever the order."""
    return f"{formed(context, context.own()):.2f} s"


@suite.scenario
def five_processes_form_one_cluster(context):
    """The same of five: each votes, each is a broker, and each leads a part of a topic."""
    cluster = context.own(size=5)
    took = formed(context, cluster)
    assert sorted(voters(context, cluster)) == [1, 2, 3, 4, 5]
    topic = context.topic(cluster[4].address, partitions=5)
    parts = context.admin(cluster[4].address).list_topics(topic, timeout=20).topics[topic]
    assert sorted(part.leader for part in parts.partitions.values()) == [1, 2, 3, 4, 5]
    return f"{took:.2f} s"


def free_row(count, behind):
    """A port with `count - 1` free ones after it, and as many that far behind."""
    while True:
        first = procs.free_port()
        row = range(first, first + count)
        if not any(procs.listening(port + more) for port in row for more in (0, behind)):
            return first


@suite.scenario
def dev_runs_five_on_ports_in_a_row(context):
    """`tidelog dev --brokers 5 --port P`: five processes at P to P + 4 are one cluster."""
    first = free_row(5, 100)
    with tempfile.TemporaryDirectory(prefix="tidelog-five-") as home:
        log = pathlib.Path(home) / "log"
        with open(log, "wb") as out:
            child = procs.spawn([binary(), "dev", "--brokers", "5", "--port", first,
                                 "--admin-port", "0", "--data-dir", f"{home}/data"],
                                stdout=out, stderr=out)
        try:
            procs.wait_until(lambda: "\ntidelog is ready: 5 brokers at " in log.read_text(),
                             "five brokers are one cluster", 60, alive=child)
            began = time.monotonic()
            told = set()
            for port in range(first, first + 5):
                listed = context.admin(f"127.0.0.1:{port}").list_topics(timeout=10)
                told.add(listed.cluster_id)
                at = [(one.id, one.port) for one in listed.brokers.values()]
                assert sorted(at) == [(node, first + node) for node in range(5)], at
            assert len(told) == 1, told
            child.terminate()
            assert child.wait(30) == 0, log.read_text()
            return f"asked and stopped in {time.monotonic() - began:.1f} s"
        finally:
            procs.kill(child)


@suite.scenario
def all_restart_and_are_the_same_cluster(context):
    """All stop and start: the same id, the same topics."""
    cluster = context.own()
    cluster.start()
    ids = cluster.cluster_ids()
    topic = context.topic(cluster.address)
    for member in cluster.members:
        member.kill()
    took = cluster.start()
    # Who says that it is ready takes clients: by the metadata none of the killed ones is fenced.
    for member in cluster.members:
        def open_again(member=member):
            return member.log.read_text().count(" is ready after ") == 2
        procs.wait_until(open_again, f"{member.node_id}, ready, takes clients", 0.8)
    assert cluster.cluster_ids() == ids
    assert topic in context.admin(cluster.address).list_topics(timeout=10).topics
    return f"{took:.2f} s"


@suite.scenario
def all_three_form_and_two_go_on(context):
    """A cluster is formed by all of its controllers (decision 006); a majority carries it on."""
    cluster = context.own()
    first, second, third = cluster.members
    first.start(wait=False)
    second.start(wait=False)
    procs.wait_until(lambda: second.http("/livez")[0] == 200, "it lives", 20)
    until = time.monotonic() + 3

    def never_ready():
        assert not first.ready(), first.tail()
        return time.monotonic() > until
    procs.wait_until(never_ready, "three seconds pass", 10, 0.1)
    third.start(wait=False)
    cluster.wait_formed()
    assert len(cluster.cluster_ids()) == 1
    third.kill()
    cluster.wait_formed(members=[first, second])
    topic = context.topic(first.address)
    third.start(wait=False)
    cluster.wait_formed()
    assert topic in context.admin(third.address).list_topics(timeout=10).topics


@suite.scenario
def one_of_three_serves_nobody(context):
    """A minority neither makes a cluster nor takes clients; SIGTERM ends it all the same."""
    cluster = context.own()
    alone = cluster.members[0]
    alone.start(wait=False)
    procs.wait_until(lambda: alone.http("/livez")[0] == 200, "it lives", 20)
    until = time.monotonic() + 3

    def never_ready():
        assert not alone.ready(), alone.tail()
        return time.monotonic() > until
    procs.wait_until(never_ready, "three seconds pass", 10, 0.1)
    status, body = alone.http("/readyz")
    assert status == 503, (status, body)
    code, took = alone.stop(timeout=30)
    assert code in (0, 143), code
    return f"stopped in {took:.1f} s"


def voters(context, cluster):
    """{id: directory id} of the voters, as the active controller tells them."""
    out = context.tools("quorum", "--bootstrap-server", cluster.address, "describe",
                        "--status").ok().out
    line = next(line for line in out.splitlines() if line.startswith("CurrentVoters"))
    found = re.findall(r'"id": (\d+), (?:"directoryId": "?([^",}]+)"?)?', line)
    return {int(number): directory for number, directory in found}


def wait_replaced(context, cluster, before):
    """Until node 3 votes with another disk than before."""
    def replaced():
        now = voters(context, cluster)
        return now if len(now) == 3 and now[3] != before[3] else None
    after = procs.wait_until(replaced, "node 3 votes with its new disk", 40, 0.3)
    assert {1: after[1], 2: after[2]} == {1: before[1], 2: before[2]}, (before, after)
    assert len(cluster.cluster_ids()) == 1


@suite.scenario
def who_waits_for_nobody_says_so(context):
    """Bootstrap servers only, no founder among them: /readyz and the log say what is missing."""
    cluster = context.own()
    servers = ",".join(member.controller_address for member in cluster.members)
    for member in cluster.members:
        member.voters = None
        member.settings["controller.quorum.bootstrap.servers"] = servers
        member.start(wait=False)
    wanted = "a first one begins where controller.quorum.voters names its controllers"
    for member in cluster.members:
        procs.wait_until(lambda one=member: wanted in one.http("/readyz")[1], "told", 10, 0.05)
    for member in cluster.members:
        procs.wait_until(lambda one=member: wanted in one.tail(), "it stands in the log", 20, 0.2)
        assert member.http("/readyz")[0] == 503


@suite.scenario
def a_wiped_node_rejoins_as_a_new_voter(context):
    """An empty disk in a voter's place: a new voter, with a directory of its own."""
    cluster = context.own()
    cluster.start()
    before = voters(context, cluster)
    assert len(before) == 3, before
    lost = cluster.members[2]
    lost.kill()
    lost.wipe()
    lost.start(wait=False)
    cluster.wait_formed()
    wait_replaced(context, cluster, before)
    topic = context.topic(cluster.address)
    # Its vote counts: without one of the others there is still a majority.
    cluster.members[0].kill()
    made = context.topic(f"{cluster[2].address},{cluster[3].address}")

    def listed():
        found = context.admin(cluster[3].address).list_topics(timeout=20).topics
        return topic in found and made in found
    procs.wait_until(listed, "both topics at the new voter", 20, 0.1)


@suite.scenario
def a_wiped_broker_with_partitions_asks_first(context):
    """What only the lost disk held is not made anew, empty, unless the operator names the disk."""
    cluster = context.own()
    cluster.start()
    topic = context.topic(cluster.address)
    before = voters(context, cluster)
    lost = cluster.members[2]
    lost.kill()
    lost.wipe()
    lost.start(wait=False)
    lost.child.wait(60)
    said = lost.tail()
    lost.child = None
    assert before[3] in said and "tidelog.log.dirs.abandoned" in said, said
    lost.settings["tidelog.log.dirs.abandoned"] = before[3]
    lost.start(wait=False)
    cluster.wait_formed()
    wait_replaced(context, cluster, before)

    def led():
        parts = context.admin(lost.address).list_topics(topic, timeout=20).topics[topic].partitions
        return len(parts) == 6 and all(part.leader > 0 for part in parts.values())
    procs.wait_until(led, "every partition has a leader", 20, 0.1)


@suite.scenario
def a_disk_of_another_cluster_is_refused(context):
    """A disk of another cluster in a member's place: it ends, and says which is which."""
    ours, theirs = context.own(), context.own()
    ours.start()
    theirs.start()
    [our_id], [their_id] = ours.cluster_ids(), theirs.cluster_ids()
    stranger, victim = theirs.members[2], ours.members[2]
    stranger.kill()
    victim.kill()
    shutil.rmtree(victim.data)
    shutil.copytree(stranger.data, victim.data)
    # As the operator starts it; without the key the disk says whom it belongs to.
    victim.settings["tidelog.cluster.id"] = our_id
    victim.start(wait=False)
    victim.child.wait(60)
    said = victim.tail()
    victim.child = None
    assert our_id in said and their_id in said, said
    # The others have not noticed a thing.
    context.topic(ours[1].address)
    ours.wait_formed(members=ours.members[:2])


@suite.scenario
def a_disk_of_another_node_is_refused(context):
    """Node 1's disk under node 3's configuration."""
    cluster = context.own()
    cluster.start()
    first, third = cluster.members[0], cluster.members[2]
    first.kill()
    third.kill()
    shutil.rmtree(third.data)
    shutil.copytree(first.data, third.data)
    third.start(wait=False)
    third.child.wait(30)
    said = third.tail()
    third.child = None
    assert "node 1" in said or "node.id=1" in said or "node.id 1" in said, said
