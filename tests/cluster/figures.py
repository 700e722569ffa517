"""Measures how soon the controller is back: python -m tests.cluster.figures [--peer kafka] ...

Prints a row for each fault and size of cluster, for the table in broker/docs/clusters.md.
"""

import argparse
import statistics
import sys
import time

from ..harness import net, tools
from ..harness.cluster import Cluster, Member
from .faults import Isolation, Kill, Pause, Trial
from .kafka import KafkaMember

FAULTS = {"kill": Kill, "pause": Pause, "isolation": Isolation,
          "in": lambda: Isolation("in"), "out": lambda: Isolation("out")}
# What Tidelog has by default and Kafka has not; and how long Kafka's brokers wait for an answer of
# a controller before they look for another (30 s), which Tidelog's know when one is elected.
OUR_TIMES = {"controller.quorum.fetch.timeout.ms": "1000", "broker.session.timeout.ms": "1500",
             "broker.heartbeat.interval.ms": "300", "controller.socket.timeout.ms": "2000"}


def measure(kind, settings, size, names, rounds):
    """Strikes the active controller again and again; yields a line for each fault."""
    network = net.Net(size)
    cluster = Cluster(size, settings, network, kind)
    try:
        formed = cluster.start(180)
        print(f"{size} nodes serve after {formed:.1f} s", file=sys.stderr, flush=True)
        for name in names:
            fault = FAULTS[name]()
            trial = Trial(cluster, name, reads=kind is Member)
            measured = []
            for _ in range(rounds):
                trial.wait_made(3, 90)
                measured.append(trial.suffer(fault, 90))
                text = " ".join(f"{seconds:.2f}" for seconds in measured[-1])
                print(f"  {fault.name}: {text}", file=sys.stderr, flush=True)
            trial.end()
            made, unsure = trial.judge()
            elected, _, last = zip(*measured)
            yield (f"| {fault.name} | {size} | {rounds} | {statistics.median(elected):.2f} | "
                   f"{max(elected):.2f} | {statistics.median(last):.2f} | {max(last):.2f} | "
                   f"{made} | {unsure} |")
    finally:
        cluster.close()
        network.close()


def main():
    """Reads the command line and measures."""
    parser = argparse.ArgumentParser(prog="figures")
    parser.add_argument("--peer", choices=["kafka"], help="Apache Kafka in the place of ours")
    parser.add_argument("--our-times", action="store_true",
                        help="Kafka with the time-outs that Tidelog has by default")
    parser.add_argument("--nodes", type=int, nargs="+", default=[3, 5])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--faults", nargs="+", choices=sorted(FAULTS),
                        default=["kill", "pause", "isolation"])
    options = parser.parse_args()
    kind = KafkaMember if options.peer else Member
    if options.peer:
        tools.kafka()
    began = time.monotonic()
    print("| fault | nodes | times | elected: median s | worst s | back: median s | worst s "
          "| topics | not answered |\n|---|---|---|---|---|---|---|---|---|", flush=True)
    for size in options.nodes:
        settings = dict(OUR_TIMES) if options.our_times else {}
        for row in measure(kind, settings, size, options.faults, options.rounds):
            print(row, flush=True)
    print(f"took {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
