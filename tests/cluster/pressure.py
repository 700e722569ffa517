"""A client that loads a cluster as hard as it can, a process of its own:
python -m tests.cluster.pressure KIND ADDRESS TOPIC PARTITIONS SECONDS; prints what was answered.

bulk: 1 KiB records in large batches, acks=1. safe: the same with acks=all, idempotent. small: 200
connections to every broker, each with one request under way: metadata and tiny fetches by turns.
"""

import random
import socket
import struct
import sys
import time

from confluent_kafka import Producer

from ..bench import load
from ..compat.wire import string

# Does not compress: a broker that has to compress it works hard.
RECORD = random.Random(5).randbytes(1024)
CONNECTIONS = 200
METADATA, FETCH = 3, 1


def produce(address, topic, partitions, seconds, settings):
    """Records without a pause; returns those acknowledged, and the first refusals."""
    producer = Producer({"bootstrap.servers": address, "log_level": 0, "linger.ms": 5,
                         "batch.size": 262144, "queue.buffering.max.kbytes": 65536, **settings})
    done, refused = [0], []

    def delivered(error, _message):
        if error:
            refused.append(str(error))
        else:
            done[0] += 1
    until, at = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        try:
            for _ in range(100):
                producer.produce(topic, RECORD, partition=at % partitions, on_delivery=delivered)
                at += 1
        except BufferError:
            producer.poll(0.01)
        producer.poll(0)
    producer.flush(30)
    assert not refused, refused[:3]
    return done[0]


class Asker(load.Connection):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, loop, port, topic):
        super().__init__(loop, port)
        self.topic, self.answers = topic, 0

    def ask(self):
        """Metadata of all topics, or a fetch that finds nothing, by turns."""
        if self.answers % 2 == 0:
            return self.request(METADATA, 1, struct.pack(">i", -1), self._answered)
        body = (struct.pack(">iiiibi", -1, 0, 0, 1024, 0, 1) + string(self.topic)
                + struct.pack(">iiqi", 1, 0, 1 << 60, 1024))
        return self.request(FETCH, 4, body, self._answered)

    def _answered(self, _answer):
        self.answers += 1
        self.ask()


def small(address, topic, seconds):
    """Many connections with small requests; returns the answers."""
    loop = load.Loop()
    ports = [int(one.rsplit(":", 1)[1]) for one in address.split(",")]
    askers = [Asker(loop, port, topic) for port in ports for _ in range(CONNECTIONS)]
    for asker in askers:
        asker.ask()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        loop.wait(0.1)
    answered = sum(asker.answers for asker in askers)
    loop.close()
    return answered


def main():
    """Loads, and prints a number."""
    socket.setdefaulttimeout(60)
    kind, address, topic, partitions, seconds = sys.argv[1:]
    if kind == "small":
        print(small(address, topic, float(seconds)))
        return
    settings = {"bulk": {"acks": 1}, "safe": {"acks": "all", "enable.idempotence": True}}[kind]
    print(produce(address, topic, int(partitions), float(seconds), settings))


if __name__ == "__main__":
    main()
