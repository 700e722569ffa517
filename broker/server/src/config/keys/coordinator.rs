//! Groups, their committed offsets, and idempotent producers.

use crate::config::def::{Def, int, long, short};

/// The keys of this area that the broker acts on.
pub(in crate::config) const KEYS: &[Def] = &[
    int("group.min.session.timeout.ms", "6000")
        .doc("The shortest session a group member may ask for."),
    int("group.max.session.timeout.ms", "1800000")
        .doc("The longest session a group member may ask for."),
    int("group.initial.rebalance.delay.ms", "3000")
        .doc("How long the first rebalance of an empty group waits for more members."),
    int("group.max.size", "2147483647").min(1.0).doc("The most members of a group."),
    int("offset.metadata.max.bytes", "4096")
        .doc("The largest metadata text beside a committed offset."),
    int("offsets.commit.timeout.ms", "5000").min(1.0),
    int("offsets.retention.minutes", "10080")
        .min(1.0)
        .doc("How long the offsets of a group without members are kept."),
    long("offsets.retention.check.interval.ms", "600000")
        .min(1.0)
        .doc("How often offsets and groups that are kept too long are looked for."),
    int("offsets.topic.num.partitions", "50")
        .min(1.0)
        .doc("Partitions of __consumer_offsets when it is made."),
    short("offsets.topic.replication.factor", "3")
        .min(1.0)
        .doc("Replicas of __consumer_offsets when it is made."),
    int("offsets.topic.segment.bytes", "104857600")
        .min(1.0)
        .doc("Segment size of __consumer_offsets."),
    int("producer.id.expiration.ms", "86400000")
        .min(1.0)
        .doc("How long an idle producer id is remembered.")
        .cluster_wide(),
    int("producer.id.expiration.check.interval.ms", "600000")
        .min(1.0)
        .doc("How often idle producer ids are looked for.")
        .internal(),
    int("transaction.max.timeout.ms", "900000").min(1.0),
];
