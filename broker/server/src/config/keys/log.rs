//! Logs: where they lie, how long they live, when they reach the disk.

use crate::config::def::{Check, Def, Kind, boolean, int, list, long, text, unset};

const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
const TIMESTAMP_TYPES: &[&str] = &["CreateTime", "LogAppendTime"];

/// The keys of this area that the broker acts on.
pub(in crate::config) const KEYS: &[Def] = &[
    list("log.dir", "/var/lib/tidelog").filled().doc("Where logs lie when log.dirs does not say."),
    unset("log.dirs", Kind::List).filled().doc("The directories of the logs."),
    list("cordoned.log.dirs", "")
        .doc("The directories of log.dirs that take no new partitions; * is all of them.")
        .per_broker(),
    unset("metadata.log.dir", Kind::Text)
        .doc("The directory of the metadata log; the first of log.dirs when unset."),
    int("num.recovery.threads.per.data.dir", "2")
        .min(1.0)
        .doc(
            "Threads that open and recover logs at start, for each directory; sixteen times as \
             many close them.",
        )
        .cluster_wide(),
    int("log.segment.bytes", "1073741824")
        .min(1_048_576.0)
        .topic("segment.bytes")
        .doc("A segment is closed at this size.")
        .cluster_wide(),
    unset("log.roll.ms", Kind::Long)
        .min(1.0)
        .topic("segment.ms")
        .doc("A segment is closed at this age; log.roll.hours when unset.")
        .cluster_wide(),
    int("log.roll.hours", "168").min(1.0).doc("As log.roll.ms, in hours."),
    unset("log.roll.jitter.ms", Kind::Long)
        .min(0.0)
        .topic("segment.jitter.ms")
        .doc("The most that a segment's closing by age is brought forward at random.")
        .cluster_wide(),
    int("log.roll.jitter.hours", "0").min(0.0).doc("As log.roll.jitter.ms, in hours."),
    int("log.index.size.max.bytes", "10485760")
        .min(4.0)
        .topic("segment.index.bytes")
        .doc("A segment is closed when an index of it reaches this size.")
        .cluster_wide(),
    int("log.index.interval.bytes", "4096")
        .min(0.0)
        .topic("index.interval.bytes")
        .doc("Bytes of log between two entries of the offset index.")
        .cluster_wide(),
    unset("log.retention.ms", Kind::Long)
        .min(-1.0)
        .topic("retention.ms")
        .doc(
            "Age at which closed segments are deleted; -1 never; log.retention.minutes when unset.",
        )
        .cluster_wide(),
    unset("log.retention.minutes", Kind::Int)
        .doc("As log.retention.ms, in minutes; log.retention.hours when unset."),
    int("log.retention.hours", "168").doc("As log.retention.ms, in hours."),
    long("log.retention.bytes", "-1")
        .topic("retention.bytes")
        .doc("Size of a partition above which its oldest segments are deleted; -1 is no limit.")
        .cluster_wide(),
    long("log.retention.check.interval.ms", "300000")
        .min(1.0)
        .doc("How often retention looks at every log."),
    long("log.segment.delete.delay.ms", "60000")
        .min(0.0)
        .topic("file.delete.delay.ms")
        .doc("How long a deleted segment's files stay under their .deleted names.")
        .cluster_wide(),
    list("log.cleanup.policy", "delete")
        .check(Check::OneOf(&["compact", "delete"]))
        .topic("cleanup.policy")
        .doc("delete, compact, both, or nothing at all; compact keeps everything for now.")
        .cluster_wide(),
    long("log.flush.interval.messages", "9223372036854775807")
        .min(1.0)
        .topic("flush.messages")
        .doc("Records after which a log is forced to disk.")
        .cluster_wide(),
    unset("log.flush.interval.ms", Kind::Long)
        .topic("flush.ms")
        .doc("Age of the oldest unforced record at which a log is forced to disk.")
        .cluster_wide(),
    long("log.flush.scheduler.interval.ms", "9223372036854775807")
        .doc("How often the flush by age is looked for; also its age when that is unset."),
    int("log.flush.offset.checkpoint.interval.ms", "60000")
        .min(0.0)
        .doc("How often the recovery points are written."),
    int("log.flush.start.offset.checkpoint.interval.ms", "60000")
        .min(0.0)
        .doc("How often the log start offsets are written."),
    long("replica.high.watermark.checkpoint.interval.ms", "5000")
        .doc("How often the high watermarks are written."),
    boolean("log.preallocate", "false").topic("preallocate").cluster_wide(),
    int("message.max.bytes", "1048588")
        .min(0.0)
        .topic("max.message.bytes")
        .doc("The largest record batch that a producer may send.")
        .cluster_wide(),
    text("log.message.timestamp.type", "CreateTime")
        .check(Check::OneOf(TIMESTAMP_TYPES))
        .topic("message.timestamp.type")
        .doc("Whose time a record carries: its producer's or the broker's.")
        .cluster_wide(),
    long("log.message.timestamp.before.max.ms", "9223372036854775807")
        .min(0.0)
        .topic("message.timestamp.before.max.ms")
        .doc("How far a record's time may lie behind the broker's.")
        .cluster_wide(),
    long("log.message.timestamp.after.max.ms", "3600000")
        .min(0.0)
        .topic("message.timestamp.after.max.ms")
        .doc("How far a record's time may lie ahead of the broker's.")
        .cluster_wide(),
    text("compression.type", "producer")
        .check(Check::OneOf(CODECS))
        .topic("compression.type")
        .doc("The codec in which batches are stored; producer keeps the one that each came in.")
        .cluster_wide(),
    int("compression.gzip.level", "-1")
        .check(Check::GzipLevel)
        .topic("compression.gzip.level")
        .doc("How hard the broker's own gzip tries, 1 to 9; -1 is its default.")
        .cluster_wide(),
    int("compression.lz4.level", "9")
        .range(1.0, 17.0)
        .topic("compression.lz4.level")
        .cluster_wide(),
    int("compression.zstd.level", "3")
        .range(-131_072.0, 22.0)
        .topic("compression.zstd.level")
        .doc("How hard the broker's own zstd tries, up to 22.")
        .cluster_wide(),
    int("min.insync.replicas", "1")
        .min(1.0)
        .topic("min.insync.replicas")
        .doc("Replicas in sync that an acks=all write needs.")
        .cluster_wide(),
    int("metadata.log.segment.bytes", "1073741824").min(8_388_608.0),
    long("metadata.log.segment.ms", "604800000"),
    long("metadata.log.max.record.bytes.between.snapshots", "20971520")
        .min(1.0)
        .doc("Bytes of metadata log after which a snapshot is written."),
    long("metadata.log.max.snapshot.interval.ms", "3600000")
        .min(0.0)
        .doc("The longest time between two snapshots of changed metadata; 0 is no limit."),
    long("metadata.max.retention.bytes", "104857600"),
    long("metadata.max.retention.ms", "604800000"),
];
