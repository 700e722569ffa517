"""What the processes are refused, or outlive: rot, wrong disks, garbage, newer versions."""

import random
import re
import shutil
import socket
import struct
import threading

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import NewTopic

from ..harness import procs
from . import suite
from .formation import voters
from .quorum import status


def leader_of(context, cluster, members=None):
    """The member that leads the quorum."""
    by = ",".join(member.address for member in members or cluster.members)
    return cluster[int(status(context, "--bootstrap-server", by)["LeaderId"])]


def follower_of(context, cluster):
    """A member that does not lead."""
    leader = leader_of(context, cluster)
    return next(member for member in cluster.members if member is not leader)


def created(context, address):
    """Makes a topic whatever becomes of the controller meanwhile; returns its name."""
    name = context.name("held")
    new = [NewTopic(name, num_partitions=1, replication_factor=1)]

    def made():
        try:
            context.admin(address).create_topics(new, operation_timeout=20)[name].result(30)
        except KafkaException as error:
            code = error.args[0].code()
            assert code in (KafkaError.TOPIC_ALREADY_EXISTS, KafkaError.NOT_CONTROLLER), error
            # Made by a controller that could not say so any more, or by none yet.
            return code == KafkaError.TOPIC_ALREADY_EXISTS
        return True
    procs.wait_until(made, f"{name} is made", 20, 0.05)
    return name


def refused(member, *words):
    """Starts it; it must end by itself and say these words."""
    member.start(wait=False)
    member.child.wait(30)
    said = member.tail()
    member.child = None
    for word in words:
        assert word in said, f"{word!r} is not said:\n{said}"


def flip(file, from_end):
    """Flips a bit of a file."""
    data = bytearray(file.read_bytes())
    data[-from_end] ^= 1
    file.write_bytes(data)


@suite.scenario
def a_rotten_metadata_log_is_refused_and_the_others_go_on(context):
    """A bit of a follower's last synced record flips: it does not start, nothing is cut."""
    cluster = context.own()
    cluster.start()
    before = context.topic(cluster.address)
    victim = follower_of(context, cluster)
    left = [member for member in cluster.members if member is not victim]

    def has_it():
        return victim.health()["topics"] == left[0].health()["topics"]
    procs.wait_until(has_it, "the topic at the follower", 10)
    victim.kill()
    [log] = (victim.data / "__cluster_metadata-0").glob("*.log")
    whole = log.read_bytes()
    for from_end in (5, 200):
        log.write_bytes(whole)
        flip(log, from_end)
        refused(victim, str(log.parent), "joins as a new voter")
        assert len(log.read_bytes()) == len(whole)
    log.write_bytes(whole[:-30])
    refused(victim, str(log.parent))
    cluster.wait_formed(members=left)
    made = context.topic(left[0].address)
    log.write_bytes(whole)
    victim.start(wait=False)
    cluster.wait_formed()
    topics = context.admin(victim.address).list_topics(timeout=10).topics
    assert before in topics and made in topics, topics.keys()


@suite.scenario
def a_fresh_disk_under_a_wrong_id_ends(context):
    """tidelog.cluster.id names no cluster of these controllers: it ends and names both."""
    cluster = context.own()
    cluster.start()
    [our_id] = cluster.cluster_ids()
    victim = follower_of(context, cluster)
    left = [member for member in cluster.members if member is not victim]
    victim.kill()
    victim.wipe()
    victim.settings["tidelog.cluster.id"] = "no-such-cluster"
    refused(victim, our_id, "no-such-cluster")
    context.topic(left[0].address)
    cluster.wait_formed(members=left)


@suite.scenario
def another_clusters_disk_ends_without_the_key_too(context):
    """A disk of another living cluster: it does not follow that one, it ends and names both."""
    ours, theirs = context.own(), context.own()
    ours.start()
    theirs.start()
    [our_id], [their_id] = ours.cluster_ids(), theirs.cluster_ids()
    stranger, victim = theirs.members[2], ours.members[2]
    stranger.kill()
    victim.kill()
    shutil.rmtree(victim.data)
    shutil.copytree(stranger.data, victim.data)
    refused(victim, our_id, their_id)
    context.topic(ours[1].address)
    ours.wait_formed(members=ours.members[:2])


@suite.scenario
def newer_formats_are_refused_by_name(context):
    """A meta.properties, a quorum-state or a snapshot of a version that nobody knows yet."""
    cluster = context.own()
    cluster.start()
    victim = follower_of(context, cluster)
    victim.kill()
    for file, old, new, word in (
            (victim.data / "meta.properties", "version=1", "version=7", "version 7"),
            (victim.data / "__cluster_metadata-0" / "quorum-state", '"data_version":1',
             '"data_version":9', "data_version 9")):
        text = file.read_text()
        assert old in text, text
        file.write_text(text.replace(old, new))
        refused(victim, word)
        file.write_text(text)
    victim.start(wait=False)
    cluster.wait_formed()


@suite.scenario
def a_leader_that_is_removed_hands_over(context):
    """remove-controller of the active controller: another leads, it observes, nothing is lost."""
    cluster = context.own(settings={"controller.quorum.auto.join.enable": "false"})
    cluster.start()
    made = [context.topic(cluster.address)]
    leader = leader_of(context, cluster)
    left = [member for member in cluster.members if member is not leader]
    directory = voters(context, cluster)[leader.node_id]
    done = threading.Event()
    failures = []

    def make():
        while not done.is_set():
            try:
                made.append(created(context, cluster.address))
            except Exception as error:  # told by the scenario's own thread
                failures.append(error)
                return
    maker = threading.Thread(target=make)
    maker.start()
    try:
        context.tools("quorum", "--bootstrap-server", cluster.address, "remove-controller",
                      "--controller-id", str(leader.node_id),
                      "--controller-directory-id", directory).ok()

        def handed_over():
            now = status(context, "--bootstrap-server", cluster.address)
            ids = [int(found) for found in re.findall(r'"id": (\d+)', now["CurrentVoters"])]
            seen = re.findall(r'"id": (\d+)', now["CurrentObservers"])
            return (sorted(ids) == sorted(member.node_id for member in left)
                    and int(now["LeaderId"]) in ids and str(leader.node_id) in seen)
        procs.wait_until(handed_over, "another leads, and the removed one observes", 20, 0.3)
    finally:
        done.set()
        maker.join(60)
    assert not failures, failures
    made.append(context.topic(leader.address))
    for member in cluster.members:
        def listed(member=member):
            return set(made) <= set(context.admin(member.address).list_topics(timeout=10).topics)
        procs.wait_until(listed, f"every topic at {member.node_id}", 20, 0.1)
    assert all(member.alive() for member in cluster.members)
    return f"{len(made)} topics"


APIS = [1, 18, 52, 53, 54, 55, 58, 59, 60, 62, 63, 64, 67, 70, 80, 81, 82, 19, 32, 44]


def frames(seed):
    """Frames that nobody honest sends, without end: lengths, headers and bodies of all kinds."""
    dice = random.Random(seed)
    while True:
        key, version = dice.choice(APIS), dice.randrange(0, 20)
        body = dice.randbytes(dice.choice([0, 1, 7, 60, 500, 20_000]))
        if dice.random() < 0.5:
            # Counts and lengths that promise much.
            body = dice.choice([b"\xff" * 40, b"\x7f\xff\xff\xff" * 9, bytes(40)]) + body
        head = struct.pack(">hhih", key, version, dice.randrange(1 << 31), 3) + b"bad\0"
        frame = head + body
        size = len(frame)
        if dice.random() < 0.15:
            size = dice.choice([-1, 0, 1 << 30, (1 << 31) - 1, size + 9])
        yield struct.pack(">i", size) + frame


def pelt(port, source, count):
    """Sends frames, on a connection for as long as the other end keeps it."""
    sent, connection = 0, None
    while sent < count:
        try:
            if connection is None:
                connection = socket.create_connection(("127.0.0.1", port), 5)
                connection.settimeout(0.02)
            connection.sendall(next(source))
            sent += 1
            if not connection.recv(1 << 16):
                raise ConnectionError
        except TimeoutError:
            pass
        except OSError:
            connection.close()
            connection = None
    if connection is not None:
        connection.close()


def resident(member):
    """Its resident memory in MiB."""
    with open(f"/proc/{member.child.pid}/status", encoding="ascii") as text:
        line = next(line for line in text if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


@suite.scenario
def garbage_at_the_controllers_changes_nothing(context):
    """Random and bent frames at every controller's port while topics are made."""
    cluster = context.own()
    cluster.start()
    leader = leader_of(context, cluster)
    before = [resident(member) for member in cluster.members]
    pelting = [
        threading.Thread(target=pelt, args=(member.controller_port, frames(seed), 900))
        for seed, member in enumerate(cluster.members * 2, context.seed)
    ]
    for thread in pelting:
        thread.start()
    made = []
    while any(thread.is_alive() for thread in pelting):
        made.append(context.topic(cluster.address, partitions=1))
    for thread in pelting:
        thread.join()
    cluster.wait_formed()
    assert len(cluster.cluster_ids()) == 1
    grown = [resident(member) - was for member, was in zip(cluster.members, before)]
    assert max(grown) < 100, f"MiB: {grown}"
    for member in cluster.members:
        topics = context.admin(member.address).list_topics(timeout=10).topics
        assert set(made) <= set(topics), (member.node_id, set(made) - set(topics))
        assert "panicked" not in member.tail(1 << 20), member.tail()
    kept = leader_of(context, cluster) is leader
    return (f"{len(made)} topics meanwhile, {max(grown):.0f} MiB more, seed {context.seed}, "
            f"{'the same' if kept else 'another'} leader")
