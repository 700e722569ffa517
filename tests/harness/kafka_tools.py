"""Kafka's own command line tools, run one after another in one warm virtual machine."""

import pathlib
import select
import tempfile

from . import procs, tools

HERE = pathlib.Path(__file__).resolve().parent
JVM = ["java", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx512m",
       f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}"]
QUICK_START = ["-XX:TieredStopAtLevel=1"]
NAMES = {
    "topics": "org.apache.kafka.tools.TopicCommand",
    "producer": "org.apache.kafka.tools.ConsoleProducer",
    "consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "offsets": "org.apache.kafka.tools.GetOffsetShell",
    "dump": "org.apache.kafka.tools.DumpLogSegments",
    "versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "share-consumer": "org.apache.kafka.tools.consumer.ConsoleShareConsumer",
    "cluster": "org.apache.kafka.tools.ClusterTool",
    "storage": "kafka.tools.StorageTool",
    "quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "cluster": "org.apache.kafka.tools.ClusterTool",
    "features": "org.apache.kafka.tools.FeatureCommand",
    "configs": "kafka.admin.ConfigCommand",
    "verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
    "verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "transactions": "org.apache.kafka.tools.TransactionsCommand",
    "producer-perf": "org.apache.kafka.tools.ProducerPerformance",
    "consumer-perf": "org.apache.kafka.tools.ConsumerPerformance",
}


class Result:
    """What one run of a tool left behind."""

    def __init__(self, name, code, out, err):
        self.name, self.code, self.out_file, self.err_file = name, code, out, err

    @property
    def out(self):
        """Standard output as text."""
        return self.out_file.read_text("utf-8", "replace")

    @property
    def err(self):
        """Standard error as text."""
        return self.err_file.read_text("utf-8", "replace")

    def ok(self):
        """Fails unless the tool ended with exit code 0."""
        assert self.code == 0, f"{self.name} exit {self.code}: {self.err[-2000:]}{self.out[-1000:]}"
        return self


class KafkaTools:
    """One virtual machine that runs one tool at a time; two of them run two at a time."""

    def __init__(self, pin=None, quick_start=True):
        self.command = ["taskset", "-c", str(pin)] if pin is not None else []
        self.command += JVM + (QUICK_START if quick_start else [])
        self.scratch = tempfile.TemporaryDirectory(prefix="tidelog-tools-")
        self.count = 0
        self.child = None
        self.running = None

    def _start(self):
        if self.child is None:
            path = tools.java(HERE / "ToolServer.java")
            self.child = procs.spawn(
                [*self.command, "-cp", path, "ToolServer"], stdin=-1, stdout=-1, text=True)

    def begin(self, name, *arguments, stdin="/dev/null"):
        """Starts a tool; `finish` waits for it."""
        assert self.running is None, f"{self.running[0]} still runs"
        self._start()
        self.count += 1
        base = pathlib.Path(self.scratch.name)
        out, err = base / f"{self.count}.out", base / f"{self.count}.err"
        fields = [NAMES[name], str(stdin), str(out), str(err), *map(str, arguments)]
        assert not any("\t" in field or "\n" in field for field in fields), fields
        self.child.stdin.write("\t".join(fields) + "\n")
        self.child.stdin.flush()
        self.running = (name, out, err)

    def finish(self, timeout=120):
        """Waits for the running tool."""
        name, out, err = self.running
        ready, _, _ = select.select([self.child.stdout], [], [], timeout)
        if not ready:
            procs.kill(self.child)
            self.child = self.running = None
            raise procs.Timeout(f"{name} took over {timeout} s: {err.read_text()[-2000:]}")
        line = self.child.stdout.readline()
        self.running = None
        if not line.strip():
            self.child = None
            raise AssertionError(f"the virtual machine ended under {name}: {err.read_text()}")
        return Result(name, int(line), out, err)

    def finished(self):
        """Whether the running tool has ended."""
        return bool(select.select([self.child.stdout], [], [], 0)[0])

    def __call__(self, name, *arguments, stdin="/dev/null", timeout=120):
        """Runs a tool to its end."""
        self.begin(name, *arguments, stdin=stdin)
        return self.finish(timeout)

    def close(self):
        """Ends the virtual machine."""
        if self.child is not None:
            self.child.stdin.close()
            procs.kill(self.child)
            self.child = None
        self.scratch.cleanup()
