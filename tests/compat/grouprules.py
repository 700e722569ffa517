"""The rules of the classic group protocol, told by hand-written requests: each scenario runs
against both brokers, so what is asserted here is what Apache Kafka answers."""

import struct

from ..harness import procs
from . import suite
from .groupwire import (FENCED, GROUP_NOT_FOUND, ILLEGAL_GENERATION, INCONSISTENT, INVALID_GROUP,
                        INVALID_SESSION, MEMBER_ID_REQUIRED, METADATA_TOO_LARGE, Member,
                        NON_EMPTY, NONE, REBALANCING, SUBSCRIBED, UNKNOWN_ERROR, UNKNOWN_MEMBER,
                        UNKNOWN_TOPIC, UNKNOWN_TOPIC_ID)


def prepared(context, group):
    """Waits until the coordinator of a group serves it."""
    def served():
        with Member(context, group) as asking:
            return asking.coordinator(group)[0] == NONE and \
                asking.heartbeat("nobody", 1) == UNKNOWN_MEMBER
    procs.wait_until(served, f"the coordinator of {group}", 40)


def rebalancing(member, *who):
    """Waits until a member hears that the group rebalances."""
    procs.wait_until(lambda: member.heartbeat(*who) == REBALANCING, "a rebalance", 20, 0.01)


def subscription(*topics):
    """What a consumer sends as its subscription."""
    names = b"".join(struct.pack(">h", len(name)) + name.encode() for name in topics)
    return struct.pack(">hi", 0, len(topics)) + names + struct.pack(">i", -1)


@suite.scenario
@suite.one_broker
def refused_joins(context):
    """Every join out of order gets Kafka's error, and a stable group does not notice."""
    group = context.name("group")
    prepared(context, group)
    with Member(context, group) as member, Member(context, group) as other:
        found = [
            other.join(group="")["code"],
            other.join(session=5_999)["code"],
            other.join(session=1_800_001)["code"],
            other.join("stranger")["code"],
            other.join(protocols=())["code"],
            other.join(kind="")["code"],
        ]
        assert found == [INVALID_GROUP, INVALID_SESSION, INVALID_SESSION, UNKNOWN_MEMBER,
                         INCONSISTENT, INCONSISTENT], found
        # A group without a name has a coordinator all the same.
        assert other.coordinator("") == other.coordinator(group)
        me = member.stable()
        found = [
            other.join("stranger")["code"],
            other.join("stranger", instance="nobody")["code"],
            other.join(kind="connect")["code"],
            other.join(protocols=[("sticky", b"")])["code"],
            # Its own earlier protocols count as well.
            other.join(me, protocols=[("sticky", b"")])["code"],
        ]
        assert found == [UNKNOWN_MEMBER, UNKNOWN_MEMBER, INCONSISTENT, INCONSISTENT,
                         INCONSISTENT], found
        assert member.heartbeat(me, 1) == NONE
        found = [other.heartbeat(me, 2), other.heartbeat("stranger", 1),
                 other.heartbeat(me, 1, instance="nobody"), other.heartbeat(me, 1, group=""),
                 other.heartbeat(me, 1, group="nowhere")]
        assert found == [ILLEGAL_GENERATION, UNKNOWN_MEMBER, UNKNOWN_MEMBER, INVALID_GROUP,
                         UNKNOWN_MEMBER], found
        # A rejected newcomer was given an id; the group goes on as it was.
        assert other.join()["code"] == MEMBER_ID_REQUIRED
        assert member.heartbeat(me, 1) == NONE


@suite.scenario
def sync_rules(context):
    """A follower waits for the leader; wrong generation, protocol or kind is refused; what the
    leader assigns to strangers and partitions that are not there goes nowhere."""
    group = context.name("group")
    prepared(context, group)
    with Member(context, group) as leads, Member(context, group) as follows:
        one = leads.stable()
        two = follows.enter()
        rebalancing(leads, one, 1)
        assert leads.sync(one, 1)[0] == REBALANCING
        assert leads.commit("x", member=one, generation=1) == [UNKNOWN_TOPIC]
        first, second = leads.join(one), follows.joined()
        assert (first["generation"], second["generation"]) == (2, 2)
        assert (first["leader"], second["leader"]) == (one, one)
        assert [len(first["members"]), len(second["members"])] == [2, 0]
        with Member(context, group) as asks:
            found = [asks.sync(two, 1)[0], asks.sync("stranger", 2)[0],
                     asks.sync(two, 2, kind="connect")[0],
                     asks.sync(two, 2, protocol="sticky")[0],
                     asks.sync(two, 2, kind=None)[0], asks.sync(two, 2, protocol=None)[0],
                     asks.sync(two, 2, instance="nobody")[0]]
            assert found == [ILLEGAL_GENERATION, UNKNOWN_MEMBER, INCONSISTENT, INCONSISTENT,
                             INCONSISTENT, INCONSISTENT, UNKNOWN_MEMBER], found
            assert asks.heartbeat(two, 2) == NONE, "between join and sync a member may beat"
        follows.send_sync(two, 2)
        assigned = [(one, b"p0"), (two, b"p1"), ("stranger", b"p2")]
        assert leads.sync(one, 2, assigned, version=4) == (NONE, b"p0")
        assert follows.synced() == (NONE, b"p1")
        # Asked again it is told again; a follower that joins again is told the generation.
        assert follows.sync(two, 2) == (NONE, b"p1")
        assert follows.join(two)["generation"] == 2
        code, state, kind, protocol, members = follows.describe()
        assert (code, state, kind, protocol) == (NONE, "Stable", "consumer", "range")
        assert sorted(m[5] for m in members) == [b"p0", b"p1"]
        # The leader that joins again wants a new generation.
        leads.send_join(one)
        rebalancing(follows, two, 2)
        follows.send_join(two)
        assert [leads.joined()["generation"], follows.joined()["generation"]] == [3, 3]


@suite.scenario
@suite.one_broker
def static_members(context):
    """A static member that comes back takes its place without a rebalance; its former self is
    fenced; members leave by static id."""
    group = context.name("group")
    prepared(context, group)
    with Member(context, group) as a, Member(context, group) as b, Member(context, group) as c:
        one = a.join(instance="one")["member"]
        assert a.sync(one, 1, [(one, b"all")], instance="one") == (NONE, b"all")
        b.send_join(instance="two")
        rebalancing(a, one, 1, "one")
        first = a.join(one, instance="one")
        two = b.joined()["member"]
        assert (first["leader"], first["generation"]) == (one, 2)
        b.send_sync(two, 2, instance="two")
        assert a.sync(one, 2, [(one, b"p0"), (two, b"p1")], instance="one") == (NONE, b"p0")
        assert b.synced() == (NONE, b"p1")
        # The follower returns: nobody notices.
        again = c.join(instance="two")
        assert (again["code"], again["generation"], again["skip"]) == (NONE, 2, False), again
        assert again["members"] == [] and again["leader"] == one
        assert c.sync(again["member"], 2, instance="two") == (NONE, b"p1")
        assert a.heartbeat(one, 2, "one") == NONE
        found = [b.heartbeat(two, 2, "two"), b.heartbeat(two, 2), b.sync(two, 2, instance="two")[0],
                 b.join(two, instance="two")["code"],
                 b.commit("x", member=two, generation=2, instance="two")[0]]
        assert found == [FENCED, UNKNOWN_MEMBER, FENCED, FENCED, UNKNOWN_TOPIC], found
        # The leader returns: it is told of everyone, and to leave the assignment as it is.
        returns = b.join(instance="one")
        assert (returns["generation"], returns["skip"]) == (2, True), returns
        assert returns["leader"] == returns["member"] and len(returns["members"]) == 2
        assert b.sync(returns["member"], 2, instance="one") == (NONE, b"p0")
        # An older client is told that another one leads.
        older = a.join(instance="one", version=8)
        assert (older["code"], older["generation"], older["members"]) == (NONE, 2, []), older
        assert older["leader"] == returns["member"] != older["member"]
        codes = c.leave(("", "two"), ("", "nobody"), (older["member"], "two"), ("stranger", None),
                        ("", None))
        assert codes == [NONE, NONE, UNKNOWN_MEMBER, UNKNOWN_MEMBER, UNKNOWN_MEMBER,
                         UNKNOWN_MEMBER], codes
        assert a.heartbeat(older["member"], 2, "one") == REBALANCING
        assert c.leave((older["member"], "one")) == [NONE, NONE]
        assert c.leave(("x", None)) == [NONE, UNKNOWN_MEMBER]
        assert c.leave(("x", None), group="") == [INVALID_GROUP]
        assert c.leave(("x", None), group="nowhere") == [NONE, UNKNOWN_MEMBER]
        assert c.describe()[1] == "Empty"


@suite.scenario
def a_waiting_static_member_is_fenced(context):
    """Two processes with one static id: the later join fences the one that waits."""
    group = context.name("group")
    prepared(context, group)
    with Member(context, group) as a, Member(context, group) as b, Member(context, group) as c:
        me = a.stable()
        b.send_join(instance="twin")
        rebalancing(a, me, 1)
        c.send_join(instance="twin")
        assert b.joined()["code"] == FENCED
        assert a.join(me)["generation"] == 2
        assert c.joined()["generation"] == 2


@suite.scenario
def members_survive_a_restart(context):
    """After kill -9 the broker knows the generation, its members and their assignment; a member
    goes on without a rebalance."""
    group = context.name("group")
    prepared(context, group)
    with Member(context, group) as member:
        me = member.stable(session=60_000, rebalance=60_000)
    context.broker.kill()
    context.broker.start()
    prepared(context, group)
    with Member(context, group) as member:
        assert member.heartbeat(me, 1) == NONE
        assert member.sync(me, 1) == (NONE, b"all")
        assert member.describe()[1] == "Stable"
        assert member.leave((me, None)) == [NONE, NONE]


@suite.scenario
@suite.one_broker
def commit_rules(context):
    """Who may commit: members of the generation, anyone to a group without members; what is
    refused is not stored."""
    topic, group = context.topic("committing", partitions=2), context.name("group")
    prepared(context, group)
    with Member(context, group) as member, Member(context, group) as other:
        assert member.commit(topic, member="x", generation=1) == [GROUP_NOT_FOUND]
        assert member.commit(topic, member="x", generation=1, version=8) == [ILLEGAL_GENERATION]
        assert member.commit(topic, (0, 2), offset=5) == [NONE, UNKNOWN_TOPIC]
        assert member.commit("nowhere", member="x", generation=9) == [UNKNOWN_TOPIC]
        assert member.commit(topic, member="x", generation=1) == [UNKNOWN_MEMBER]
        assert member.describe()[:4] == (NONE, "Empty", "", "")
        me = member.stable()
        found = [other.commit(topic), other.commit(topic, member="x", generation=1),
                 other.commit(topic, member=me, generation=2), other.commit(topic, member=me),
                 other.commit(topic, member=me, generation=1, instance="x"),
                 other.commit(topic, member=me, generation=1, metadata="x" * 4097)]
        assert found == [[UNKNOWN_MEMBER], [UNKNOWN_MEMBER], [ILLEGAL_GENERATION],
                         [ILLEGAL_GENERATION], [UNKNOWN_MEMBER], [METADATA_TOO_LARGE]], found
        assert member.committed(topic, (0, 1)) == [(5, NONE), (-1, NONE)]
        # 4096 characters are not too many, however many bytes they are.
        assert member.commit(topic, member=me, generation=1, offset=6,
                             metadata="\u00e4" * 4096) == [NONE]
        newcomer = other.enter()
        rebalancing(member, me, 1)
        # While the generation winds up its members may commit, between join and sync not.
        assert member.commit(topic, member=me, generation=1, offset=7) == [NONE]
        member.join(me)
        other.joined()
        assert member.commit(topic, member=me, generation=2, offset=8) == [REBALANCING]
        assert member.committed(topic) == [(7, NONE)]
        assert member.leave((me, None), (newcomer, None)) == [NONE, NONE, NONE]
        assert member.commit(topic, offset=9) == [NONE]
        assert member.committed(topic) == [(9, NONE)]
        # The oldest clients keep offsets in the group without a name.
        assert member.commit(topic, offset=3, group="") == [NONE]
        assert member.committed(topic, group="") == [(3, NONE)]
        assert member.delete("") == [NONE]
        unknown = bytes(range(16))
        assert member.commit(unknown, version=10) == [UNKNOWN_TOPIC_ID]
        assert member.committed(unknown, version=10) == [(-1, UNKNOWN_TOPIC_ID)]


@suite.scenario
@suite.one_broker
def offsets_deleted(context):
    """OffsetDelete: only where nobody reads; the rest of the group stays."""
    topic, group = context.topic("forgotten", partitions=2), context.name("group")
    prepared(context, group)
    with Member(context, group) as member:
        assert member.delete_offsets(topic) == [GROUP_NOT_FOUND]
        assert member.delete_offsets(topic, group="") == [INVALID_GROUP]
        assert member.commit(topic, (0, 1), offset=5) == [NONE, NONE]
        assert member.delete_offsets(topic, (0, 7)) == [NONE, NONE, UNKNOWN_TOPIC]
        assert member.delete_offsets("nowhere") == [NONE, UNKNOWN_TOPIC]
        assert member.committed(topic, (0, 1)) == [(-1, NONE), (5, NONE)]
        me = member.stable(protocols=[("range", subscription(topic))])
        assert member.delete_offsets(topic, (1,)) == [NONE, SUBSCRIBED]
        assert member.leave((me, None)) == [NONE, NONE]
        me = member.enter(protocols=[("range", subscription("another"))])
        generation = member.joined()["generation"]
        assert member.sync(me, generation, [(me, b"")])[0] == NONE
        assert member.delete_offsets(topic, (1,)) == [NONE, NONE]
        assert member.committed(topic, (1,)) == [(-1, NONE)]
        assert member.heartbeat(me, generation) == NONE
        assert member.leave((me, None)) == [NONE, NONE]
        assert member.commit(topic, offset=5) == [NONE]
        me = member.enter(kind="connect")
        generation = member.joined()["generation"]
        assert member.sync(me, generation, [(me, b"")], kind="connect")[0] == NONE
        assert member.delete_offsets(topic) == [NON_EMPTY]
        assert member.committed(topic) == [(5, NONE)]


@suite.scenario
@suite.one_broker
def groups_described_listed_deleted(context):
    """What administrators see of groups in every state, and deletion."""
    topic, group = context.topic("described"), context.name("group")
    simple = context.name("simple")
    prepared(context, group)
    prepared(context, simple)
    with Member(context, group) as member, Member(context, group) as other:
        assert member.describe()[:2] == (GROUP_NOT_FOUND, "Dead")
        assert member.describe(version=5)[:2] == (NONE, "Dead")
        assert member.commit(topic, group=simple) == [NONE]
        me = member.stable()
        found = member.listed()
        assert found[group] == ("consumer", "Stable", "classic"), found
        assert found[simple] == ("", "Empty", "classic"), found
        assert group not in member.listed(states=["Empty"])
        assert group in member.listed(states=["sTABLE"], types=["CLASSIC"])
        assert group not in member.listed(types=["consumer"])
        assert member.listed(states=["nonsense"]) == {}
        assert member.delete(group, simple, "nowhere") == [NON_EMPTY, NONE, GROUP_NOT_FOUND]
        other.enter()
        rebalancing(member, me, 1)
        code, state, kind, protocol, members = member.describe()
        assert (code, state, kind, protocol) == (NONE, "PreparingRebalance", "consumer", "")
        assert sorted(m[0] for m in members)[0].startswith("raw-"), members
        assert {tuple(m[1:5]) for m in members} == {(None, "raw", "/127.0.0.1", b"")}, members
        assert sorted(m[5] for m in members) == [b"", b"all"], members
        member.join(me)
        assert member.describe()[1] == "CompletingRebalance"
        other.joined()
        newcomer = [m[0] for m in member.describe()[4] if m[0] != me][0]
        assert member.leave((me, None), (newcomer, None)) == [NONE, NONE, NONE]
        assert member.describe()[1] == "Empty"
        assert member.delete(group) == [NONE]
        assert member.describe()[:2] == (GROUP_NOT_FOUND, "Dead")
        assert member.heartbeat(me, 1) == UNKNOWN_MEMBER


@suite.scenario
def large_member_metadata(context):
    """A hundred kilobytes of subscription go round like any other, a megabyte and more cannot
    be written and says so; other groups do not notice."""
    group, victim = context.name("group"), context.name("group")
    prepared(context, group)
    prepared(context, victim)
    with Member(context, group) as member, Member(context, victim) as other:
        bystander = other.stable()
        large = bytes(100 << 10)
        me = member.enter(protocols=[("range", large)])
        joined = member.joined()
        assert joined["members"] == [(me, None, large)]
        assert member.sync(me, 1, [(me, large)]) == (NONE, large)
        assert member.describe()[4][0][4:] == [large, large]
        assert member.leave((me, None)) == [NONE, NONE]
        me = member.enter(protocols=[("range", bytes(1_200_000))])
        assert member.joined()["code"] == NONE
        assert member.sync(me, 3, [(me, b"")])[0] == UNKNOWN_ERROR
        assert member.leave((me, None)) == [NONE, NONE]
        assert other.heartbeat(bystander, 1) == NONE


@suite.scenario
@suite.one_broker
def coordinators_found(context):
    """FindCoordinator: kinds and keys."""
    group = context.name("group")
    prepared(context, group)
    with Member(context, group) as asks:
        found = [asks.coordinator(group), asks.coordinator(group, kind=9),
                 asks.coordinator(group, kind=2, version=5)]
        assert found == [(NONE, 1), (42, -1), (42, -1)], found


@suite.ours
def questions_of_any_size(context):
    """Who names a partition, or a group, more often than an answer has room for is refused."""
    group, topic = context.name("group"), context.topic("asked")
    prepared(context, group)
    with Member(context, group) as asks:
        assert asks.commit(topic) == [NONE]
        [(offset, _)] = asks.committed(topic)
        assert asks.committed(topic, [0] * 100_000) == [(offset, NONE)] * 100_000
        assert asks.asked_for(topic, [0] * 100_001) == [(42, [])]
        assert asks.asked_for(topic, times=2) == [(42, []), (42, [])]
        assert asks.delete_offsets(topic, [0] * 25_001)[0] == 42
        assert asks.committed(topic) == [(offset, NONE)]
