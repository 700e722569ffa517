"""A driver process as the scenarios see it; README.md describes its protocol."""

import base64
import itertools
import json
import subprocess
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late

from ...harness import procs


class Lacks(Exception):
    """The client cannot do what was asked."""


class Refused(Exception):
    """The client reported an error: Kafka's code, or None where it shows none."""

    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class Driver:
    """One process around one client library; safe to use from several threads."""

    def __init__(self, name, command, address, log):
        self.name = name
        self.log = log
        with open(log, "ab") as err:
            self.child = procs.spawn([*command, address], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=err, text=True)
        self.numbers = itertools.count(1)
        self.waiting = {}
        self.lock = threading.Lock()
        self.ready = Future()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            said = json.loads(line)
            if "ready" in said:
                self.ready.set_result(said["client"])
                continue
            with self.lock:
                future = self.waiting.pop(said["id"])
            if "ok" in said:
                future.set_result(said["ok"])
            elif "lacks" in said:
                future.set_exception(Lacks(said["lacks"]))
            else:
                error = said["error"]
                future.set_exception(Refused(error["code"], error["text"]))
        gone = AssertionError(f"the driver {self.name} ended\n{self.tail()}")
        with self.lock:
            left, self.waiting = list(self.waiting.values()), {}
        for future in [self.ready, *left]:
            if not future.done():
                future.set_exception(gone)

    def begin(self, op, **fields):
        """Sends a request; returns a future."""
        future = Future()
        number = next(self.numbers)
        line = json.dumps({"id": number, "op": op, **fields})
        with self.lock:
            self.waiting[number] = future
            self.child.stdin.write(line + "\n")
            self.child.stdin.flush()
        return future

    def call(self, op, timeout=60, **fields):
        """Sends a request and waits for its answer."""
        try:
            return self.begin(op, **fields).result(timeout)
        except Late:
            raise procs.Timeout(f"{self.name}: {op} took over {timeout} s\n{self.tail()}"
                                ) from None

    def tail(self):
        """The end of what it said on standard error."""
        return self.log.read_text("utf-8", "replace")[-1500:]

    def kill(self):
        """kill -9."""
        procs.kill(self.child)


def b64(data):
    """Bytes as they travel."""
    return None if data is None else base64.b64encode(data).decode()


def unb64(text):
    """Bytes from how they travel."""
    return None if text is None else base64.b64decode(text)


def murmur2(data):
    """The hash of the Java client's partitioner."""
    mask = 0xFFFFFFFF
    value = (0x9747B28C ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        part = int.from_bytes(data[at:at + 4], "little") * 0x5BD1E995 & mask
        part = (part ^ part >> 24) * 0x5BD1E995 & mask
        value = (value * 0x5BD1E995 & mask) ^ part
    if len(data) > whole:
        value ^= int.from_bytes(data[whole:], "little")
        value = value * 0x5BD1E995 & mask
    value = (value ^ value >> 13) * 0x5BD1E995 & mask
    return value ^ value >> 15


def java_partition(key, partitions):
    """Where the Java client puts a key."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
