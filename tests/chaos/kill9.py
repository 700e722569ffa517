"""kill -9 and SIGTERM again and again under an idempotent acks=all load."""

import random
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from ..harness import procs
from . import suite
from .checker import check
from .load import Load

PARTITIONS = 4
ROUND_ACKS = (1_000, 12_000)


def prepare(context, topic):
    """A fresh topic with small segments, so that rounds cross rolls."""
    admin = AdminClient({"bootstrap.servers": context.broker.address})
    new = NewTopic(topic, num_partitions=PARTITIONS, replication_factor=1,
                   config={"segment.bytes": "4194304"})
    admin.create_topics([new], operation_timeout=20)[topic].result(30)


def read_all(address, topic):
    """Every record of every partition, from offset 0 to the end."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "checker",
                         "enable.auto.commit": False, "check.crcs": True})
    logs = {}
    try:
        for partition in range(PARTITIONS):
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition),
                                                       timeout=30)
            assert low == 0, f"{partition} starts at {low}"
            consumer.assign([TopicPartition(topic, partition, 0)])
            log = logs[partition] = []

            def more():
                for message in consumer.consume(10_000, 0.5):
                    if message.error():
                        raise KafkaException(message.error())
                    log.append((message.offset(), message.value()))
                return len(log) >= high
            procs.wait_until(more, f"{high} records of partition {partition}", 60, 0)
    finally:
        consumer.close()
    return logs


def rounds_under_load(context, rounds, seed, end):
    """Ends the broker `rounds` times at random moments; returns the load and restart times."""
    source = random.Random(seed)
    topic = f"chaos-{end}-{seed}"
    prepare(context, topic)
    load = Load(context.broker.address, topic, PARTITIONS, source)
    load.start()
    starts = []
    for number in range(rounds):
        target = load.answered() + source.randrange(*ROUND_ACKS)
        procs.wait_until(lambda: load.answered() >= target or load.broken,
                         f"round {number}: {target} acknowledgements", 90, 0.001)
        time_left = time.monotonic() + source.random() * 0.02
        procs.wait_until(lambda: time.monotonic() >= time_left, "the moment", 5, 0.001)
        if end == "kill":
            context.broker.kill()
        else:
            code, took = context.broker.stop()
            assert code in (0, 143), code
            assert took < 10 or context.broker.name != "tidelog", f"{took:.1f} s to stop"
        starts.append(context.broker.start())
        if source.random() < 0.3:
            load.renew.set()  # a producer with a new identity goes on
    load.stop()
    verdict = check(load.acknowledged, load.indeterminate(),
                    read_all(context.broker.address, topic))
    print(f"     seed {seed}: {rounds} rounds, {verdict}; {load.producers} producers, "
          f"errors {load.failed or 'none'}; restart at most {max(starts):.2f} s, "
          f"longest gap in acknowledgements {load.gap_max:.2f} s", flush=True)
    assert verdict.faults == 0, verdict.wrong
    assert verdict.acknowledged > rounds * ROUND_ACKS[0], "hardly anything was acknowledged"
    return verdict


@suite.scenario
def the_checker_finds_planted_faults(_context):
    """The judge is judged first: each kind of fault, planted, is found."""
    good = [(n, b"0:0:%d:" % n) for n in range(5)]
    cases = {
        "none": (good, good),
        "lost": (good, good[:4]),
        "doubled": (good, good + [(5, good[2][1])]),
        "disordered": (good, [(0, good[1][1]), (1, good[0][1])] + good[2:]),
        "misplaced": ([(1, good[0][1])] + good[1:], good),
        "foreign": (good[:4], good),
        "holes": (good, good[:2] + [(n + 1, value) for n, value in good[2:]]),
    }
    for kind, (acks, log) in cases.items():
        verdict = check({0: acks}, {0: set()}, {0: log})
        if kind == "none":
            assert verdict.faults == 0, verdict.wrong
        else:
            assert getattr(verdict, kind) > 0, f"{kind} is not seen: {verdict}"
    unsure = check({0: good[:3]}, {0: {good[3][1]}}, {0: good[:4]})
    assert unsure.faults == 0, unsure.wrong


@suite.scenario
def kill_nine(context):
    """20 rounds of kill -9 under load: every acknowledged record once, in order, in place."""
    verdict = rounds_under_load(context, context.rounds, context.seed, "kill")
    return f"{verdict.lost} lost of {verdict.acknowledged}"


@suite.scenario
def sigterm_under_load(context):
    """Clean restarts under load: quick, and nothing is lost either."""
    verdict = rounds_under_load(context, 3, context.seed, "stop")
    return f"{verdict.lost} lost of {verdict.acknowledged}"
