"""Input no honest client sends: an error code or a closed connection, nothing stored, and
others unharmed."""

import gzip
import random
import struct
import time
import zlib

from . import suite
from .wire import Raw, batch, string

SEED = 20260901


def unharmed(context):
    """The broker lives and serves an ordinary client."""
    assert context.broker.alive(), context.broker.tail()
    topic = context.topic("unharmed")
    assert context.produce(topic, [b"ok"]) == [0]
    assert [m.value() for m in context.read(topic, 1)] == [b"ok"]


def api_versions_ok(port):
    """A fresh connection is answered."""
    with Raw(port) as raw:
        answer = raw.request(18, 0, b"")
        assert answer is not None and answer[:2] == b"\0\0"


@suite.scenario
def frames_of_bad_length(context):
    """Negative, zero, and huge lengths close the connection."""
    for length in (-1, -(2**31), 2**31 - 1, 104_857_601):
        with Raw(context.broker.port) as raw:
            raw.send(struct.pack(">i", length))
            raw.send(b"\0" * 16)
            assert raw.closed(), length
    unharmed(context)


@suite.scenario
def announced_and_never_sent(context):
    """Two hundred connections announce 100 MB each and send nothing: no memory is taken.

    Apache Kafka allocates what is announced and is lost after five; it gets two.
    """
    before = resident(context)
    count = 200 if context.broker.name == "tidelog" else 2
    raws = [Raw(context.broker.port) for _ in range(count)]
    for raw in raws:
        raw.send(struct.pack(">i", 104_857_600) + b"\0\0")
    api_versions_ok(context.broker.port)
    unharmed(context)
    grown = resident(context) - before
    for raw in raws:
        raw.close()
    if context.broker.name == "tidelog":
        assert grown < 64 << 20, f"{grown >> 20} MiB taken by promises"
    return f"grew by {grown >> 20} MiB"


def resident(context):
    """Resident bytes of the broker."""
    with open(f"/proc/{context.broker.child.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096


@suite.scenario
def unknown_requests(context):
    """Unknown keys and versions close the connection; ApiVersions is answered all the same."""
    with Raw(context.broker.port) as raw:
        answer = raw.request(18, 99, b"\0" + b"\4raw\0021" + b"\0")  # a flexible header
        code, count = struct.unpack(">hi", answer[:6])
        assert code == 35 and count >= 1, answer[:40]
        key, low, high = struct.unpack(">hhh", answer[6:12])
        assert (key, low) == (18, 0) and high >= 3, (key, low, high)
        assert raw.request(18, 0, b"")[:2] == b"\0\0"
    for key, version in [(999, 0), (-1, 0), (0, 2), (0, 99), (3, 99), (3, -1), (1, 3), (4, 0)]:
        with Raw(context.broker.port) as raw:
            raw.send(raw.frame(key, version, b"\0" * 40))
            assert raw.closed(), (key, version)
    unharmed(context)


@suite.scenario
def produce_min_version_is_advertised_as_zero(context):
    """librdkafka needs Produce from 0 in the list, though below 3 nothing is served."""
    with Raw(context.broker.port) as raw:
        answer = raw.request(18, 0, b"")
        count = struct.unpack(">i", answer[2:6])[0]
        listed = {}
        for number in range(count):
            key, low, high = struct.unpack(">hhh", answer[6 + 6 * number:12 + 6 * number])
            listed[key] = (low, high)
    assert listed[0][0] == 0 and listed[0][1] >= 12, listed[0]
    assert listed[1][0] == 4 and listed[1][1] >= 17, listed[1]
    assert listed[18][0] == 0 and listed[18][1] >= 4, listed[18]


@suite.scenario
def truncated_and_random_requests(context):
    """Every prefix of a good request and seeded noise: closed or answered, never harmed."""
    topic = context.topic("noise")
    random_source = random.Random(SEED)
    with Raw(context.broker.port) as raw:
        good = (string(None) + struct.pack(">hii", -1, 1000, 1) + string(topic)
                + struct.pack(">iii", 1, 0, len(batch())) + batch())
        whole = raw.frame(0, 8, good)[4:]
    for size in range(0, len(whole) - 1, 3):
        with Raw(context.broker.port) as raw:
            raw.send(struct.pack(">i", size) + whole[:size])
            raw.socket.shutdown(1)
            raw.answer()
    for _ in range(300):
        key = random_source.choice([0, 1, 2, 3, 8, 9, 10, 11, 14, 18, 19, 20, 22, 60, 75])
        body = random_source.randbytes(random_source.randrange(0, 200))
        with Raw(context.broker.port) as raw:
            raw.send(raw.frame(key, random_source.randrange(0, 14), body))
            raw.socket.shutdown(1)
            raw.answer()
    unharmed(context)
    assert context.watermarks(topic) == (0, 0), "a broken request stored something"
    return f"seed {SEED}"


CORRUPT_MESSAGE, UNKNOWN_TOPIC, MESSAGE_TOO_LARGE, INVALID_RECORD = 2, 3, 10, 87
OFFSET_OUT_OF_RANGE, UNKNOWN_LEADER_EPOCH, INVALID_REQUIRED_ACKS = 1, 75, 21
OUT_OF_ORDER_SEQUENCE, INVALID_PRODUCER_EPOCH = 45, 47


@suite.scenario
def bad_batches(context):
    """Each kind of broken batch has Kafka's code, and nothing of it is stored."""
    topic = context.topic("bad-batches")
    good = batch((b"one", b"two"))
    corrupt, invalid = {CORRUPT_MESSAGE}, {INVALID_RECORD}
    either = corrupt | invalid
    # Where Kafka fails without having looked, it says UNKNOWN_SERVER_ERROR; ours says what is.
    vague = either | ({-1} if context.broker.name == "kafka" else set())
    cases = {
        "wrong crc": (batch(crc=1), corrupt),
        "flipped byte": (good[:-3] + b"\xff" + good[-2:], corrupt),
        "count above": (batch((b"one",), count=2, last_delta=1), invalid),
        "count below": (batch((b"one", b"two"), count=1, last_delta=0), invalid),
        "last delta off": (batch((b"one", b"two"), last_delta=5), invalid),
        "negative count": (batch((b"one",), count=-1), invalid),
        "no records": (batch((), count=0, last_delta=0), invalid),
        "control batch": (batch(attributes=0x20), invalid),
        "magic 3": (batch(magic=3), corrupt),
        "not gzip": (batch((b"one",), attributes=1), vague),
        "codec 7": (batch((b"one",), attributes=7), vague),
        "two batches": (good + good, invalid),
        "short": (good[:-4], either),
        "header only": (good[:61], either),
        "half a header": (good[:30], either),
        "tiny length": (batch(length=10), corrupt),
        "huge length": (batch(length=2**31 - 1), vague),
        "negative length": (batch(length=-1), corrupt),
        "empty": (b"", either),
    }
    found = {}
    for name, (data, _) in cases.items():
        with Raw(context.broker.port_of(topic)) as raw:
            answer = raw.produce(topic, data)
            found[name] = None if answer is None else answer[0]
    wrong = {name: (found[name], codes) for name, (_, codes) in cases.items()
             if found[name] not in codes}
    assert context.watermarks(topic) == (0, 0), f"stored: {context.watermarks(topic)} {found}"
    assert not wrong, f"(found, expected): {wrong}"
    unharmed(context)
    return " ".join(f"{name}={code}" for name, code in found.items())


def old_message(magic, value=b"old"):
    """A message set of one message, in the format of Kafka before 0.11."""
    stamp = struct.pack(">q", int(time.time() * 1000)) if magic else b""
    checked = struct.pack(">bb", magic, 0) + stamp + struct.pack(">ii", -1, len(value)) + value
    message = struct.pack(">I", zlib.crc32(checked)) + checked
    return struct.pack(">qi", 0, len(message)) + message


@suite.scenario
def old_formats(context):
    """Messages of magic 0 and 1 are refused, and nothing of them is stored."""
    topic = context.topic("old")
    with Raw(context.broker.port_of(topic)) as raw:
        for version in (3, 8):
            for magic in (0, 1):
                for data in (old_message(magic), old_message(magic, b"x" * 200),
                             old_message(magic) * 3):
                    found = raw.produce(topic, data, version=version)
                    assert found is not None and found[0] == INVALID_RECORD, (magic, found)
    assert context.watermarks(topic) == (0, 0)
    unharmed(context)


@suite.scenario
def produce_refusals(context):
    """Unknown topic and partition, bad acks, too large."""
    topic = context.topic("refusals")
    with Raw(context.broker.port_of(topic)) as raw:
        assert raw.produce(context.name("absent"), batch())[0] == UNKNOWN_TOPIC
        assert raw.produce(topic, batch(), partition=9)[0] == UNKNOWN_TOPIC
        assert raw.produce(topic, batch(), partition=-1)[0] == UNKNOWN_TOPIC
        assert raw.produce(topic, batch(), acks=2)[0] == INVALID_REQUIRED_ACKS
        assert raw.produce(topic, batch((b"x" * 1_200_000,)))[0] == MESSAGE_TOO_LARGE
        assert raw.produce(topic, batch((b"ok",))) == (0, 0)
    assert context.watermarks(topic) == (0, 1)


@suite.scenario
def idempotent_sequences(context):
    """A retry is acknowledged again at its first offset; gaps and old epochs are refused."""
    topic = context.topic("sequences")

    def with_sequence(number, count=1, producer=4711, epoch=5):
        return batch([b"%d" % n for n in range(count)], producer=(producer, epoch, number))
    with Raw(context.broker.port_of(topic)) as raw:
        offsets = [raw.produce(topic, with_sequence(n)) for n in range(8)]
        assert offsets == [(0, n) for n in range(8)], offsets
        for number in range(3, 8):  # the last five
            assert raw.produce(topic, with_sequence(number)) == (0, number), number
        assert raw.produce(topic, with_sequence(1))[0] == OUT_OF_ORDER_SEQUENCE  # too old
        assert raw.produce(topic, with_sequence(9))[0] == OUT_OF_ORDER_SEQUENCE
        assert raw.produce(topic, with_sequence(8, epoch=4))[0] == INVALID_PRODUCER_EPOCH
        assert raw.produce(topic, with_sequence(3, epoch=6))[0] == OUT_OF_ORDER_SEQUENCE
        assert raw.produce(topic, with_sequence(0, epoch=6)) == (0, 8)
        assert raw.produce(topic, with_sequence(1, 3, epoch=6)) == (0, 9)
        assert raw.produce(topic, with_sequence(1, 3, epoch=6)) == (0, 9)
        unknown = raw.produce(topic, with_sequence(77, producer=4712, epoch=0))
        assert unknown[0] == 0, f"an unknown producer may start anywhere: {unknown}"
    context.broker.kill()
    context.broker.start()
    context.wait_for_topic(topic)
    with Raw(context.broker.port_of(topic)) as raw:
        again = raw.produce(topic, with_sequence(1, 3, epoch=6))
        assert again == (0, 9), again
        assert raw.produce(topic, with_sequence(9, epoch=6))[0] == OUT_OF_ORDER_SEQUENCE
        assert raw.produce(topic, with_sequence(0, epoch=5))[0] == INVALID_PRODUCER_EPOCH
        assert raw.produce(topic, with_sequence(4, epoch=6))[0] == 0


@suite.scenario
def fetch_refusals(context):
    """Fetch: unknown topic, out of range, newer epoch."""
    topic = context.topic("fetched")
    context.produce(topic, [b"1", b"2", b"3"])
    with Raw(context.broker.port_of(topic)) as raw:
        assert raw.fetch(context.name("absent"), 0)[0] == UNKNOWN_TOPIC
        assert raw.fetch(topic, 0, partition=3)[0] == UNKNOWN_TOPIC
        assert raw.fetch(topic, 4)[0] == OFFSET_OUT_OF_RANGE
        assert raw.fetch(topic, -5)[0] == OFFSET_OUT_OF_RANGE
        assert raw.fetch(topic, 0, epoch=99)[0] == UNKNOWN_LEADER_EPOCH
        code, mark, records = raw.fetch(topic, 3)
        assert (code, mark, records) == (0, 3, b""), (code, mark, records)
        code, mark, records = raw.fetch(topic, 0)
        assert (code, mark) == (0, 3) and len(records) > 61


@suite.scenario
def a_bomb_is_small_again(context):
    """A batch that unpacks to 500 MB: refused or stored as it is, and memory stays."""
    topic = context.topic("bomb")
    packed = gzip.compress(b"\0" * 200_000_000, 9)
    before = resident(context)
    with Raw(context.broker.port_of(topic), timeout=60) as raw:
        answer = raw.produce(topic, batch((b"x",), attributes=1, records=packed))
    assert answer is None or answer[0] != 0, answer
    grown = resident(context) - before
    if context.broker.name == "tidelog":
        assert grown < 96 << 20, f"{grown >> 20} MiB"
    unharmed(context)
    return f"{answer}, grew by {grown >> 20} MiB"


@suite.scenario
def pipelined_answers_keep_their_order(context):
    """Fifty requests in one write: fifty answers in order."""
    with Raw(context.broker.port) as raw:
        raw.send(b"".join(raw.frame(18, 0, b"") for _ in range(50)))
        for number in range(1, 51):
            answer = raw.answer()
            assert struct.unpack(">i", answer[:4])[0] == number


@suite.scenario
def byte_by_byte(context):
    """A request that arrives one byte at a time is a request."""
    with Raw(context.broker.port) as raw:
        raw.socket.setsockopt(6, 1, 1)
        for byte in raw.frame(18, 0, b""):
            raw.send(bytes([byte]))
        answer = raw.answer()
        assert answer is not None and answer[4:6] == b"\0\0"
