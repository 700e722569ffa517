"""`tidelog dump` and Kafka's DumpLogSegments say the same about the same files."""

import base64
import json
import re
import shutil

from ..harness import procs
from ..harness.broker import binary
from . import suite
from .dump import traffic

BATCH = {
    "baseOffset": "first_offset", "lastOffset": "last_offset", "count": "records",
    "baseSequence": "first_sequence", "lastSequence": "last_sequence",
    "producerId": "producer_id", "producerEpoch": "producer_epoch",
    "partitionLeaderEpoch": "leader_epoch", "isTransactional": "transactional",
    "isControl": "control", "position": "position", "CreateTime": "max_timestamp",
    "LogAppendTime": "max_timestamp", "size": "bytes", "magic": "magic",
    "compresscodec": "codec", "crc": "crc", "isvalid": "valid",
}


def ours(*arguments, check=True):
    """Our dump of files: (exit code, lines as objects)."""
    done = procs.run([binary(), "dump", *arguments, "-o", "json"], check=check, timeout=120)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def theirs(context, option, files):
    """Kafka's dump of files, line by line."""
    result = context.tools("dump", *option, "--files", ",".join(map(str, files)), timeout=180)
    return result.ok().out.splitlines()


def batches_and_records(lines):
    """Kafka's lines as the objects that our dump prints."""
    batches, records = [], []
    for line in lines:
        if line.startswith("baseOffset: "):
            # Two words each, but for the horizon, which ours says otherwise.
            pairs = dict(re.findall(r"(\w+): (\S+)", line))
            batches.append({name: json.loads(pairs[key]) if key != "compresscodec" else pairs[key]
                            for key, name in BATCH.items() if key in pairs})
        elif line.startswith("| offset: "):
            head = re.match(r"\| offset: (-?\d+) (?:CreateTime|LogAppendTime): (-?\d+) .*?"
                            r"sequence: (-?\d+) headerKeys: \[.*?\] ?(.*)", line)
            records.append((*map(int, head.groups()[:3]), head.group(4)))
    return batches, records


def same_batches(own, batches):
    """Every batch has the same fields."""
    found = [line for line in own if line["kind"] == "batch"]
    assert len(found) == len(batches) > 0, (len(found), len(batches))
    for mine, other in zip(found, batches):
        assert {name: mine[name] for name in other} == other, (mine, other)


def camel(name):
    """FEATURE_LEVEL_RECORD is FeatureLevelRecord."""
    return "".join(part.capitalize() for part in name.split("_"))


def payload(line):
    """A record of ours in the words of Kafka's dump, its key and value where they are decoded."""
    if line["type"].endswith("Record"):
        return {"type": line["type"], "version": line["version"], "data": line["data"]}
    return line["data"]


@suite.scenario
@suite.one_broker
def records_and_indexes(context):
    """Every codec: batches, records with keys and values, both indexes, producers."""
    topic = traffic(context)
    keyed = context.topic("dumped-keys")
    producer = context.producer()
    for number in range(500):
        producer.produce(keyed, f"value {number}", f"key {number}", headers=[("h", b"x")])
    assert producer.flush(30) == 0
    context.broker.stop()
    for name, option in ((topic, ["--deep-iteration"]),
                         (keyed, ["--deep-iteration", "--print-data-log"])):
        folder = context.broker.data / f"{name}-0"
        logs = sorted(folder.glob("*.log"))
        code, own = ours(*logs)
        assert code == 0
        batches, records = batches_and_records(theirs(context, option, logs))
        same_batches(own, batches)
        found = [line for line in own if line["kind"] == "record"]
        assert [(line["offset"], line["timestamp"], line["sequence"]) for line in found] \
            == [record[:3] for record in records]
        if name == keyed:
            assert [f"key: {line['key']} payload: {line['value']}" for line in found] \
                == [record[3] for record in records]
            assert found[0]["headers"] == [{"name": "h", "value": "x"}]
        for kind in ("index", "timeindex"):
            files = sorted(folder.glob(f"*.{kind}"))
            code, own = ours(*files)
            first, second = ("offset", "position") if kind == "index" else ("timestamp", "offset")
            mine = [f"{first}: {line[first]} {second}: {line[second]}"
                    for line in own if line["kind"] == "entry"]
            said = [line for line in theirs(context, [], files) if line.startswith(f"{first}: ")]
            # Kafka's tool shows the zeros that a time index may begin with, and the first entry
            # of an offset index even when there is none.
            empty = f"{first}: 0 {second}: 0"
            assert code == 0 and [line for line in mine if line != empty] \
                == [line for line in said if line != empty], (kind, mine[:3], said[:3])
        snapshots = sorted(folder.glob("*.snapshot"))[-1:]
        code, own = ours(*snapshots)
        said = [line for line in theirs(context, [], snapshots) if "producerId: " in line]
        assert code == 0 and {line["producer_id"] for line in own} \
            == {int(re.search(r"producerId: (\d+)", line).group(1)) for line in said}
    return f"{len(batches)} batches"


def plainly(members, decode):
    """What no consumer wrote is hex here and base64 in Kafka's tool, which says "" for some of
    what is not there and null for the rest."""
    for member in members:
        for name in ("subscription", "assignment"):
            found = member[name]
            member[name] = decode(found) if isinstance(found, str) else {
                key: "" if value is None else value for key, value in found.items()}


@suite.scenario
def metadata_and_groups(context):
    """The metadata log, its snapshots, and __consumer_offsets, record by record."""
    traffic(context)
    context.broker.stop()
    folder = context.broker.data / "__cluster_metadata-0"
    files = sorted([*folder.glob("*.log"), *folder.glob("*.checkpoint")])
    code, own = ours(*files)
    assert code == 0
    batches, records = batches_and_records(
        theirs(context, ["--cluster-metadata-decoder"], files))
    same_batches(own, batches)
    found = [line for line in own if line["kind"] == "record"]
    assert len(found) == len(records)
    for mine, (_, _, _, text) in zip(found, records):
        said = json.loads(text[text.index("{"):])
        if text.startswith("payload: "):
            said["type"] = camel(said["type"])
        assert payload(mine) == said, (mine, text)
    logs = sorted(path for path in context.broker.data.glob("__consumer_offsets-*/*.log")
                  if path.stat().st_size)
    code, own = ours(*logs)
    assert code == 0
    _, records = batches_and_records(theirs(context, ["--offsets-decoder"], logs))
    found = [line for line in own if line["kind"] == "record"]
    assert len(found) == len(records) > 0
    numbers = {"OffsetCommit": "1", "GroupMetadata": "2"}
    for mine, (_, _, _, text) in zip(found, records):
        key, value = re.match(r"key: (\{.*?\}\}) payload: ?(.*)", text).groups()
        assert json.loads(key) == {"type": numbers[mine["type"]], "data": mine["key"]}, text
        if mine["value"] is None:
            assert not value.startswith("{") or json.loads(value).get("data") is None, text
            continue
        theirs_said = json.loads(value)
        plainly(mine["value"].get("members", []), bytes.fromhex)
        plainly(theirs_said["data"].get("members", []), base64.b64decode)
        said = {"version": str(mine["version"]), "data": mine["value"]}
        assert theirs_said == said, (mine, value)
    return f"{len(records)} records of groups"


@suite.scenario
@suite.one_broker
def damage_is_told(context):
    """Flipped, cut and foreign bytes: exit code 1, the place, and what comes before them."""
    topic = traffic(context)
    context.broker.stop()
    scratch = context.scratch / context.name("damaged")
    shutil.copytree(context.broker.data / f"{topic}-0", scratch)
    log = sorted(scratch.glob("*.log"))[0]
    _, whole = ours("--batches", log)
    second = whole[1]
    content = bytearray(log.read_bytes())
    content[second["position"] + 100] ^= 1
    log.write_bytes(content)
    code, own = ours("--batches", log, check=False)
    told = [line for line in own if line["kind"] == "corrupt"]
    assert code == 1 and [line["position"] for line in told] == [second["position"]], told
    assert len(own) == len(whole) + 1, "the batches after it are not shown"
    log.write_bytes(content[:-10])
    code, own = ours("--batches", log, check=False)
    assert code == 1 and own[-1]["kind"] == "corrupt" \
        and own[-1]["position"] == whole[-1]["position"], own[-1]
    index = sorted(scratch.glob("*.index"))[0]
    content = bytearray(index.read_bytes())
    content[0:8] = (5).to_bytes(4, "big") + (3).to_bytes(4, "big")
    index.write_bytes(content)
    code, _ = ours(index, check=False)
    assert code == 1
    snapshot = sorted(scratch.glob("*.snapshot"))[0]
    snapshot.write_bytes(snapshot.read_bytes()[:-1] + b"\x55")
    assert ours(snapshot, check=False)[0] == 1
    (scratch / "leader-epoch-checkpoint").write_text("0\n2\n0 0\n")
    assert ours(scratch / "leader-epoch-checkpoint", check=False)[0] == 1
    foreign = context.file(b"nothing")
    assert procs.run([binary(), "dump", foreign], check=False).returncode == 1
