#!/usr/bin/env python3
"""Writes the field tables from the message resources inside Kafka's jars.

    import.py JARS_DIR

JARS_DIR holds kafka-clients-4.4.0.jar and kafka-metadata-4.3.1.jar,
kafka-group-coordinator-4.3.1.jar, kafka-raft-4.3.1.jar (Maven, org.apache.kafka).
Only facts are kept: names, types, version ranges, tags, defaults. To add an API, add its name to
APIS, run this, then `cargo run -p tidelog-wire-gen`.
"""
import json
import os
import re
import sys
import zipfile

CLIENTS = "kafka-clients-4.4.0.jar"
METADATA = "kafka-metadata-4.3.1.jar"
GROUPS = "kafka-group-coordinator-4.3.1.jar"
RAFT = "kafka-raft-4.3.1.jar"

APIS = """Produce Fetch ListOffsets Metadata OffsetCommit OffsetFetch FindCoordinator JoinGroup
Heartbeat LeaveGroup SyncGroup DescribeGroups ListGroups ApiVersions CreateTopics DeleteTopics
DeleteRecords InitProducerId OffsetForLeaderEpoch DescribeConfigs CreatePartitions DeleteGroups
IncrementalAlterConfigs DescribeQuorum DescribeCluster DescribeTopicPartitions AlterConfigs
DescribeLogDirs DescribeProducers ListConfigResources OffsetDelete Vote BeginQuorumEpoch
EndQuorumEpoch FetchSnapshot AddRaftVoter RemoveRaftVoter UpdateRaftVoter BrokerRegistration
BrokerHeartbeat AllocateProducerIds ControllerRegistration UpdateFeatures Envelope
UnregisterBroker ConsumerGroupDescribe""".split()

DATA = """ConsumerProtocolSubscription ConsumerProtocolAssignment
LeaderChangeMessage SnapshotHeaderRecord SnapshotFooterRecord KRaftVersionRecord VotersRecord
EndTxnMarker""".split()

GROUP_RECORDS = """OffsetCommitKey OffsetCommitValue GroupMetadataKey GroupMetadataValue
LegacyOffsetCommitKey LegacyOffsetCommitValue""".split()

RAFT_DATA = ["QuorumStateData"]


def load(jar, path):
    """The resource as JSON, its comments dropped."""
    with zipfile.ZipFile(jar) as z:
        text = z.read(path).decode()
    out = []
    for line in text.split("\n"):
        line = re.sub(r"^\s*//.*$", "", line)
        line = re.sub(r"(?<=[,{}\[\]\"])\s*//.*$", "", line)
        out.append(line)
    return json.loads("\n".join(out))


def default(field):
    value = field.get("default")
    if value is None:
        return ""
    value = str(value)
    if value == "":
        return ""
    if re.fullmatch(r"-?(0x[0-9a-fA-F]+|\d+)", value):
        value = str(int(value, 0))
    if isinstance(field.get("default"), bool):
        value = value.lower()
    return f" default={value}"


def rows(fields, depth, out):
    for f in fields:
        line = "  " * depth + f"{f['name']} {f['type']} {f['versions']}"
        if "nullableVersions" in f and f["nullableVersions"] != "none":
            line += f" nullable={f['nullableVersions']}"
        if "tag" in f:
            line += f" tag={f['tag']}:{f['taggedVersions']}"
        line += default(f)
        if str(f.get("ignorable", False)).lower() == "true":
            line += " ignorable"
        if f.get("flexibleVersions") == "none":
            line += " noflex"
        out.append(line)
        rows(f.get("fields", []), depth + 1, out)


def table(schema):
    head = f"{schema['type']} {schema['name']}"
    if "apiKey" in schema:
        head += f" key={schema['apiKey']}"
    head += f" versions={schema['validVersions']} flexible={schema['flexibleVersions']}"
    if schema.get("latestVersionUnstable"):
        head += " unstable"
    out = [head]
    rows(schema["fields"], 1, out)
    for common in schema.get("commonStructs", []):
        out.append(f"struct {common['name']} {common['versions']}")
        rows(common["fields"], 1, out)
    return "\n".join(out) + "\n"


def write(folder, name, text):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tables", folder)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, name + ".txt"), "w") as f:
        f.write(text)


def main(jars):
    jar = lambda name: os.path.join(jars, name)
    message = lambda name: f"common/message/{name}.json"
    for api in APIS:
        both = [load(jar(CLIENTS), message(api + side)) for side in ("Request", "Response")]
        write("api", api, "".join(table(s) for s in both))
    for name in DATA:
        write("data", name, table(load(jar(CLIENTS), message(name))))
    for name in RAFT_DATA:
        write("data", name, table(load(jar(RAFT), message(name))))
    for name in GROUP_RECORDS:
        write("data", name, table(load(jar(GROUPS), message(name))))
    with zipfile.ZipFile(jar(METADATA)) as z:
        paths = sorted(p for p in z.namelist() if re.match(r"common/metadata/\w+\.json$", p))
    for path in paths:
        schema = load(jar(METADATA), path)
        if "fields" in schema:
            write("metadata", schema["name"], table(schema))
    keys = []
    with zipfile.ZipFile(jar(CLIENTS)) as z:
        names = [p for p in z.namelist() if re.match(r"common/message/\w+Request\.json$", p)]
    for path in names:
        schema = load(jar(CLIENTS), path)
        keys.append((schema["apiKey"], schema["name"][: -len("Request")]))
    write(".", "api_keys", "".join(f"{k} {n}\n" for k, n in sorted(keys)))


if __name__ == "__main__":
    main(sys.argv[1])
