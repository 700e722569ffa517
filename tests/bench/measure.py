"""Reading what a process used, and the floors that no broker can go below."""

import mmap
import os
import pathlib
import resource
import socket
import time

from ..compat.wire import Raw, batch, string
from ..harness import procs

TICKS = os.sysconf("SC_CLK_TCK")
CHUNK = 256 * 1024


def cpu_seconds(pid):
    """User and system seconds of a process with all of its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mb(pid):
    """Resident memory in MB, shared pages and all."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no Rss in smaps_rollup")


def touch_memory():
    """Uses most of the free memory once and gives it back.

    A virtual machine gets a page from its host at the page's first use, which costs more than the
    write itself; without this, whoever comes first pays for all.
    """
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    size = free * 8 // 10
    mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE).close()


def first_acknowledged(broker):
    """Seconds from the start of the process to the first acknowledged produce."""
    started = time.monotonic()
    broker.start(wait=False)
    topic = "first"

    def attempt():
        try:
            raw = Raw(broker.port, timeout=5)
        except OSError:
            return False
        with raw:
            try:
                # Metadata version 4 with leave to create the topic.
                raw.request(3, 4, b"\0\0\0\1" + string(topic) + b"\1")
                answer = raw.produce(topic, batch(), acks=-1)
            except OSError:
                return False
            return answer is not None and answer[0] == 0
    procs.wait_until(attempt, "the first acknowledgement", 60, 0.001, alive=broker.child)
    return time.monotonic() - started


def bare_sendfile(path, size):
    """CPU seconds per GB that the sender of a bare sendfile over loopback is billed."""
    listener = socket.create_server(("127.0.0.1", 0))
    reader = os.fork()
    if reader == 0:
        os.sched_setaffinity(0, {1 % os.cpu_count()})
        taker = socket.create_connection(listener.getsockname())
        buffer = bytearray(1 << 20)
        while taker.recv_into(buffer):
            pass
        os._exit(0)
    giver, _ = listener.accept()
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {0})
    sent = 0
    before = resource.getrusage(resource.RUSAGE_SELF)
    length = os.path.getsize(path)
    with open(path, "rb") as file:
        while sent < size:
            at = sent % length
            sent += os.sendfile(giver.fileno(), file.fileno(), at, min(CHUNK, length - at))
    after = resource.getrusage(resource.RUSAGE_SELF)
    os.sched_setaffinity(0, allowed)
    giver.close()
    listener.close()
    os.waitpid(reader, 0)
    used = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return used / (sent / 1e9)


def bare_write(folder, size):
    """CPU seconds per GB of pwrite in 256 KiB calls into the page cache."""
    data = os.urandom(CHUNK)
    path = folder / "bare"
    before = resource.getrusage(resource.RUSAGE_SELF)
    with open(path, "wb", buffering=0) as file:
        for _ in range(size // CHUNK):
            file.write(data)
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return path, used / (size / 1e9)
