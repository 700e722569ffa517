"""Group membership: assignors, members that come, go, crash and stall, partitions that appear."""

import time

from confluent_kafka import KafkaException

from ...harness import procs
from .driver import Refused
from .runner import scenario, values


def described(run, group):
    """What librdkafka's admin client says of a group: (state, protocol, {member: partitions})."""
    try:
        found = run.admin.describe_consumer_groups([group])[group].result(20)
    except KafkaException as error:
        # Not there yet, or its coordinator loads.
        assert error.args[0].code() in (14, 15, 16, 69), error
        return "", "", {}
    members = {member.member_id: sorted((part.topic, part.partition) for part in
                                        member.assignment.topic_partitions)
               for member in found.members}
    return found.state.name, found.partition_assignor, members


def parts(*topics):
    """Partitions of topics given as (name, count)."""
    return [(name, number) for name, count in topics for number in range(count)]


def exactly(run, members, topic, count, partitions, before=0):
    """Produces to every partition and checks that each record arrives once."""
    for number in range(partitions):
        part = [b"%d-%d" % (number, n) for n in range(before, before + count)]
        procs.wait_until(lambda p=part, n=number: produced(run, topic, p, n),
                         f"{topic}-{number} is known to the producer", 30, 0.2)
    found = run.take(members, count * partitions)
    wanted = sorted(b"%d-%d" % (number, n) for number in range(partitions)
                    for n in range(before, before + count))
    assert sorted(values(found)) == wanted, f"{len(found)} records, {len(wanted)} expected"


def produced(run, topic, part, number):
    """Produces, unless the client does not know the partition yet."""
    try:
        return run.produce(topic, part, number)
    except Refused as error:
        if error.code in (None, 3):
            return None
        raise


def assignor_scenario(assignor):
    """Three members under one assignor, then two: every partition held once, records once."""
    def run_assignor(run):
        one, two = run.topic(3), run.topic(3)
        group = run.name()
        members = [run.join(group, [one, two], assignor=assignor) for _ in range(3)]
        every = sorted(parts((one, 3), (two, 3)))
        held = run.settle(members, every)
        procs.wait_until(lambda: described(run, group)[0] == "STABLE"
                         and all(len(run.assigned(member)) == 2 for member in members),
                         f"two partitions each: {held}", 30, 0.1)
        held = [run.assigned(member) for member in members]
        assert sorted(sum(held, [])) == every, held
        state, protocol, found = described(run, group)
        assert (state, protocol) == ("STABLE", run.family.protocols[assignor]), (state, protocol)
        assert sorted(found.values()) == sorted(held), (found, held)
        check_assignor(assignor, one, two, held, found)
        exactly(run, members, one, 20, 3)
        for member in members:
            run.ask(member, "commit", how="sync")
        run.leave(members.pop())
        after = run.settle(members, every)
        if assignor == "cooperative" or assignor == "sticky" and run.family.sticky:
            for old, new in zip(held, after):
                assert set(old) <= set(new), (held, after)
        if assignor == "cooperative":
            check_cooperative(run, members)
        exactly(run, members, two, 20, 3)
    run_assignor.__module__ = __name__
    run_assignor.__name__ = f"assignor_{assignor}"
    return scenario(run_assignor)


def check_assignor(assignor, one, two, held, found):
    """What the assignor's name promises."""
    every = parts(*sorted(((one, 3), (two, 3))))
    if assignor == "range":
        for mine in held:
            numbers = {number for _, number in mine}
            assert len(numbers) == 1 and {name for name, _ in mine} == {one, two}, held
    if assignor == "roundrobin":
        assert sorted(held) == sorted([[every[n], every[n + 3]] for n in range(3)]), held
    if assignor == "custom":
        last_first = sorted(found, reverse=True)
        assert found == {member: [every[n], every[n + 3]]
                         for n, member in enumerate(last_first)}, found


def check_cooperative(run, members):
    """Those who stay keep their partitions while one leaves: nothing is taken back."""
    for member in members:
        events = run.ask(member, "state")["events"]
        last = max(n for n, (kind, found) in enumerate(events) if kind == "assigned" and found)
        taken = [found for kind, found in events[last:] if kind != "assigned" and found]
        assert not taken, events


for _assignor in ("range", "roundrobin", "sticky", "cooperative", "custom"):
    assignor_scenario(_assignor)


@scenario
def more_members_than_partitions(run):
    """Three members, two partitions: one waits, and takes over when another leaves."""
    topic = run.topic(2)
    group = run.name()
    members = [run.join(group, [topic]) for _ in range(3)]
    procs.wait_until(lambda: len(described(run, group)[2]) == 3, "three members", 30, 0.1)
    procs.wait_until(lambda: sorted(len(run.assigned(member)) for member in members)
                     == [0, 1, 1], "one idle", 30, 0.1)
    run.settle(members, parts((topic, 2)))
    exactly(run, members, topic, 10, 2)
    busy = next(member for member in members if run.assigned(member))
    members.remove(busy)
    run.ask(busy, "commit", how="sync")
    run.leave(busy)
    run.settle(members, parts((topic, 2)))
    for member in members:
        assert len(run.assigned(member)) == 1, run.ask(member, "state")


@scenario
def two_groups(run):
    """Two groups each get everything."""
    topic = run.topic(3)
    groups = [[run.join(group, [topic]) for _ in range(2)]
              for group in (run.name(), run.name())]
    for members in groups:
        run.settle(members, parts((topic, 3)))
    sent = [b"%d-%d" % (number, n) for number in range(3) for n in range(30)]
    for number in range(3):
        run.produce(topic, sent[30 * number:30 * number + 30], number)
    for members in groups:
        assert sorted(values(run.take(members, 90))) == sorted(sent)


@scenario
def a_member_crashes(run):
    """kill -9: the one left has everything once the session time-out has passed."""
    topic = run.topic(4)
    group = run.name()
    session = {"session_ms": 2000, "heartbeat_ms": 200}
    other = run.second_driver()
    dying = run.join(group, [topic], driver=other, **session)
    left = run.join(group, [topic], **session)
    run.settle([dying, left], parts((topic, 4)))
    procs.wait_until(lambda: len(run.assigned(left)) == 2, "two each", 30, 0.1)
    other.kill()
    del run.members[dying]
    started = time.monotonic()
    run.settle([left], parts((topic, 4)))
    took = time.monotonic() - started
    assert took > 1, f"missed after {took:.1f} s of 2"
    exactly(run, [left], topic, 5, 4)
    return f"{took:.1f} s"


@scenario
def a_static_member_returns(run):
    """A static member that died and comes back by its name gets its partitions back."""
    topic = run.topic(4)
    group = run.name()
    session = {"session_ms": 15000, "heartbeat_ms": 200}
    other = run.second_driver()
    first = run.join(group, [topic], driver=other, instance="first", **session)
    second = run.join(group, [topic], instance="second", **session)
    run.settle([first, second], parts((topic, 4)))
    procs.wait_until(lambda: len(run.assigned(second)) == 2, "two each", 30, 0.1)
    held, kept = run.assigned(first), run.assigned(second)
    events = len(run.ask(second, "state")["events"])
    other.kill()
    del run.members[first]
    again = run.join(group, [topic], instance="first", **session)
    procs.wait_until(lambda: run.assigned(again) == held, f"{held} again", 10, 0.05)
    assert run.assigned(second) == kept
    assert len(run.ask(second, "state")["events"]) == events, run.ask(second, "state")


@scenario
def max_poll_interval(run):
    """A member that does not poll loses its partitions, and gets them when it polls again."""
    topic = run.topic(2)
    group = run.name()
    session = {"session_ms": 1500, "heartbeat_ms": 200, "rebalance_ms": 1500}
    slow, other = (run.join(group, [topic], **session) for _ in range(2))
    run.settle([slow, other], parts((topic, 2)))
    procs.wait_until(lambda: len(run.assigned(other)) == 1, "one each", 30, 0.1)
    run.ask(slow, "stall", ms=5000)
    run.settle([other], parts((topic, 2)))
    run.produce(topic, [b"0"], 0)
    run.produce(topic, [b"1"], 1)
    assert sorted(values(run.take(other, 2))) == [b"0", b"1"]
    procs.wait_until(lambda: len(run.assigned(slow)) == 1 and len(run.assigned(other)) == 1,
                     "one each again", 30, 0.1)


@scenario
def a_member_resubscribes(run):
    """Another topic by a new subscription; what was left behind goes to the other member."""
    one, two = run.topic(2), run.topic(2)
    group = run.name()
    members = [run.join(group, [one]) for _ in range(2)]
    run.settle(members, parts((one, 2)))
    for member in members:
        run.ask(member, "subscribe", topics=[one, two])
    run.settle(members, parts((one, 2), (two, 2)))
    run.ask(members[0], "subscribe", topics=[two])
    procs.wait_until(lambda: {name for name, _ in run.assigned(members[0])} == {two}
                     and set(parts((one, 2))) <= set(run.assigned(members[1])),
                     "the first topic with the second member", 30, 0.1)
    run.settle(members, parts((one, 2), (two, 2)))
    exactly(run, members, two, 5, 2)


@scenario
def partitions_added(run):
    """Partitions added under a live group are found, assigned and read from the start."""
    topic = run.topic(2)
    group = run.name()
    members = [run.join(group, [topic], metadata_ms=500) for _ in range(2)]
    run.settle(members, parts((topic, 2)))
    run.call("create_partitions", topic=topic, count=4)
    sent = {b"%d-%d" % (number, n) for number in (2, 3) for n in range(5)}
    for number in (2, 3):
        part = sorted(value for value in sent if value.startswith(b"%d" % number))
        procs.wait_until(lambda p=part, n=number: produced(run, topic, p, n),
                         f"{topic}-{number} is known to the producer", 30, 0.2)
    found = set()

    def all_read():
        # Nothing is committed, so a second rebalance may bring records again.
        for member in members:
            found.update(values(run.ask(member, "take")["records"]))
        return found == sent
    procs.wait_until(all_read, "the records of the new partitions", 30, 0.1)
    run.settle(members, parts((topic, 4)))
    procs.wait_until(lambda: [len(run.assigned(member)) for member in members] == [2, 2],
                     "two each", 30, 0.1)


@scenario
def reading_goes_on(run):
    """A second member of a group starts where the first one committed."""
    topic = run.topic(3)
    group = run.name()
    first = run.join(group, [topic])
    exactly(run, [first], topic, 30, 3)
    run.ask(first, "commit", how="sync")
    run.leave(first)
    second = run.join(group, [topic])
    exactly(run, [second], topic, 10, 3, before=30)
    run.leave(second)
