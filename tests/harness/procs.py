"""Processes that end with the suite, and waiting on conditions with a deadline."""

import atexit
import ctypes
import os
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_children = []


class Timeout(AssertionError):
    """A condition did not come true in time."""


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def spawn(command, **options):
    """Starts a child that is killed when this process ends, however it ends."""
    options.setdefault("stdin", subprocess.DEVNULL)
    child = subprocess.Popen(
        [str(part) for part in command], preexec_fn=_die_with_parent, **options)
    _children.append(child)
    return child


def run(command, timeout=60, check=True, **options):
    """Runs a command to its end and returns it with its output as bytes."""
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    child = spawn(command, **options)
    try:
        out, err = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
        raise Timeout(f"{command} took over {timeout} s: {(err or b'')[-2000:]!r}") from None
    finally:
        _children.remove(child)
    done = subprocess.CompletedProcess(command, child.returncode, out, err)
    if check and done.returncode != 0:
        raise AssertionError(
            f"{command} exit {done.returncode}: {(err or b'')[-2000:]!r} {(out or b'')[-500:]!r}")
    return done


def kill(child):
    """kill -9 and reap."""
    if child.poll() is None:
        child.kill()
    child.wait()
    if child in _children:
        _children.remove(child)


def _kill_all():
    for child in list(_children):
        kill(child)


def _stop(number, _frame):
    _kill_all()
    os._exit(128 + number)


atexit.register(_kill_all)
signal.signal(signal.SIGTERM, _stop)


def wait_until(condition, what, timeout=30.0, pause=0.02, alive=None):
    """Returns the first true value of `condition()`; fails when the deadline passes."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if alive is not None and alive.poll() is not None:
            raise AssertionError(f"process ended ({alive.returncode}) while waiting: {what}")
        if time.monotonic() > deadline:
            raise Timeout(f"not within {timeout} s: {what}")
        time.sleep(pause)


def free_port():
    """A loopback port that nobody listens on now, below the range of outgoing connections."""
    for port in _candidates():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


_given = set()


def _candidates():
    start = 20000 + (os.getpid() * 37) % 8000
    for port in range(start, start + 4000):
        if port not in _given:
            _given.add(port)
            yield port


def listening(port):
    """Whether something accepts connections on the loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
