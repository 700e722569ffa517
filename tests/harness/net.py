"""A network of namespaces on one bridge, whose members can be cut off: both ways or one.

Every namespace is held by a process that ends with the suite, however that ends; the namespaces,
their links, rules and addresses go with it. Nothing is named, so nothing is left behind.
"""

import ctypes
import itertools
import os

from . import procs, tools

CLONE_NEWNET = 0x40000000
PACKAGES = {"ip": "iproute2", "nft": "nftables", "nsenter": "util-linux", "unshare": "util-linux"}
_numbers = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)


def _hold():
    """A process in a network namespace of its own."""
    holder = procs.spawn(["unshare", "--net", "sleep", "infinity"])
    own = os.readlink("/proc/self/ns/net")

    def apart():
        # Between fork and exec it is still in this one.
        return os.readlink(f"/proc/{holder.pid}/ns/net") != own
    procs.wait_until(apart, "a namespace", 10, 0.005, alive=holder)
    return holder


def enter(pid):
    """Moves the calling thread, and no other, into the namespace of a process."""
    with open(f"/proc/{pid}/ns/net", "rb") as space:
        if _libc.setns(space.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


class Net:
    """Namespaces 1..size at 10.x.y.N, and this process at 10.x.y.254."""

    def __init__(self, size):
        tools.need_commands(PACKAGES)
        self.size = size
        self.prefix = self._free_prefix()
        self.hub = _hold()
        self.holders = [_hold() for _ in range(size)]
        self.rules = {}
        self._in_hub("ip", "link", "add", "br0", "type", "bridge")
        self._in_hub("ip", "link", "set", "br0", "up")
        # The kernel takes its time over the links of the network before.
        outside = f"tl{os.getpid()}-{next(_numbers)}"
        procs.run(["ip", "link", "add", outside, "type", "veth", "peer", "name", "outer", "netns",
                   self.hub.pid])
        procs.run(["ip", "address", "add", f"{self.host(254)}/24", "dev", outside])
        procs.run(["ip", "link", "set", outside, "up"])
        self._plug("outer")
        for number, holder in enumerate(self.holders, 1):
            self._in_hub("ip", "link", "add", f"n{number}", "type", "veth", "peer", "name",
                         "eth0", "netns", holder.pid)
            self._plug(f"n{number}")
            inside = ["nsenter", "-t", holder.pid, "-n"]
            procs.run([*inside, "ip", "address", "add", f"{self.host(number)}/24", "dev", "eth0"])
            for name in ("lo", "eth0"):
                procs.run([*inside, "ip", "link", "set", name, "up"])
        self._nft("add table bridge cut",
                  "add chain bridge cut those { type filter hook forward priority 0; }")

    @staticmethod
    def _free_prefix():
        """Three octets that no route of this machine names."""
        routes = procs.run(["ip", "-4", "route"]).stdout.decode()
        for number in range(256):
            prefix = f"10.{96 + os.getpid() % 128}.{number}"
            if f"{prefix}." not in routes:
                return prefix
        raise AssertionError("no free network")

    def _in_hub(self, *command, **options):
        return procs.run(["nsenter", "-t", self.hub.pid, "-n", *command], **options)

    def _plug(self, name):
        self._in_hub("ip", "link", "set", name, "master", "br0")
        self._in_hub("ip", "link", "set", name, "up")

    def _nft(self, *lines):
        self._in_hub("nft", "; ".join(lines))

    def host(self, number):
        """The address of a namespace."""
        return f"{self.prefix}.{number}"

    def inside(self, number):
        """What runs a command in a namespace."""
        return ["nsenter", "-t", str(self.holders[number - 1].pid), "-n"]

    def holder(self, number):
        """The process whose namespace it is."""
        return self.holders[number - 1].pid

    def cut(self, number, way="both", keep_clients=False):
        """Drops what goes to ("in") or comes from ("out") a namespace, silently; with
        `keep_clients` only what it exchanges with the other namespaces."""
        link = f"n{number}"
        rules = []
        if way in ("both", "out"):
            rules.append(f"iifname {link}" + (" oifname != outer" if keep_clients else ""))
        if way in ("both", "in"):
            rules.append(f"oifname {link}" + (" iifname != outer" if keep_clients else ""))
        self.rules[number] = rules
        self._write()

    def heal(self, number):
        """Ends a cut."""
        self.rules.pop(number, None)
        self._write()

    def _write(self):
        rules = [rule for number in self.rules for rule in self.rules[number]]
        self._nft("flush chain bridge cut those",
                  *(f"add rule bridge cut those {rule} drop" for rule in rules))

    def close(self):
        """Ends the namespaces."""
        for holder in [*self.holders, self.hub]:
            procs.kill(holder)
