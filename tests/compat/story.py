"""The main job: a real file in through one client, kill -9 in the middle, out through others."""

import time

from ..harness import procs
from . import suite


def kill_in_the_middle(context, topic, total, still_running):
    """kill -9 once about a quarter is on disk, and a restart at once. Returns the bytes seen."""
    procs.wait_until(lambda: context.broker.log_bytes(topic) > total // 4,
                     f"a quarter of {topic}", 60, 0.002)
    context.broker.kill()
    seen = context.broker.log_bytes(topic)
    assert still_running(), "the producer had ended before the kill"
    assert seen < total, f"{seen} of {total} bytes were stored before the kill"
    context.broker.start()
    return seen


def read_back(context, topic, path, count):
    """The console consumer, kcat and a Python client all read exactly the file."""
    low, high = context.watermarks(topic)
    assert (low, high) == (0, count), f"offsets {low}..{high}, acknowledged {count}"
    expected = path.read_bytes()
    kcat_file = context.file()
    with open(kcat_file, "wb") as out:
        context.kcat("-C", "-q", "-e", "-t", topic, "-p", "0", "-o", "beginning", stdout=out)
    compare("kcat", kcat_file.read_bytes(), expected)
    result = context.tool("consumer", "--topic", topic, "--partition", "0", "--offset",
                          "earliest", "--max-messages", count, "--timeout-ms", "30000").ok()
    compare("console consumer", result.out_file.read_bytes(), expected)
    result.out_file.unlink()
    found = context.read(topic, count, timeout=90)
    assert [m.offset() for m in found] == list(range(count)), "offsets are not 0, 1, 2, ..."
    compare("python", b"".join(m.value() + b"\n" for m in found), expected)


def compare(who, found, expected):
    """Names the first line that differs."""
    if found == expected:
        return
    found, expected = found.split(b"\n"), expected.split(b"\n")
    for number, (left, right) in enumerate(zip(found, expected)):
        assert left == right, f"{who}: line {number} is {left[:80]!r}, expected {right[:80]!r}"
    raise AssertionError(f"{who}: {len(found)} lines, expected {len(expected)}")


@suite.scenario
def file_through_kcat(context):
    """100 MB by kcat, idempotent, across kill -9; read back by three clients."""
    path, count = context.corpus()
    topic = context.topic("story-kcat")
    started = time.monotonic()
    producer = procs.spawn(
        [context.kcat_path, "-b", context.broker.address, "-P", "-E", "-t", topic, "-p", "0",
         "-X", "enable.idempotence=true", "-X", "acks=all", "-X", "message.timeout.ms=120000",
         "-X", "reconnect.backoff.max.ms=500", "-l", path],
        stderr=-1)
    seen = kill_in_the_middle(context, topic, path.stat().st_size,
                              lambda: producer.poll() is None)
    _, err = producer.communicate(timeout=120)
    assert producer.returncode == 0, f"kcat exit {producer.returncode}: {err[-2000:]!r}"
    assert b"Delivery failed" not in err, err[-2000:]
    took = time.monotonic() - started
    read_back(context, topic, path, count)
    return f"{count} records, killed at {seen >> 20} MiB, produced in {took:.1f} s"


@suite.scenario
def file_through_console_producer(context):
    """100 MB by Kafka's console producer across kill -9; read back by three clients."""
    path, count = context.corpus()
    topic = context.topic("story-console")
    started = time.monotonic()
    context.tools.begin(
        "producer", "--bootstrap-server", context.broker.address, "--topic", topic,
        "--request-required-acks", "all", "--message-send-max-retries", "1000000",
        "--command-property", "reconnect.backoff.max.ms=500",
        stdin=path)
    seen = kill_in_the_middle(context, topic, path.stat().st_size,
                              lambda: context.tools.finished() is False)
    result = context.tools.finish(180).ok()
    assert "ERROR" not in result.err, result.err[-2000:]
    took = time.monotonic() - started
    read_back(context, topic, path, count)
    return f"{count} records, killed at {seen >> 20} MiB, produced in {took:.1f} s"
