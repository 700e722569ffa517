"""The benchmark: python -m tests.bench [--quick] [--rounds N] [--only tidelog|kafka] [--case C].

Both brokers get the same work from the same clients in turns (A B A B), pinned to the first
core, the clients to the second. CPU is the broker process's own, from /proc. Figures are medians
over the rounds, with the lowest and the highest. Needs `cargo build --release -p tidelog`.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from ..harness import procs, tools
from ..harness.broker import Kafka, Tidelog, binary
from ..harness.kafka_tools import KafkaTools
from . import cases, measure

BROKER_CORE, CLIENT_CORE = 0, 1
SETTINGS = {"log.segment.bytes": "1073741824", "log.retention.check.interval.ms": "300000",
            "log.initial.task.delay.ms": "300000"}


class BenchKafka(Kafka):
    """Apache Kafka as its own start script runs it."""

    heap = "1g"
    jvm = ["-Xms1g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
           "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent"]


class BenchTidelog(Tidelog):
    """Our release build."""

    def command(self):
        config = super().command()[-1]
        program = os.environ.get("TIDELOG_BIN") or binary("release")
        return [program, "serve", "--config", config]


class Rig:
    """One broker kept running through the rounds, warm, and the clients that load it."""

    def __init__(self, kind, clients, volumes):
        self.broker = kind(SETTINGS, pin=BROKER_CORE)
        self.clients, self.volumes = clients, volumes
        self.results = {}
        self.round = 0

    def note(self, case, value):
        """Keeps one figure."""
        self.results.setdefault(case, []).append(value)

    def prepare(self):
        """Start times, idle memory, and a warm-up that is not counted."""
        for _ in range(self.volumes["starts"]):
            fresh = type(self.broker)(SETTINGS)
            fresh.command()  # formats the directory, which is not part of a start
            try:
                self.note("start", measure.first_acknowledged(fresh) * 1000)
            finally:
                fresh.close()
        self.broker.start()
        settle = time.monotonic() + 3
        procs.wait_until(lambda: time.monotonic() > settle, "standing by", 10, 0.1)
        self.note("rss_idle", measure.resident_mb(self.broker.child.pid))
        # As much as a whole round: a JVM that is still compiling is not what users run for days.
        self.bulk("warm", self.volumes["bulk"])
        self.small("warm-small", self.volumes["small"])

    def _topic(self, name):
        admin = AdminClient({"bootstrap.servers": self.broker.address, "log_level": 0})
        admin.create_topics([NewTopic(name, 6, 1)], operation_timeout=20)[name].result(30)
        # Kafka names leaders before they lead; a producer that comes too early confuses itself.
        consumer = Consumer({"bootstrap.servers": self.broker.address, "group.id": "bench",
                             "log_level": 0})

        def leads():
            try:
                return all(consumer.get_watermark_offsets(TopicPartition(name, part), timeout=5)
                           for part in range(6))
            except KafkaException:
                return False
        procs.wait_until(leads, f"{name} has leaders", 30)
        consumer.close()
        return admin

    def _drop(self, admin, name):
        admin.delete_topics([name], operation_timeout=20)[name].result(30)

    def _costs(self, gigabytes, work):
        pid = self.broker.child.pid
        before = measure.cpu_seconds(pid)
        work()
        return (measure.cpu_seconds(pid) - before) / gigabytes

    def _produce(self, name, records, size, rate, *properties):
        result = self.clients(
            "producer-perf", "--bootstrap-server", self.broker.address, "--topic", name,
            "--num-records", records, "--record-size", size, "--throughput", rate,
            "--command-property", *properties, timeout=600).ok()
        refused = [line for line in result.err.splitlines() if line.startswith("org.apache.")]
        assert not refused, f"{refused[:3]} {result.err[:3000]}"

    def bulk(self, name, records):
        """1 KiB records in 256 KiB batches; then the same bytes read back by consumers."""
        admin = self._topic(name)
        gigabytes = records * 1024 / 1e9
        produced = self._costs(gigabytes, lambda: self._produce(
            name, records, 1024, 100_000, "acks=1", "linger.ms=5", "batch.size=262144"))
        fetched = self._costs(gigabytes, lambda: self.clients(
            "consumer-perf", "--bootstrap-server", self.broker.address, "--topic", name,
            "--num-records", records, "--group", f"bench-{name}", "--fetch-size", 1048576,
            "--timeout", 60000, "--hide-header", timeout=300).ok())
        self._drop(admin, name)
        return produced, fetched

    def small(self, name, records):
        """100 B records, default batches, acks=all, idempotent."""
        admin = self._topic(name)
        cost = self._costs(records * 100 / 1e9, lambda: self._produce(
            name, records, 100, 200_000, "acks=all", "enable.idempotence=true"))
        self._drop(admin, name)
        return cost

    def measure_round(self):
        """One turn."""
        self.round += 1
        produced, fetched = self.bulk(f"bulk-{self.round}", self.volumes["bulk"])
        self.note("produce", produced)
        self.note("fetch", fetched)
        self.note("small", self.small(f"small-{self.round}", self.volumes["small"]))
        self.note("rss_loaded", measure.resident_mb(self.broker.child.pid))


ROWS = [
    ("produce", "bulk produce: 1 KiB, 256 KiB batches, acks=1, 6 partitions", "CPU-s/GB", 2),
    ("fetch", "hot fetch of the same", "CPU-s/GB", 2),
    ("small", "produce: 100 B, default batches, acks=all, idempotent", "CPU-s/GB", 2),
    ("rss_idle", "resident memory, idle", "MB", 0),
    ("rss_loaded", "resident memory, after the work", "MB", 0),
    ("start", "start to first acknowledged produce", "ms", 0),
]


def figure(values, digits):
    """Median (lowest-highest)."""
    if not values:
        return "-"
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def table(results, floors):
    """The table in markdown."""
    lines = ["| case | unit | tidelog | Apache Kafka 4.3.1 | ratio |", "|---|---|---|---|---|"]
    for case, title, unit, digits in ROWS:
        ours, theirs = (results.get(name, {}).get(case, []) for name in ("tidelog", "kafka"))
        ratio = "-"
        if ours and theirs:
            ratio = f"{statistics.median(ours) / statistics.median(theirs):.2f}"
        lines.append(f"| {title} | {unit} | {figure(ours, digits)} | {figure(theirs, digits)} "
                     f"| {ratio} |")
    for name, value in floors.items():
        lines.append(f"| {name} | CPU-s/GB | {value:.2f} | {value:.2f} | |")
    return "\n".join(lines)


def main():
    """Reads the command line, runs, prints the table."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--quick", action="store_true", help="a quarter of the volume, one round")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", choices=["tidelog", "kafka"])
    parser.add_argument("--case", action="append", choices=sorted(cases.CASES),
                        help="these cases instead of the main table")
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else 3)
    volumes = {"bulk": 1_000_000, "small": 4_000_000, "starts": 3} if options.quick else {
        "bulk": 3_000_000, "small": 10_000_000, "starts": 5}
    kinds = {"tidelog": BenchTidelog, "kafka": BenchKafka}
    if options.only:
        kinds = {options.only: kinds[options.only]}
    if options.case:
        print(cases.run(options.case, kinds, BROKER_CORE, CLIENT_CORE))
        return
    clients = KafkaTools(pin=CLIENT_CORE, quick_start=False)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tidelog-bench-"))
    rigs = {name: Rig(kind, clients, volumes) for name, kind in kinds.items()}
    measure.touch_memory()
    try:
        path, wrote = measure.bare_write(folder, 1 << 30)
        floors = {"floor: bare pwrite, 256 KiB": wrote,
                  "floor: bare sendfile, 256 KiB": measure.bare_sendfile(path, 4 << 30)}
        path.unlink()
        for rig in rigs.values():
            rig.prepare()
        for number in range(rounds):
            for name, rig in rigs.items():
                print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
                rig.measure_round()
    finally:
        for rig in rigs.values():
            rig.broker.close()
        clients.close()
        shutil.rmtree(folder, ignore_errors=True)
    results = {name: rig.results for name, rig in rigs.items()}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE,
                            text=True, check=False).stdout.strip()
    print(f"`{' '.join(['tests/run bench', *sys.argv[1:]])}`, commit "
          f"{commit}, {os.cpu_count()} cores, Linux {platform.release()}, {rounds} round(s): "
          f"median (lowest-highest)\n\n{table(results, floors)}\n")
    print(json.dumps({"results": results, "floors": floors}))


if __name__ == "__main__":
    tools.install_all()
    main()
