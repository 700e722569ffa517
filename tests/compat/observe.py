"""Looking at a running broker: producers by Kafka's own tool."""

from . import suite


@suite.scenario
def producers_by_kafkas_tool(context):
    """kafka-transactions describe-producers shows an idempotent producer's last sequence."""
    topic = context.topic("producers", partitions=2)
    context.produce(topic, [b"x"] * 12, enable_idempotence=True)

    def described(partition):
        out = context.tool("transactions", "describe-producers", "--topic", topic,
                           "--partition", partition).ok().out
        head, *rows = [line.split() for line in out.splitlines() if line.strip()]
        return [dict(zip(head, row)) for row in rows]
    [found] = described(0)
    assert found["ProducerEpoch"] == "0" and found["LastSequence"] == "11", found
    assert found["LatestCoordinatorEpoch"] == "-1", found
    assert found["CurrentTransactionStartOffset"] == "None", found
    assert described(1) == []
