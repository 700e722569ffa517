"""Administration by each client's own admin calls, with Kafka's answers and refusals."""

from ...harness import procs
from .runner import led_by_its_replica, scenario, values


@scenario
def topics(run):
    """Creation, description, deletion, and what is refused."""
    name = run.name()
    run.call("create_topic", topic=name, partitions=3, configs={"retention.ms": "7200000"})
    found = procs.wait_until(lambda: known(run, name), "the topic is known", 20, 0.1)
    assert [part[0] for part in found] == list(range(3)), found
    assert all(led_by_its_replica(run, part) for part in found), found
    assert run.refused("create_topic", topic=name, partitions=1) == 36
    assert run.refused("create_topic", topic="no spaces", partitions=1) == 17
    run.call("create_topic", topic=f"{name}.same", partitions=1)
    assert run.refused("create_topic", topic=f"{name}_same", partitions=1) == 17
    assert run.refused("create_topic", topic=run.name(), partitions=0) == 37
    assert run.refused("create_topic", topic=run.name(), partitions=1, replication=3) == 38
    assert run.refused("create_topic", topic=run.name(), partitions=1,
                       configs={"retention.ms": "soon"}) == 40
    assert run.call("configs", topic=name)["configs"]["retention.ms"] == "7200000"
    run.call("delete_topic", topic=name)
    procs.wait_until(lambda: name not in run.admin.list_topics(timeout=20).topics,
                     "the topic is gone", 20, 0.1)
    assert run.refused("delete_topic", topic=name) == 3


def known(run, name):
    """The partitions of a topic once all have leaders."""
    found = run.admin.list_topics(name, timeout=20).topics[name]
    if found.error or any(part.leader < 0 for part in found.partitions.values()):
        return None
    return run.call("topic", topic=name)["partitions"]


@scenario
def partitions(run):
    """Partitions are added, never taken away."""
    topic = run.topic(2)
    run.call("create_partitions", topic=topic, count=5)
    procs.wait_until(lambda: len(known(run, topic) or ()) == 5, "five partitions", 20, 0.1)
    run.produce(topic, [b"there"], 4)
    assert values(run.consume(topic, 1, partition=4)) == [b"there"]
    for count in (5, 3):
        assert run.refused("create_partitions", topic=topic, count=count) == 37
    assert run.refused("create_partitions", topic=run.name(), count=3) == 3
    assert len(known(run, topic)) == 5


@scenario
def alter_config(run):
    """A topic config is set, takes effect, is refused when bad, and goes back to its default."""
    topic = run.topic()
    run.call("alter_config", topic=topic, name="max.message.bytes", value="2000")

    def small():
        return run.call("configs", topic=topic)["configs"]["max.message.bytes"] == "2000"
    procs.wait_until(small, "the new value", 20, 0.1)
    assert run.refused("produce", topic=topic, records=[{"partition": 0, "value": "A" * 4000}]
                       ) == 10
    assert run.refused("alter_config", topic=topic, name="max.message.bytes", value="x") == 40
    assert run.refused("alter_config", topic=topic, name="no.such.key", value="1") == 40
    assert run.refused("alter_config", topic=run.name(), name="retention.ms", value="1") == 3
    assert small()
    run.call("alter_config", topic=topic, name="max.message.bytes", value=None)
    procs.wait_until(lambda: run.call("configs", topic=topic)["configs"]["max.message.bytes"]
                     == "1048588", "the default", 20, 0.1)
    run.call("produce", topic=topic, records=[{"partition": 0, "value": "A" * 4000}])


@scenario
def groups(run):
    """Groups are listed and described; one in use is not deleted, one not there not either."""
    topic = run.topic(2)
    run.produce(topic, [b"0", b"1"])
    group = run.name()
    member = run.join(group, [topic])
    run.settle([member], [(topic, 0), (topic, 1)])
    run.take(member, 2)
    run.ask(member, "commit", how="sync")
    assert group in run.call("groups")["groups"]
    found = run.call("group", group=group)
    assert (found["state"], found["members"]) == ("Stable", 1), found
    offsets = run.call("group_offsets", group=group, partitions=[[topic, 0], [topic, 1]])
    assert [each[2] for each in offsets["offsets"]][0] == 2, offsets
    assert run.refused("delete_group", group=group) == 68
    run.leave(member)
    procs.wait_until(lambda: run.call("group", group=group)["state"] == "Empty", "empty", 20)
    run.call("delete_group", group=group)
    assert group not in run.call("groups")["groups"]
    assert run.refused("delete_group", group=group) == 69


@scenario
def delete_offsets(run):
    """A committed offset is deleted; not while its topic is subscribed to."""
    topic = run.topic()
    run.produce(topic, [b"0", b"1"])
    group = run.name()
    member = run.join(group, [topic])
    run.take(member, 2)
    run.ask(member, "commit", how="sync")
    assert run.refused("delete_offsets", group=group, topic=topic, partition=0) == 86
    run.leave(member)
    run.call("delete_offsets", group=group, topic=topic, partition=0)
    found = run.call("group_offsets", group=group, partitions=[[topic, 0]])["offsets"]
    assert found[0][2] == -1, found
