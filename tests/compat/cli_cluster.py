"""`tidelog cluster` and `tidelog broker`, files of client properties, assignments by hand; and what
only a Kafka has: groups of the new protocols, a quorum that can be asked."""

import json
import os
import re
import signal
import time

from ..harness import procs
from ..harness.broker import Kafka, binary
from . import suite
from .cli import tidelog
from .cli_groups import answer, refused
from .movein import House


@suite.scenario
@suite.one_broker
def the_cluster_and_its_brokers(context):
    """The cluster's id, its brokers and what they carry, as Kafka's tools say it."""
    topic = context.topic("cli-cluster", partitions=3)
    cluster = answer(context, "cluster", "describe")
    said = context.tools("cluster", "cluster-id", "--bootstrap-server",
                         context.broker.address).ok().out
    assert cluster["cluster"] and cluster["cluster"] in said, (cluster, said)
    assert cluster["partitions"] >= 3 and cluster["leaderless"] == 0, cluster
    listed = answer(context, "broker", "list")
    assert listed == cluster["brokers"] and len(listed) == 1, (listed, cluster)
    one = listed[0]
    assert (one["broker"], one["address"], one["state"]) == (1, context.broker.address, "active")
    assert one["leads"] == one["replicas"] == cluster["partitions"] and one["behind"] == 0, one
    tidelog(context, "config", "set", "-b", "1", "message.max.bytes=1048577")
    described = answer(context, "broker", "describe", "1")
    assert described["configs"]["message.max.bytes"] == "1048577", described
    tidelog(context, "config", "unset", "-b", "1", "message.max.bytes")
    assert "1048577" not in tidelog(context, "broker", "describe", "1").stdout.decode()
    quorum = answer(context, "cluster", "quorum")
    assert [one["node"] for one in quorum["voters"]] == [1] and quorum["leader"] == 1, quorum
    assert "there is no broker 9" in refused(context, "broker", "describe", "9")
    tidelog(context, "topic", "delete", topic)


@suite.scenario
def told_by_a_file(context):
    """--command-config: what is followed, what is named, what is refused."""
    def given(text, *arguments, check=True):
        path = context.file(text.encode())
        return tidelog(context, *arguments, "--command-config", str(path), check=check)
    done = given("client.id=ops\nsasl.mechanism=PLAIN\ndefault.api.timeout.ms=20000\n",
                 "topic", "list")
    assert b"without effect here: sasl.mechanism" in done.stderr, done
    for text, word in (("security.protocol=SASL_SSL\n", b"security.protocol=SASL_SSL"),
                       ("\nrequest.timeout.ms=soon\n", b":2: request.timeout.ms=soon")):
        done = given(text, "topic", "list", check=False)
        assert done.returncode == 2 and word in done.stderr, done
    assert tidelog(context, "topic", "list", "--command-config", "/nowhere",
                   check=False).returncode == 1


@suite.scenario
def assigned_by_hand(context):
    """A topic whose replicas are named, and refusals of brokers that are not there."""
    name = context.name("cli-assigned")
    refused(context, "topic", "create", name, "--replica-assignment", "1,9")
    made = answer(context, "topic", "create", name, "--replica-assignment", "1,1")
    assert [one["replicas"] for one in made["topic"]["partitions"]] == [[1], [1]], made
    tidelog(context, "topic", "delete", name)


@suite.scenario
def what_only_a_kafka_has(context):
    """Members of a consumer group of the new protocol, a share group, the metadata quorum."""
    kafka = Kafka({"group.share.initialize.retry.interval.ms": "1000",
                   "share.coordinator.state.topic.replication.factor": "1",
                   "share.coordinator.state.topic.min.isr": "1"})
    house = House(kafka, context)
    member = None
    try:
        kafka.start()
        topic = house.topic("new", partitions=2)
        house.produce(topic, [b"x"] * 5)
        group = "of-the-new-protocol"
        member = house.consumer(group_id=group, group_protocol="consumer", client_id="reader",
                                auto_offset_reset="earliest")
        member.subscribe([topic])
        got = []
        while len(got) < 5:
            found = member.consume(5 - len(got), 20)
            assert found, f"only {len(got)} records came"
            got += found
        member.commit(message=got[-1], asynchronous=False)
        one = answer(house, "group", "describe", group)[0]
        assert (one["type"], one["state"], one["strategy"]) == ("consumer", "Stable", "uniform"), \
            one
        assert [shown["partitions"] for shown in one["members"]] == [{topic: [0, 1]}], one
        assert one["members"][0]["topics"] == [topic], one
        assert one["members"][0]["client"] == "reader", one
        places = {place["partition"]: place for place in one["offsets"]}
        assert places[0]["committed"] == 5 and places[1]["committed"] is None, one
        assert all(place["member"] == one["members"][0]["member"] for place in one["offsets"]), one
        assert b"type: consumer\n" in tidelog(house, "group", "describe", group).stdout
        assert "is Stable" in refused(house, "group", "reset", group, "--all-topics",
                                      "--to-earliest")
        house.tool("share-consumer", "--topic", topic, "--group", "shared", "--timeout-ms",
                   "3000")
        listed = {found["group"]: found["type"].lower() for found in
                  answer(house, "group", "list")}
        assert listed == {group: "consumer", "shared": "share"}, listed
        shared = answer(house, "group", "describe", "shared")[0]
        assert shared["type"] == "share" and shared["offsets"] == [], shared
        quorum = answer(house, "cluster", "quorum")
        assert quorum["leader"] == 1 and [one["node"] for one in quorum["voters"]] == [1], quorum
        assert quorum["voters"][0]["lag"] == 0 and quorum["high_watermark"] > 0, quorum
        said = house.tool("quorum", "describe", "--status").ok().out
        assert re.search(rf"LeaderEpoch:\s+{quorum['epoch']}\n", said), (quorum, said)
        assert b"leader" in tidelog(house, "cluster", "quorum").stdout
        assert answer(house, "broker", "list")[0]["state"] == "active"
    finally:
        if member is not None:
            member.close()
        house.close()
        kafka.close()


@suite.ours
def several_on_one_machine(context):
    """dev --brokers: every broker a process, one cluster that a restart finds again; a signal ends
    all, and so does the death of one."""
    def stop(child, _):
        # Twice, as a supervisor and a terminal may send it at once.
        child.terminate()
        child.send_signal(signal.SIGINT)

    folder = context.scratch / context.name("several")
    seen = []
    for act, code in ((stop, 0), (lambda _, brokers: os.kill(brokers[1], signal.SIGKILL), 1)):
        log = context.file()
        with open(log, "wb") as out:
            child = procs.spawn([binary(), "dev", "--brokers", "3", "--port", "0", "--admin-port",
                                 "0", "--data-dir", folder], stdout=out, stderr=out)
        try:
            procs.wait_until(lambda: b"\ntidelog is ready: 3 brokers at " in log.read_bytes(),
                             "three brokers are one cluster", 60, alive=child)
            said = log.read_text()
            assert all(f"[{broker}] " in said for broker in range(3)), said
            address = re.search(r"3 brokers at (\S+), data in", said).group(1)
            seen.append(of_three(address, log.name))
            children = f"/proc/{child.pid}/task/{child.pid}/children"
            brokers = [int(one) for one in open(children, encoding="ascii").read().split()]
            assert len(brokers) == 3, brokers
            began = time.monotonic()
            act(child, brokers)
            assert child.wait(60) == code, log.read_text()
            # The last one waits for nobody.
            took = time.monotonic() - began
            assert took < 2.5, f"stopped after {took:.1f} s\n{log.read_text()}"
            said = log.read_text()
            assert said.count("INFO stopped") == 3 - code, said
            assert ("has ended (signal: 9" in said) == bool(code), said
        finally:
            procs.kill(child)
    assert seen[0] == seen[1], f"another cluster, or another topic: {seen}"
    for brokers, dir, why in (
            ("1", folder, "holds a cluster of 3 brokers; give --brokers 3"),
            ("2", folder, "holds a cluster of 3 brokers; give --brokers 3"),
            ("2", folder / "broker-0", "holds the data of one broker; give --brokers 1")):
        done = procs.run([binary(), "dev", "--brokers", brokers, "--port", "0", "--admin-port",
                          "0", "--data-dir", dir], check=False)
        assert done.returncode == 2 and why.encode() in done.stderr, (brokers, done)


def of_three(address, value):
    """What a cluster of three is, and that a topic on it takes a record and gives all."""
    def run(*arguments, **options):
        return procs.run([binary(), *arguments, "--bootstrap-server", address], **options).stdout
    cluster = json.loads(run("cluster", "describe", "-o", "json"))
    assert [one["broker"] for one in cluster["brokers"]] == [0, 1, 2], cluster
    quorum = json.loads(run("cluster", "quorum", "-o", "json"))
    assert [one["node"] for one in quorum["voters"]] == [0, 1, 2], quorum
    run("topic", "create", "t", "-p", "6", "--if-not-exists")
    topic = json.loads(run("topic", "describe", "t", "-o", "json"))
    assert {one["leader"] for one in topic["partitions"]} == {0, 1, 2}, topic
    for partition in range(6):
        with procs.spawn([binary(), "produce", "-t", "t", "-p", str(partition),
                          "--bootstrap-server", address], stdin=-1, stderr=-1) as child:
            child.communicate(f"{value}\n".encode(), timeout=60)
            assert child.returncode == 0, partition
    out = run("consume", "-t", "t", "--from-beginning", "-e").decode()
    assert out.count(f"{value}\n") == 6, out
    return cluster["cluster"], topic["id"], quorum["voters"][0]["directory"]
