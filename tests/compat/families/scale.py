"""Many partitions."""

from confluent_kafka import Producer

from ...harness import procs
from .driver import b64
from .runner import led_by_its_replica, scenario, values


def warmed(run, topic, partitions):
    """A record in every partition by librdkafka, which asks again where Kafka names a leader
    that does not lead yet."""
    producer = Producer({"bootstrap.servers": run.shared.broker.address, "log_level": 0})
    for number in range(partitions):
        producer.produce(topic, b"warm", partition=number)
    assert producer.flush(60) == 0


@scenario
def thousand_partitions(run):
    """A topic of 1,000 partitions: metadata, a record in each, all read by a group."""
    with run.shared.lock:
        if "thousand" not in run.shared.once:
            run.shared.once["thousand"] = run.shared.topic("thousand", 1000)
            warmed(run, "thousand", 1000)
    topic = run.shared.once["thousand"]
    found = run.call("topic", topic=topic)["partitions"]
    assert [part[0] for part in found] == list(range(1000))
    assert all(led_by_its_replica(run, part) for part in found), found[:3]
    mark = run.family.name.encode()
    records = [{"partition": number, "value": b64(b"%s %d" % (mark, number))}
               for number in range(1000)]
    acks = run.call("produce", topic=topic, records=records)["acks"]
    assert [where for where, _ in acks] == list(range(1000))
    member = run.join(run.name(), [topic])
    seen = {}

    def all_read():
        for record in run.ask(member, "take")["records"]:
            [value] = values([record])
            if value.startswith(mark + b" "):
                number = int(value.split()[1])
                assert number == record["partition"] and number not in seen, record
                seen[number] = record["offset"]
        return len(seen) == 1000
    try:
        procs.wait_until(all_read, "", 60, 0.1)
    except procs.Timeout:
        raise AssertionError(f"{len(seen)} of 1000 within 60 s") from None
    assert seen == {where: offset for where, offset in acks}
