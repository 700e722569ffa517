//! From resolved keys to typed settings: each key is read here, once.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use metadata::broker_config::{BrokerKeys, address_counts};
use metadata::topic_config::Defaults;
use storage::directory::{DirectoryName, TopicPartition};
use wire::ids::{Offset, Uuid};

use super::def::Def;
use super::error::ConfigError;
use super::listeners;
use super::quorum;
use super::resolved::{Note, Resolved};
use super::settings::{
    FetchSettings, Formation, GroupSettings, LoggingSettings, MetadataLogSettings, MetricsLevel,
    NodeSettings, Settings, TopicSettings,
};
use crate::serve_config::{MaintenanceConfig, SocketConfig};

impl Settings {
    /// Reads the typed values, and notes what the operator should know.
    pub(super) fn new(resolved: &Resolved) -> Result<(Self, Vec<Note>), ConfigError> {
        let listeners = listeners::listeners(resolved)?;
        let mut notes = listeners.notes.clone();
        let log_dirs = log_dirs(resolved)?;
        let node = node(resolved)?;
        let quorum = quorum::quorum(resolved, node.node_id, &listeners, &mut notes)?;
        if quorum.formation == Formation::Alone {
            note_replicas(resolved, &mut notes)?;
        }
        let settings = Self {
            node,
            listeners: listeners.clients,
            controller_listeners: listeners.controllers,
            quorum,
            sockets: sockets(resolved)?,
            connections_per_ip_overrides: per_ip_overrides(resolved)?,
            admin: admin(resolved)?,
            maintenance: maintenance(resolved)?,
            worker_threads: resolved.get("tidelog.data.threads")?,
            drain_timeout: millis(resolved, "tidelog.shutdown.timeout.ms")?,
            abandoned_log_dirs: abandoned_log_dirs(resolved)?,
            accepted_losses: accepted_losses(resolved)?,
            metadata_log_dir: metadata_log_dir(resolved, &log_dirs)?,
            log_dirs,
            recovery_threads_per_dir: resolved.get("num.recovery.threads.per.data.dir")?,
            broker_keys: BrokerKeys::new(super::registry::all(), all_set(resolved)),
            topic_defaults: topic_defaults(resolved)?,
            relaxed_validation: resolved.text("tidelog.produce.validation")?.as_deref()
                == Some("relaxed"),
            metadata_log: metadata_log(resolved)?,
            topics: topics(resolved)?,
            fetch: FetchSettings {
                bytes_max: resolved.get("fetch.max.bytes")?,
                sessions_max: resolved.get("max.incremental.fetch.session.cache.slots")?,
            },
            groups: groups(resolved)?,
            producer_id_expiration: millis(resolved, "producer.id.expiration.ms")?,
            remote_url: resolved.text("tidelog.remote.url")?,
            logging: LoggingSettings {
                filter: resolved.text("tidelog.log.level")?.unwrap_or_else(|| "info".to_owned()),
                json: resolved.text("tidelog.log.format")?.as_deref() == Some("json"),
            },
            metrics_partition_level: metrics_level(resolved)?,
        };
        if settings.remote_url.is_some() {
            let text = "tidelog.remote.url is recorded, but tiering is not built yet: \
                        all data stays in log.dirs";
            notes.push(Note::Plain(text.to_owned()));
        }
        Ok((settings, notes))
    }
}

pub(super) fn millis(resolved: &Resolved, name: &'static str) -> Result<Duration, ConfigError> {
    let number: i64 = resolved.get(name)?;
    Ok(Duration::from_millis(u64::try_from(number).unwrap_or_default()))
}

pub(super) fn invalid(
    resolved: &Resolved,
    key: &str,
    value: impl ToString,
    expected: &str,
) -> ConfigError {
    ConfigError::Invalid {
        key: key.to_owned(),
        value: value.to_string(),
        at: resolved.at(key),
        expected: expected.to_owned(),
    }
}

fn node(resolved: &Resolved) -> Result<NodeSettings, ConfigError> {
    let node_id: i32 = resolved.get("node.id")?;
    let broker_id: i32 = resolved.get("broker.id")?;
    let node_id = match (resolved.is_set("node.id"), broker_id) {
        (_, -1) => node_id,
        (_, id) if id < 0 => {
            return Err(invalid(resolved, "broker.id", id, "-1, or a number not below 0"));
        }
        (false, id) => id,
        (true, id) if id == node_id => id,
        (true, id) => {
            return Err(ConfigError::Conflict {
                first: resolved.placed("node.id", node_id),
                second: resolved.placed("broker.id", id),
                why: "they are two names of one thing, keep node.id",
            });
        }
    };
    Ok(NodeSettings {
        node_id,
        cluster_id: resolved.text("tidelog.cluster.id")?,
        rack: resolved.text("broker.rack")?,
    })
}

/// Everything that is set, with both names of the node's id, as Kafka tells it.
fn all_set(resolved: &Resolved) -> BTreeMap<String, String> {
    let mut set = resolved.all_set();
    for (one, other) in [("node.id", "broker.id"), ("broker.id", "node.id")] {
        if let Some(id) = set.get(one).filter(|_| !set.contains_key(other)).cloned() {
            set.insert(other.to_owned(), id);
        }
    }
    set
}

fn note_replicas(resolved: &Resolved, notes: &mut Vec<Note>) -> Result<(), ConfigError> {
    let replicas: i16 = resolved.get("offsets.topic.replication.factor")?;
    if replicas > 1 {
        notes.push(Note::Plain(format!(
            "offsets.topic.replication.factor={replicas}, but replication is not built yet: \
             consumer groups work once it is 1"
        )));
    }
    Ok(())
}

fn log_dirs(resolved: &Resolved) -> Result<Vec<PathBuf>, ConfigError> {
    let key = if resolved.is_set("log.dirs") { "log.dirs" } else { "log.dir" };
    Ok(resolved.list(key)?.into_iter().map(PathBuf::from).collect())
}

fn abandoned_log_dirs(resolved: &Resolved) -> Result<Vec<Uuid>, ConfigError> {
    let key = "tidelog.log.dirs.abandoned";
    let parse = |id: String| {
        id.parse().map_err(|_| invalid(resolved, key, &id, "ids as directory.id has them"))
    };
    resolved.list(key)?.into_iter().map(parse).collect()
}

fn accepted_losses(resolved: &Resolved) -> Result<BTreeSet<(TopicPartition, Offset)>, ConfigError> {
    let key = "tidelog.log.corrupt.accept";
    let parse = |entry: &str| {
        let (partition, offset) = entry.rsplit_once('@')?;
        let offset: i64 = offset.parse().ok().filter(|offset| *offset >= 0)?;
        match DirectoryName::parse(partition) {
            DirectoryName::Partition(partition) => Some((partition, Offset(offset))),
            _ => None,
        }
    };
    let read = |entry: String| {
        parse(&entry).ok_or_else(|| invalid(resolved, key, &entry, "topic-partition@offset"))
    };
    resolved.list(key)?.into_iter().map(read).collect()
}

fn metadata_log_dir(resolved: &Resolved, log_dirs: &[PathBuf]) -> Result<PathBuf, ConfigError> {
    let named = resolved.text("metadata.log.dir")?.map(PathBuf::from);
    named
        .or_else(|| log_dirs.first().cloned())
        .ok_or(ConfigError::Undefined { name: "metadata.log.dir" })
}

fn sockets(resolved: &Resolved) -> Result<SocketConfig, ConfigError> {
    let buffer = |name: &'static str| -> Result<Option<usize>, ConfigError> {
        let bytes: i64 = resolved.get(name)?;
        match usize::try_from(bytes) {
            Ok(0) => Err(invalid(resolved, name, bytes, "-1, or at least 1")),
            Ok(bytes) => Ok(Some(bytes)),
            Err(_) if bytes == -1 => Ok(None),
            Err(_) => Err(invalid(resolved, name, bytes, "-1, or at least 1")),
        }
    };
    let memory: i64 = resolved.get("queued.max.request.bytes")?;
    let request_bytes_max: usize = resolved.get("socket.request.max.bytes")?;
    let request_memory_bytes = usize::try_from(memory).ok().filter(|bytes| *bytes > 0);
    if request_memory_bytes.is_some_and(|bytes| bytes < request_bytes_max) {
        let expected = "-1, or at least socket.request.max.bytes";
        return Err(invalid(resolved, "queued.max.request.bytes", memory, expected));
    }
    Ok(SocketConfig {
        request_bytes_max,
        send_buffer_bytes: buffer("socket.send.buffer.bytes")?,
        receive_buffer_bytes: buffer("socket.receive.buffer.bytes")?,
        listen_backlog: resolved.get("socket.listen.backlog.size")?,
        connections_max: resolved.get("max.connections")?,
        connections_per_ip_max: resolved.get("max.connections.per.ip")?,
        rate_windows: resolved.get("quota.window.num")?,
        rate_window: Duration::from_secs(resolved.get("quota.window.size.seconds")?),
        idle_max: idle_max(resolved)?,
        request_memory_bytes,
        ..SocketConfig::default()
    })
}

/// A negative time means never, as in Kafka.
fn idle_max(resolved: &Resolved) -> Result<Duration, ConfigError> {
    let number: i64 = resolved.get("connections.max.idle.ms")?;
    Ok(u64::try_from(number).map_or(Duration::MAX, Duration::from_millis))
}

fn per_ip_overrides(resolved: &Resolved) -> Result<Vec<(IpAddr, usize)>, ConfigError> {
    const KEY: &str = "max.connections.per.ip.overrides";
    let text = resolved.text(KEY)?.unwrap_or_default();
    address_counts(&text).ok_or_else(|| invalid(resolved, KEY, &text, "ADDRESS:COUNT"))
}

/// A port of -1 is no admin listener; an empty host is every address.
fn admin(resolved: &Resolved) -> Result<Option<SocketAddr>, ConfigError> {
    let port: i32 = resolved.get("tidelog.admin.port")?;
    let Ok(port) = u16::try_from(port) else {
        return Ok(None);
    };
    let host = resolved.text("tidelog.admin.host")?.unwrap_or_else(|| "0.0.0.0".to_owned());
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = (bare, port).to_socket_addrs().ok().and_then(|mut all| all.next());
    let expected = "a name or address of this machine";
    address.map(Some).ok_or_else(|| invalid(resolved, "tidelog.admin.host", &host, expected))
}

fn maintenance(resolved: &Resolved) -> Result<MaintenanceConfig, ConfigError> {
    // Kafka's default means never; looking once a second costs nothing and honours flush.ms of
    // single topics.
    let flush: i64 = resolved.get("log.flush.scheduler.interval.ms")?;
    let flush_check = u64::try_from(flush.clamp(1, 1_000)).unwrap_or(1_000);
    Ok(MaintenanceConfig {
        retention_check: millis(resolved, "log.retention.check.interval.ms")?,
        flush_check: Duration::from_millis(flush_check),
        recovery_checkpoint: millis(resolved, "log.flush.offset.checkpoint.interval.ms")?,
        log_start_checkpoint: millis(resolved, "log.flush.start.offset.checkpoint.interval.ms")?,
        high_watermark_checkpoint: millis(
            resolved,
            "replica.high.watermark.checkpoint.interval.ms",
        )?,
        producer_expiry_check: millis(resolved, "producer.id.expiration.check.interval.ms")?,
        group_expiry_check: millis(resolved, "offsets.retention.check.interval.ms")?,
    })
}

/// Kafka refuses 0 here and -1 is the only negative number with a meaning.
fn check_retention(resolved: &Resolved) -> Result<(), ConfigError> {
    for name in ["log.retention.ms", "log.retention.minutes", "log.retention.hours"] {
        if let Some(number) = resolved.number(name)?.filter(|number| *number == 0 || *number < -1) {
            return Err(invalid(resolved, name, number, "-1 for ever, or at least 1"));
        }
    }
    Ok(())
}

/// The broker's keys that a topic falls back to; the table of them is `metadata`'s.
fn topic_defaults(resolved: &Resolved) -> Result<Defaults, ConfigError> {
    check_retention(resolved)?;
    Defaults::from_broker(|name| resolved.set_text(name)).map_err(|error| match &error {
        metadata::topic_config::ConfigError::InvalidValue { name, value, why } => {
            let of_topic = |def: &&Def| def.topic == Some(*name) && resolved.is_set(def.name);
            match super::registry::all().find(of_topic) {
                Some(def) => invalid(resolved, def.name, value, why),
                None => error.into(),
            }
        }
        _ => error.into(),
    })
}

fn metadata_log(resolved: &Resolved) -> Result<MetadataLogSettings, ConfigError> {
    Ok(MetadataLogSettings {
        segment_bytes: resolved.get("metadata.log.segment.bytes")?,
        segment_ms: resolved.get("metadata.log.segment.ms")?,
        bytes_between_snapshots_max: resolved
            .get("metadata.log.max.record.bytes.between.snapshots")?,
        snapshot_interval_max: millis(resolved, "metadata.log.max.snapshot.interval.ms")?,
        retention_bytes: resolved.get("metadata.max.retention.bytes")?,
        retention_ms: resolved.get("metadata.max.retention.ms")?,
    })
}

fn topics(resolved: &Resolved) -> Result<TopicSettings, ConfigError> {
    Ok(TopicSettings {
        partitions: resolved.get("num.partitions")?,
        replication_factor: resolved.get("default.replication.factor")?,
        auto_create: resolved.flag("auto.create.topics.enable")?,
        deletable: resolved.flag("delete.topic.enable")?,
        described_partitions_max: resolved.get("max.request.partition.size.limit")?,
    })
}

fn groups(resolved: &Resolved) -> Result<GroupSettings, ConfigError> {
    let minutes: i64 = resolved.get("offsets.retention.minutes")?;
    let offsets_retention = u64::try_from(minutes.saturating_mul(60)).unwrap_or_default();
    Ok(GroupSettings {
        session_timeout_ms_min: resolved.get("group.min.session.timeout.ms")?,
        session_timeout_ms_max: resolved.get("group.max.session.timeout.ms")?,
        initial_rebalance_delay_ms: resolved.get("group.initial.rebalance.delay.ms")?,
        size_max: resolved.get("group.max.size")?,
        offset_metadata_bytes_max: resolved.get("offset.metadata.max.bytes")?,
        commit_timeout: millis(resolved, "offsets.commit.timeout.ms")?,
        offsets_retention: Duration::from_secs(offsets_retention),
        topic_partitions: resolved.get("offsets.topic.num.partitions")?,
        topic_replication_factor: resolved.get("offsets.topic.replication.factor")?,
        topic_segment_bytes: resolved.get("offsets.topic.segment.bytes")?,
        transaction_timeout_ms_max: resolved.get("transaction.max.timeout.ms")?,
    })
}

fn metrics_level(resolved: &Resolved) -> Result<MetricsLevel, ConfigError> {
    Ok(match resolved.text("tidelog.metrics.partition.level")?.as_deref() {
        Some("none") => MetricsLevel::None,
        Some("partition") => MetricsLevel::Partition,
        _ => MetricsLevel::Topic,
    })
}
