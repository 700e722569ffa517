"""Clients take all of the machine: what keeps the cluster together does not wait behind them."""

import re
import struct
import sys
import threading
import time

from confluent_kafka.admin import NewTopic

from ..compat.wire import Raw, string
from ..harness import procs
from ..harness.broker import binary
from . import suite
from .failover import leader_of
from .makers import CREATE_TOPICS

PARTITIONS = 12
# Retention keeps pace, so that the load is bounded by the machine and not by the disk's size.
TOPIC = {"segment.bytes": "16777216", "retention.bytes": "67108864", "file.delete.delay.ms": "500"}
SETTINGS = {"log.retention.check.interval.ms": "500", "max.connections.per.ip": "2147483647"}
# What each client does, and whether the broker compresses what it sends: that is work for brokers
# which costs clients nothing.
LOADS = [("bulk", False), ("bulk", True), ("bulk", True), ("safe", False), ("small", False)]
BUSY_LEAST = 0.9
# How many ask the controller for topics and do not wait, for how many each, and for how long.
LEAVERS, AT_ONCE, LEAVING_S = 6, 20, 3
CHANGE = "BrokerRegistrationChangeRecord"


def processors():
    """(busy, all) seconds of all processors so far."""
    with open("/proc/stat", encoding="ascii") as stat:
        ticks = [int(number) for number in stat.readline().split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def used(member):
    """Seconds of processor time that a member's process has used."""
    with open(f"/proc/{member.child.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def epoch(member):
    """The epoch of the quorum as it tells it."""
    text = member.http("/metrics", timeout=30)[1]
    return int(re.search(r"\nkafka_server_raftmetrics_current_epoch (\d+)\n", text).group(1))


def changes(member):
    """How often a broker was fenced or unfenced, as its metadata log has it."""
    log = next((member.data / "__cluster_metadata-0").glob("*.log"))
    count = procs.run([binary(), "dump", log]).stdout.decode().count(CHANGE)
    assert count > 0, f"not one {CHANGE} in {log}, though every broker was unfenced once"
    return count


def make_topics(context, cluster, until):
    """Topics one after another until then; the seconds that each took."""
    took = []
    admin = context.admin(cluster.address)
    while time.monotonic() < until:
        began = time.monotonic()
        name = context.name("made")
        admin.create_topics([NewTopic(name, 3, 1)], operation_timeout=30)[name].result(60)
        took.append(time.monotonic() - began)
        procs.wait_until(lambda began=began: time.monotonic() > began + 0.25, "a pause", 10, 0.02)
    return sorted(took)


@suite.scenario
def produce_on_every_core_fences_nobody(context):
    """Records, small requests and connections on all cores: no election, nobody is fenced."""
    cluster = context.own(settings=SETTINGS)
    cluster.start()
    leader = procs.wait_until(lambda: leader_of(cluster), "a controller", 20, 0.02)
    topics = {packed: context.name("load") for packed in (False, True)}
    for packed, topic in topics.items():
        config = dict(TOPIC, **({"compression.type": "gzip"} if packed else {}))
        context.admin(cluster.address).create_topics(
            [NewTopic(topic, PARTITIONS, 1, config=config)])[topic].result(30)
    before = epoch(leader), changes(leader), processors(), [used(one) for one in cluster.members]
    began = time.monotonic()
    loads = [procs.spawn([sys.executable, "-m", "tests.cluster.pressure", kind, cluster.address,
                          topics[packed], PARTITIONS, context.seconds], stdout=-1, text=True)
             for kind, packed in LOADS]
    took = make_topics(context, cluster, began + context.seconds)
    busy, total = (now - then for now, then in zip(processors(), before[2]))
    spent = [used(one) - then for one, then in zip(cluster.members, before[3])]
    answers = [one.communicate(timeout=120)[0] for one in loads]
    assert all(one.returncode == 0 for one in loads), answers
    after = epoch(leader), changes(leader)
    assert after == before[:2], f"epoch and fencings before {before[:2]}, after {after}"
    assert leader_of(cluster) is leader
    assert busy / total >= BUSY_LEAST, f"the machine was {busy / total:.0%} busy only"
    done = dict.fromkeys(("bulk", "safe", "small"), 0)
    for (kind, _), answer in zip(LOADS, answers):
        done[kind] += int(answer) / context.seconds
    return (f"{context.seconds} s, machine {busy / total:.0%} busy, brokers "
            f"{sum(spent) / context.seconds:.2f} cores; a second: {done['bulk']:.0f} records "
            f"acks=1, {done['safe']:.0f} acks=all, {done['small']:.0f} small requests; "
            f"{len(took)} topics made in {took[len(took) // 2] * 1000:.0f} ms (p50), "
            f"{took[len(took) * 99 // 100] * 1000:.0f} (p99), {took[-1] * 1000:.0f} (longest)")


def leave(context, port, until, sent):
    """Asks the controller for topics on connection after connection, and waits for no answer."""
    while time.monotonic() < until:
        topics = b"".join(string(context.name("left")) + struct.pack(">ihii", 1, 1, 0, 0)
                          for _ in range(AT_ONCE))
        raw = Raw(port, timeout=10)
        raw.send(raw.frame(CREATE_TOPICS, 4, struct.pack(">i", AT_ONCE) + topics
                           + struct.pack(">ib", 30_000, 0)))
        raw.socket.close()
        sent.append(raw)


@suite.scenario
def who_asks_and_leaves_holds_up_nobody(context):
    """Clients of the controller's own port that do not wait: no election, nobody is fenced."""
    cluster = context.own()
    cluster.start()
    leader = procs.wait_until(lambda: leader_of(cluster), "a controller", 20, 0.02)
    before = epoch(leader), changes(leader)
    sent, aim = [], (leader.controller_port, time.monotonic() + LEAVING_S)
    leavers = [threading.Thread(target=leave, args=(context, *aim, sent)) for _ in range(LEAVERS)]
    for one in leavers:
        one.start()
    for one in leavers:
        one.join(60)
    assert len(sent) >= 10 * LEAVERS, len(sent)
    # It is answered behind all that was asked before.
    began = time.monotonic()
    context.topic(leader.address)
    took = time.monotonic() - began
    after = epoch(leader), changes(leader)
    assert after == before, f"epoch and fencings before {before}, after {after}"
    assert leader_of(cluster) is leader
    return f"{len(sent)} left; a topic after them in {took:.2f} s"
