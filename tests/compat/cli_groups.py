"""`tidelog group`, `tidelog config` and the rarer words of `tidelog topic`, held against Kafka's
own tools on the same cluster."""

import csv
import io
import json

from ..harness import procs
from ..harness.broker import binary
from . import suite
from .cli import tidelog


def answer(context, *arguments, **options):
    """What a command says with -o json."""
    return json.loads(tidelog(context, *arguments, "-o", "json", **options).stdout)


def refused(context, *arguments):
    """Standard error of a command that has to fail with exit code 1."""
    done = tidelog(context, *arguments, check=False)
    assert done.returncode == 1 and done.stderr, done
    return done.stderr.decode()


def rows(text):
    """CSV as rows of text, in order. Kafka's tool puts warnings between them."""
    return sorted(row for row in csv.reader(io.StringIO(text))
                  if len(row) == 3 and row[1].isdigit())


def committed(context, group, topic, offsets):
    """A group without members that has committed these offsets of a topic's partitions."""
    path = context.file("".join(f"{topic},{index},{offset}\n"
                                for index, offset in offsets.items()).encode())
    done = answer(context, "group", "reset", group, "--from-file", str(path), "--execute")
    assert done[0]["executed"] and len(done[0]["offsets"]) == len(offsets), done


def numbered(context, partitions=3, count=50):
    """A topic whose record n of each partition has the time 1,000 s + n s."""
    topic = context.topic("cli-reset", partitions=partitions, retention_ms=-1)
    producer = context.producer()
    for partition in range(partitions):
        for number in range(count):
            producer.produce(topic, b"x", partition=partition,
                             timestamp=1_000_000 + number * 1000)
    assert producer.flush(30) == 0
    return topic


@suite.scenario
def every_way_to_reset(context):
    """Each option of Kafka's tool gives the offsets that Kafka's tool gives."""
    topic, group = numbered(context), context.name("group")
    committed(context, group, topic, {0: 10, 1: 20})
    path = context.file(f"{topic},0,7\n{topic},2,700\n".encode())
    options = [
        ["--to-earliest"], ["--to-latest"], ["--to-current"], ["--to-offset", "30"],
        ["--to-offset", "3000"], ["--to-offset", "-5"],
        ["--to-datetime", "1970-01-01T00:16:45.000"],
        ["--to-datetime", "1970-01-01T01:16:45.000+01:00"], ["--by-duration", "PT1H"],
        ["--by-duration", "P20000D"],
    ]
    runs = [(option, ["--topic", topic]) for option in options]
    runs += [(["--to-earliest"], ["--topic", f"{topic}:1,2"]), (["--to-latest"], ["--all-topics"]),
             (["--shift-by", "5"], ["--all-topics"]), (["--shift-by", "-15"], ["--all-topics"]),
             (["--shift-by", "500"], ["--topic", f"{topic}:0"]), (["--from-file", str(path)], [])]
    for option, scope in runs:
        own = tidelog(context, "group", "reset", group, *option, *scope, "--export")
        said = context.tool("groups", "--reset-offsets", "--group", group, *option, *scope,
                            "--dry-run", "--export").ok().out
        assert rows(own.stdout.decode()) == rows(said) != [], (option, scope, own.stdout, said)
    assert "could be shifted" in refused(context, "group", "reset", group, "-t", topic,
                                         "--shift-by", "1")
    # Nothing was executed so far; now it is, and both tools see it.
    lag = answer(context, "group", "lag", group)[0]
    assert [one["committed"] for one in lag["partitions"]] == [10, 20], lag
    tidelog(context, "group", "reset", group, "-t", topic, "--to-offset", "30", "--execute")
    lag = answer(context, "group", "lag", group)[0]
    assert lag["lag"] == 60 and all(one["lag"] == 20 for one in lag["partitions"]), lag
    said = context.tool("groups", "--describe", "--group", group).ok().out
    assert sum(line.split()[1:6] == [topic, line.split()[2], "30", "50", "20"]
               for line in said.splitlines() if topic in line) == 3, said
    export = tidelog(context, "group", "reset", group, "--all-topics", "--to-current", "--export")
    saved = context.file(export.stdout)
    tidelog(context, "group", "reset", group, "-t", topic, "--to-latest", "--execute")
    context.tool("groups", "--reset-offsets", "--group", group, "--from-file", saved,
                 "--execute").ok()
    assert answer(context, "group", "lag", group)[0]["lag"] == 60
    return f"{len(runs)} resets"


@suite.scenario
def a_group_with_members(context):
    """A live group is described, not reset, not deleted; afterwards it is."""
    topic, group = numbered(context, count=5), context.name("group")
    out = context.file()
    member = procs.spawn([binary(), "consume", "-t", topic, "-g", group, "--from-beginning",
                          "--bootstrap-server", context.broker.address], stdout=open(out, "wb"))
    try:
        def all_committed():
            found = tidelog(context, "group", "describe", group, "-o", "json", check=False)
            if found.returncode:
                return False
            one = json.loads(found.stdout)[0]
            return one["state"] == "Stable" and len(one["offsets"]) == 3 and one["lag"] == 0 \
                and all(part["committed"] == 5 for part in one["offsets"])
        procs.wait_until(all_committed, "the member has committed", 30)
        one = answer(context, "group", "describe", group)[0]
        assert [member["partitions"] for member in one["members"]] == [{topic: [0, 1, 2]}], one
        assert one["members"][0]["topics"] == [topic] and one["strategy"] == "range", one
        assert one["offsets"][0]["member"] == one["members"][0]["member"], one
        listed = {found["group"]: found for found in answer(context, "group", "list")}
        assert listed[group]["state"] == "Stable" and \
            listed[group]["type"].lower() == "classic", listed[group]
        assert group in [found["group"] for found in
                         answer(context, "group", "list", "--state", "stable")]
        assert group not in [found["group"] for found in
                             answer(context, "group", "list", "--state", "Empty")]
        assert "is Stable" in refused(context, "group", "reset", group, "--all-topics",
                                      "--to-earliest", "--execute")
        assert "NON_EMPTY_GROUP" in refused(context, "group", "delete", group)
        assert "GROUP_SUBSCRIBED_TO_TOPIC" in refused(context, "group", "delete-offsets", group,
                                                      "-t", topic)
    finally:
        member.terminate()
        member.wait(20)
    assert out.read_bytes() == b"x\n" * 15
    assert answer(context, "group", "describe", group)[0]["state"] == "Empty"
    tidelog(context, "group", "delete-offsets", group, "-t", f"{topic}:0,1")
    left = answer(context, "group", "lag", group)[0]["partitions"]
    assert [one["partition"] for one in left] == [2], left
    tidelog(context, "group", "delete", group)
    assert "no group" in refused(context, "group", "describe", group)
    assert "no group" in refused(context, "group", "delete", group)


@suite.scenario
def settings(context):
    """What is set is shown with its source, by us and by Kafka's tool, and can be taken back."""
    topic = context.topic("cli-config")
    whole = answer(context, "config", "describe", "-t", topic, "--all")["configs"]
    assert {"retention.ms", "cleanup.policy"} <= {one["name"] for one in whole}, whole
    tidelog(context, "config", "set", "-t", topic, "retention.ms=123456789",
            "cleanup.policy=delete")
    own = answer(context, "config", "describe", "-t", topic)["configs"]
    assert {one["name"]: (one["value"], one["source"]) for one in own} == {
        "retention.ms": ("123456789", "topic"), "cleanup.policy": ("delete", "topic")}, own
    said = context.tool("configs", "--describe", "--topic", topic).ok().out
    assert "retention.ms=123456789" in said, said
    tidelog(context, "config", "set", "-t", topic, "retention.ms=5", "--validate-only")
    refused(context, "config", "set", "-t", topic, "retention.ms=soon")
    for command in (["set", "-t", topic, "retention.mx=5"], ["unset", "-t", topic, "retention.mx"],
                    ["set", "-t", topic, "retention.ms=7", "--append", "retention.mx=5"],
                    ["describe", "-t", topic, "-k", "retention.mx"]):
        said = refused(context, "config", *command)
        assert "retention.mx" in said and "did you mean retention.ms?" in said, said
    said = refused(context, "topic", "create", topic + "-x", "--config", "retention.mx=5")
    assert "did you mean retention.ms?" in said, said
    for entity in (["--broker-defaults"], ["-b", "1"]):
        said = refused(context, "config", "unset", *entity, "log.retention.mx")
        assert "did you mean log.retention.ms?" in said, said
    for change, expected in (("--append", "delete,compact"), ("--subtract", "delete")):
        tidelog(context, "config", "set", "-t", topic, change, "cleanup.policy=compact")
        own = answer(context, "config", "describe", "-t", topic, "-k", "cleanup.policy")["configs"]
        assert own[0]["value"] == expected, (change, own)
    assert "retention.ms" in refused(context, "config", "set", "-t", topic, "--append",
                                     "retention.ms=5")
    tidelog(context, "config", "unset", "-t", topic, "cleanup.policy")
    own = answer(context, "config", "describe", "-t", topic)["configs"]
    assert [(one["name"], one["value"]) for one in own] == [("retention.ms", "123456789")], own
    refused(context, "config", "describe", "-t", topic + "-not-there")


@suite.scenario
def broker_settings(context):
    """One broker, all brokers, log levels, groups."""
    for entity, source in ((["--broker-defaults"], "broker-defaults"), (["-b", "1"], "broker")):
        tidelog(context, "config", "set", *entity, "log.cleaner.backoff.ms=17000")
        own = answer(context, "config", "describe", *entity, "-k",
                     "log.cleaner.backoff.ms")["configs"]
        assert [(one["value"], one["source"]) for one in own] == [("17000", source)], own
    for entity in (["--broker-defaults"], ["-b", "1"]):
        tidelog(context, "config", "unset", *entity, "log.cleaner.backoff.ms")
    whole = answer(context, "config", "describe", "-b", "1", "--all")["configs"]
    found = {one["name"]: one for one in whole}
    assert found["node.id"]["value"] == "1" and found["node.id"]["read_only"], found["node.id"]
    assert "9" in refused(context, "config", "describe", "-b", "9")
    levels = answer(context, "config", "describe", "--broker-logger", "1")["configs"]
    assert levels and all(one["source"] == "broker-logger" for one in levels), levels[:3]
    group = context.name("group")
    tidelog(context, "config", "set", "-g", group, "consumer.session.timeout.ms=50000")
    own = answer(context, "config", "describe", "-g", group)["configs"]
    assert ("consumer.session.timeout.ms", "50000") in [(one["name"], one["value"])
                                                        for one in own], own


@suite.scenario
def partitions_and_records(context):
    """More partitions, offsets by meaning and time, records deleted."""
    topic = numbered(context, partitions=1, count=20)
    tidelog(context, "topic", "add-partitions", topic, "-p", "3", "--validate-only")
    assert len(answer(context, "topic", "describe", topic)["partitions"]) == 1
    tidelog(context, "topic", "add-partitions", topic, "-p", "3")
    assert len(answer(context, "topic", "describe", topic)["partitions"]) == 3
    assert "INVALID_PARTITIONS" in refused(context, "topic", "add-partitions", topic, "-p", "2")
    both = answer(context, "topic", "offsets", topic)
    assert [(one["earliest"], one["latest"]) for one in both] == [(0, 20), (0, 0), (0, 0)], both
    for time, kafka, expected in (("latest-record", "-3", 19),
                                  ("1970-01-01T00:16:45", "1005000", 5)):
        own = answer(context, "topic", "offsets", topic, "--at", time)[0]["offset"]
        said = context.tool("offsets", "--topic", topic, "--time", kafka).ok().out
        assert own == expected and f"{topic}:0:{expected}" in said, (time, own, said)
    deleted = answer(context, "topic", "delete-records", f"{topic}:0", "--before",
                     "@1970-01-01T00:16:45")
    assert deleted == [{"topic": topic, "partition": 0, "earliest": 5}], deleted
    assert "OFFSET_OUT_OF_RANGE" in refused(context, "topic", "delete-records", topic, "--before",
                                            "100")
    answer(context, "topic", "delete-records", f"{topic}:0", "--before", "latest")
    assert answer(context, "topic", "offsets", f"{topic}:0")[0]["earliest"] == 20
    would = answer(context, "topic", "create", topic + "-new", "-p", "4", "--validate-only")
    assert would["partitions"] == 4 and not would["created"], would
    assert f"did you mean {topic}?" in refused(context, "topic", "describe", topic + "x")


@suite.scenario
def json_in_and_out(context):
    """What consume prints as JSON, produce takes: keys, nulls, bytes, headers, times, places."""
    first, second = (context.topic("cli-json", partitions=4) for _ in range(2))
    producer = context.producer()
    for number in range(200):
        producer.produce(first, None if number % 9 == 0 else bytes([number]) * 3,
                         None if number % 7 == 0 else f"key {number}", number % 4,
                         headers=[("h", b"\xff"), ("h", None)],
                         timestamp=1_700_000_000_000 + number)
    assert producer.flush(30) == 0
    out = tidelog(context, "consume", "-t", first, "--from-beginning", "-e", "-o", "json").stdout
    path = context.file(out)
    tidelog(context, "produce", "-t", second, "--input-format", "json", "--keep-partitions", "-z",
            "gzip", "--compression-level", "9", "--progress", str(path))
    again = tidelog(context, "consume", "-t", second, "--from-beginning", "-e", "-o", "json").stdout
    records = [sorted(out.replace(first.encode(), b"T").splitlines()),
               sorted(again.replace(second.encode(), b"T").splitlines())]
    assert len(records[0]) == 200 and records[0] == records[1]
    bare = context.topic("cli-json-bare")
    tidelog(context, "produce", "-t", bare, "--input-format", "json",
            stdin=context.file(b'{"value":"x","headers":null}\n{"value":"y","headers":[]}\n'))
    out = tidelog(context, "consume", "-t", bare, "--from-beginning", "-e", "-o", "json").stdout
    assert [json.loads(line)["headers"] for line in out.splitlines()] == [[], []], out
    # Without its partition a record goes where its key belongs, as with the Java client.
    keyed = context.topic("cli-keys", partitions=4)
    lines = "".join(json.dumps({"key": f"k{n}", "value": str(n)}) + "\n" for n in range(300))
    tidelog(context, "produce", "-t", keyed, "--input-format", "json",
            stdin=context.file(lines.encode()))
    other = context.topic("cli-keys-java", partitions=4)
    typed = context.file("".join(f"k{n}:{n}\n" for n in range(300)).encode())
    context.tool("producer", "--topic", other, "--reader-property", "parse.key=true",
                 "--reader-property", "key.separator=:", stdin=typed).ok()
    places = []
    for topic in (keyed, other):
        found = tidelog(context, "consume", "-t", topic, "--from-beginning", "-e", "-f",
                        "%k %p\\n").stdout
        places.append(sorted(found.splitlines()))
    assert len(places[0]) == 300 and places[0] == places[1]
    broken = context.file(b'{"key":"a","value":"1"}\n{"kye":"a"}\n')
    assert "line 2" in refused(context, "produce", "-t", keyed, "--input-format", "json",
                               str(broken))
