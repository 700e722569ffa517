"""A small load client: many connections in one thread, requests written by hand, so that its own
cost stays small beside the broker's."""

import select
import socket
import struct
import time

from ..compat.wire import string

REBALANCE_IN_PROGRESS = 27
RETRIABLE = {14, 15, 16}  # loading, not available, not the coordinator


def text(answer, at):
    """(string, where it ends)."""
    size = struct.unpack_from(">h", answer, at)[0]
    return answer[at + 2:at + 2 + max(size, 0)].decode(), at + 2 + max(size, 0)


class Loop:
    """The connections and their answers."""

    def __init__(self):
        self.poll = select.epoll()
        self.connections = {}

    def wait(self, seconds):
        """Handles what comes within so many seconds, at least once."""
        until = time.monotonic() + seconds
        while True:
            left = max(until - time.monotonic(), 0)
            for number, _ in self.poll.poll(left):
                self.connections[number].readable()
            if time.monotonic() >= until:
                return

    def close(self):
        """Ends all connections."""
        for connection in self.connections.values():
            connection.socket.close()
        self.poll.close()


class Connection:
    """One connection with at most one request under way."""

    def __init__(self, loop, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.loop, self.buffer, self.then = loop, b"", None
        loop.connections[self.socket.fileno()] = self
        loop.poll.register(self.socket.fileno(), select.EPOLLIN)

    def request(self, key, version, body, then):
        """Sends a request; `then` takes its answer without the correlation id."""
        assert self.then is None, "a request is under way"
        header = struct.pack(">hhi", key, version, 7) + string("load")
        data = header + body
        self.then = then
        self.socket.sendall(struct.pack(">i", len(data)) + data)

    def readable(self):
        """Takes what has come."""
        data = self.socket.recv(1 << 16)
        assert data, "the broker closed a connection"
        self.buffer += data
        if len(self.buffer) < 4:
            return
        size = struct.unpack(">i", self.buffer[:4])[0]
        if len(self.buffer) < size + 4:
            return
        answer, self.buffer = self.buffer[8:size + 4], self.buffer[size + 4:]
        then, self.then = self.then, None
        then(answer)


class Member(Connection):
    """A member of a group, from join to heartbeats and commits."""

    def __init__(self, loop, port, group, topic, partition=0):
        super().__init__(loop, port)
        self.group, self.topic, self.partition = group, topic, partition
        self.id, self.generation, self.ready = "", -1, False
        self.again_at = None
        self.offset = 0
        self.commits = 0

    def join(self):
        """Begins to join; `ready` tells when the assignment has come."""
        self.ready, self.again_at = False, None
        subscription = struct.pack(">hi", 0, 1) + string(self.topic) + struct.pack(">i", -1)
        body = (string(self.group) + struct.pack(">ii", 30_000, 60_000) + string(self.id)
                + string("consumer") + struct.pack(">i", 1) + string("range")
                + struct.pack(">i", len(subscription)) + subscription)
        self.request(11, 2, body, self._joined)

    def _joined(self, answer):
        code, self.generation = struct.unpack_from(">hi", answer, 4)
        if code in RETRIABLE:
            self.again_at = time.monotonic() + 0.1
            return
        assert code == 0, f"JoinGroup: {code}"
        _, at = text(answer, 10)
        leader, at = text(answer, at)
        self.id, at = text(answer, at)
        members = []
        count = struct.unpack_from(">i", answer, at)[0]
        at += 4
        for _ in range(count):
            member, at = text(answer, at)
            at += 4 + struct.unpack_from(">i", answer, at)[0]
            members.append(member)
        assignments = members if leader == self.id else []
        body = (string(self.group) + struct.pack(">i", self.generation) + string(self.id)
                + struct.pack(">i", len(assignments)))
        for number, member in enumerate(assignments):
            bytes_of = (struct.pack(">hi", 0, 1) + string(self.topic)
                        + struct.pack(">iii", 1, number, -1))
            body += string(member) + struct.pack(">i", len(bytes_of)) + bytes_of
        self.request(14, 1, body, self._synced)

    def _synced(self, answer):
        code = struct.unpack_from(">h", answer, 4)[0]
        if code == REBALANCE_IN_PROGRESS:
            self.join()
            return
        assert code == 0, f"SyncGroup: {code}"
        assert struct.unpack_from(">i", answer, 6)[0] > 0, "an assignment without bytes"
        self.ready = True

    def heartbeat(self):
        """Says that it lives, and joins again when told to."""
        body = string(self.group) + struct.pack(">i", self.generation) + string(self.id)

        def beaten(answer):
            code = struct.unpack_from(">h", answer, 4)[0]
            if code == REBALANCE_IN_PROGRESS:
                self.join()
            else:
                assert code == 0, f"Heartbeat: {code}"
        self.request(12, 1, body, beaten)

    def commit(self, beat=False):
        """Commits the next offset of its partition, and then says that it lives if told to."""
        self.offset += 1
        body = (string(self.group) + struct.pack(">i", self.generation) + string(self.id)
                + struct.pack(">i", 1) + string(self.topic)
                + struct.pack(">iiq", 1, self.partition, self.offset) + string(""))

        def committed(answer):
            code = struct.unpack(">h", answer[-2:])[0]
            assert code == 0, f"OffsetCommit: {code}"
            self.commits += 1
            if beat:
                self.heartbeat()
        self.request(8, 5, body, committed)


def until_ready(loop, members, timeout=60):
    """Waits until every member has its assignment in one generation."""
    deadline = time.monotonic() + timeout
    beat_at = time.monotonic() + 0.1
    while not (all(member.ready for member in members)
               and len({member.generation for member in members}) == 1):
        assert time.monotonic() < deadline, (
            f"{sum(member.ready for member in members)} of {len(members)} have assignments")
        loop.wait(0.001)
        now = time.monotonic()
        for member in members:
            if member.again_at is not None and now >= member.again_at:
                member.join()
        if now >= beat_at:
            beat_at = now + 0.1
            for member in members:
                if member.ready and member.then is None:
                    member.heartbeat()
