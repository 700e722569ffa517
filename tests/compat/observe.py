"""Looking at a running broker: producers by Kafka's own tool, metrics by Prometheus'."""

import re
import tempfile
import urllib.request

from confluent_kafka import TopicPartition

from ..harness import procs, tools
from . import suite


@suite.scenario
def producers_by_kafkas_tool(context):
    """kafka-transactions describe-producers shows an idempotent producer's last sequence."""
    topic = context.topic("producers", partitions=2)
    context.produce(topic, [b"x"] * 12, enable_idempotence=True)

    def described(partition):
        out = context.tool("transactions", "describe-producers", "--topic", topic,
                           "--partition", partition).ok().out
        head, *rows = [line.split() for line in out.splitlines() if line.strip()]
        return [dict(zip(head, row)) for row in rows]
    [found] = described(0)
    assert found["ProducerEpoch"] == "0" and found["LastSequence"] == "11", found
    assert found["LatestCoordinatorEpoch"] == "-1", found
    assert found["CurrentTransactionStartOffset"] == "None", found
    assert described(1) == []


def checked(scrape):
    """What promtool says of a scrape: whether it can be read, and what it finds amiss."""
    with tempfile.TemporaryFile() as file:
        file.write(scrape)
        file.seek(0)
        done = procs.run([tools.promtool(), "check", "metrics"], check=False, stdin=file)
    return done.returncode, (done.stdout + done.stderr).decode().splitlines()


HEAD = re.compile(r"# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)")
LABELS = r'\{[a-zA-Z_]\w*="(?:[^"\\]|\\[\\"n])*"(?:,[a-zA-Z_]\w*="(?:[^"\\]|\\[\\"n])*")*\}'
SAMPLE = re.compile(rf"([a-zA-Z_:][a-zA-Z0-9_:]*)((?:{LABELS})?) (-?[0-9.]+(?:e[+-]?[0-9]+)?|NaN)")


def amiss(scrape):
    """What promtool lets pass: families in two pieces or without a head, a series that comes
    twice, a sum that has no summary."""
    seen, series, family, kind = set(), set(), None, None
    for line in scrape.decode().splitlines():
        head, sample = HEAD.fullmatch(line), SAMPLE.fullmatch(line)
        if head and head[1] == "HELP":
            if head[2] in seen or kind is False:
                yield line
            seen.add(head[2])
            family, kind = head[2], False
        elif head:
            if head[2] != family or kind is not False:
                yield line
            kind = head[3]
        elif sample:
            parts = ("", "_sum", "_count") if kind == "summary" else ("",)
            whole = [f"{family}{part}" for part in parts]
            if sample[1] not in whole or not kind or sample.groups()[:2] in series:
                yield line
            series.add(sample.groups()[:2])
        else:
            yield line


@suite.ours
@suite.one_broker
def metrics_by_promtool(context):
    """promtool reads a scrape of a busy broker, and objects to no name of our own."""
    topic = context.topic("quoted", partitions=3)
    context.produce(topic, [b"x"] * 50)
    consumer = context.consumer(group_id='a "group"\\ with\nall\tof it')
    consumer.commit(offsets=[TopicPartition(topic, 0, 7)], asynchronous=False)
    with urllib.request.urlopen(
            f"http://127.0.0.1:{context.broker.second_port}/metrics", timeout=30) as answer:
        scrape = answer.read()
    consumer.close()
    assert b'a \\"group\\"\\\\ with\\nall' in scrape, "the group's name, escaped"
    code, said = checked(scrape)
    # 3: it can be read, and there is something to be said about style.
    assert code in (0, 3), said
    ours = [line for line in said if not line.startswith("kafka_")]
    assert not ours, ours
    assert not list(amiss(scrape)), list(amiss(scrape))
    # What would be said of a scrape that is not one.
    for bad in (b'x{a="b} 1\n', b"x y\n", b"# TYPE tidelog_build_info gauge\n"):
        assert checked(scrape + bad)[0] == 1, bad
    first = scrape.split(b"\n", 3)[2] + b"\n"
    for bad in (first, b"x_sum 1\n", b'x{a="\\t"} 1\n', b"# HELP tidelog_build_info x\n"):
        assert list(amiss(scrape + bad)), bad
    return f"{len(scrape.splitlines())} lines"
