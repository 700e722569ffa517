"""The group APIs by hand, at their newest versions: what no client library lets one send."""

import struct

from .wire import Raw

UNKNOWN_ERROR = -1
NONE = 0
UNKNOWN_TOPIC = 3
ILLEGAL_GENERATION = 22
INCONSISTENT = 23
INVALID_GROUP = 24
UNKNOWN_MEMBER = 25
INVALID_SESSION = 26
REBALANCING = 27
METADATA_TOO_LARGE = 12
NON_EMPTY = 68
GROUP_NOT_FOUND = 69
MEMBER_ID_REQUIRED = 79
FENCED = 82
SUBSCRIBED = 86
UNKNOWN_TOPIC_ID = 100


def uvarint(number):
    """An unsigned varint."""
    out = bytearray()
    while number > 0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def text(value):
    """A compact nullable string."""
    return blob(None if value is None else value.encode())


def blob(value):
    """Compact nullable bytes."""
    return uvarint(0) if value is None else uvarint(len(value) + 1) + value


def array(items):
    """A compact array of what is encoded already."""
    return uvarint(len(items) + 1) + b"".join(items)


TAGS = b"\0"


class Reader:
    """Reads an answer of a flexible version."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        """The next bytes."""
        part = self.data[self.at:self.at + size]
        assert len(part) == size, (self.data, self.at, size)
        self.at += size
        return part

    def number(self, kind):
        """A number as `struct` names it."""
        return struct.unpack(f">{kind}", self.take(struct.calcsize(kind)))[0]

    def uvarint(self):
        """An unsigned varint."""
        shift = value = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def blob(self):
        """Compact nullable bytes."""
        size = self.uvarint()
        return None if size == 0 else self.take(size - 1)

    def text(self):
        """A compact nullable string."""
        data = self.blob()
        return None if data is None else data.decode()

    def array(self, one):
        """A compact array."""
        return [one() for _ in range(self.uvarint() - 1)]

    def tags(self):
        """No tag is expected."""
        assert self.uvarint() == 0


class Member(Raw):
    """A connection that speaks for a member of one group."""

    def __init__(self, context, group):
        super().__init__(context.broker.port, timeout=30)
        self.group = group
        if context.kind.size > 1:
            # The group may be another broker's.
            error, node = self.coordinator(group)
            if error == NONE:
                self.close()
                super().__init__(context.broker.port_of_node(node), timeout=30)

    def ask(self, key, version, body):
        """Sends a request and reads its answer."""
        answer = self.request(key, version, TAGS + body)
        assert answer is not None, f"API {key} version {version}: closed"
        reader = Reader(answer)
        reader.tags()
        return reader

    # -- joining

    def send_join(self, member="", *, instance=None, protocols=(("range", b"x"),),
                  kind="consumer", session=10_000, rebalance=10_000, version=9, group=None):
        """Sends a JoinGroup; `joined` reads its answer."""
        names = [text(name) + blob(data) + TAGS for name, data in protocols]
        group = self.group if group is None else group
        body = (text(group) + struct.pack(">ii", session, rebalance) + text(member)
                + text(instance) + text(kind) + array(names)
                + (text("a reason") if version >= 8 else b"") + TAGS)
        self.send(self.frame(11, version, TAGS + body))
        return version

    def joined(self, version=9):
        """The answer to the oldest join sent."""
        reader = Reader(self.answer()[4:])
        reader.tags()
        assert reader.number("i") == 0
        found = {"code": reader.number("h"), "generation": reader.number("i")}
        if version >= 7:
            found["kind"] = reader.text()
        found["protocol"] = reader.text()
        found["leader"] = reader.text()
        if version >= 9:
            found["skip"] = reader.number("b") == 1
        found["member"] = reader.text()

        def one():
            member = (reader.text(), reader.text(), reader.blob())
            reader.tags()
            return member
        found["members"] = reader.array(one)
        return found

    def join(self, *args, **options):
        """Joins and waits for the answer."""
        return self.joined(self.send_join(*args, **options))

    def enter(self, **options):
        """A newcomer's two joins, the second one without waiting; returns the id."""
        first = self.join(**options)
        assert first["code"] == MEMBER_ID_REQUIRED, first
        self.send_join(first["member"], **options)
        return first["member"]

    def sync(self, member, generation, assignments=(), *, instance=None, kind="consumer",
             protocol="range", version=5):
        """SyncGroup; (code, assignment)."""
        self.send_sync(member, generation, assignments, instance=instance, kind=kind,
                       protocol=protocol, version=version)
        return self.synced(version)

    def send_sync(self, member, generation, assignments=(), *, instance=None, kind="consumer",
                  protocol="range", version=5):
        """Sends a SyncGroup."""
        given = [text(who) + blob(data) + TAGS for who, data in assignments]
        names = text(kind) + text(protocol) if version >= 5 else b""
        body = (text(self.group) + struct.pack(">i", generation) + text(member) + text(instance)
                + names + array(given) + TAGS)
        self.send(self.frame(14, version, TAGS + body))

    def synced(self, version=5):
        """The answer to the oldest sync sent."""
        reader = Reader(self.answer()[4:])
        reader.tags()
        reader.number("i")
        code = reader.number("h")
        if version >= 5:
            reader.text(), reader.text()
        return code, reader.blob()

    def stable(self, **options):
        """Joins an empty group, syncs; returns the id."""
        member = self.enter(**options)
        joined = self.joined()
        assert joined["code"] == NONE and joined["leader"] == member, joined
        done = self.sync(member, joined["generation"], [(member, b"all")])
        assert done == (NONE, b"all"), done
        return member

    def heartbeat(self, member, generation, instance=None, group=None):
        """Heartbeat; its error."""
        body = (text(self.group if group is None else group) + struct.pack(">i", generation)
                + text(member) + text(instance) + TAGS)
        reader = self.ask(12, 4, body)
        reader.number("i")
        return reader.number("h")

    def leave(self, *members, group=None):
        """LeaveGroup of (id, static id); the group's error, then theirs."""
        listed = [text(member) + text(instance) + text("why") + TAGS
                  for member, instance in members]
        group = self.group if group is None else group
        reader = self.ask(13, 5, text(group) + array(listed) + TAGS)
        reader.number("i")
        code = reader.number("h")

        def one():
            reader.text(), reader.text()
            found = reader.number("h")
            reader.tags()
            return found
        return [code, *reader.array(one)]

    # -- offsets

    def commit(self, topic, partitions=(0,), *, member="", generation=-1, instance=None,
               offset=1, metadata="", group=None, version=9):
        """OffsetCommit by name; the error of each partition."""
        each = [struct.pack(">iqi", partition, offset, -1) + text(metadata) + TAGS
                for partition in partitions]
        group = self.group if group is None else group
        named = text(topic) if version < 10 else topic
        body = (text(group) + struct.pack(">i", generation) + text(member) + text(instance)
                + array([named + array(each) + TAGS]) + TAGS)
        reader = self.ask(8, version, body)
        reader.number("i")

        def part():
            found = (reader.number("i"), reader.number("h"))
            reader.tags()
            return found

        def one():
            reader.text() if version < 10 else reader.take(16)
            found = reader.array(part)
            reader.tags()
            return found
        return [code for _, code in sorted(sum(reader.array(one), []))]

    def committed(self, topic, partitions=(0,), group=None, version=9):
        """OffsetFetch; per partition (offset, error)."""
        [(code, found)] = self.asked_for(topic, partitions, group, version)
        assert code == NONE, code
        return found

    def asked_for(self, topic, partitions=(0,), group=None, version=9, times=1):
        """OffsetFetch that names the group so many times; (error, [(offset, error)]) of each."""
        wanted = [struct.pack(">i", partition) for partition in partitions]
        named = text(topic) if version < 10 else topic
        asked = (text(self.group if group is None else group) + text(None)
                 + struct.pack(">i", -1) + array([named + array(wanted) + TAGS]) + TAGS)
        reader = self.ask(9, version, array([asked] * times) + b"\0" + TAGS)
        reader.number("i")

        def part():
            found = (reader.number("i"), reader.number("q"), reader.number("i"),
                     reader.text(), reader.number("h"))
            reader.tags()
            return found[1], found[4]

        def one():
            reader.text() if version < 10 else reader.take(16)
            found = reader.array(part)
            reader.tags()
            return found

        def of_group():
            reader.text()
            found = sum(reader.array(one), [])
            code = reader.number("h")
            reader.tags()
            return code, found
        return reader.array(of_group)

    def delete_offsets(self, topic, partitions=(0,), group=None):
        """OffsetDelete; the group's error, then each partition's."""
        def string(value):
            return struct.pack(">h", len(value)) + value.encode()
        body = (string(self.group if group is None else group) + struct.pack(">i", 1)
                + string(topic) + struct.pack(">i", len(partitions))
                + b"".join(struct.pack(">i", partition) for partition in partitions))
        answer = self.request(47, 0, body)
        code, _, topics = struct.unpack(">hii", answer[:10])
        if topics == 0:
            return [code]
        at = 10 + 2 + len(topic)
        count = struct.unpack(">i", answer[at:at + 4])[0]
        each = [struct.unpack(">ih", answer[at + 4 + 6 * n:at + 10 + 6 * n])
                for n in range(count)]
        return [code, *(found for _, found in sorted(each))]

    # -- administration

    def describe(self, group=None, version=6):
        """DescribeGroups of one group: (error, state, kind, protocol, members)."""
        body = array([text(self.group if group is None else group)]) + b"\0" + TAGS
        reader = self.ask(15, version, body)
        reader.number("i")

        def member():
            found = [reader.text() for _ in range(4)] + [reader.blob(), reader.blob()]
            reader.tags()
            return found

        def one():
            code = reader.number("h")
            if version >= 6:
                reader.text()
            reader.text()
            found = (code, reader.text(), reader.text(), reader.text(), reader.array(member))
            reader.number("i")
            reader.tags()
            return found
        return reader.array(one)[0]

    def listed(self, states=(), types=()):
        """ListGroups: {group: (kind, state, type)} of the scenario's own groups."""
        body = array([text(s) for s in states]) + array([text(t) for t in types]) + TAGS
        reader = self.ask(16, 5, body)
        reader.number("i")
        assert reader.number("h") == NONE

        def one():
            found = reader.text(), (reader.text(), reader.text(), reader.text())
            reader.tags()
            return found
        return dict(reader.array(one))

    def delete(self, *groups):
        """DeleteGroups; the error of each."""
        reader = self.ask(42, 2, array([text(group) for group in groups]) + TAGS)
        reader.number("i")

        def one():
            found = reader.text(), reader.number("h")
            reader.tags()
            return found
        found = dict(reader.array(one))
        return [found[group] for group in groups]

    def coordinator(self, key, kind=0, version=4):
        """FindCoordinator; the error and whether a broker was named."""
        body = struct.pack(">b", kind) + array([text(key)]) + TAGS
        reader = self.ask(10, version, body)
        reader.number("i")

        def one():
            reader.text()
            node, _, _ = reader.number("i"), reader.text(), reader.number("i")
            found = reader.number("h"), node
            reader.text()
            reader.tags()
            return found
        return reader.array(one)[0]
