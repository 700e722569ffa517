"""Plants bugs in the group coordinator, one at a time in a scratch copy, and shows which tests
catch each: python -m tests.mutants [NAME...]. Run by hand; a bug that survives fails the run."""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from .coordinator import MUTANTS

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = "tidelog-coordinator"


def copy(into):
    """The workspace without what is built."""
    keep_out = shutil.ignore_patterns("target", ".git", "__pycache__")
    shutil.copytree(ROOT, into, dirs_exist_ok=True, ignore=keep_out)


def tests(root):
    """Runs the package's tests; returns the names of those that failed, or None for a build
    that failed."""
    command = ["cargo", "test", "-q", "-p", PACKAGE, "--lib"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if "could not compile" in done.stderr:
        print(done.stderr[-2000:])
        return None
    lines = done.stdout.splitlines()
    named = [line.strip() for line in lines if line.startswith("    ") and "::" in line]
    failed = sorted(set(named))
    assert failed or done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return failed


def main():
    parser = argparse.ArgumentParser(prog="mutants")
    parser.add_argument("only", nargs="*", help="plant those whose name holds one of these")
    options = parser.parse_args()
    chosen = [m for m in MUTANTS if not options.only or any(o in m[0] for o in options.only)]
    survived = []
    with tempfile.TemporaryDirectory(prefix="tidelog-mutants-") as scratch:
        copy(scratch)
        os.environ.setdefault("CARGO_TARGET_DIR", f"{scratch}/target")
        assert tests(scratch) == [], "the tests fail without any planted bug"
        for name, file, old, new in chosen:
            path = pathlib.Path(scratch) / "broker/coordinator/src" / file
            text = path.read_text("utf-8")
            assert text.count(old) == 1, f"{name}: found {text.count(old)} times in {file}"
            path.write_text(text.replace(old, new), "utf-8")
            failed = tests(scratch)
            path.write_text(text, "utf-8")
            short = [test.removeprefix("shard::tests::") for test in failed or []]
            print(f"{name}: {'caught by ' + ', '.join(short) if failed else 'SURVIVED'}",
                  flush=True)
            if not failed:
                survived.append(name)
    print(f"{len(chosen) - len(survived)} of {len(chosen)} caught")
    sys.exit(1 if survived else 0)


main()
