"""Runs the scenarios: python -m tests.compat [--peer kafka] [--brokers 3] [NAME...]."""

import argparse
import importlib
import sys

from ..harness.broker import KINDS
from ..harness.several import Several
from . import families, suite
from .context import CORPUS_BYTES, Context

# In this order; the last one looks at the files that all the others made.
MODULES = ["story", "produce", "topics", "offsets", "fetch", "groups", "grouprules",
           "configs", "tools", "observe", "badinput", "wirerules", "conversion", "limits", "movein",
           "cli", "cli_groups", "cli_cluster", "lifecycle", "dump", "own_dump"]


def main():
    parser = argparse.ArgumentParser(prog="compat")
    parser.add_argument("--peer", choices=sorted(KINDS), default="tidelog")
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1,
                        help="3: our brokers, three that form a cluster; by hand")
    parser.add_argument("--corpus-bytes", type=int, default=CORPUS_BYTES)
    parser.add_argument("only", nargs="*", help="run scenarios whose name holds one of these")
    options = parser.parse_args()
    for module in MODULES:
        importlib.import_module(f"{__package__}.{module}")
    if options.peer != "tidelog":
        suite.name = f"compat against {options.peer}"
    kind = KINDS[options.peer] if options.brokers == 1 else Several
    context = Context(kind, options.corpus_bytes)
    try:
        suite.run(context, options.only)
    finally:
        context.close()
    # The seven families have a broker of their own.
    passed, failed = families.main.run_all(kind, options.only)
    passed, failed = passed + suite.passed, failed + suite.failed
    print(f"{suite.name}: {passed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed or not passed else 0)


main()
