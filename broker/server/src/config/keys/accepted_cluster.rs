//! Controllers, replication and remote storage: keys of Kafka 4.3 without meaning here (yet).
//!
//! Known so that a server.properties made for Kafka starts this broker. A key moves to the file
//! of its area, with a sentence of its own, when the broker begins to act on it.

use crate::config::def::{Def, Kind, boolean, double, int, long, text, unset};

/// The keys of this area: names, types, defaults and limits are those of Kafka 4.3.1.
pub(in crate::config) const KEYS: &[Def] = &[
    unset("alter.config.policy.class.name", Kind::Class),
    int("alter.log.dirs.replication.quota.window.num", "11").min(1.0),
    int("alter.log.dirs.replication.quota.window.size.seconds", "1").min(1.0),
    boolean("controlled.shutdown.enable", "true"),
    long("controller.performance.always.log.threshold.ms", "2000").min(0.0).internal(),
    long("controller.performance.sample.period.ms", "60000").min(100.0).internal(),
    int("controller.quorum.append.linger.ms", "25").min(0.0),
    int("controller.quorum.fetch.snapshot.max.bytes", "1048576").min(1.0),
    int("controller.quota.window.num", "11").min(1.0),
    int("controller.quota.window.size.seconds", "1").min(1.0),
    int("controller.socket.timeout.ms", "30000"),
    boolean("follower.fetch.last.tiered.offset.enable", "false").cluster_wide(),
    int("initial.broker.registration.timeout.ms", "60000"),
    long("internal.metadata.delete.delay.millis", "60000").internal(),
    unset("internal.metadata.log.segment.bytes", Kind::Int).internal(),
    int("internal.metadata.max.batch.size.in.bytes", "8388608").internal(),
    long("leader.imbalance.check.interval.seconds", "300").min(1.0),
    int("metadata.max.idle.interval.ms", "500").min(0.0),
    unset("num.replica.alter.log.dirs.threads", Kind::Int),
    int("num.replica.fetchers", "1").min(1.0).cluster_wide(),
    int("remote.fetch.max.wait.ms", "500").min(1.0).cluster_wide(),
    long("remote.list.offsets.request.timeout.ms", "30000").min(1.0).cluster_wide(),
    long("remote.log.index.file.cache.total.size.bytes", "1073741824").min(1.0).cluster_wide(),
    long("remote.log.index.file.cache.ttl.ms", "900000").min(-1.0).internal(),
    int("remote.log.manager.copier.thread.pool.size", "10").min(1.0).cluster_wide(),
    long("remote.log.manager.copy.max.bytes.per.second", "9223372036854775807")
        .min(1.0)
        .cluster_wide(),
    int("remote.log.manager.copy.quota.window.num", "11").min(1.0),
    int("remote.log.manager.copy.quota.window.size.seconds", "1").min(1.0),
    int("remote.log.manager.expiration.thread.pool.size", "10").min(1.0).cluster_wide(),
    long("remote.log.manager.fetch.max.bytes.per.second", "9223372036854775807")
        .min(1.0)
        .cluster_wide(),
    int("remote.log.manager.fetch.quota.window.num", "11").min(1.0),
    int("remote.log.manager.fetch.quota.window.size.seconds", "1").min(1.0),
    int("remote.log.manager.follower.thread.pool.size", "2").min(1.0).cluster_wide(),
    long("remote.log.manager.task.interval.ms", "30000").min(1.0),
    long("remote.log.manager.task.retry.backoff.max.ms", "30000").min(1.0).internal(),
    long("remote.log.manager.task.retry.backoff.ms", "500").min(1.0).internal(),
    double("remote.log.manager.task.retry.jitter", "0.2").range(0.0, 0.5).internal(),
    int("remote.log.manager.thread.pool.size", "2")
        .min(1.0)
        .deprecated("remote.log.manager.follower.thread.pool.size"),
    int("remote.log.metadata.custom.metadata.max.bytes", "128").min(0.0),
    text(
        "remote.log.metadata.manager.class.name",
        "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager",
    )
    .filled(),
    unset("remote.log.metadata.manager.class.path", Kind::Text),
    text("remote.log.metadata.manager.impl.prefix", "rlmm.config.").filled(),
    unset("remote.log.metadata.manager.listener.name", Kind::Text).filled(),
    int("remote.log.reader.max.pending.tasks", "100").min(1.0),
    int("remote.log.reader.threads", "10").min(1.0).cluster_wide(),
    unset("remote.log.storage.manager.class.name", Kind::Text).filled(),
    unset("remote.log.storage.manager.class.path", Kind::Text),
    text("remote.log.storage.manager.impl.prefix", "rsm.config.").filled(),
    boolean("remote.log.storage.system.enable", "false"),
    int("replica.fetch.backoff.ms", "1000").min(0.0),
    int("replica.fetch.max.bytes", "1048576").min(0.0),
    int("replica.fetch.min.bytes", "1"),
    int("replica.fetch.response.max.bytes", "10485760").min(0.0),
    int("replica.fetch.wait.max.ms", "500"),
    long("replica.lag.time.max.ms", "30000"),
    unset("replica.selector.class", Kind::Text),
    int("replica.socket.receive.buffer.bytes", "65536"),
    int("replica.socket.timeout.ms", "30000"),
    int("replication.quota.window.num", "11").min(1.0),
    int("replication.quota.window.size.seconds", "1").min(1.0),
    boolean("unclean.leader.election.enable", "false")
        .topic("unclean.leader.election.enable")
        .cluster_wide(),
    long("unclean.leader.election.interval.ms", "300000").min(1.0).internal(),
    // Known to Kafka as keys of a running broker only.
    long("follower.replication.throttled.rate", "9223372036854775807")
        .min(0.0)
        .cluster_wide()
        .internal(),
    long("leader.replication.throttled.rate", "9223372036854775807")
        .min(0.0)
        .cluster_wide()
        .internal(),
    long("replica.alter.log.dirs.io.max.bytes.per.second", "9223372036854775807")
        .min(0.0)
        .cluster_wide()
        .internal(),
];
