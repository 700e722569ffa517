"""Three brokers behind the face of one, for scenarios that were written for one."""

import signal
import time

from confluent_kafka.admin import AdminClient

from . import procs, tools
from .broker import Tidelog
from .cluster import Member


class Several(Member):
    """Three brokers behind the face of one: the first, with whom the others come and go."""

    size = 3

    def __init__(self, settings=None):
        super().__init__(1, settings)
        self.others = [Member(number, settings) for number in range(2, self.size + 1)]
        voters = ",".join(f"{one.node_id}@{one.controller_address}" for one in self.all)
        for member in self.all:
            member.voters = voters
        self._asking = None

    @property
    def all(self):
        """All brokers, this one first."""
        return [self, *self.others]

    @property
    def address(self):
        """All addresses for clients."""
        return ",".join(f"127.0.0.1:{member.port}" for member in self.all)

    def port_of(self, topic, partition=0):
        found = self._admin().list_topics(topic, timeout=20)
        return found.brokers[found.topics[topic].partitions[partition].leader].port

    def port_of_node(self, node_id):
        return self.all[node_id - 1].port

    def _admin(self):
        if self._asking is None:
            self._asking = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        return self._asking

    def lines(self):
        own = f"PLAINTEXT://{self.host}:{self.port},CONTROLLER://{self.controller_address}"
        return {**super().lines(), "listeners": own}

    def start(self, wait=True, timeout=60):
        began = time.monotonic()
        for member in self.others:
            member.start(wait=False)
        super().start(wait, timeout)
        return time.monotonic() - began

    def wait_ready(self, timeout=60):
        try:
            procs.wait_until(lambda: all(member.ready() for member in self.all),
                             f"{self.size} brokers serve", timeout, alive=self.child)
            procs.wait_until(self._answers, f"{self.size} brokers are known", timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from None

    def _answers(self):
        done = procs.run([tools.kcat(), "-b", self.address, "-L", "-m", "2"], check=False)
        return done.returncode == 0 and f" {self.size} brokers:".encode() in done.stdout

    def kill(self):
        for member in self.others:
            member.kill()
        super().kill()

    def stop(self, timeout=60):
        for member in self.others:
            member.child.send_signal(signal.SIGTERM)
        code, seconds = super().stop(timeout)
        for member in self.others:
            code = code or member.child.wait(timeout)
            member.child = None
        return code, seconds

    def close(self, keep=False):
        for member in self.others:
            member.close(keep)
        super().close(keep)

    def alive(self):
        return super().alive() and all(member.alive() for member in self.others)

    def tail(self, size=4000):
        return "\n".join(Tidelog.tail(member, size) for member in self.all)

    def logs(self, topic, partition=0):
        found = (Tidelog.logs(member, topic, partition) for member in self.all)
        return next((logs for logs in found if logs), [])
