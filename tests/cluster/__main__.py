"""Runs the scenarios: python -m tests.cluster [--long] [--seed N] [--peer kafka] [NAME...].

With Kafka as the peer only those run that can; what they assert is what both do.
"""

import argparse
import sys

# They register their scenarios.
from . import churn, clients, failover, features, formation, isolation  # noqa: F401
from . import load, quorum, racks, refusals, roles, room, settings  # noqa: F401
from . import unregister  # noqa: F401
from . import suite
from .context import Context
from ..harness.cluster import Member
from .kafka import KafkaMember

WITH_KAFKA = ["features::", "racks::", "settings::"]


def main():
    """Reads the command line and runs."""
    parser = argparse.ArgumentParser(prog="cluster")
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--peer", choices=["kafka"], help="Apache Kafka in the place of ours")
    parser.add_argument("only", nargs="*", help="run scenarios whose name holds one of these")
    options = parser.parse_args()
    topics, seconds = (1_000, 60) if options.long else (150, 12)
    kind = KafkaMember if options.peer else Member
    context = Context(options.seed, topics, seconds, options.long, kind)
    try:
        only = options.only or (WITH_KAFKA if options.peer else ())
        failed = suite.run(context, only)
    finally:
        context.close()
    sys.exit(1 if failed else 0)


main()
