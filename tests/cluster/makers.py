"""Clients that make topics one after another, each by way of one broker, and note when."""

import struct
import threading
import time

from ..compat.wire import Raw, string
from ..harness import net

PARTITIONS = 3
CREATE_TOPICS, METADATA, DESCRIBE_QUORUM = 19, 3, 55
NONE, REQUEST_TIMED_OUT, EXISTS, NOT_CONTROLLER = 0, 7, 36, 41
# A client's patience; the brokers' own is longer.
TIMEOUT_S = 3
PAUSE_S = 0.01


def create(raw, name, partitions=PARTITIONS):
    """Makes a topic; returns the error code, or None if there was no answer."""
    topic = string(name) + struct.pack(">ihii", partitions, 1, 0, 0)
    body = struct.pack(">i", 1) + topic + struct.pack(">ib", TIMEOUT_S * 1000, 0)
    answer = raw.request(CREATE_TOPICS, 4, body)
    if answer is None:
        return None
    at = 4 + 4 + 2 + len(name)
    return struct.unpack(">h", answer[at:at + 2])[0]


class Reader:
    """Fields of an answer, one after another."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, layout):
        """The fields of this layout; one alone as it is."""
        found = struct.unpack_from(">" + layout, self.data, self.at)
        self.at += struct.calcsize(">" + layout)
        return found[0] if len(found) == 1 else found

    def skip(self, size):
        """Leaves bytes out."""
        self.at += size

    def string(self):
        """A nullable string."""
        size = self.take("h")
        self.at += max(size, 0)
        return None if size < 0 else self.data[self.at - size:self.at].decode()


def brokers(raw):
    """The brokers that clients are told of: {id: rack}."""
    answer = raw.request(METADATA, 4, struct.pack(">ib", 0, 0))
    if answer is None:
        raise ConnectionError("closed")
    fields, found = Reader(answer), {}
    fields.take("i")
    for _ in range(fields.take("i")):
        node = fields.take("i")
        fields.string(), fields.take("i")
        found[node] = fields.string()
    return found


def metadata(raw, names=None):
    """{topic: {partition: leader}} as the broker tells it; topics with an error are left out."""
    body = struct.pack(">i", -1 if names is None else len(names))
    body += b"".join(map(string, names or ())) + b"\0"
    answer = raw.request(METADATA, 4, body)
    if answer is None:
        raise ConnectionError("closed")
    fields = Reader(answer)
    fields.take("i")
    for _ in range(fields.take("i")):
        fields.take("i"), fields.string(), fields.take("i"), fields.string()
    fields.string(), fields.take("i")
    found = {}
    for _ in range(fields.take("i")):
        error, name, _ = fields.take("h"), fields.string(), fields.take("b")
        partitions = {}
        for _ in range(fields.take("i")):
            _, partition, leader = fields.take("hii")
            for _ in range(2):
                fields.skip(4 * fields.take("i"))
            partitions[partition] = leader
        if error == NONE:
            found[name] = partitions
    return found


def quorum_leader(member, port=None):
    """Who leads the metadata log, as a member tells it; None when it does not say. By its
    controller's port only the leader says so."""
    topic = b"__cluster_metadata"
    # DescribeQuorum has flexible versions only: a header with tags, compact arrays and strings.
    body = b"\0\2" + bytes([len(topic) + 1]) + topic + b"\2" + struct.pack(">i", 0) + b"\0\0\0"
    try:
        with Raw(port or member.port, 2, member.host) as raw:
            answer = raw.request(DESCRIBE_QUORUM, 0, body)
    except OSError:
        return None
    if answer is None:
        return None
    # The header's tags, the error, the array and the topic's name before the one partition.
    at = 1 + 2 + 1 + 1 + len(topic) + 1
    if answer[1:3] != b"\0\0" or len(answer) < at + 10:
        return None
    _, error, leader = struct.unpack(">ihi", answer[at:at + 10])
    return leader if error == NONE and leader >= 0 else None


def from_inside(pid, call):
    """What `call` gives in the namespace of a process, or None when it fails for the network."""
    found = []

    def run():
        net.enter(pid)
        try:
            found.append(call())
        except OSError:
            pass
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    return found[0] if found else None


class Maker(threading.Thread):
    """Makes topics by way of one member until told to stop."""

    def __init__(self, member, stem, inside=None, reads=True, patience=TIMEOUT_S):
        super().__init__(daemon=True)
        self.member, self.stem, self.inside, self.reads = member, stem, inside, reads
        self.patience = patience
        self.stopping = threading.Event()
        # (name, when it was begun, when it was answered)
        self.accepted = []
        # Asked for and not acknowledged: (name, when it was begun, the code or None).
        self.unsure = []
        # Acknowledged, and not shown at once by the member that said so.
        self.unread = []
        self.error = None
        self.start()

    def run(self):
        try:
            if self.inside is not None:
                net.enter(self.inside)
            self.make()
        except BaseException as error:  # told by the scenario's thread
            self.error = error

    def make(self):
        """Each name once: what is not acknowledged may exist, or not."""
        raw, number = None, 0
        while not self.stopping.is_set():
            number += 1
            name = f"{self.stem}-{number}"
            begun = time.monotonic()
            try:
                raw = raw or Raw(self.member.port, self.patience, self.member.host)
                code = create(raw, name)
                if code == NONE:
                    self.accepted.append((name, begun, time.monotonic()))
                    if self.reads and len(metadata(raw, [name]).get(name, ())) != PARTITIONS:
                        self.unread.append(name)
                else:
                    self.unsure.append((name, begun, code))
                    if code is None:
                        raise ConnectionError("closed")
            except OSError:
                if raw is not None:
                    raw.close()
                    raw = None
                if not self.unsure or self.unsure[-1][0] != name:
                    if not self.accepted or self.accepted[-1][0] != name:
                        self.unsure.append((name, begun, None))
            self.stopping.wait(PAUSE_S)
        if raw is not None:
            raw.close()

    def stop(self):
        """Ends it."""
        self.stopping.set()
        self.join(TIMEOUT_S + 30)
        assert not self.is_alive(), "a maker hangs"
        if self.error is not None:
            raise self.error

    def after(self, moment):
        """The first topic that was begun after a moment and acknowledged, or None."""
        return next((entry for entry in self.accepted if entry[1] >= moment), None)
