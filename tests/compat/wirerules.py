"""Administrative requests that no client library would send: names twice, numbers that cannot be,
cursors that lead nowhere. Each runs against both brokers: what is asserted is Kafka's answer."""

import struct

from ..harness import procs
from . import suite
from .groupwire import Member, TAGS, array, text

NONE, LOADING, INVALID_TOPIC, INVALID_REQUEST, GROUP_NOT_FOUND = 0, 14, 17, 42, 69
NO_ID = bytes(16)
NOT_ASKED, ALL_OF_A_TOPIC = -2**31, 0xDF8


def number(kind, *values):
    """Numbers as `struct` names them."""
    return struct.pack(f">{kind}", *values)


@suite.scenario
@suite.one_broker
def topics_twice(context):
    """A topic that is named twice: never deleted, described once, its offset not told."""
    topic = context.topic("twice")
    context.produce(topic, [b"x"] * 3)
    with Member(context, "") as raw:
        named = text(topic) + NO_ID + TAGS
        reader = raw.ask(20, 6, array([named, named]) + number("i", 5000) + TAGS)
        reader.number("i")
        deleted = reader.array(lambda: (reader.text(), reader.take(16), reader.number("h"),
                                        reader.text(), reader.tags())[::2][:2])
        assert deleted == [(topic, INVALID_REQUEST)], deleted
        asked = NO_ID + text(topic) + TAGS
        reader = raw.ask(3, 12, array([asked, asked]) + b"\0\0" + TAGS)
        reader.number("i")
        reader.array(lambda: (reader.number("i"), reader.text(), reader.number("i"),
                              reader.text(), reader.tags()))
        reader.text(), reader.number("i")
        assert reader.uvarint() == 2, "one topic"
        assert (reader.number("h"), reader.text()) == (NONE, topic), "it is still there"
        latest = number("iiq", 0, -1, -1) + TAGS
        reader = raw.ask(2, 7, number("ib", -1, 0) + array(
            [text(topic) + array([latest, latest]) + TAGS]) + TAGS)
        reader.number("i")
        assert reader.uvarint() == 2 and reader.text() == topic and reader.uvarint() == 2
        assert (reader.number("i"), reader.number("h")) == (0, INVALID_REQUEST)
        # Of two offsets the last one counts.
        first, last = number("iq", 0, 3) + TAGS, number("iq", 0, 1) + TAGS
        reader = raw.ask(21, 2, array([text(topic) + array([first, last]) + TAGS])
                         + number("i", 5000) + TAGS)
        reader.number("i")
        assert reader.uvarint() == 2 and reader.text() == topic and reader.uvarint() == 2
        assert (reader.number("i"), reader.number("q"), reader.number("h")) == (0, 1, NONE)
        reader = raw.ask(42, 2, array([text("nobody"), text("nobody")]) + TAGS)
        reader.number("i")
        found = reader.array(lambda: (reader.text(), reader.number("h"), reader.tags())[:2])
        assert found == [("nobody", GROUP_NOT_FOUND)], found


@suite.scenario
def pages_of_topics(context):
    """DescribeTopicPartitions: cursors that cannot be are refused; a missing topic's rights."""
    one, two = sorted(context.topic(stem, partitions=2) for stem in ("page-a", "page-b"))

    def page(names, cursor):
        start = b"\xff" if cursor is None else b"\1" + text(cursor[0]) + number(
            "i", cursor[1]) + TAGS
        with Member(context, "") as raw:
            reader = raw.ask(75, 0, array([text(name) + TAGS for name in names])
                             + number("i", 100) + start + TAGS)

            def partition():
                index = (reader.number("h"), reader.number("i"))[1]
                reader.take(8)
                for _ in range(5):
                    reader.array(lambda: reader.number("i"))
                reader.tags()
                return index

            def topic():
                code, name = reader.number("h"), reader.text()
                reader.take(17)
                partitions = reader.array(partition)
                rights = reader.number("i")
                reader.tags()
                return code, name, partitions, rights
            reader.number("i")
            return reader.array(topic)
    assert page([two, one], (one, 1)) == [(NONE, one, [1], ALL_OF_A_TOPIC),
                                          (NONE, two, [0, 1], ALL_OF_A_TOPIC)]
    for names, cursor in [([one], (one, -1)), ([two], (one, 0)), ([one], ("zz", 0))]:
        found = page(names, cursor)
        assert found == [(INVALID_REQUEST, name, [], NOT_ASKED) for name in names], found
    missing = context.name("missing")
    assert page([missing], None) == [(3, missing, [], ALL_OF_A_TOPIC)]
    assert page(["a/b"], None) == [(INVALID_TOPIC, "a/b", [], ALL_OF_A_TOPIC)]


@suite.scenario
@suite.one_broker
def numbers_that_cannot_be(context):
    """Half a producer, a transaction without a name, no epoch, names that no topic can have."""
    topic = context.topic("numbers")
    context.produce(topic, [b"x"])
    with Member(context, "") as raw:
        for name, producer, epoch, expected in [
                (None, -1, -1, NONE), (None, 5, 0, NONE), (None, 5, -1, INVALID_REQUEST),
                (None, -1, 0, INVALID_REQUEST), ("", -1, -1, INVALID_REQUEST)]:
            asked = text(name) + number("iqh", 60000, producer, epoch) + TAGS

            def answered():
                reader = raw.ask(22, 5, asked)
                reader.number("i")
                found = reader.number("h"), reader.number("q") >= 0
                return found if found[0] != LOADING else None
            found = procs.wait_until(answered, "ids of producers", 30)
            assert found == (expected, expected == NONE), (name, producer, epoch, found)
        reader = raw.ask(23, 4, number("i", -1) + array(
            [text(topic) + array([number("iii", 0, -1, -1) + TAGS]) + TAGS]) + TAGS)
        reader.number("i")
        assert reader.uvarint() == 2 and reader.text() == topic and reader.uvarint() == 2
        assert [reader.number(kind) for kind in "hiiq"] == [NONE, 0, -1, -1]
        for name, expected in [("a/b", INVALID_TOPIC), ("", INVALID_TOPIC), ("missing", 3)]:
            reader = raw.ask(61, 0, array([text(name) + array([number("i", 0)]) + TAGS]) + TAGS)
            reader.number("i")
            assert reader.uvarint() == 2 and reader.text() == name and reader.uvarint() == 2
            assert (reader.number("i"), reader.number("h")) == (0, expected), name
        new = text("__cluster_metadata") + number("ih", 1, 1) + array([]) + array([]) + TAGS
        reader = raw.ask(19, 7, array([new]) + number("i", 5000) + b"\0" + TAGS)
        reader.number("i")
        assert reader.uvarint() == 2 and reader.text() == "__cluster_metadata"
        reader.take(16)
        assert reader.number("h") == INVALID_REQUEST
