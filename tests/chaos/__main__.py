"""Runs the faults: python -m tests.chaos [--long] [--seed N] [--peer kafka] [NAME...]."""

import argparse
import sys

from ..harness.broker import KINDS
from . import disks, kill9, suite  # noqa: F401  (importing registers the scenarios)


class Context:
    """A broker of its own for each scenario."""

    def __init__(self, kind, rounds, seed):
        self.kind, self.rounds, self.seed = kind, rounds, seed
        self.broker = None

    def before(self, _scenario):
        """A fresh broker."""
        self.close()
        self.broker = self.kind({"log.retention.check.interval.ms": "300000"})
        self.broker.start()

    def after(self, _scenario):
        """The broker outlives the load."""
        assert self.broker.alive(), self.broker.tail()

    def failed(self, _scenario):
        """Keeps the data of a failure and says where."""
        print(self.broker.tail(2000), flush=True)
        print(f"     kept: {self.broker.home}", flush=True)
        self.broker.close(keep=True)
        self.broker = None

    def close(self):
        """Ends the broker."""
        if self.broker is not None:
            self.broker.close()
            self.broker = None


def main():
    """Reads the command line and runs."""
    parser = argparse.ArgumentParser(prog="chaos")
    parser.add_argument("--peer", choices=sorted(KINDS), default="tidelog")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--seed", type=int, default=20260901)
    parser.add_argument("only", nargs="*")
    options = parser.parse_args()
    context = Context(KINDS[options.peer], 100 if options.long else 20, options.seed)
    try:
        failed = suite.run(context, options.only)
    finally:
        context.close()
    sys.exit(1 if failed else 0)


main()
