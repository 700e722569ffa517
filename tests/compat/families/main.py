"""The command line of the families alone, and all their modules."""

import argparse
import sys

from ...harness.broker import KINDS
from . import administration, commits, members, records, scale
from .runner import run_all

MODULES = (members, commits, administration, records, scale)


def main():
    """Reads the command line and runs."""
    parser = argparse.ArgumentParser(prog="families")
    parser.add_argument("--peer", choices=sorted(KINDS), default="tidelog")
    parser.add_argument("only", nargs="*")
    options = parser.parse_args()
    passed, failed = run_all(KINDS[options.peer], options.only)
    print(f"{passed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed or not passed else 0)
