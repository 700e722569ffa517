"""The families: what to start, and how each client names or does things its own way."""

import sys

from ...harness import tools
from ...harness.kafka_tools import JVM, QUICK_START
from ...harness.tools import DRIVERS

# What the clients call the assignors in the protocol.
PROTOCOLS = {"range": "range", "roundrobin": "roundrobin", "sticky": "sticky",
             "cooperative": "cooperative-sticky", "custom": "backwards"}


class Family:
    """One client library."""

    def __init__(self, name, command, murmur2=True, protocols=None, header_order=True,
                 no_offset_is_end=False, sticky=True):
        self.name = name
        self.command = command
        # Whether keys go where the Java client puts them.
        self.murmur2 = murmur2
        self.protocols = {**PROTOCOLS, **(protocols or {})}
        # Whether headers keep their order across different names.
        self.header_order = header_order
        # Whether the end stands for no offset at a time.
        self.no_offset_is_end = no_offset_is_end
        # Whether the eager sticky assignor keeps what it can for several members of a process.
        self.sticky = sticky


def python(name):
    """A driver in Python, run by the suite's own interpreter."""
    return lambda: [sys.executable, "-u", DRIVERS / f"{name}.py"]


def go(name):
    """A driver in Go."""
    return lambda: [tools.go_clients() / name]


def node():
    """The driver of kafkajs."""
    return ["env", f"NODE_PATH={tools.kafkajs()}", "node", DRIVERS / "kafkajs" / "driver.js"]


def java():
    """The driver of the Java client."""
    path = tools.java(DRIVERS / "java" / "JavaDriver.java")
    return [*JVM, *QUICK_START, "-cp", path, "JavaDriver"]


FAMILIES = [
    Family("java", java),
    Family("librdkafka", python("confluent")),
    Family("franz-go", go("franz"), sticky=False),
    Family("sarama", go("sarama")),
    # Its members of a process share what the assignor remembers.
    Family("aiokafka", python("aio"), sticky=False),
    Family("kafka-python", python("kafkapython")),
    Family("kafkajs", node, protocols={"roundrobin": "RoundRobinAssigner"},
           header_order=False, no_offset_is_end=True),
]
