"""A few requests written by hand, for what no client would send."""

import socket
import struct
import time


def _crc_table():
    table = []
    for number in range(256):
        for _ in range(8):
            number = (number >> 1) ^ (0x82F63B78 if number & 1 else 0)
        table.append(number)
    return table


CRC_TABLE = _crc_table()


def crc32c(data):
    """CRC-32C as record batches carry it."""
    value = 0xFFFFFFFF
    for byte in data:
        value = CRC_TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def string(text):
    """A nullable string of the non-flexible versions."""
    if text is None:
        return struct.pack(">h", -1)
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def varint(number):
    """A zigzag varint."""
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number > 0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def record(delta, value, key=None, offset_delta=None, timestamp_delta=0):
    """One record of a batch."""
    def field(data):
        return varint(-1) if data is None else varint(len(data)) + data
    offset_delta = delta if offset_delta is None else offset_delta
    body = (b"\0" + varint(timestamp_delta) + varint(offset_delta) + field(key) + field(value)
            + varint(0))
    return varint(len(body)) + body


def batch(values=(b"value",), *, crc=None, magic=2, attributes=0, records=None, count=None,
          last_delta=None, length=None, base_offset=0, producer=(-1, -1, -1), timestamp=None,
          epoch=-1):
    """A record batch; every field can be made wrong."""
    body = records if records is not None else b"".join(
        record(number, value) for number, value in enumerate(values))
    stamp = int(time.time() * 1000) if timestamp is None else timestamp
    count = len(values) if count is None else count
    last_delta = len(values) - 1 if last_delta is None else last_delta
    checked = struct.pack(">hiqqqhii", attributes, last_delta, stamp, stamp, *producer, count)
    checked += body
    crc = crc32c(checked) if crc is None else crc
    length = len(checked) + 9 if length is None else length
    return struct.pack(">qiibI", base_offset, length, epoch, magic, crc & 0xFFFFFFFF) + checked


class Raw:
    """A bare connection."""

    def __init__(self, port, timeout=10, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout)
        self.correlation = 0

    def send(self, data):
        """Writes bytes as they are."""
        self.socket.sendall(data)

    def frame(self, key, version, body, client="raw"):
        """A request with header version 1."""
        self.correlation += 1
        header = struct.pack(">hhi", key, version, self.correlation) + string(client)
        data = header + body
        return struct.pack(">i", len(data)) + data

    def request(self, key, version, body, **options):
        """Sends a request and returns the body of its answer, or None if the peer closed."""
        self.send(self.frame(key, version, body, **options))
        answer = self.answer()
        if answer is None:
            return None
        assert struct.unpack(">i", answer[:4])[0] == self.correlation, answer[:20]
        return answer[4:]

    def answer(self):
        """The next frame, or None if the peer closed."""
        head = self._read(4)
        if head is None:
            return None
        return self._read(struct.unpack(">i", head)[0])

    def closed(self):
        """Whether the peer has closed, waiting for it."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def _read(self, size):
        data = b""
        while len(data) < size:
            try:
                part = self.socket.recv(size - len(data))
            except ConnectionError:
                return None
            if not part:
                return None
            data += part
        return data

    def close(self):
        """Closes."""
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def produce(self, topic, records, partition=0, acks=-1, version=8):
        """Produces raw bytes; returns (error code, base offset) or None if the peer closed."""
        size = -1 if records is None else len(records)
        body = (string(None) + struct.pack(">hii", acks, 10_000, 1) + string(topic)
                + struct.pack(">iii", 1, partition, size) + (records or b""))
        answer = self.request(0, version, body)
        if answer is None:
            return None
        at = 4 + 2 + struct.unpack(">h", answer[4:6])[0] + 4
        _, code, offset = struct.unpack(">ihq", answer[at:at + 14])
        return code, offset

    def fetch(self, topic, offset, partition=0, version=10, epoch=-1):
        """Fetches; returns (error code, high watermark, records)."""
        body = (struct.pack(">iiiibiii", -1, 100, 0, 1 << 20, 0, 0, -1, 1) + string(topic)
                + struct.pack(">iiiqqi", 1, partition, epoch, offset, -1, 1 << 20)
                + struct.pack(">i", 0))
        answer = self.request(1, version, body)
        if answer is None:
            return None
        at = 4 + 2 + 4 + 4 + 2 + len(topic) + 4
        _, code, mark, _, _, aborted = struct.unpack(">ihqqqi", answer[at:at + 34])
        at += 34 + max(aborted, 0) * 16
        size = struct.unpack(">i", answer[at:at + 4])[0]
        return code, mark, answer[at + 4:at + 4 + max(size, 0)]
