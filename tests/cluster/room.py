"""A metadata log without room on its disk, and clocks that are hours apart."""

import itertools
import pathlib
import tempfile
import time

from confluent_kafka.admin import (AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType)

from ..harness import procs
from ..harness.skew import Skew
from . import suite
from .refusals import created, follower_of, leader_of

DISK_MIB = 12
FILLER = "filler"


class SmallDisk:
    """A file system of its own, of some MiB."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="tidelog-small-"))
        procs.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none", self.path])

    def fill(self):
        """Takes all the room there is."""
        with open(self.path / FILLER, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 14))
            except OSError:
                pass

    def free(self):
        """Gives it back."""
        (self.path / FILLER).unlink()

    def close(self):
        """Removes it."""
        procs.run(["umount", "-l", self.path], check=False)
        self.path.rmdir()


def wordy(context, address, topics, nonce):
    """A change of some 60 KB to each topic; says whether it was made."""
    # The longest text that the protocol takes is 32 KiB.
    text = ",".join(f"{nonce * 4_000 + n}:1" for n in range(4_000))
    names = ("leader.replication.throttled.replicas", "follower.replication.throttled.replicas")
    entries = [ConfigEntry(name, text, incremental_operation=AlterConfigOpType.SET)
               for name in names]
    resources = [ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
                 for topic in topics]
    changes = context.admin(address).incremental_alter_configs(resources, request_timeout=20)
    return all(future.exception() is None for future in changes.values())


@suite.scenario
def a_full_metadata_disk_is_outlived(context):
    """The leader's, then a follower's: others go on, and it comes back when there is room."""
    cluster = context.own()
    disks = {member: SmallDisk() for member in cluster.members}
    try:
        for member, disk in disks.items():
            member.settings["metadata.log.dir"] = str(disk.path)
        cluster.start()
        topics = [context.topic(cluster.address, partitions=1) for _ in range(8)]
        nonces = itertools.count()
        was = leader_of(context, cluster)
        others = [member for member in cluster.members if member is not was]
        by = ",".join(member.address for member in others)
        disks[was].fill()
        began = time.monotonic()

        def deposed():
            # The log has some room of its own left.
            wordy(context, by, topics, next(nonces))
            return leader_of(context, cluster, others) is not was
        procs.wait_until(deposed, "another leads", 40, 0.05)
        led = time.monotonic() - began
        topics.append(created(context, by))
        disks[was].free()
        cluster.wait_formed()
        behind = follower_of(context, cluster)
        by = ",".join(member.address for member in cluster.members if member is not behind)
        disks[behind].fill()
        for _ in range(4):
            procs.wait_until(lambda: wordy(context, by, topics, next(nonces)), "a change", 20)
        topics.append(created(context, by))
        assert behind.alive(), behind.tail()
        disks[behind].free()
        cluster.wait_formed()
        for member in cluster.members:
            def listed(member=member):
                found = context.admin(member.address).list_topics(timeout=10).topics
                return set(topics) <= set(found)
            procs.wait_until(listed, f"every topic at {member.node_id}", 20, 0.1)
        return f"another led after {led:.1f} s"
    finally:
        for member in cluster.members:
            if member.alive():
                member.kill()
        for disk in disks.values():
            disk.close()


@suite.scenario
def clocks_hours_apart_and_jumping_change_nothing(context):
    """Three clocks, six hours apart each; the leader's and the others' jump meanwhile."""
    cluster = context.own()
    skews = [Skew(hours * 3600) for hours in (-6, 0, 6)]
    try:
        for member, skew in zip(cluster.members, skews):
            member.environment = skew.environment()
        cluster.start()
        made = [context.topic(cluster.address)]
        leader = leader_of(context, cluster)
        for step, hours in enumerate((9, -30, 0, 200)):
            for member, skew in zip(cluster.members, skews):
                if (member is leader) == (step % 2 == 0):
                    skew.set(hours * 3600)
            for member in cluster.members:
                made.append(created(context, member.address))
            cluster.wait_formed(timeout=20)
        kept = leader_of(context, cluster) is leader
        # And an election among such clocks.
        leader_of(context, cluster).kill()
        left = [member for member in cluster.members if member.child is not None]
        made.append(created(context, ",".join(member.address for member in left)))
        cluster.wait_formed(members=left)
        for member in left:
            def listed(member=member):
                found = context.admin(member.address).list_topics(timeout=10).topics
                return set(made) <= set(found)
            procs.wait_until(listed, f"every topic at {member.node_id}", 20, 0.1)
        assert len({member.health()["cluster_id"] for member in left}) == 1
        return f"{'the same' if kept else 'another'} leader after four jumps"
    finally:
        for member in cluster.members:
            if member.alive():
                member.kill()
        for skew in skews:
            skew.close()
