"""Three and five processes, each on a machine of its own as far as the network knows, whose active
controller is killed, paused and cut off while topics are made by way of each of them."""

import random
import time

from ..harness import procs
from . import suite
from .failover import is_active
from .faults import Isolation, Kill, Pause, Trial
from .makers import NOT_CONTROLLER, REQUEST_TIMED_OUT, Maker, from_inside

# Seconds until a controller is back, as a client of any other broker sees it.
KILLED_S, SILENT_S = 1.0, 3.0
STRIKES = 3


def endure(context, size, faults):
    """Each fault strikes the active controller again and again while topics are made; none is lost
    or half. Gives the longest waits for a controller."""
    told, cluster, source = [], None, random.Random(context.seed)
    for fault in faults:
        # Thousands of topics on one cluster would measure something else.
        if cluster is None or context.long:
            if cluster is not None:
                cluster.close()
            cluster = context.apart(size)
            cluster.start()
        trial = Trial(cluster, context.name("made"))
        strikes = STRIKES if context.long or isinstance(fault, Kill) else 1
        times = []
        for number in range(strikes):
            trial.wait_made(2)
            if context.long:
                trial.wait_total(context.topics * number // strikes + source.randrange(50))
            times.append(trial.suffer(fault))
        trial.wait_total(context.topics if context.long else 0)
        trial.end()
        made, unsure = trial.judge()
        assert not trial.unread(), f"not shown by who made them: {trial.unread()[:10]}"
        longest = max(last for *_, last in times)
        assert longest <= (SILENT_S if fault.lives else KILLED_S), (fault.name, times)
        told.append(f"{fault.name} {longest:.2f} s ({made} made, {unsure} not answered)")
    return "; ".join(told)


@suite.scenario
def three_lose_their_controller(context):
    """kill -9, pause, isolation, and cuts of one direction: a controller is back in time."""
    faults = [Kill(), Pause(), Isolation(), Isolation("in"), Isolation("out")]
    return endure(context, 3, faults)


@suite.scenario
def five_lose_their_controller(context):
    """The same for five."""
    faults = [Kill(), Pause(), Isolation()]
    if context.long:
        faults += [Isolation("in"), Isolation("out")]
    return endure(context, 5, faults)


@suite.scenario
def five_lose_two(context):
    """The active controller and another at once, killed and cut off: three of five go on."""
    cluster = context.apart(5)
    cluster.start()
    trial = Trial(cluster, context.name("made"))
    told = []
    for fault in (Kill(), Isolation()):
        trial.wait_made(2)
        *_, last = trial.suffer(fault, also=1)
        assert last <= SILENT_S, (fault.name, last)
        told.append(f"{fault.name} {last:.2f} s")
    trial.end()
    trial.judge()
    return ", ".join(told)


@suite.scenario
def a_controller_that_is_cut_off_acknowledges_nothing(context):
    """Neither to clients on its own machine nor to those that reach it: it gives up, and what it
    was asked meanwhile is nowhere, or everywhere."""
    cluster = context.apart(3)
    cluster.start()
    trial = Trial(cluster, context.name("made"))
    told = []

    def ask_it(trial, victim, struck):
        """While it is cut off."""
        where = cluster.network.holder(victim.node_id)
        inside = Maker(victim, context.name("inside"), inside=where, patience=1)
        outside = next(maker for maker in trial.makers if maker.member is victim)
        trial.makers.append(inside)

        def gave_up():
            text = from_inside(where, lambda: victim.http("/metrics")[1]) or ""
            return "\nkafka_controller_kafkacontroller_activecontrollercount 0\n" in text
        procs.wait_until(gave_up, "it gives up leading", 20, 0.02)
        told.append(f"gave up after {time.monotonic() - struck:.2f} s")
        # Asked before that, and after.
        procs.wait_until(lambda: len(inside.unsure) >= 2, "it was asked in vain", 20, 0.02)
        codes = {code for _, begun, code in inside.unsure + outside.unsure if begun > struck}
        assert codes <= {None, NOT_CONTROLLER, REQUEST_TIMED_OUT}, codes
        for maker in (inside, outside):
            assert maker.error is None, maker.error
            assert maker.after(struck) is None, f"acknowledged: {maker.after(struck)}"

    for fault in (Isolation(), Isolation(keep_clients=True)):
        trial.wait_made(2)
        trial.suffer(fault, during=ask_it)
        # It serves again, whoever asks.
        trial.wait_made(2)
    trial.end()
    trial.judge()
    assert sum(map(is_active, cluster.members)) == 1
    return ", ".join(told)
