"""What kafka-features describes, beside what it describes of Apache Kafka."""

from . import suite

METADATA = ("3.3-IV3", "4.3-IV0", "4.3-IV0")
# name: (lowest, highest, finalized). Classic groups and transactions of the first protocol are what
# there is, and the quorum is one of kraft.version 1 from its beginning.
OURS = {
    "group.version": ("0", "0", "0"),
    "kraft.version": ("0", "1", "1"),
    "metadata.version": METADATA,
    "transaction.version": ("0", "0", "0"),
}
# Of a cluster that was formatted with controller.quorum.voters.
KAFKA = {
    "eligible.leader.replicas.version": ("0", "1", "1"),
    "group.version": ("0", "1", "1"),
    "kraft.version": ("0", "1", "0"),
    "metadata.version": METADATA,
    "share.version": ("0", "1", "1"),
    "streams.version": ("0", "1", "1"),
    "transaction.version": ("0", "2", "2"),
}


def lines(features, epoch):
    """The tool's lines for these features."""
    return [" ".join(("Feature:", name, "SupportedMinVersion:", lowest, "SupportedMaxVersion:",
                      highest, "FinalizedVersionLevel:", level, "Epoch:", epoch))
            for name, (lowest, highest, level) in sorted(features.items())]


@suite.scenario
def features_are_described_as_by_kafka(context):
    """The same lines by brokers and controllers; what is not built yet is not offered,
    and nothing is offered that Kafka does not have."""
    cluster = context.cluster
    wanted = OURS if context.kind.name == "tidelog" else KAFKA
    ways = [("--bootstrap-server", cluster[1].address), ("--bootstrap-server", cluster[3].address),
            ("--bootstrap-controller", cluster[2].controller_address)]
    for way in ways:
        out = context.tools("features", *way, "describe").ok().out
        told = [" ".join(line.split()) for line in out.splitlines() if line.strip()]
        epoch = told[0].rsplit(" ", 1)[1]
        assert int(epoch) > 0 and told == lines(wanted, epoch), (way, told)
    for name, (lowest, highest, _) in OURS.items():
        assert KAFKA[name][0] == lowest and KAFKA[name][1] >= highest, name
