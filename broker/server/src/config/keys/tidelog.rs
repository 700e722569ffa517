//! The keys that Kafka lacks.

use crate::config::def::{Check, Def, Kind, boolean, int, list, long, text, unset};

/// The keys of this area.
pub(in crate::config) const KEYS: &[Def] = &[
    unset("tidelog.cluster.id", Kind::Text)
        .doc("The cluster's id; a directory of another cluster is refused. Made when unset."),
    text("tidelog.produce.validation", "strict")
        .check(Check::OneOf(&["strict", "relaxed"]))
        .doc("strict opens every produced batch, as Kafka does; relaxed believes compressed ones."),
    text("tidelog.admin.host", "")
        .doc("The address of the HTTP listener for health and metrics; empty is every address."),
    int("tidelog.admin.port", "9644")
        .range(-1.0, 65_535.0)
        .doc("Its port; 0 is any free one, -1 is no such listener."),
    list("tidelog.log.dirs.abandoned", "")
        .doc("Ids (directory.id) of log directories that this broker had and will not have again."),
    list("tidelog.log.corrupt.accept", "").doc(
        "Losses the operator accepts, as the broker's message names them: topic-partition@offset.",
    ),
    int("tidelog.data.threads", "0")
        .range(0.0, 1024.0)
        .doc("Threads that serve clients; 0 is one for each core."),
    long("tidelog.shutdown.timeout.ms", "30000")
        .min(0.0)
        .doc("How long a stop waits for requests in progress."),
    text("tidelog.log.level", "info")
        .doc("What the broker says of itself: error, warn, info, debug, trace, or a filter."),
    text("tidelog.log.format", "text")
        .check(Check::OneOf(&["text", "json"]))
        .doc("How it says it: for people or for machines."),
    text("tidelog.metrics.partition.level", "topic")
        .check(Check::OneOf(&["none", "topic", "partition"]))
        .doc("How fine the metrics of topics and of groups' lag are."),
    unset("tidelog.remote.url", Kind::Text)
        .doc("The bucket: s3://, gs://, az:// or file://. Recorded; tiering is not built yet."),
    unset("tidelog.remote.endpoint", Kind::Text),
    unset("tidelog.remote.region", Kind::Text),
    boolean("tidelog.remote.path.style", "false"),
    unset("tidelog.remote.credentials.dir", Kind::Text),
    unset("tidelog.remote.ca.file", Kind::Text),
    unset("tidelog.remote.sse", Kind::Text),
    long("tidelog.remote.run.target.bytes", "268435456").min(1.0),
    long("tidelog.remote.run.max.age.ms", "3600000").min(1.0),
    long("tidelog.remote.active.max.lag.ms", "-1").min(-1.0),
    long("tidelog.remote.root.retention.ms", "86400000").min(0.0),
    unset("tidelog.remote.recover.from", Kind::Text),
    unset("tidelog.remote.follow", Kind::Text),
    boolean("tidelog.remote.assume.single.writer", "false"),
];
