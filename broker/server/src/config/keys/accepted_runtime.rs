//! Threads, quotas, metrics and the rest: keys of Kafka 4.3 without meaning here (yet).
//!
//! Known so that a server.properties made for Kafka starts this broker. A key moves to the file
//! of its area, with a sentence of its own, when the broker begins to act on it.

use crate::config::def::{Def, Kind, boolean, double, int, list, long, text, unset};

/// The keys of this area: names, types, defaults and limits are those of Kafka 4.3.1.
pub(in crate::config) const KEYS: &[Def] = &[
    boolean("auto.leader.rebalance.enable", "true"),
    int("background.threads", "10").min(1.0).cluster_wide(),
    unset("client.quota.callback.class", Kind::Class),
    unset("create.topic.policy.class.name", Kind::Class),
    int("delete.records.purgatory.purge.interval.requests", "1"),
    unset("early.start.listeners", Kind::List),
    int("fetch.purgatory.purge.interval.requests", "1000"),
    int("kafka.metrics.polling.interval.secs", "10").min(1.0),
    list("kafka.metrics.reporters", ""),
    long("log.cleaner.backoff.ms", "15000").min(0.0).cluster_wide(),
    long("log.cleaner.dedupe.buffer.size", "134217728").cluster_wide(),
    long("log.cleaner.delete.retention.ms", "86400000")
        .min(0.0)
        .topic("delete.retention.ms")
        .cluster_wide(),
    boolean("log.cleaner.enable", "true"),
    double("log.cleaner.io.buffer.load.factor", "0.9").cluster_wide(),
    int("log.cleaner.io.buffer.size", "524288").min(0.0).cluster_wide(),
    double("log.cleaner.io.max.bytes.per.second", "1.7976931348623157E308").cluster_wide(),
    long("log.cleaner.max.compaction.lag.ms", "9223372036854775807")
        .min(1.0)
        .topic("max.compaction.lag.ms")
        .cluster_wide(),
    double("log.cleaner.min.cleanable.ratio", "0.5")
        .range(0.0, 1.0)
        .topic("min.cleanable.dirty.ratio")
        .cluster_wide(),
    long("log.cleaner.min.compaction.lag.ms", "0")
        .min(0.0)
        .topic("min.compaction.lag.ms")
        .cluster_wide(),
    int("log.cleaner.threads", "1").min(0.0).cluster_wide(),
    long("log.dir.failure.timeout.ms", "30000").min(1.0),
    long("log.initial.task.delay.ms", "30000").min(0.0).internal(),
    long("log.local.retention.bytes", "-2").min(-2.0).topic("local.retention.bytes").cluster_wide(),
    long("log.local.retention.ms", "-2").min(-2.0).topic("local.retention.ms").cluster_wide(),
    list("metric.reporters", "org.apache.kafka.common.metrics.JmxReporter").cluster_wide(),
    int("metrics.num.samples", "2").min(1.0),
    text("metrics.recording.level", "INFO"),
    long("metrics.sample.window.ms", "30000").min(1.0),
    int("num.io.threads", "8").min(1.0).cluster_wide(),
    int("num.network.threads", "3").min(1.0).cluster_wide(),
    int("producer.purgatory.purge.interval.requests", "1000"),
    int("queued.max.requests", "500").min(1.0),
    int("request.timeout.ms", "30000"),
    long("server.max.startup.time.ms", "9223372036854775807").min(0.0).internal(),
    long("socket.connection.setup.timeout.max.ms", "30000"),
    long("socket.connection.setup.timeout.ms", "10000"),
    int("telemetry.max.bytes", "1048576").min(1.0),
    boolean("unstable.api.versions.enable", "false").internal(),
    boolean("unstable.feature.versions.enable", "false").internal(),
];
