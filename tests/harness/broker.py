"""A broker under test: ours, or Apache Kafka as the peer, behind one face."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from . import procs, tools
from .kafka_tools import HERE

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qk"
# The same settings for both, so that scenarios see the same broker.
SETTINGS = {
    "offsets.topic.num.partitions": "5",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "log.segment.bytes": "16777216",
    "log.retention.check.interval.ms": "3000",
    "log.initial.task.delay.ms": "1000",
    "num.partitions": "1",
}


def binary(profile="ci"):
    """Our broker's program; TIDELOG_BIN names another one."""
    if os.environ.get("TIDELOG_BIN"):
        return pathlib.Path(os.environ["TIDELOG_BIN"])
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    return target / profile / "tidelog"


class Broker:
    """One broker process with a data directory of its own that survives restarts."""

    name = "?"
    # How many brokers there are.
    size = 1

    def __init__(self, settings=None, pin=None, base=None):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix=f"tidelog-{self.name}-", dir=base))
        self.data = self.home / "data"
        self.port = procs.free_port()
        self.second_port = procs.free_port()
        self.settings = dict(SETTINGS, **(settings or {}))
        self.pin = pin
        self.environment = []
        self.child = None
        self.log = self.home / "broker.log"

    @property
    def address(self):
        """host:port for clients."""
        return f"127.0.0.1:{self.port}"

    def port_of(self, topic, partition=0):
        """The port of a partition's leader."""
        assert topic is not None and partition >= 0
        return self.port

    def port_of_node(self, node_id):
        """The port of a broker by its id."""
        assert node_id == 1
        return self.port

    def command(self):
        """The program and its arguments."""
        raise NotImplementedError

    def start(self, wait=True, timeout=60):
        """Starts the process and waits until it serves. Returns the seconds that took."""
        assert self.child is None
        started = time.monotonic()
        command = self.command()
        if self.pin is not None:
            command = ["taskset", "-c", str(self.pin), *command]
        if self.environment:
            command = ["env", *self.environment, *command]
        with open(self.log, "ab") as log:
            self.child = procs.spawn(command, stdout=log, stderr=subprocess.STDOUT)
        if wait:
            self.wait_ready(timeout)
        return time.monotonic() - started

    def wait_ready(self, timeout=60):
        """Waits until a client's metadata request is answered with this broker in it."""
        try:
            procs.wait_until(lambda: procs.listening(self.port), f"{self.name} listens",
                             timeout, alive=self.child)
            procs.wait_until(self._answers, f"{self.name} answers", timeout, alive=self.child)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from None

    def _answers(self):
        done = procs.run([tools.kcat(), "-b", self.address, "-L", "-m", "2"], check=False)
        return done.returncode == 0 and b" 1 brokers:" in done.stdout

    def kill(self):
        """kill -9."""
        assert self.child is not None and self.child.poll() is None, self.tail()
        procs.kill(self.child)
        self.child = None

    def stop(self, timeout=60):
        """SIGTERM and wait for a clean end. Returns (exit code, seconds)."""
        started = time.monotonic()
        self.child.send_signal(signal.SIGTERM)
        try:
            code = self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise procs.Timeout(f"no end {timeout} s after SIGTERM\n{self.tail()}") from None
        self.child = None
        return code, time.monotonic() - started

    def close(self, keep=False):
        """Ends the process and removes what it wrote."""
        if self.child is not None:
            procs.kill(self.child)
            self.child = None
        if not keep:
            shutil.rmtree(self.home, ignore_errors=True)

    def alive(self):
        """Whether the process runs."""
        return self.child is not None and self.child.poll() is None

    def tail(self, size=4000):
        """The end of what it printed."""
        text = self.log.read_text("utf-8", "replace") if self.log.exists() else ""
        return f"--- {self.log}\n{text[-size:]}"

    def logs(self, topic, partition=0):
        """The segment files of a partition, oldest first."""
        return sorted((self.data / f"{topic}-{partition}").glob("*.log"))

    def log_bytes(self, topic, partition=0):
        """How much of a partition is in its files now."""
        return sum(path.stat().st_size for path in self.logs(topic, partition))


class Tidelog(Broker):
    """Our broker, `tidelog serve` with a configuration file."""

    name = "tidelog"

    def command(self):
        config = self.home / "broker.properties"
        lines = {
            "node.id": "1",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "log.dirs": str(self.data),
            "tidelog.admin.port": str(self.second_port),
            **self.settings,
        }
        config.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        return [binary(), "serve", "--config", config]


class Kafka(Broker):
    """Apache Kafka 4.3.1, one node that is broker and controller."""

    name = "kafka"
    heap = "512m"
    # Whether the quorum is formed by `format --standalone` (its voter has a directory id) instead
    # of by controller.quorum.voters.
    standalone = False
    jvm = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]

    def command(self):
        jars = tools.kafka()
        config = self.home / "server.properties"
        lines = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},"
                         f"CONTROLLER://127.0.0.1:{self.second_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": str(self.data),
            **self.settings,
        }
        controller = f"127.0.0.1:{self.second_port}"
        if self.standalone:
            lines["controller.quorum.bootstrap.servers"] = controller
        else:
            lines["controller.quorum.voters"] = f"1@{controller}"
        config.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        java = ["java", f"-Xmx{self.heap}", *self.jvm, "-Xshare:auto",
                f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}", "-cp", jars]
        if not (self.data / "meta.properties").exists():
            procs.run([*java, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID,
                       "-c", config, *(["--standalone"] if self.standalone else [])])
        return [*java, "kafka.Kafka", config]


KINDS = {"tidelog": Tidelog, "kafka": Kafka}
