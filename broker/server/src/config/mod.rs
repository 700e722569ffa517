//! Configuration: every key of Kafka 4.3 and Tidelog's own, read once into types.
//!
//! [`load`] lays the layers over each other, refuses what is unknown or invalid, all of it at
//! once, and gives typed values. Nothing else in the process reads files of configuration or the
//! environment.

mod def;
mod error;
mod keys;
mod listeners;
pub mod properties;
mod quorum;
pub mod reference;
pub mod registry;
mod resolved;
mod settings;
mod typed;
mod yaml;

#[cfg(test)]
mod tests;

pub use def::{Check, Def, Kind, Role, Update, Value};
pub use error::{ConfigError, ConfigErrors, Source};
pub use resolved::{Held, Layers, Note, Resolved};
pub use settings::{
    FetchSettings, Formation, GroupSettings, LoggingSettings, MetadataLogSettings, MetricsLevel,
    NodeAddress, NodeSettings, QuorumSettings, Roles, Settings, TopicSettings, VoterAddress,
};

use std::time::Duration;

use node::{Endpoint, LogLimits, NodeConfig};
use wire::ids::BrokerId;

use crate::serve_config::{RequestLimits, ServeConfig, SocketConfig};

/// A configuration that was read and found right.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The typed values.
    pub settings: Settings,
    /// What the operator should read once at start.
    pub notes: Vec<Note>,
    /// Every key's value and where it was set.
    pub resolved: Resolved,
}

/// Reads the layers.
///
/// # Errors
/// Everything that is wrong, so that one start shows all of it.
pub fn load(layers: &Layers) -> Result<Loaded, ConfigErrors> {
    let resolved = Resolved::read(layers)?;
    let (settings, more) = Settings::new(&resolved)?;
    let notes = resolved.notes.iter().cloned().chain(more).collect();
    Ok(Loaded { settings, notes, resolved })
}

impl Settings {
    /// What the server needs to start.
    #[must_use]
    pub fn serve_config(&self) -> ServeConfig {
        ServeConfig {
            listeners: self.listeners.clone(),
            controller_listeners: self.controller_listeners.clone(),
            controller_listener_name: self.quorum.listener_name.clone(),
            bootstrap_servers: self.quorum.contacts(),
            sockets: SocketConfig {
                connections_per_ip_overrides: self.connections_per_ip_overrides.clone(),
                ..self.sockets.clone()
            },
            requests: RequestLimits {
                fetch_bytes_max: self.fetch.bytes_max,
                described_partitions_max: self.topics.described_partitions_max,
            },
            node: self.node_config(Vec::new()),
            admin: self.admin,
            metrics_level: self.metrics_partition_level,
            maintenance: self.maintenance.clone(),
            worker_threads: self.worker_threads,
            drain_timeout: self.drain_timeout,
        }
    }

    /// What the node needs to open; clients reach it at `endpoints`.
    #[must_use]
    pub fn node_config(&self, endpoints: Vec<Endpoint>) -> NodeConfig {
        let whole_ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        NodeConfig {
            node_id: BrokerId(self.node.node_id),
            rack: self.node.rack.clone(),
            log_dirs: self.log_dirs.clone(),
            abandoned_log_dirs: self.abandoned_log_dirs.clone(),
            accepted_losses: self.accepted_losses.clone(),
            metadata_log_dir: Some(self.metadata_log_dir.clone()),
            cluster_id: self.node.cluster_id.clone(),
            quorum: self.quorum.node_config(),
            endpoints,
            settings: metadata::control::Settings {
                node_id: BrokerId(self.node.node_id),
                broker: self.broker_keys.clone(),
                num_partitions: self.topics.partitions,
                default_replication_factor: self.topics.replication_factor,
                delete_topic_enable: self.topics.deletable,
                auto_create_topics_enable: self.topics.auto_create,
                offsets_topic_num_partitions: self.groups.topic_partitions,
                offsets_topic_replication_factor: self.groups.topic_replication_factor,
                offsets_topic_segment_bytes: self.groups.topic_segment_bytes,
                partitions_max: usize::MAX,
                topic_defaults: self.topic_defaults.clone(),
            },
            log_limits: LogLimits {
                producer_expiration_ms: whole_ms(self.producer_id_expiration),
                strict_validation: !self.relaxed_validation,
                ..LogLimits::default()
            },
            groups: coordinator::Config {
                session_timeout_ms_min: self.groups.session_timeout_ms_min,
                session_timeout_ms_max: self.groups.session_timeout_ms_max,
                initial_rebalance_delay_ms: self.groups.initial_rebalance_delay_ms,
                group_members_max: self.groups.size_max,
                offset_metadata_bytes_max: self.groups.offset_metadata_bytes_max,
                offsets_retention_ms: whole_ms(self.groups.offsets_retention),
            },
            recovery_threads: self.recovery_threads_per_dir,
            delete_delay_ms: self.topic_defaults.resolve([]).long("file.delete.delay.ms", 60_000),
            fetch_session_slots: self.fetch.sessions_max,
            metadata_snapshot_bytes: self.metadata_log.bytes_between_snapshots_max,
            metadata_snapshot_interval_ms: whole_ms(self.metadata_log.snapshot_interval_max),
        }
    }
}
