//! The whole configuration as typed values.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use metadata::broker_config::BrokerKeys;
use metadata::topic_config::Defaults;
use storage::directory::TopicPartition;
use wire::ids::{Offset, Uuid};

use crate::serve_config::{ListenerConfig, MaintenanceConfig, SocketConfig};

/// Everything that the configuration decides, in types.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who this node is.
    pub node: NodeSettings,
    /// Where clients connect; none when this process is a controller alone.
    pub listeners: Vec<ListenerConfig>,
    /// Where the controller is reached.
    pub controller_listeners: Vec<ListenerConfig>,
    /// What this process is, and where it finds the other nodes.
    pub quorum: QuorumSettings,
    /// Limits of client sockets.
    pub sockets: SocketConfig,
    /// Other limits for single addresses.
    pub connections_per_ip_overrides: Vec<(IpAddr, usize)>,
    /// Where the admin HTTP endpoint listens.
    pub admin: Option<SocketAddr>,
    /// How often housekeeping runs.
    pub maintenance: MaintenanceConfig,
    /// Data threads; 0 is one for each core.
    pub worker_threads: usize,
    /// How long a stop waits for requests in progress.
    pub drain_timeout: Duration,
    /// Directories of logs; at least one.
    pub log_dirs: Vec<PathBuf>,
    /// Ids of directories that this broker had and will not have again.
    pub abandoned_log_dirs: Vec<Uuid>,
    /// Losses that the operator accepts: the log, and from which offset on.
    pub accepted_losses: BTreeSet<(TopicPartition, Offset)>,
    /// Directory of the metadata log.
    pub metadata_log_dir: PathBuf,
    /// Threads that open logs at start, for each directory.
    pub recovery_threads_per_dir: usize,
    /// Every key of the broker with what is set, for what changes while it runs.
    pub broker_keys: BrokerKeys,
    /// What a topic gets that does not say otherwise.
    pub topic_defaults: Defaults,
    /// `tidelog.produce.validation=relaxed`
    pub relaxed_validation: bool,
    /// The metadata log.
    pub metadata_log: MetadataLogSettings,
    /// What topics are made of and who makes them.
    pub topics: TopicSettings,
    /// Fetching.
    pub fetch: FetchSettings,
    /// Groups and their offsets.
    pub groups: GroupSettings,
    /// How long an idle producer id is remembered.
    pub producer_id_expiration: Duration,
    /// The bucket, recorded only.
    pub remote_url: Option<String>,
    /// How the broker speaks of itself.
    pub logging: LoggingSettings,
    /// How fine the metrics of topics are.
    pub metrics_partition_level: MetricsLevel,
}

/// Who this node is.
#[derive(Debug, Clone)]
pub struct NodeSettings {
    /// `node.id`
    pub node_id: i32,
    /// `tidelog.cluster.id`
    pub cluster_id: Option<String>,
    /// `broker.rack`
    pub rack: Option<String>,
}

/// `process.roles`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// It serves clients.
    pub broker: bool,
    /// It votes, or may.
    pub controller: bool,
}

/// Where a node is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddress {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// One of `controller.quorum.voters`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoterAddress {
    /// The node.
    pub id: i32,
    /// Where it is reached.
    pub address: NodeAddress,
}

/// How a node begins on an empty disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Formation {
    /// It is the cluster.
    Alone,
    /// It is one of `controller.quorum.voters`.
    Voters,
    /// It follows a quorum that exists.
    Join,
}

/// What this process is, and where it finds the other nodes.
#[derive(Debug, Clone)]
pub struct QuorumSettings {
    /// `process.roles`
    pub roles: Roles,
    /// How it begins on an empty disk.
    pub formation: Formation,
    /// `controller.quorum.voters`, by their ids.
    pub voters: Vec<VoterAddress>,
    /// `controller.quorum.bootstrap.servers`
    pub bootstrap_servers: Vec<NodeAddress>,
    /// `controller.quorum.auto.join.enable`
    pub auto_join: bool,
    /// The first of `controller.listener.names`, by which other nodes are reached.
    pub listener_name: String,
    /// `controller.quorum.election.timeout.ms`
    pub election_timeout: Duration,
    /// `controller.quorum.fetch.timeout.ms`
    pub fetch_timeout: Duration,
    /// `controller.quorum.election.backoff.max.ms`
    pub election_backoff_max: Duration,
    /// `controller.quorum.request.timeout.ms`
    pub request_timeout: Duration,
    /// `controller.quorum.retry.backoff.ms`
    pub retry_backoff: Duration,
    /// `controller.quorum.fetch.max.bytes`
    pub fetch_bytes_max: u32,
    /// `broker.session.timeout.ms`
    pub session_timeout: Duration,
    /// `broker.heartbeat.interval.ms`
    pub heartbeat_interval: Duration,
}

/// The metadata log.
#[derive(Debug, Clone)]
pub struct MetadataLogSettings {
    /// `metadata.log.segment.bytes`
    pub segment_bytes: u32,
    /// `metadata.log.segment.ms`
    pub segment_ms: i64,
    /// `metadata.log.max.record.bytes.between.snapshots`
    pub bytes_between_snapshots_max: u64,
    /// `metadata.log.max.snapshot.interval.ms`; 0 is no limit.
    pub snapshot_interval_max: Duration,
    /// `metadata.max.retention.bytes`; -1 is no limit.
    pub retention_bytes: i64,
    /// `metadata.max.retention.ms`; -1 keeps for ever.
    pub retention_ms: i64,
}

/// What topics are made of and who makes them.
#[derive(Debug, Clone)]
pub struct TopicSettings {
    /// `num.partitions`
    pub partitions: i32,
    /// `default.replication.factor`
    pub replication_factor: i16,
    /// `auto.create.topics.enable`
    pub auto_create: bool,
    /// `delete.topic.enable`
    pub deletable: bool,
    /// `max.request.partition.size.limit`
    pub described_partitions_max: i32,
}

/// Fetching.
#[derive(Debug, Clone)]
pub struct FetchSettings {
    /// `fetch.max.bytes`
    pub bytes_max: u32,
    /// `max.incremental.fetch.session.cache.slots`
    pub sessions_max: usize,
}

/// Groups and their offsets.
#[derive(Debug, Clone)]
pub struct GroupSettings {
    /// `group.min.session.timeout.ms`
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`
    pub session_timeout_ms_max: i32,
    /// `group.initial.rebalance.delay.ms`
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`
    pub size_max: usize,
    /// `offset.metadata.max.bytes`
    pub offset_metadata_bytes_max: usize,
    /// `offsets.commit.timeout.ms`
    pub commit_timeout: Duration,
    /// `offsets.retention.minutes`
    pub offsets_retention: Duration,
    /// `offsets.topic.num.partitions`
    pub topic_partitions: i32,
    /// `offsets.topic.replication.factor`
    pub topic_replication_factor: i16,
    /// `offsets.topic.segment.bytes`
    pub topic_segment_bytes: i32,
    /// `transaction.max.timeout.ms`
    pub transaction_timeout_ms_max: i32,
}

/// How the broker speaks of itself.
#[derive(Debug, Clone)]
pub struct LoggingSettings {
    /// `tidelog.log.level`
    pub filter: String,
    /// `tidelog.log.format` is `json`.
    pub json: bool,
}

/// How fine the metrics of topics are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsLevel {
    /// None at all.
    None,
    /// One series for each topic.
    Topic,
    /// One series for each partition.
    Partition,
}
