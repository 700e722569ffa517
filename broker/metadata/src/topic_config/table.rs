//! Every topic configuration key, sorted by name: types, defaults and limits of Kafka 4.3, and the
//! keys that 4.4 adds.

use super::{Check, Def, Kind, Synonym};

/// Milliseconds of a minute, for the broker keys that count in minutes.
const MINUTE_MS: i64 = 60_000;
/// Milliseconds of an hour, for the broker keys that count in hours.
const HOUR_MS: i64 = 3_600_000;

const fn synonym(name: &'static str) -> Synonym {
    Synonym { name, factor: 1 }
}

const fn scaled(name: &'static str, factor: i64) -> Synonym {
    Synonym { name, factor }
}

/// All topic keys, ascending by name.
pub static TABLE: &[Def] = &[
    Def {
        name: "cleanup.policy",
        kind: Kind::List,
        default: "delete",
        check: Check::OneOf(&["compact", "delete"]),
        synonyms: &[synonym("log.cleanup.policy")],
        doc: "What happens to old records: removed by age and size, compacted by key, \
              both, or (empty) neither.",
    },
    Def {
        name: "compression.gzip.level",
        kind: Kind::Int,
        default: "-1",
        check: Check::BetweenOrMinusOne(1, 9),
        synonyms: &[synonym("compression.gzip.level")],
        doc: "The level at which the broker compresses when compression.type is gzip.",
    },
    Def {
        name: "compression.lz4.level",
        kind: Kind::Int,
        default: "9",
        check: Check::Between(1, 17),
        synonyms: &[synonym("compression.lz4.level")],
        doc: "The level at which the broker compresses when compression.type is lz4.",
    },
    Def {
        name: "compression.type",
        kind: Kind::String,
        default: "producer",
        check: Check::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        synonyms: &[synonym("compression.type")],
        doc: "The codec in which batches are stored; producer keeps the codec that each \
              arrived in.",
    },
    Def {
        name: "compression.zstd.level",
        kind: Kind::Int,
        default: "3",
        check: Check::Between(-131_072, 22),
        synonyms: &[synonym("compression.zstd.level")],
        doc: "The level at which the broker compresses when compression.type is zstd.",
    },
    Def {
        name: "delete.retention.ms",
        kind: Kind::Long,
        default: "86400000",
        check: Check::AtLeast(0),
        synonyms: &[synonym("log.cleaner.delete.retention.ms")],
        doc: "How long a compacted topic keeps the markers of deleted keys.",
    },
    Def {
        name: "errors.deadletterqueue.group.enable",
        kind: Kind::Boolean,
        default: "false",
        check: Check::Any,
        synonyms: &[],
        doc: "Whether share groups may write records that they could not deliver to this \
              topic.",
    },
    Def {
        name: "file.delete.delay.ms",
        kind: Kind::Long,
        default: "60000",
        check: Check::AtLeast(0),
        synonyms: &[synonym("log.segment.delete.delay.ms")],
        doc: "How long a removed segment's file stays on disk, so that reads under way can \
              end.",
    },
    Def {
        name: "flush.messages",
        kind: Kind::Long,
        default: "9223372036854775807",
        check: Check::AtLeast(1),
        synonyms: &[synonym("log.flush.interval.messages")],
        doc: "After how many records the log is forced to disk.",
    },
    Def {
        name: "flush.ms",
        kind: Kind::Long,
        default: "9223372036854775807",
        check: Check::AtLeast(0),
        synonyms: &[synonym("log.flush.interval.ms"), synonym("log.flush.scheduler.interval.ms")],
        doc: "After how long the log is forced to disk.",
    },
    Def {
        name: "follower.replication.throttled.replicas",
        kind: Kind::List,
        default: "",
        check: Check::ThrottledReplicas,
        synonyms: &[],
        doc: "The replicas whose fetching is throttled.",
    },
    Def {
        name: "index.interval.bytes",
        kind: Kind::Int,
        default: "4096",
        check: Check::AtLeast(0),
        synonyms: &[synonym("log.index.interval.bytes")],
        doc: "How many bytes of log lie between two entries of its indexes.",
    },
    Def {
        name: "leader.replication.throttled.replicas",
        kind: Kind::List,
        default: "",
        check: Check::ThrottledReplicas,
        synonyms: &[],
        doc: "The replicas towards which the leader's sending is throttled.",
    },
    Def {
        name: "local.retention.bytes",
        kind: Kind::Long,
        default: "-2",
        check: Check::AtLeast(-2),
        synonyms: &[synonym("log.local.retention.bytes")],
        doc: "How many bytes of a tiered partition stay on the broker; -2 follows \
              retention.bytes.",
    },
    Def {
        name: "local.retention.ms",
        kind: Kind::Long,
        default: "-2",
        check: Check::AtLeast(-2),
        synonyms: &[synonym("log.local.retention.ms")],
        doc: "How long the records of a tiered partition stay on the broker; -2 follows \
              retention.ms.",
    },
    Def {
        name: "max.compaction.lag.ms",
        kind: Kind::Long,
        default: "9223372036854775807",
        check: Check::AtLeast(1),
        synonyms: &[synonym("log.cleaner.max.compaction.lag.ms")],
        doc: "The longest time that a record stays out of compaction.",
    },
    Def {
        name: "max.message.bytes",
        kind: Kind::Int,
        default: "1048588",
        check: Check::AtLeast(0),
        synonyms: &[synonym("message.max.bytes")],
        doc: "The largest batch that the log takes, compressed.",
    },
    Def {
        name: "message.timestamp.after.max.ms",
        kind: Kind::Long,
        default: "3600000",
        check: Check::AtLeast(0),
        synonyms: &[synonym("log.message.timestamp.after.max.ms")],
        doc: "How far ahead of the broker's clock a record's timestamp may be.",
    },
    Def {
        name: "message.timestamp.before.max.ms",
        kind: Kind::Long,
        default: "9223372036854775807",
        check: Check::AtLeast(0),
        synonyms: &[synonym("log.message.timestamp.before.max.ms")],
        doc: "How far behind the broker's clock a record's timestamp may be.",
    },
    Def {
        name: "message.timestamp.type",
        kind: Kind::String,
        default: "CreateTime",
        check: Check::OneOf(&["CreateTime", "LogAppendTime"]),
        synonyms: &[synonym("log.message.timestamp.type")],
        doc: "Whose timestamp a record carries: its producer's or the broker's.",
    },
    Def {
        name: "min.cleanable.dirty.ratio",
        kind: Kind::Double,
        default: "0.5",
        check: Check::Fraction(0.0, 1.0),
        synonyms: &[synonym("log.cleaner.min.cleanable.ratio")],
        doc: "Which share of a compacted log must be uncompacted before it is compacted \
              again.",
    },
    Def {
        name: "min.compaction.lag.ms",
        kind: Kind::Long,
        default: "0",
        check: Check::AtLeast(0),
        synonyms: &[synonym("log.cleaner.min.compaction.lag.ms")],
        doc: "The shortest time that a record stays out of compaction.",
    },
    Def {
        name: "min.insync.replicas",
        kind: Kind::Int,
        default: "1",
        check: Check::AtLeast(1),
        synonyms: &[synonym("min.insync.replicas")],
        doc: "How many replicas must be in sync for a write with acks=all to be taken.",
    },
    Def {
        name: "preallocate",
        kind: Kind::Boolean,
        default: "false",
        check: Check::Any,
        synonyms: &[synonym("log.preallocate")],
        doc: "Whether a segment's file gets its full size when it is made.",
    },
    Def {
        name: "remote.copy.lag.bytes",
        kind: Kind::Long,
        default: "0",
        check: Check::AtLeast(-1),
        synonyms: &[synonym("log.remote.copy.lag.bytes")],
        doc: "How many bytes a closed segment may lag before it is uploaded; -1 follows \
              local.retention.bytes.",
    },
    Def {
        name: "remote.copy.lag.ms",
        kind: Kind::Long,
        default: "0",
        check: Check::AtLeast(-1),
        synonyms: &[synonym("log.remote.copy.lag.ms")],
        doc: "How long a closed segment may lag before it is uploaded; -1 follows \
              local.retention.ms.",
    },
    Def {
        name: "remote.log.copy.disable",
        kind: Kind::Boolean,
        default: "false",
        check: Check::Any,
        synonyms: &[],
        doc: "Whether uploading stops while what was uploaded stays readable.",
    },
    Def {
        name: "remote.log.delete.on.disable",
        kind: Kind::Boolean,
        default: "false",
        check: Check::Any,
        synonyms: &[],
        doc: "Whether turning remote.storage.enable off deletes what was uploaded.",
    },
    Def {
        name: "remote.storage.enable",
        kind: Kind::Boolean,
        default: "false",
        check: Check::Any,
        synonyms: &[],
        doc: "Whether closed segments go to the remote store.",
    },
    Def {
        name: "retention.bytes",
        kind: Kind::Long,
        default: "-1",
        check: Check::Any,
        synonyms: &[synonym("log.retention.bytes")],
        doc: "How many bytes a partition keeps; a negative value keeps all.",
    },
    Def {
        name: "retention.ms",
        kind: Kind::Long,
        default: "604800000",
        check: Check::AtLeast(-1),
        synonyms: &[
            synonym("log.retention.ms"),
            scaled("log.retention.minutes", MINUTE_MS),
            scaled("log.retention.hours", HOUR_MS),
        ],
        doc: "How long a partition keeps its records; -1 keeps them for ever.",
    },
    Def {
        name: "segment.bytes",
        kind: Kind::Int,
        default: "1073741824",
        check: Check::AtLeast(1_048_576),
        synonyms: &[synonym("log.segment.bytes")],
        doc: "The size at which a new segment begins.",
    },
    Def {
        name: "segment.index.bytes",
        kind: Kind::Int,
        default: "10485760",
        check: Check::AtLeast(4),
        synonyms: &[synonym("log.index.size.max.bytes")],
        doc: "The size at which an index is full and a new segment begins.",
    },
    Def {
        name: "segment.jitter.ms",
        kind: Kind::Long,
        default: "0",
        check: Check::AtLeast(0),
        synonyms: &[synonym("log.roll.jitter.ms"), scaled("log.roll.jitter.hours", HOUR_MS)],
        doc: "By how much at most segment.ms is shortened at random, so that partitions do \
              not roll at once.",
    },
    Def {
        name: "segment.ms",
        kind: Kind::Long,
        default: "604800000",
        check: Check::AtLeast(1),
        synonyms: &[synonym("log.roll.ms"), scaled("log.roll.hours", HOUR_MS)],
        doc: "The age at which a new segment begins, whether full or not.",
    },
    Def {
        name: "unclean.leader.election.enable",
        kind: Kind::Boolean,
        default: "false",
        check: Check::Any,
        synonyms: &[synonym("unclean.leader.election.enable")],
        doc: "Whether a replica that may lack records can lead when no other is left.",
    },
];
