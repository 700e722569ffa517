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


class Member(Tidelog):
    """One process of a cluster."""

    def __init__(self, node_id, settings):
        super().__init__(settings)
        self.node_id = node_id
        self.controller_port = procs.free_port()
        self.voters = None

    @property
    def controller_address(self):
        """host:port of the controller's listener."""
        return f"127.0.0.1:{self.controller_port}"

    def lines(self):
        """Its configuration."""
        return {
            "node.id": str(self.node_id),
            "process.roles": "broker,controller",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},"
                         f"CONTROLLER://{self.controller_address}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": self.voters,
            "controller.quorum.auto.join.enable": "true",
            "log.dirs": str(self.data),
            "tidelog.admin.port": str(self.second_port),
            **self.settings,
        }

    def command(self):
        config = self.home / "broker.properties"
        lines = {key: value for key, value in self.lines().items() if value is not None}
        config.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        return [binary(), "serve", "--config", config]

    def pause(self):
        """SIGSTOP."""
        os.kill(self.child.pid, signal.SIGSTOP)

    def resume(self):
        """SIGCONT."""
        os.kill(self.child.pid, signal.SIGCONT)

    def http(self, path, timeout=2):
        """(status, body) of its admin endpoint; (0, "") when nobody answers."""
        url = f"http://127.0.0.1:{self.second_port}{path}"
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

    def wipe(self):
        """Its disk is lost."""
        shutil.rmtree(self.data)


class Cluster:
    """Members with one list of voters."""

    def __init__(self, size=3, settings=None):
        self.members = [Member(number + 1, settings) for number in range(size)]
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
                if not member.ready():
                    return False
                health = member.health()
                if health is None:
                    return False
                serving = sorted(one["id"] for one in health["brokers"] if not one["fenced"])
                if serving != wanted:
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
