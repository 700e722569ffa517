"""Consumer groups, as far as a console consumer needs them."""

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from ..harness import procs
from . import suite


def take(consumer, count, timeout=40):
    """Reads `count` records of whatever is assigned."""
    found = []
    procs.wait_until(lambda: found.extend(
        m for m in consumer.consume(min(500, count - len(found)), 0.2) if not m.error())
        or len(found) >= count, f"{count} records", timeout, 0)
    return found


@suite.scenario
def console_consumer_group(context):
    """The console consumer in a group goes on where its last run stopped."""
    topic = context.topic("console-group", partitions=2)
    group = context.name("group")
    for partition in range(2):
        context.produce(topic, [b"%d-%d" % (partition, n) for n in range(50)], partition)
    seen = []
    for count in (30, 70):
        result = context.tool("consumer", "--topic", topic, "--group", group,
                              "--from-beginning", "--max-messages", count,
                              "--timeout-ms", 20000).ok()
        seen += result.out.splitlines()
    assert sorted(seen) == sorted(f"{p}-{n}" for p in range(2) for n in range(50))


@suite.scenario
def commits_survive_restarts(context):
    """Committed offsets are there after kill -9 and after a clean restart."""
    topic = context.topic("committed")
    group = context.name("group")
    context.produce(topic, [b"%d" % n for n in range(300)])
    position = 0
    for how in ("kill", "stop", "end"):
        consumer = context.consumer(group_id=group, auto_offset_reset="earliest")
        consumer.subscribe([topic])
        found = take(consumer, 100)
        assert [m.offset() for m in found] == list(range(position, position + 100)), how
        position += 100
        [done] = consumer.commit(offsets=[TopicPartition(topic, 0, position)],
                                 asynchronous=False)
        assert done.error is None, done.error
        consumer.close()
        if how == "kill":
            context.broker.kill()
            context.broker.start()
        elif how == "stop":
            code, _ = context.broker.stop()
            assert code in (0, 143), code
            context.broker.start()
    consumer = context.consumer(group_id=group)
    [found] = consumer.committed([TopicPartition(topic, 0)], timeout=20)
    consumer.close()
    assert found.offset == 300, found


@suite.scenario
def two_members_share(context):
    """Two members split the partitions; when one leaves, the other gets all."""
    topic = context.topic("shared-group", partitions=4)
    group = context.name("group")
    members = [context.consumer(group_id=group, auto_offset_reset="earliest")
               for _ in range(2)]
    for member in members:
        member.subscribe([topic])

    def spread(wanted):
        for member in members:
            member.poll(0.1)
        return [len(member.assignment()) for member in members] == wanted
    procs.wait_until(lambda: spread([2, 2]), "two partitions each", 40, 0)
    members.pop().close()
    procs.wait_until(lambda: spread([4]), "all four with the one left", 40, 0)
    members[0].close()


@suite.scenario
def a_member_that_dies_is_missed(context):
    """A member that is gone without a word loses its partitions after its session timeout."""
    topic = context.topic("dying", partitions=2)
    group = context.name("group")
    kcat = procs.spawn([context.kcat_path, "-b", context.broker.address, "-G", group,
                        "-X", "session.timeout.ms=6000", topic], stdout=-3, stderr=-3)
    member = context.consumer(group_id=group, session_timeout_ms=6000)
    member.subscribe([topic])
    procs.wait_until(lambda: member.poll(0.1) is None and len(member.assignment()) == 1,
                     "one partition each", 40, 0)
    procs.kill(kcat)
    procs.wait_until(lambda: member.poll(0.1) is None and len(member.assignment()) == 2,
                     "both partitions", 30, 0)
    member.close()


@suite.scenario
def kcat_group(context):
    """kcat as a group member reads all and commits."""
    topic = context.topic("kcat-group", partitions=3)
    group = context.name("group")
    context.kcat("-P", "-t", topic, "-l", context.file(b"".join(b"%d\n" % n for n in range(90))))
    out = context.kcat("-G", group, "-X", "auto.offset.reset=earliest", "-q", "-c", "90",
                       topic).stdout
    assert sorted(map(int, out.split())) == list(range(90))


@suite.scenario
def offset_fetch_by_admin(context):
    """An admin client sees what a group committed, and nothing for another group."""
    topic = context.topic("seen", partitions=2)
    group = context.name("group")
    consumer = context.consumer(group_id=group)
    consumer.commit(offsets=[TopicPartition(topic, 1, 7, metadata="note")], asynchronous=False)
    consumer.close()
    wanted = [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0),
                                                   TopicPartition(topic, 1)])]
    found = context.admin().list_consumer_group_offsets(wanted)[group].result(20)
    assert [p.offset for p in found.topic_partitions] == [-1001, 7], found.topic_partitions
    assert found.topic_partitions[1].metadata == "note"
