"""Cases beside the main table, each of its own broker: many groups, many partitions, a rebalance.

python -m tests.bench --case NAME. The brokers take their turns one after the other; the load
client runs in this process, on the clients' core.
"""

import os
import statistics
import struct
import time
import urllib.request

from ..compat.wire import Raw, string
from ..harness import procs
from . import load, measure

SETTINGS = {"offsets.topic.num.partitions": "50", "max.connections.per.ip": "100000",
            "log.retention.check.interval.ms": "300000", "log.initial.task.delay.ms": "300000",
            "tidelog.metrics.partition.level": "partition"}
GROUPS, GROUP_WARM, GROUP_SECONDS = 1_000, 30, 30
TOPICS, TOPICS_AT_ONCE, PARTITIONS_EACH, IDLE_SETTLE, IDLE_SECONDS = 100, 10, 100, 10, 15
MEMBERS, REBALANCES = 100, 7


def settings(kind):
    """What this broker takes: Kafka refuses keys that are not its own."""
    ours = kind.name == "tidelog"
    return {key: value for key, value in SETTINGS.items()
            if ours or not key.startswith("tidelog.")}


def create_topics(raw, topics, partitions):
    """Asks for topics in one request; the names must be new."""
    body = struct.pack(">i", len(topics))
    for topic in topics:
        body += string(topic) + struct.pack(">ihii", partitions, 1, 0, 0)
    raw.socket.settimeout(300)
    answer = raw.request(19, 4, body + struct.pack(">ib", 300_000, 0))
    at = 8
    for _ in topics:
        name, at = load.text(answer, at)
        code = struct.unpack_from(">h", answer, at)[0]
        assert code == 0, f"CreateTopics {name}: {code}"
        _, at = load.text(answer, at + 2)


def all_served(raw, topics, partitions):
    """Whether the end of every partition is told without an error."""
    indexes = b"".join(struct.pack(">iq", index, -1) for index in range(partitions))
    body = struct.pack(">ii", -1, len(topics))
    for topic in topics:
        body += string(topic) + struct.pack(">i", partitions) + indexes
    answer = raw.request(2, 1, body)
    at = 4
    for _ in topics:
        _, at = load.text(answer, at)
        count = struct.unpack_from(">i", answer, at)[0]
        at += 4
        for index in range(count):
            if struct.unpack_from(">h", answer, at + index * 22 + 4)[0] != 0:
                return False
        at += count * 22
    return True


def make_topics(broker, topics, partitions):
    """Seconds from the request until every partition is served."""
    with Raw(broker.port, timeout=300) as raw:
        started = time.monotonic()
        # Kafka takes fewer than 10,000 partitions in one request.
        for at in range(0, len(topics), TOPICS_AT_ONCE):
            create_topics(raw, topics[at:at + TOPICS_AT_ONCE], partitions)
        procs.wait_until(lambda: all_served(raw, topics, partitions), "all are served", 300, 0.05)
        return time.monotonic() - started


def prepare_groups(broker, group):
    """Has the offsets topic made, and waits until the group is coordinated."""
    with Raw(broker.port, timeout=60) as raw:
        def found():
            answer = raw.request(10, 1, string(group) + b"\0")
            return struct.unpack_from(">h", answer, 4)[0] == 0
        procs.wait_until(found, f"a coordinator of {group}", 60, 0.1)


def idle_percent(broker, seconds):
    """Processor time of the broker left alone, in percent of one core."""
    pid, before = broker.child.pid, measure.cpu_seconds(broker.child.pid)
    until = time.monotonic() + seconds
    procs.wait_until(lambda: time.monotonic() >= until, "the time is over", seconds + 5, 0.5)
    return (measure.cpu_seconds(pid) - before) / seconds * 100


def groups(broker):
    """1,000 groups of one member: each commits once a second and beats every three."""
    make_topics(broker, ["commits"], 1)
    prepare_groups(broker, "bench-0")
    loop = load.Loop()
    try:
        members = [load.Member(loop, broker.port, f"bench-{number}", "commits")
                   for number in range(GROUPS)]
        for member in members:
            member.join()
            loop.wait(0)
        for member in members:
            load.until_ready(loop, [member], 60)
        warm = _commit(loop, members, GROUP_WARM)
        before, own = measure.cpu_seconds(broker.child.pid), time.process_time()
        done = _commit(loop, members, GROUP_SECONDS)
        used = measure.cpu_seconds(broker.child.pid) - before
        own = time.process_time() - own
    finally:
        loop.close()
    assert warm and done >= 0.9 * GROUPS * GROUP_SECONDS, f"{done} commits only"
    return {"groups_cpu": used / GROUP_SECONDS * 100, "groups_client": own / GROUP_SECONDS * 100,
            "groups_rate": done / GROUP_SECONDS}


def _commit(loop, members, seconds):
    """Every member commits once a second, spread over it; returns the answered commits."""
    before = sum(member.commits for member in members)
    started = time.monotonic()
    step, at = 1 / len(members), 0
    while at < seconds * len(members):
        due = int((time.monotonic() - started) / step) + 1
        while at < min(due, seconds * len(members)):
            member = members[at % len(members)]
            number = at // len(members)
            at += 1
            if member.then is None:
                member.commit(beat=number % 3 == 1)
        loop.wait(0.005)
    loop.wait(0.2)
    return sum(member.commits for member in members) - before


def partitions(broker):
    """10,000 partitions in 100 topics: made ten topics at a time, then left alone."""
    make_topics(broker, ["first"], 1)
    pid = broker.child.pid
    before = measure.resident_mb(pid)
    names = [f"many-{number:03d}" for number in range(TOPICS)]
    used = measure.cpu_seconds(pid)
    took = make_topics(broker, names, PARTITIONS_EACH)
    used = measure.cpu_seconds(pid) - used
    idle_percent(broker, IDLE_SETTLE)
    count = TOPICS * PARTITIONS_EACH
    result = {"create": took * 1000, "create_cpu": used,
              "per_partition": (measure.resident_mb(pid) - before) * 1024 / count,
              "idle": idle_percent(broker, IDLE_SECONDS)}
    if broker.name == "tidelog":
        result["scrape"] = statistics.median(_scrape(broker) for _ in range(9)) * 1000
    return result


def _scrape(broker):
    """Seconds for one scrape, to its last byte."""
    started = time.monotonic()
    with urllib.request.urlopen(f"http://127.0.0.1:{broker.second_port}/metrics") as answer:
        text = answer.read()
    took = time.monotonic() - started
    assert text.count(b"\nkafka_log_log_size{") >= TOPICS * PARTITIONS_EACH
    return took


def rebalance(broker):
    """100 members of one group join again at once, until each has its new assignment."""
    make_topics(broker, ["shared"], MEMBERS)
    prepare_groups(broker, "crowd")
    loop = load.Loop()
    times = []
    try:
        members = [load.Member(loop, broker.port, "crowd", "shared") for _ in range(MEMBERS)]
        for _ in range(REBALANCES):
            procs.wait_until(lambda: loop.wait(0) or all(m.then is None for m in members),
                             "nothing is under way", 10, 0)
            started = time.monotonic()
            for member in members:
                member.join()
            load.until_ready(loop, members)
            times.append((time.monotonic() - started) * 1000)
    finally:
        loop.close()
    # The first one forms the group.
    return {"rebalance": statistics.median(times[1:])}


def scale():
    """A simulated cluster of many brokers, by the simulator's own test: what it prints."""
    for sizes in SCALES:
        done = procs.run(["cargo", "test", "--profile", "ci", "-p", "tidelog-sim", "--lib",
                          "scale::", "--", "--nocapture"], timeout=1800,
                         env=dict(os.environ, TIDELOG_SIM_SCALE=sizes))
        print(done.stdout.decode(), flush=True)


CASES = {"groups": groups, "partitions": partitions, "rebalance": rebalance, "scale": None}
# Brokers, partitions, heartbeat interval, session time-out: our defaults, then Kafka's.
SCALES = ["1000,100000,300,1500", "1000,100000,2000,9000"]
# case, key, title, unit, digits, goal
ROWS = [
    ("groups", "groups_cpu", "1,000 groups of one member, a commit a second each: broker's CPU",
     "% of a core", 1, "<= 1/3"),
    ("groups", "groups_rate", "- commits answered", "1/s", 0, ""),
    ("groups", "groups_client", "- the load client's own CPU", "% of a core", 1, ""),
    ("partitions", "create", "10,000 partitions (100 topics): made and served", "ms", 0,
     "<= 1/10"),
    ("partitions", "create_cpu", "- broker's CPU for it", "s", 2, ""),
    ("partitions", "per_partition", "- resident memory for each", "KiB", 1, "<= 8 KiB"),
    ("partitions", "idle", "- CPU when idle", "% of a core", 2, "<= 1 %"),
    ("partitions", "scrape", "- scrape, a series for each partition", "ms", 1, "<= 20 ms"),
    ("rebalance", "rebalance", "100 members join again: until all have assignments", "ms", 1,
     "<= 1"),
]


def run(names, kinds, broker_core, client_core):
    """Runs the cases and returns the table in markdown."""
    if "scale" in names:
        scale()
        names = [name for name in names if name != "scale"]
        if not names:
            return ""
    os.sched_setaffinity(0, {client_core})
    results = {}
    for name in names:
        for of, kind in kinds.items():
            broker = kind(settings(kind), pin=broker_core)
            try:
                broker.start(timeout=120)
                results.setdefault(of, {}).update(CASES[name](broker))
            finally:
                broker.close()
            print(f"{name}: {of}: {results[of]}", flush=True)
    lines = ["| case | unit | tidelog | Apache Kafka 4.3.1 | ratio | goal |",
             "|---|---|---|---|---|---|"]
    for case, key, title, unit, digits, goal in ROWS:
        if case not in names:
            continue
        ours, theirs = (results.get(of, {}).get(key) for of in ("tidelog", "kafka"))
        shown = ["-" if value is None else f"{value:.{digits}f}" for value in (ours, theirs)]
        ratio = f"{ours / theirs:.2f}" if ours is not None and theirs else "-"
        lines.append(f"| {title} | {unit} | {shown[0]} | {shown[1]} | {ratio} | {goal} |")
    return "\n".join(lines)
