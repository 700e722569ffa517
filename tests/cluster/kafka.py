"""Members of a cluster of Apache Kafka, for figures beside ours."""

from ..compat.wire import Raw
from ..harness import procs, tools
from ..harness.broker import CLUSTER_ID, Kafka
from ..harness.cluster import Placed
from ..harness.kafka_tools import HERE
from .makers import brokers


class KafkaMember(Placed, Kafka):
    """One process of a cluster of Apache Kafka, broker and controller."""

    heap = "384m"

    def command(self):
        config = self.home / "server.properties"
        lines = {
            "process.roles": "broker,controller",
            "node.id": str(self.node_id),
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{self.controller_address}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "controller.quorum.voters": self.voters,
            "log.dirs": str(self.data),
            **self.settings,
        }
        config.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        java = ["java", f"-Xmx{self.heap}", *self.jvm, "-Xshare:auto",
                f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}", "-cp", tools.kafka()]
        if not (self.data / "meta.properties").exists():
            procs.run([*java, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", config])
        return self.placed([*java, "kafka.Kafka", config])

    def sees(self):
        """The ids of the brokers that it tells clients of; empty while it serves nobody."""
        try:
            with Raw(self.port, 2, self.host) as raw:
                return sorted(brokers(raw))
        except OSError:
            return []
