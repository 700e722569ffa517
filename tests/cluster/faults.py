"""Faults of the active controller while topics are made by way of every broker.

Each fault is measured to "controller back": from the moment before it strikes to the answer of the
first creation that was begun after that and accepted by a broker that it left alone.
"""

import time

from ..compat.wire import Raw
from ..harness import procs
from .makers import EXISTS, PARTITIONS, Maker, metadata, quorum_leader


class Fault:
    """A way for a member to fail, and to be well again."""

    name = "?"
    # The process lives through it.
    lives = True

    def strike(self, member):
        """The member fails."""
        raise NotImplementedError

    def heal(self, member):
        """It is well again."""
        raise NotImplementedError


class Kill(Fault):
    """kill -9; started again to heal."""

    name, lives = "kill -9", False

    def strike(self, member):
        member.kill()

    def heal(self, member):
        member.start(wait=False)


class Pause(Fault):
    """SIGSTOP and SIGCONT: its connections stay open, and nobody answers."""

    name = "pause"

    def strike(self, member):
        member.pause()

    def heal(self, member):
        member.resume()


class Isolation(Fault):
    """The network drops what it sends, what it is sent, or both."""

    def __init__(self, way="both", keep_clients=False):
        self.way, self.keep_clients = way, keep_clients
        self.name = {"both": "isolation", "in": "hears nobody", "out": "nobody hears it"}[way]
        if keep_clients:
            self.name += ", clients reach it"

    def strike(self, member):
        member.network.cut(member.node_id, self.way, self.keep_clients)

    def heal(self, member):
        member.network.heal(member.node_id)


def leader_of(cluster, among=None):
    """The member that leads, as a majority of those who can be asked say."""
    told = [quorum_leader(member) for member in among or cluster.members]
    best = max(set(told), key=told.count)
    if best is None or told.count(best) * 2 <= len(told):
        return None
    return cluster[best]


class Trial:
    """Makers at every member of a cluster, and faults of its active controller under them."""

    def __init__(self, cluster, stem, reads=True):
        self.cluster = cluster
        self.makers = [Maker(member, f"{stem}-{member.node_id}", reads=reads)
                       for member in cluster.members]

    def made(self):
        """How many topics were acknowledged."""
        return sum(len(maker.accepted) for maker in self.makers)

    def unread(self):
        """Topics that were acknowledged and not shown at once by the member that said so."""
        return [name for maker in self.makers for name in maker.unread]

    def wait_total(self, count, timeout=300):
        """Until so many were acknowledged in all."""
        def made():
            for maker in self.makers:
                assert maker.error is None, maker.error
            return self.made() >= count
        procs.wait_until(made, f"{count} topics", timeout, 0.02)

    def wait_made(self, more, timeout=60):
        """Until every maker has made so many more."""
        aims = [(maker, len(maker.accepted) + more) for maker in self.makers]

        def made():
            for maker in self.makers:
                assert maker.error is None, maker.error
            return all(len(maker.accepted) >= aim for maker, aim in aims)
        procs.wait_until(made, f"{more} more topics by each member", timeout, 0.01)

    def suffer(self, fault, timeout=30, during=None, also=0):
        """Strikes the active controller and `also` so many others, and heals them. Gives the
        seconds until one of the members that are left was elected, and until the controller was
        back for the first and for the last of their clients."""
        victim = procs.wait_until(lambda: leader_of(self.cluster), "a controller", 30, 0.02)
        rest = [member for member in self.cluster.members if member is not victim]
        victims, left = [victim, *rest[:also]], rest[also:]
        others = [maker for maker in self.makers if maker.member in left]
        begun = time.monotonic()
        for member in victims:
            fault.strike(member)
        struck = time.monotonic()
        try:
            def elected():
                return any(quorum_leader(one, one.controller_port) == one.node_id for one in left)
            procs.wait_until(elected, f"a leader after {fault.name}", timeout, 0.01)
            chosen = time.monotonic() - begun

            def back():
                found = [maker.after(struck) for maker in others]
                return all(found) and [entry[2] - begun for entry in found]
            times = procs.wait_until(back, f"a controller after {fault.name}", timeout, 0.01)
            if during is not None:
                during(self, victim, struck)
        finally:
            for member in victims:
                fault.heal(member)

        def followed():
            leader = leader_of(self.cluster)
            return leader is not None and leader in left
        procs.wait_until(followed, "all follow another controller", 60, 0.05)
        self.cluster.wait_formed(90)
        return chosen, min(times), max(times)

    def end(self):
        """Stops the makers."""
        for maker in self.makers:
            maker.stop()

    def judge(self, timeout=60):
        """Every acknowledged topic is whole at every member; of the others each is whole
        everywhere, or nowhere."""
        accepted = {name for maker in self.makers for name, _, _ in maker.accepted}
        unsure = {name: code for maker in self.makers for name, _, code in maker.unsure}
        assert not accepted & set(unsure)
        exist = accepted | {name for name, code in unsure.items() if code == EXISTS}
        alive = {member.node_id for member in self.cluster.members}

        def agreed():
            told = []
            for member in self.cluster.members:
                with Raw(member.port, 10, member.host) as raw:
                    told.append(metadata(raw))
            lost = exist - set.intersection(*map(set, told))
            if lost:
                return f"not at every member: {sorted(lost)[:10]}"
            for name, parts in [pair for one in told for pair in one.items()]:
                if name in accepted or name in unsure:
                    assert sorted(parts) == list(range(PARTITIONS)), (name, parts)
                    if not set(parts.values()) <= alive:
                        return f"{name} has partitions without a leader: {parts}"
            different = [name for name in told[0] if any(one.get(name) != told[0][name]
                                                         for one in told)]
            return f"members differ: {different[:10]}" if different else None

        why = []

        def settled():
            try:
                why[:] = [agreed()]
            except OSError as error:
                why[:] = [error]
            return why == [None]
        try:
            procs.wait_until(settled, "all members show the same topics, all led", timeout, 0.2)
        except procs.Timeout:
            raise AssertionError(f"{why}\n{self.cluster.tail()}") from None
        return len(accepted), len(unsure)
