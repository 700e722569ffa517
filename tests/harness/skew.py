"""A clock that is wrong, and jumps, in one process: the wall clock as it sees it, shifted.

A library of a few lines, made by the machine's C compiler and loaded before the C library, adds to
CLOCK_REALTIME what a shared file says at that moment. The monotonic clock stays as it is.
"""

import os
import pathlib
import struct
import tempfile

from . import procs, tools

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *seconds;

__attribute__((constructor)) static void begin(void) {
    int file = open(getenv("TIDELOG_TEST_CLOCK"), O_RDONLY);
    void *page = mmap(0, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (file >= 0 && page != MAP_FAILED) seconds = page;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && clock == CLOCK_REALTIME && seconds) now->tv_sec += *seconds;
    return failed;
}
"""


class Skew:
    """A shift of the wall clock, for the processes that are started with its environment."""

    _library = None

    def __init__(self, seconds=0):
        handle, name = tempfile.mkstemp(prefix="tidelog-clock-")
        os.close(handle)
        self.path = pathlib.Path(name)
        self.set(seconds)

    def set(self, seconds):
        """The clock jumps, also of those that run."""
        data = struct.pack("=q", int(seconds))
        with open(self.path, "r+b") as file:
            file.write(data)

    def environment(self):
        """For `env`."""
        return [f"LD_PRELOAD={self.library()}", f"TIDELOG_TEST_CLOCK={self.path}"]

    @classmethod
    def library(cls):
        """The library, compiled once."""
        if cls._library is None:
            tools.need_commands({"cc": "gcc"})
            home = pathlib.Path(tempfile.mkdtemp(prefix="tidelog-clock-"))
            source, made = home / "clock.c", home / "clock.so"
            source.write_text(SOURCE)
            procs.run(["cc", "-O1", "-shared", "-fPIC", "-o", made, source])
            cls._library = made
        return cls._library

    def close(self):
        """Removes the file."""
        self.path.unlink(missing_ok=True)
