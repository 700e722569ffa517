"""Runs every scenario for every family, several at a time, against one broker."""

import itertools
import queue
import re
import shutil
import pathlib
import tempfile
import threading
import time
import traceback

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from ...harness import procs
from ...harness.broker import ROOT
from .clients import FAMILIES
from .driver import Driver, Lacks, Refused, b64, unb64

WORKERS = 6
SETTINGS = {"group.min.session.timeout.ms": "500", "log.retention.check.interval.ms": "300000"}
TABLE = ROOT / "broker" / "docs" / "compatibility.md"
ROW = re.compile(r"^\| (\S+) \| (\S+::\S+) \| (.+) \|$")
# The modules: those that wait most first, and last what keeps a broker busy.
ORDER = ("members", "commits", "administration", "records", "scale")
SCENARIOS = []


def scenario(function):
    """Decorator: adds a scenario, a function of a `Run`."""
    SCENARIOS.append((title(function), function))
    return function


def title(function):
    """module::function."""
    return f"{function.__module__.rsplit('.', 1)[-1]}::{function.__name__}"


def listed_lacks():
    """What the table in the documentation says: {(family, scenario)}."""
    rows = (ROW.match(line) for line in TABLE.read_text("utf-8").splitlines())
    return {(row.group(1), row.group(2)) for row in rows if row}


class Shared:
    """The broker, the drivers, and names that are used once."""

    def __init__(self, kind, families):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="tidelog-families-"))
        self.numbers = itertools.count()
        self.broker = kind(SETTINGS)
        self.drivers = {}
        self.broker.start()
        self.admin = AdminClient({"bootstrap.servers": self.broker.address, "log_level": 0})
        # The first question makes the broker create and load its offsets topic.
        procs.wait_until(self._coordinates, "the group coordinator answers", 60, 0.1)
        self.families = families
        for family in families:
            self.drivers[family.name] = self.driver(family)
        self.once = {}
        self.lock = threading.Lock()

    def _coordinates(self):
        consumer = Consumer({"bootstrap.servers": self.broker.address, "log_level": 0,
                             "group.id": "none"})
        try:
            return consumer.committed([TopicPartition("none", 0)], timeout=20)
        except KafkaException:
            return None
        finally:
            consumer.close()

    def driver(self, family):
        """A new driver of a family."""
        log = self.scratch / f"{family.name}.log"
        address = self.broker.address.split(",")[0]
        return Driver(family.name, family.command(), address, log)

    def name(self, stem):
        """A name nobody else uses."""
        return f"{stem}-{next(self.numbers)}"

    def topic(self, name, partitions=1, **config):
        """Creates a topic and waits for its leaders."""
        config = {key.replace("_", "."): str(value) for key, value in config.items()}
        new = NewTopic(name, num_partitions=partitions, replication_factor=1, config=config)
        self.admin.create_topics([new], operation_timeout=20)[name].result(60)

        def known():
            found = self.admin.list_topics(name, timeout=20).topics[name]
            return found.error is None and len(found.partitions) == partitions and all(
                part.leader > 0 for part in found.partitions.values())
        procs.wait_until(known, f"{name} has leaders", 90)
        return name

    def close(self):
        """Ends everything."""
        for driver in self.drivers.values():
            driver.kill()
        self.broker.close()
        shutil.rmtree(self.scratch, ignore_errors=True)


class Run:
    """One scenario for one family."""

    def __init__(self, shared, family):
        self.shared = shared
        self.family = family
        self.admin = shared.admin
        self.main = shared.drivers[family.name]
        self.members = {}
        self.extra = []

    def call(self, op, **fields):
        """An operation of the family's driver."""
        return self.main.call(op, **fields)

    def name(self, stem="g"):
        """A name nobody else uses."""
        return self.shared.name(f"{self.family.name}-{stem}")

    def topic(self, partitions=1, stem="t", **config):
        """A new topic."""
        return self.shared.topic(self.name(stem), partitions, **config)

    def refused(self, op, **fields):
        """An operation that must fail: Kafka's code, or None when the client has none."""
        try:
            found = self.call(op, **fields)
        except Refused as error:
            return error.code
        raise AssertionError(f"{op} {fields}: expected an error, got {found}")

    # -- records

    def produce(self, topic, values, partition=0, **fields):
        """Produces values; returns their offsets."""
        records = [{"partition": partition, "value": b64(value)} for value in values]
        acks = self.call("produce", topic=topic, records=records, **fields)["acks"]
        assert [where for where, _ in acks] == [partition] * len(values), acks
        return [offset for _, offset in acks]

    def consume(self, topic, count, start="earliest", partition=0, **fields):
        """Reads by assignment."""
        fields["from"] = start
        return self.call("consume", topic=topic, partition=partition, count=count,
                         **fields)["records"]

    # -- members

    def join(self, group, topics, driver=None, op="join", **fields):
        """Starts a member; returns its name."""
        member = self.name("m")
        driver = driver or self.main
        if op == "join":
            fields["topics"] = topics
        else:
            fields["partitions"] = topics
        driver.call(op, member=member, group=group, **fields)
        self.members[member] = driver
        return member

    def ask(self, member, op, **fields):
        """An operation on a member."""
        return self.members[member].call(op, member=member, **fields)

    def leave(self, member):
        """Closes a member."""
        self.ask(member, "leave")
        del self.members[member]

    def assigned(self, member):
        """The partitions of a member."""
        return [tuple(part) for part in self.ask(member, "state")["assigned"]]

    def settle(self, members, wanted, timeout=30):
        """Waits until the members together hold each of the partitions once, and none is idle
        while there are enough. Returns the assignments in the order of the members."""
        wanted = sorted(wanted)
        busy = min(len(members), len(wanted))

        def settled():
            last = [self.assigned(member) for member in members]
            return sorted(sum(last, [])) == wanted and sum(map(bool, last)) == busy
        try:
            procs.wait_until(settled, "", timeout, 0.05)
        except procs.Timeout:
            states = [self.ask(member, "state") for member in members]
            raise AssertionError(f"not within {timeout} s: {wanted} spread over {len(members)}"
                                 f" members: {states}") from None
        return [self.assigned(member) for member in members]

    def take(self, members, count, timeout=30):
        """Waits until the members together got this many records; returns them."""
        members = [members] if isinstance(members, str) else members
        found = []

        def enough():
            for member in members:
                found.extend(self.ask(member, "take")["records"])
            return len(found) >= count
        try:
            procs.wait_until(enough, "", timeout, 0.05)
        except procs.Timeout:
            states = [self.ask(member, "state") for member in members]
            raise AssertionError(f"{len(found)} of {count} records within {timeout} s; "
                                 f"{states}") from None
        return found

    def second_driver(self):
        """A driver of its own, to be killed."""
        made = self.shared.driver(self.family)
        self.extra.append(made)
        made.ready.result(60)
        return made

    def close(self):
        """Leaves nothing running."""
        for member, driver in self.members.items():
            if driver not in self.extra:
                try:
                    driver.begin("leave", member=member)
                except (OSError, ValueError):
                    pass
        for driver in self.extra:
            driver.kill()


def values(records):
    """The values of records, as bytes."""
    return [unb64(record["value"]) for record in records]


def led_by_its_replica(run, part):
    """Whether [index, leader, replicas, in sync] is of a partition of one replica."""
    _, leader, replicas, in_sync = part
    return 1 <= leader <= run.shared.broker.size and replicas == in_sync == [leader]


class Results:
    """Counts and prints, a line for each scenario and family."""

    def __init__(self):
        self.lock = threading.Lock()
        self.passed = self.failed = 0
        self.seconds = {}

    def add(self, name, family, seconds, note, error):
        """One result."""
        with self.lock:
            self.seconds[family] = self.seconds.get(family, 0) + seconds
            full = f"families::{name}[{family}]"
            if error is None:
                self.passed += 1
                print(f"ok   {full} ({seconds:.1f} s){f': {note}' if note else ''}", flush=True)
            else:
                self.failed += 1
                print(f"FAIL {full} ({seconds:.1f} s)", flush=True)
                print("".join(traceback.format_exception(error))[-4000:], flush=True)


def one(shared, name, function, family, known):
    """Runs one scenario for one family; returns (note, error)."""
    run = Run(shared, family)
    listed = (family.name, name) in known
    try:
        note = function(run)
        assert not listed, f"{TABLE.name} says that {family.name} lacks this, and it works"
        return note, None
    except Lacks as lacks:
        if listed:
            return f"lacks: {lacks}", None
        return None, AssertionError(f"lacks: {lacks}; not in {TABLE.name}")
    except BaseException as error:
        return None, error
    finally:
        run.close()


def run_all(kind, only=()):
    """Runs what is asked for; returns (passed, failed)."""
    order = {name: n for n, name in enumerate(ORDER)}
    listed = sorted(SCENARIOS, key=lambda each: order[each[0].split("::")[0]])
    wanted = [(name, function, family) for name, function in listed for family in FAMILIES
              if not only or any(part in f"families::{name}[{family.name}]" for part in only)]
    if not wanted:
        return 0, 0
    known = listed_lacks()
    strange = known - {(family.name, name) for name, _ in SCENARIOS for family in FAMILIES}
    assert known and not strange, f"{TABLE.name}: no such family or scenario: {strange}"
    results = Results()
    began = time.monotonic()
    used = [family for family in FAMILIES if any(each[2] is family for each in wanted)]
    shared = Shared(kind, used)
    jobs = queue.SimpleQueue()
    for each in wanted:
        jobs.put(each)

    def work():
        while True:
            try:
                name, function, family = jobs.get_nowait()
            except queue.Empty:
                return
            started = time.monotonic()
            note, error = one(shared, name, function, family, known)
            results.add(name, family.name, time.monotonic() - started, note, error)
    try:
        for family in used:
            shared.drivers[family.name].ready.result(60)
        workers = [threading.Thread(target=work) for _ in range(WORKERS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if results.failed:
            print(shared.broker.tail(1500), flush=True)
    finally:
        shared.close()
    took = ", ".join(f"{name} {seconds:.0f}" for name, seconds in results.seconds.items())
    print(f"families: {time.monotonic() - began:.0f} s ({took})", flush=True)
    return results.passed, results.failed
