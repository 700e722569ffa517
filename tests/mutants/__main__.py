"""Plants bugs in the group coordinator and in the metadata quorum, one at a time in a scratch
copy, and shows which tests catch each: python -m tests.mutants [NAME...]. Run by hand; a bug that
survives fails the run."""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from . import coordinator, quorum, sim

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The crate, the folder that files are named in, which of its tests are run, and the bugs. Many
# seeds want an optimiser.
FAST = ["--config", "profile.dev.package.tidelog-quorum.opt-level=2"]
# A search to its end, as where debug assertions are off.
WHOLE = [*FAST, "--config", "profile.dev.package.tidelog-quorum.debug-assertions=false"]
CRATES = [
    ("coordinator", "coordinator/src", ["--lib"], coordinator.MUTANTS),
    ("quorum", "quorum/src", ["--test", "sim", *FAST], quorum.MUTANTS),
    ("quorum", "quorum/src", ["--lib", "tests::model", *WHOLE], quorum.MODEL),
    ("sim", "", ["--profile", "ci", "tests::"], sim.MUTANTS),
]
# A part of the seeds that tests/run runs, so that what is found here is found there.
SEEDS = {"TIDELOG_QUORUM_COUNT": "2000", "TIDELOG_SIM_COUNT": "4000",
         "TIDELOG_SIM_FROM": "1000000000"}


def copy(into):
    """The workspace without what is built; all of it new, so that cargo uses nothing that it built
    of another copy."""
    keep_out = shutil.ignore_patterns("target", ".git", "__pycache__")
    shutil.copytree(ROOT, into, dirs_exist_ok=True, ignore=keep_out, copy_function=shutil.copy)


def tests(root, crate, which):
    """Runs tests of a crate; returns the names of those that failed, with the number of seeds that
    it took where they are counted, or None for a build that failed."""
    command = ["cargo", "test", "-q", "-p", f"tidelog-{crate}", *which]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if "could not compile" in done.stderr:
        print(done.stderr[-2000:])
        return None
    lines = done.stdout.splitlines()
    named = [line.strip() for line in lines if line.startswith("    ")]
    failed = sorted({name for name in named if re.fullmatch(r"[\w:]+", name)})
    assert failed or done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    first = int(os.environ["TIDELOG_SIM_FROM"])
    seeds = map(int, re.findall(r"TIDELOG_SIM_SEED=(\d+) fails", done.stdout))
    seeds = [seed - first for seed in seeds if 0 <= seed - first]
    if crate == "sim" and "tests::fresh_clusters" in failed:
        failed.append(f"{min(seeds) + 1} seeds")
    return failed


def main():
    parser = argparse.ArgumentParser(prog="mutants")
    parser.add_argument("only", nargs="*", help="plant those whose name holds one of these")
    options = parser.parse_args()
    chosen = [
        (crate, folder, which, mutant)
        for crate, folder, which, mutants in CRATES
        for mutant in mutants
        if not options.only or any(only in mutant[0] for only in options.only)
    ]
    survived = []
    for name, count in SEEDS.items():
        os.environ.setdefault(name, count)
    with tempfile.TemporaryDirectory(prefix="tidelog-mutants-") as scratch:
        copy(scratch)
        os.environ.setdefault("CARGO_TARGET_DIR", f"{scratch}/target")
        for crate, folder, which, _ in CRATES:
            if any((crate, folder, which) == other[:3] for other in chosen):
                assert tests(scratch, crate, which) == [], f"{crate} fails without a planted bug"
        for crate, folder, which, (name, file, old, new) in chosen:
            path = pathlib.Path(scratch) / "broker" / folder / file
            text = path.read_text("utf-8")
            assert text.count(old) == 1, f"{name}: found {text.count(old)} times in {file}"
            path.write_text(text.replace(old, new), "utf-8")
            failed = tests(scratch, crate, which)
            path.write_text(text, "utf-8")
            short = [test.removeprefix("shard::tests::") for test in failed or []]
            print(f"{name}: {'caught by ' + ', '.join(short) if failed else 'SURVIVED'}",
                  flush=True)
            if not failed:
                survived.append(name)
    print(f"{len(chosen) - len(survived)} of {len(chosen)} caught")
    sys.exit(1 if survived else 0)


main()
