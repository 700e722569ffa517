"""Our own command line, against our broker and against Apache Kafka alike."""

import json

from ..harness import procs
from ..harness.broker import binary
from . import suite


def tidelog(context, *arguments, check=True, stdin=None, timeout=60):
    """Runs our command line against the broker."""
    options = {"stdin": open(stdin, "rb")} if stdin else {}
    try:
        return procs.run([binary(), *arguments, "--bootstrap-server", context.broker.address],
                         timeout=timeout, check=check, **options)
    finally:
        if stdin:
            options["stdin"].close()


@suite.scenario
def topics(context):
    """create, list, describe and delete, with exit codes."""
    name = context.name("cli")
    tidelog(context, "topic", "create", name, "-p", "3", "--config", "retention.ms=3600000")
    again = tidelog(context, "topic", "create", name, check=False)
    assert again.returncode == 1 and again.stderr, again
    assert name in tidelog(context, "topic", "list").stdout.decode()
    listed = json.loads(tidelog(context, "topic", "list", "-o", "json").stdout)
    assert name in json.dumps(listed)
    described = json.loads(tidelog(context, "topic", "describe", name, "-o", "json").stdout)
    assert name in json.dumps(described)
    tidelog(context, "topic", "delete", name)
    assert tidelog(context, "topic", "describe", name, check=False).returncode == 1
    assert procs.run([binary(), "topic", "nonsense"], check=False).returncode == 2


@suite.scenario
def produce_and_consume(context):
    """Lines in, lines out, with keys; in a group, too; other clients read the same."""
    topic = context.topic("cli-lines")
    lines = [b"k%d\tv%d %s" % (n % 7, n, b"." * (n % 300)) for n in range(20_000)]
    path = context.file(b"\n".join(lines) + b"\n")
    tidelog(context, "produce", "-t", topic, "--key-separator", "\\t", "-z", "zstd", str(path))
    out = tidelog(context, "consume", "-t", topic, "--from-beginning", "-e", "-f",
                  "%k\\t%v\\n").stdout
    assert out.splitlines() == lines
    assert context.kcat("-C", "-q", "-e", "-t", topic, "-K", "\t").stdout.splitlines() == lines
    group = context.name("group")
    seen = []
    for count in (5_000, 15_000):
        seen += tidelog(context, "consume", "-t", topic, "-g", group, "--from-beginning", "-n",
                        str(count), "-f", "%k\\t%v\\n").stdout.splitlines()
    assert seen == lines


@suite.scenario
def a_file_through_standard_input(context):
    """The corpus's first 10 MB from standard input."""
    path, _ = context.corpus()
    with open(path, "rb") as file:
        part = file.read(10_000_000)
    part = part[:part.rindex(b"\n") + 1]
    topic = context.topic("cli-file")
    tidelog(context, "produce", "-t", topic, stdin=context.file(part))
    out = tidelog(context, "consume", "-t", topic, "--from-beginning", "-e").stdout
    assert out == part


@suite.scenario
def nobody_there(_context):
    """A broker that is not there: exit code 1 and a sentence, within the time asked for."""
    done = procs.run([binary(), "topic", "list", "--bootstrap-server", "127.0.0.1:1",
                      "--timeout", "2s"], check=False, timeout=20)
    assert done.returncode == 1 and done.stderr, done
