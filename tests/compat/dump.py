"""Kafka's own DumpLogSegments reads every file that the other scenarios left behind."""

import re

from . import suite


def complaints(text):
    """Lines in which the tool complains."""
    words = ("Exception", "mismatch", "Could not", "not found", "is followed by", "Found ",
             "corrupt", "isvalid: false", "isValid: false", "error")
    # 4.3.1 says "-1 is followed by N" of every segment whose first offset is not 0.
    return [line[:300] for line in text.splitlines()
            if any(word in line for word in words) and "payload:" not in line
            and not line.strip().startswith("-1 is followed by")]


def dump(context, files, *options):
    """Dumps files; returns what was printed."""
    result = context.tools("dump", *options, "--files", ",".join(map(str, files)), timeout=180)
    result.ok()
    wrong = complaints(result.out) + complaints(result.err)
    assert not wrong, f"{len(wrong)} complaints: {wrong[:5]}"
    return result.out


def traffic(context):
    """A topic with every codec, several segments, a group and an idempotent producer."""
    topic = context.topic("dumped", segment_bytes=1_048_576)
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        context.produce(topic, [b"%d" % n + b"=" * 500 for n in range(3000)],
                        compression_type=codec, enable_idempotence=True, linger_ms=1,
                        batch_num_messages=50)
    consumer = context.consumer(group_id=context.name("group"), auto_offset_reset="earliest")
    consumer.subscribe([topic])
    for _ in range(40):
        consumer.consume(500, 0.2)
    consumer.commit(asynchronous=False)
    consumer.close()
    return topic


@suite.scenario
def logs_and_indexes(context):
    """--deep-iteration, --index-sanity-check and --verify-index-only over all partitions."""
    topic = traffic(context)
    code, _ = context.broker.stop()
    assert code in (0, 143), code
    partitions = sorted(path for path in context.broker.data.iterdir()
                        if path.is_dir() and re.search(r"-\d+$", path.name)
                        and not path.name.startswith("__cluster"))
    # The large ones hold what the scenarios of the story wrote: one segment of each is enough.
    logs, indexes, snapshots = [], [], []
    for folder in partitions:
        own = folder.name.startswith(topic)
        logs += sorted(folder.glob("*.log"))[:None if own else 1]
        indexes += sorted(folder.glob("*index"))[:None if own else 2]
        snapshots += sorted(folder.glob("*.snapshot"))[:None if own else 1]
    assert len([path for path in logs if topic in str(path)]) > 1, "the topic has one segment"
    out = dump(context, logs, "--deep-iteration", "--skip-record-metadata")
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        assert f"compresscodec: {codec}" in out, codec
    dump(context, indexes, "--index-sanity-check")
    own_indexes = [path for path in indexes if topic in str(path)]
    dump(context, own_indexes, "--verify-index-only")
    assert snapshots, "no producer snapshot"
    text = dump(context, snapshots)
    assert "producerId:" in text, text[:500]
    return f"{len(logs)} logs, {len(indexes)} indexes, {len(snapshots)} snapshots"


@suite.scenario
@suite.one_broker
def the_metadata_log(context):
    """--cluster-metadata-decoder reads the metadata log and its snapshots."""
    code, _ = context.broker.stop()
    assert code in (0, 143), code
    folder = context.broker.data / "__cluster_metadata-0"
    logs = sorted(folder.glob("*.log"))
    out = dump(context, logs, "--cluster-metadata-decoder")
    for kind in ("TOPIC_RECORD", "PARTITION_RECORD", "REMOVE_TOPIC_RECORD", "FEATURE_LEVEL_RECORD",
                 "REGISTER_BROKER_RECORD", "PRODUCER_IDS_RECORD", "CONFIG_RECORD"):
        assert f'"type":"{kind}"' in out, f"no {kind}"
    assert "LeaderChange" in out
    checkpoints = sorted(folder.glob("*.checkpoint"))
    if checkpoints:
        dump(context, checkpoints, "--cluster-metadata-decoder")
    return f"{out.count('type')} records, {len(checkpoints)} snapshots"


@suite.scenario
def committed_offsets(context):
    """--offsets-decoder reads __consumer_offsets."""
    code, _ = context.broker.stop()
    assert code in (0, 143), code
    logs = sorted(context.broker.data.glob("__consumer_offsets-*/*.log"))
    assert logs, "nobody committed"
    result = context.tools("dump", "--offsets-decoder", "--files", ",".join(map(str, logs)))
    result.ok()
    assert '"offset"' in result.out and '"group"' in result.out, result.out[:1000]
    assert "Exception" not in result.out + result.err


@suite.scenario
@suite.one_broker
def the_directory(context):
    """The directory's own files have Kafka's form."""
    code, _ = context.broker.stop()
    assert code in (0, 143), code
    data = context.broker.data
    meta = dict(line.split("=", 1) for line in (data / "meta.properties").read_text().splitlines()
                if "=" in line and not line.startswith("#"))
    assert meta["node.id"] == "1" and meta["version"] == "1" and meta["cluster.id"], meta
    assert meta.get("directory.id"), meta
    assert (data / ".kafka_cleanshutdown").exists(), "no marker of a clean shutdown"
    for name in ("recovery-point-offset-checkpoint", "log-start-offset-checkpoint",
                 "replication-offset-checkpoint"):
        lines = (data / name).read_text().splitlines()
        assert lines[0] == "0" and int(lines[1]) == len(lines) - 2, (name, lines[:3])
        assert all(len(line.split()) == 3 for line in lines[2:]), name
    folder = next(path for path in sorted(data.glob("dumped-*")) if path.is_dir())
    parts = (folder / "partition.metadata").read_text().splitlines()
    assert parts[0] == "version: 0" and parts[1].startswith("topic_id: "), parts
    epochs = (folder / "leader-epoch-checkpoint").read_text().splitlines()
    assert epochs[0] == "0" and int(epochs[1]) == len(epochs) - 2, epochs
