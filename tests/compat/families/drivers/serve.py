"""What the drivers in Python share: the line protocol, and members polled by a thread."""

import base64
import json
import os
import queue
import sys
import threading
import time
from concurrent.futures import Future

_output = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # a stray print does not disturb the protocol
_lock = threading.Lock()


class Lacks(Exception):
    """The client cannot do this at all."""


class Failure(Exception):
    """What the client reported: Kafka's code, or None."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def say(value):
    """Writes one line."""
    line = json.dumps(value)
    with _lock:
        _output.write(line + "\n")


def enc(data):
    """Bytes as they travel."""
    return None if data is None else base64.b64encode(data).decode()


def dec(text):
    """Bytes from how they travel."""
    return None if text is None else base64.b64decode(text)


def record(topic, partition, offset, timestamp, key, value, headers):
    """A record of an answer."""
    return {"topic": topic, "partition": partition, "offset": offset, "timestamp": timestamp,
            "key": enc(key), "value": enc(value),
            "headers": [[name, enc(data)] for name, data in headers or []]}


def error_of(error):
    """A failure as it travels."""
    return {"code": getattr(error, "code", None), "text": f"{type(error).__name__}: {error}"}


def answer(number, call):
    """Runs a call and answers."""
    try:
        say({"id": number, "ok": call() or {}})
    except Lacks as lacks:
        say({"id": number, "lacks": str(lacks)})
    except BaseException as error:
        say({"id": number, "error": error_of(error)})


def serve(client, ops):
    """Reads requests until the input ends, each in a thread of its own."""
    say({"ready": True, "client": client})
    for line in sys.stdin:
        request = json.loads(line)
        number, op = request.pop("id"), request.pop("op")
        function = getattr(ops, op, None)
        call = (lambda f=function, r=request: f(**r)) if function else (
            lambda o=op: (_ for _ in ()).throw(Lacks(f"no {o}")))
        threading.Thread(target=answer, args=(number, call), daemon=True).start()
    os._exit(0)


class Member:
    """A consumer with a thread that polls and, between polls, runs what it is told."""

    def __init__(self):
        self.records, self.events, self.error = [], [], None
        self.assigned = set()
        self.lock = threading.Lock()
        self.work = queue.Queue()
        self.stalled_until = 0
        self.closed = False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def poll(self):
        """Polls for about a tenth of a second; calls `got` for each record."""
        raise NotImplementedError

    def got(self, found):
        """Keeps a record."""
        with self.lock:
            self.records.append(found)

    def note(self, kind, partitions, cooperative=False):
        """Keeps what a rebalance callback said: pairs of topic and partition."""
        found = sorted(partitions)
        with self.lock:
            self.events.append([kind, [list(part) for part in found]])
            if kind == "assigned":
                self.assigned |= set(found)
            else:
                self.assigned -= set(found)

    def _run(self):
        while not self.closed:
            pause = self.stalled_until - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            try:
                function, future = self.work.get_nowait()
            except queue.Empty:
                try:
                    self.poll()
                except Exception as error:
                    self.error = error_of(error)
                    time.sleep(0.1)
                continue
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

    def do(self, function):
        """Runs a function in the member's thread."""
        future = Future()
        self.work.put((function, future))
        return future.result(60)

    def take(self):
        """The records since the last call."""
        with self.lock:
            found, self.records = self.records, []
        return {"records": found}

    def state(self):
        """What is assigned, and what happened."""
        with self.lock:
            return {"assigned": [list(part) for part in sorted(self.assigned)],
                    "events": list(self.events), "error": self.error}


class Members:
    """The operations that are the same for every client with such members."""

    def __init__(self):
        self.members = {}

    def take(self, member):
        """See README."""
        return self.members[member].take()

    def state(self, member):
        """See README."""
        return self.members[member].state()

    def stall(self, member, ms):
        """See README."""
        self.members[member].stalled_until = time.monotonic() + ms / 1000
