"""Several of our broker processes that form one cluster, each with a data directory of its own."""

import json
import os
import shutil
import signal
import time
import urllib.error
import urllib.request

from . import procs
from .broker import Tidelog, binary


class Placed:
    """Where a member runs: on loopback, or in a namespace of a network."""

    def __init__(self, node_id, settings, network=None):
        super().__init__(settings)
        self.node_id, self.network = node_id, network
        self.host = network.host(node_id) if network else "127.0.0.1"
        self.controller_port = procs.free_port()
        self.voters = None

    @property
    def address(self):
        """host:port for clients."""
        return f"{self.host}:{self.port}"

    @property
    def controller_address(self):
        """host:port of the controller's listener."""
        return f"{self.host}:{self.controller_port}"

    def placed(self, command):
        """The command, where it is to run."""
        return [*(self.network.inside(self.node_id) if self.network else ()), *command]

    def pause(self):
        """SIGSTOP."""
        os.kill(self.child.pid, signal.SIGSTOP)

    def resume(self):
        """SIGCONT."""
        os.kill(self.child.pid, signal.SIGCONT)


class Member(Placed, Tidelog):
    """One process of a cluster."""

    def lines(self):
        """Its configuration."""
        return {
            "node.id": str(self.node_id),
            "process.roles": "broker,controller",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{self.controller_address}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": self.voters,
            "controller.quorum.auto.join.enable": "true",
            "log.dirs": str(self.data),
            "tidelog.admin.host": self.host,
            "tidelog.admin.port": str(self.second_port),
            **self.settings,
        }

    def command(self):
        config = self.home / "broker.properties"
        lines = {key: value for key, value in self.lines().items() if value is not None}
        config.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        return self.placed([binary(), "serve", "--config", config])

    def http(self, path, timeout=2):
        """(status, body) of its admin endpoint; (0, "") when nobody answers."""
        url = f"http://{self.host}:{self.second_port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self):
        """Whether it serves clients."""
        return self.http("/readyz")[0] == 200

    def health(self):
        """What it knows of the cluster."""
        status, body = self.http("/v1/cluster/health")
        return json.loads(body) if status == 200 else None

    def sees(self):
        """The ids of the unfenced brokers that it knows; empty while it serves nobody."""
        health = self.health() if self.ready() else None
        brokers = health["brokers"] if health else ()
        return sorted(one["id"] for one in brokers if not one["fenced"])

    def wipe(self):
        """Its disk is lost."""
        shutil.rmtree(self.data)


class Cluster:
    """Members with one list of voters."""

    def __init__(self, size=3, settings=None, network=None, kind=Member):
        self.network = network
        self.members = [kind(number + 1, settings, network) for number in range(size)]
        voters = ",".join(f"{one.node_id}@{one.controller_address}" for one in self.members)
        for member in self.members:
            member.voters = voters

    def __getitem__(self, node_id):
        return self.members[node_id - 1]

    @property
    def address(self):
        """All addresses for clients."""
        return ",".join(member.address for member in self.members)

    @property
    def controller_address(self):
        """All addresses of controllers."""
        return ",".join(member.controller_address for member in self.members)

    def start(self, timeout=60):
        """Starts all at once; returns the seconds until all serve."""
        began = time.monotonic()
        for member in self.members:
            member.start(wait=False)
        self.wait_formed(timeout)
        return time.monotonic() - began

    def wait_formed(self, timeout=60, members=None):
        """Until these members serve, and each knows the same brokers, unfenced."""
        members = members or self.members
        wanted = sorted(member.node_id for member in members)

        def formed():
            for member in members:
                assert member.alive(), member.tail()
                if member.sees() != wanted:
                    return False
            return True
        try:
            procs.wait_until(formed, f"brokers {wanted} serve", timeout, 0.01)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from None

    def cluster_ids(self):
        """The id that each member tells."""
        return {member.health()["cluster_id"] for member in self.members}

    def tail(self, size=3000):
        """The end of what each printed."""
        return "\n".join(member.tail(size) for member in self.members)

    def close(self, keep=False):
        """Ends all."""
        for member in self.members:
            member.close(keep)
