"""Every form of commit, and where a consumer starts without one."""

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from ...harness import procs
from .runner import scenario, values


def listed(run, group, topic, partitions=1):
    """What the group committed, by another client: {partition: offset}."""
    wanted = ConsumerGroupTopicPartitions(
        group, [TopicPartition(topic, number) for number in range(partitions)])
    found = run.admin.list_consumer_group_offsets([wanted])[group].result(20)
    return {part.partition: max(part.offset, -1) for part in found.topic_partitions}


def consumed(run, count=20, **fields):
    """A member that has read `count` records of a new topic."""
    topic = run.topic()
    run.produce(topic, [b"%d" % n for n in range(count)])
    group = run.name()
    member = run.join(group, [topic], **fields)
    assert values(run.take(member, count)) == [b"%d" % n for n in range(count)]
    return topic, group, member


@scenario
def commit_sync(run):
    """A synchronous commit of everything delivered."""
    topic, group, member = consumed(run)
    assert listed(run, group, topic)[0] == -1
    run.ask(member, "commit", how="sync")
    assert listed(run, group, topic)[0] == 20
    found = run.ask(member, "committed", partitions=[[topic, 0]])["offsets"]
    assert found[0][:3] == [topic, 0, 20], found


@scenario
def commit_async(run):
    """An asynchronous commit, there once its callback ran."""
    topic, group, member = consumed(run)
    run.ask(member, "commit", how="async")
    assert listed(run, group, topic)[0] == 20


@scenario
def commit_offsets(run):
    """Specific offsets with metadata, forwards and backwards; a member reads on from there."""
    topic, group, member = consumed(run)
    for offset in (13, 7):
        run.ask(member, "commit", how="sync", offsets=[[topic, 0, offset, f"at {offset}"]])
        assert listed(run, group, topic)[0] == offset
        # By the family's own client: librdkafka's list shows metadata with a byte too many.
        found = run.call("group_offsets", group=group, partitions=[[topic, 0]])["offsets"]
        assert found == [[topic, 0, offset, f"at {offset}"]], found
    run.leave(member)
    again = run.join(group, [topic])
    assert values(run.take(again, 13)) == [b"%d" % n for n in range(7, 20)]


@scenario
def commit_automatic(run):
    """Automatic commits by interval."""
    topic, group, _ = consumed(run, auto_commit_ms=200)
    procs.wait_until(lambda: listed(run, group, topic)[0] == 20, "20 committed", 15, 0.1)


@scenario
def commit_on_revoke(run):
    """A commit in the revoke callback: nothing is read twice over a rebalance."""
    topic = run.topic(2)
    group = run.name()
    first = run.join(group, [topic], commit_on_revoke=True)
    for number in range(2):
        run.produce(topic, [b"%d-%d" % (number, n) for n in range(25)], number)
    assert len(run.take(first, 50)) == 50
    assert set(listed(run, group, topic, 2).values()) == {-1}
    second = run.join(group, [topic], commit_on_revoke=True)
    run.settle([first, second], [(topic, 0), (topic, 1)])
    procs.wait_until(lambda: len(run.assigned(second)) == 1, "one each", 30, 0.1)
    moved = run.assigned(second)[0][1]
    assert listed(run, group, topic, 2)[moved] == 25, listed(run, group, topic, 2)
    for number in range(2):
        run.produce(topic, [b"%d-new" % number], number)
    found = run.take([first, second], 2)
    assert sorted(values(found)) == [b"0-new", b"1-new"], found


@scenario
def standalone_consumer(run):
    """By assignment with commits: a group without members, continued by the next one."""
    topic = run.topic(2)
    group = run.name()
    run.produce(topic, [b"%d" % n for n in range(20)], 1)
    first = run.join(group, [[topic, 1]], op="assign")
    assert values(run.take(first, 20)) == [b"%d" % n for n in range(20)]
    run.ask(first, "commit", how="sync", offsets=[[topic, 1, 15, ""]])
    assert listed(run, group, topic, 2)[1] == 15
    run.leave(first)
    second = run.join(group, [[topic, 1]], op="assign")
    assert values(run.take(second, 5)) == [b"%d" % n for n in range(15, 20)]
    run.leave(second)


@scenario
def seek_in_a_group(run):
    """A member moves its position back and reads again."""
    topic, _, member = consumed(run)
    run.ask(member, "seek", topic=topic, partition=0, offset=12)
    assert values(run.take(member, 8)) == [b"%d" % n for n in range(12, 20)]


def committed_then_deleted(run):
    """A group whose committed offset 5 has been deleted: the log starts at 30 of 40."""
    topic = run.topic()
    group = run.name()
    run.produce(topic, [b"%d" % n for n in range(40)])
    five = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 5)])
    run.admin.alter_consumer_group_offsets([five])[group].result(20)
    [future] = run.admin.delete_records([TopicPartition(topic, 0, 30)]).values()
    assert future.result(20).low_watermark == 30
    return topic, group


def only_new(run, member, topic):
    """Produces until the member gets something: it gets nothing older."""
    found = []

    def more():
        run.produce(topic, [b"new"])
        found.extend(values(run.ask(member, "take")["records"]))
        return found
    procs.wait_until(more, "a new record", 30, 0.2)
    assert set(found) == {b"new"}, found


def complains(run, member):
    """The member reports an error and gets nothing."""
    error = procs.wait_until(lambda: run.ask(member, "state")["error"], "an error", 30, 0.1)
    assert run.ask(member, "take")["records"] == []
    return error


@scenario
def reset_earliest(run):
    """auto.offset.reset=earliest: a new group from the start; a deleted offset from the first."""
    topic, group = committed_then_deleted(run)
    fresh = run.join(run.name(), [topic], reset="earliest")
    old = run.join(group, [topic], reset="earliest")
    for member in (fresh, old):
        assert values(run.take(member, 10)) == [b"%d" % n for n in range(30, 40)]


@scenario
def reset_latest(run):
    """auto.offset.reset=latest: only what comes, for a new group and for a deleted offset."""
    topic, group = committed_then_deleted(run)
    for name in (run.name(), group):
        member = run.join(name, [topic], reset="latest")
        run.settle([member], [(topic, 0)])
        only_new(run, member, topic)
        run.leave(member)


@scenario
def reset_none(run):
    """auto.offset.reset=none: an error for a new group and for a deleted offset."""
    topic, group = committed_then_deleted(run)
    for name in (run.name(), group):
        member = run.join(name, [topic], reset="none")
        complains(run, member)
        run.leave(member)
