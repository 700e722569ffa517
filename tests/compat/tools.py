"""Kafka's own administration tools: groups and their resets, offsets, log directories."""

import datetime
import json
import re
import time

from confluent_kafka import TopicPartition
from confluent_kafka.admin import ConfigResource

from ..harness import procs
from ..harness.kafka_tools import JVM, NAMES, QUICK_START
from ..harness.tools import KAFKA_LIBS
from . import suite

RECORDS = 20
# Far enough apart that a time between two records names exactly one of them.
STEP_MS = 60_000


def stamped(context, stem, partitions=2):
    """A topic with 20 records in each partition, a minute apart; the first one's time in ms."""
    topic = context.topic(stem, partitions=partitions)
    first = int(time.time() * 1000) // STEP_MS * STEP_MS - RECORDS * STEP_MS
    producer = context.producer(acks="all")
    for partition in range(partitions):
        for number in range(RECORDS):
            producer.produce(topic, b"%d" % number, partition=partition,
                             timestamp=first + number * STEP_MS)
    assert producer.flush(30) == 0
    return topic, first


def commit(context, group, offsets):
    """Commits as a simple consumer: {(topic, partition): offset}."""
    consumer = context.consumer(group_id=group)
    done = consumer.commit(offsets=[TopicPartition(topic, partition, offset)
                                    for (topic, partition), offset in offsets.items()],
                           asynchronous=False)
    consumer.close()
    assert all(part.error is None for part in done), done


def committed(context, group, topic, partitions=2):
    """What the group has committed."""
    consumer = context.consumer(group_id=group)
    found = consumer.committed([TopicPartition(topic, part) for part in range(partitions)],
                               timeout=20)
    consumer.close()
    return [part.offset for part in found]


def rows(text, *columns):
    """The wanted columns of a table with a header line."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    head = next(line for line in lines if columns[0] in line)
    return [tuple(line[head.index(column)] for column in columns)
            for line in lines[lines.index(head) + 1:] if len(line) >= len(head)]


def reset(context, group, *how, scope=("--all-topics",), act="--execute"):
    """One reset by Kafka's tool."""
    return context.tool("groups", "--reset-offsets", "--group", group, *scope, *how, act).ok().out


@suite.scenario
def every_reset_of_a_groups_offsets(context):
    """kafka-consumer-groups --reset-offsets with each of its options moves what it says."""
    topic, first = stamped(context, "reset")
    group = context.name("group")

    def when(milliseconds):
        moment = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.timezone.utc)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.000")

    ago = int(time.time() * 1000) - (first + 15 * STEP_MS) + STEP_MS // 2
    cases = [
        (("--to-earliest",), [0, 0]),
        (("--to-latest",), [RECORDS, RECORDS]),
        (("--to-current",), [5, 9]),
        (("--to-offset", "7"), [7, 7]),
        (("--to-offset", "999"), [RECORDS, RECORDS]),
        (("--shift-by", "3"), [8, 12]),
        (("--shift-by", "-6"), [0, 3]),
        (("--to-datetime", when(first + 12 * STEP_MS)), [12, 12]),
        (("--by-duration", f"PT{ago // 1000}S"), [15, 15]),
    ]
    for how, expected in cases:
        commit(context, group, {(topic, 0): 5, (topic, 1): 9})
        out = reset(context, group, *how)
        assert committed(context, group, topic) == expected, (how, out)


@suite.scenario
def resets_choose_their_partitions(context):
    """A reset by topic and partition leaves the rest, a dry run all; a plan comes by file."""
    topic, _ = stamped(context, "reset-some")
    group = context.name("group")
    commit(context, group, {(topic, 0): 5, (topic, 1): 9})
    reset(context, group, "--to-earliest", scope=("--topic", f"{topic}:1"))
    assert committed(context, group, topic) == [5, 0]
    out = reset(context, group, "--to-latest", scope=("--topic", topic), act="--dry-run")
    assert sorted(rows(out, "TOPIC", "PARTITION", "NEW-OFFSET")) == [
        (topic, "0", str(RECORDS)), (topic, "1", str(RECORDS))], out
    assert committed(context, group, topic) == [5, 0]
    plan = context.file(f'"{topic}",0,3\n"{topic}",1,4\n'.encode())
    context.tool("groups", "--reset-offsets", "--group", group, "--from-file", plan,
                 "--execute").ok()
    assert committed(context, group, topic) == [3, 4]
    out = context.tool("groups", "--reset-offsets", "--group", group, "--all-topics",
                       "--to-current", "--export", "--dry-run").ok().out
    assert {f"{topic},0,3", f"{topic},1,4"} <= set(out.replace('"', "").split()), out


@suite.scenario
def groups_are_described(context):
    """kafka-consumer-groups lists a group and shows members, offsets, lag and state."""
    topic, _ = stamped(context, "described")
    group = context.name("group")
    member = context.consumer(group_id=group, client_id="somebody")
    commit(context, group, {(topic, 0): 5, (topic, 1): 9})
    states = context.tool("groups", "--describe", "--group", group, "--state").ok().out
    assert "Empty" in states, states
    member.subscribe([topic])
    procs.wait_until(lambda: (member.poll(0.1), len(member.assignment()))[1] == 2,
                     "both partitions", 40, 0)
    listed = context.tool("groups", "--list", "--state").ok().out
    assert re.search(rf"{group}\s.*Stable", listed), listed
    described = context.tool("groups", "--describe", "--group", group).ok().out
    found = rows(described, "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG")
    assert sorted(found) == [(topic, "0", "5", "20", "15"), (topic, "1", "9", "20", "11")], found
    members = context.tool("groups", "--describe", "--group", group, "--members",
                           "--verbose").ok().out
    assert "somebody" in members and topic in members, members
    state = context.tool("groups", "--describe", "--group", group, "--state").ok().out
    assert "Stable" in state and "range" in state, state
    refused = context.tool("groups", "--reset-offsets", "--group", group, "--all-topics",
                           "--to-earliest", "--execute")
    assert "inactive" in refused.out + refused.err, refused.out + refused.err
    refused = context.tool("groups", "--delete", "--group", group)
    assert "not empty" in (refused.out + refused.err).lower(), refused.out + refused.err
    member.close()


@suite.scenario
def groups_and_offsets_are_deleted(context):
    """kafka-consumer-groups deletes a topic's offsets and whole groups, and names unknown ones."""
    one, _ = stamped(context, "kept")
    other, _ = stamped(context, "dropped")
    group = context.name("group")
    commit(context, group, {(one, 0): 5, (other, 0): 6, (other, 1): 7})
    context.tool("groups", "--delete-offsets", "--group", group, "--topic", other).ok()
    assert committed(context, group, one) == [5, -1001]
    assert committed(context, group, other) == [-1001, -1001]
    out = context.tool("groups", "--delete", "--group", group).ok().out
    assert "successful" in out, out
    assert group not in context.tool("groups", "--list").ok().out.split()
    missing = context.tool("groups", "--describe", "--group", group)
    assert f"Group {group} not found" in missing.out + missing.err, missing.out + missing.err


@suite.scenario
def get_offsets_by_every_time(context):
    """kafka-get-offsets: earliest, latest, largest timestamp, a time, none after the end."""
    topic, first = stamped(context, "times")

    def offsets(moment, *more):
        out = context.tool("offsets", "--topic", topic, "--time", moment, *more).ok().out
        return sorted(line for line in out.split())

    def both(offset):
        return [f"{topic}:{part}:{offset}" for part in range(2)]

    for moment, expected in [("earliest", 0), ("latest", 20), ("max-timestamp", 19),
                             (first + 3 * STEP_MS, 3), (first + 3 * STEP_MS + 1, 4), (0, 0)]:
        assert offsets(moment) == both(expected), (moment, expected)
    beyond = offsets(first + RECORDS * STEP_MS)
    assert beyond == [], beyond
    assert offsets("latest", "--partitions", "1") == [f"{topic}:1:20"]


@suite.scenario
def delete_records_tool(context):
    """kafka-delete-records moves the log start; -1 empties; beyond the end is refused."""
    topic, _ = stamped(context, "deleting")

    def delete(*wanted):
        parts = [{"topic": topic, "partition": part, "offset": offset} for part, offset in wanted]
        plan = context.file(json.dumps({"partitions": parts, "version": 1}).encode())
        return context.tool("delete-records", "--offset-json-file", plan)

    out = delete((0, 7), (1, -1)).ok().out
    assert re.search(r"low_watermark: 7", out) and re.search(r"low_watermark: 20", out), out
    assert context.watermarks(topic, 0) == (7, 20) and context.watermarks(topic, 1) == (20, 20)
    beyond = delete((0, 21))
    assert "OffsetOutOfRange" in beyond.out + beyond.err, beyond.out + beyond.err
    assert context.watermarks(topic, 0) == (7, 20)


@suite.scenario
@suite.one_broker
def log_dirs_tool(context):
    """kafka-log-dirs shows each partition's size and directory."""
    topic, _ = stamped(context, "sized")
    out = context.tool("log-dirs", "--describe", "--topic-list", topic).ok().out
    found = json.loads(next(line for line in out.splitlines() if line.startswith("{")))
    [broker] = found["brokers"]
    parts = {part["partition"]: part for log_dir in broker["logDirs"]
             for part in log_dir["partitions"]}
    assert sorted(parts) == [f"{topic}-0", f"{topic}-1"], parts
    for part in parts.values():
        assert part["size"] > RECORDS and part["offsetLag"] == 0 and not part["isFuture"], part
    assert all(log_dir["error"] is None for log_dir in broker["logDirs"])


def verifiable(context, name, *arguments):
    """Runs a verifiable client in a process of its own: it works on past the end of its main."""
    child = procs.run([*JVM, *QUICK_START, "-cp", f"{KAFKA_LIBS}/*", NAMES[name],
                       "--bootstrap-server", context.broker.address, *map(str, arguments)],
                      timeout=120)
    return [json.loads(line) for line in child.stdout.splitlines() if line.startswith(b"{")]


@suite.scenario
def verifiable_clients(context):
    """kafka-verifiable-producer's records are what kafka-verifiable-consumer counts."""
    topic = context.topic("verified", partitions=3)
    sent = verifiable(context, "verifiable-producer", "--topic", topic, "--max-messages", 500,
                      "--acks", -1)
    assert sum(line["name"] == "producer_send_success" for line in sent) == 500, sent[-3:]
    seen = verifiable(context, "verifiable-consumer", "--topic", topic, "--group-id",
                      context.name("group"), "--max-messages", 500, "--reset-policy", "earliest",
                      "--session-timeout", 6000)
    counts = [line["count"] for line in seen if line["name"] == "records_consumed"]
    assert sum(counts) == 500, counts
    commits = [line["success"] for line in seen if line["name"] == "offsets_committed"]
    assert commits and all(commits), seen[-3:]


@suite.scenario
@suite.one_broker
def partitions_are_added(context):
    """kafka-topics --alter adds partitions, which serve at once; fewer are refused."""
    topic = context.topic("growing", partitions=2)
    context.tool("topics", "--alter", "--topic", topic, "--partitions", 5).ok()
    procs.wait_until(lambda: len(context.admin().list_topics(topic).topics[topic].partitions) == 5,
                     "five partitions", 20)
    context.wait_for_topic(topic)
    context.produce(topic, [b"x"], partition=4)
    for count in (5, 3):
        refused = context.tool("topics", "--alter", "--topic", topic, "--partitions", count)
        assert "InvalidPartitions" in refused.out + refused.err, refused.out + refused.err
    described = context.tool("topics", "--describe", "--topic", topic).ok().out
    assert described.count("Leader: 1") == 5, described


@suite.scenario
def topic_settings_by_tool(context):
    """kafka-configs changes a topic's setting, shows it and takes it back."""
    topic = context.topic("set")
    entity = ("--entity-type", "topics", "--entity-name", topic)
    context.tool("configs", "--alter", *entity, "--add-config", "retention.ms=1234567").ok()
    out = context.tool("configs", "--describe", *entity).ok().out
    assert re.search(r"retention.ms=1234567.*DYNAMIC_TOPIC_CONFIG:retention.ms=1234567", out), out
    resource = ConfigResource("topic", topic)
    found = context.admin().describe_configs([resource])[resource].result(20)
    assert found["retention.ms"].value == "1234567" and not found["retention.ms"].is_default
    context.tool("configs", "--alter", *entity, "--delete-config", "retention.ms").ok()
    out = context.tool("configs", "--describe", *entity).ok().out
    assert "retention.ms" not in out, out
    refused = context.tool("configs", "--alter", *entity, "--add-config", "retention.ms=soon")
    assert "InvalidConfiguration" in refused.out + refused.err, refused.err
