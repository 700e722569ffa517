//! What a node needs to know to open: typed, parsed once by the server.

use std::collections::BTreeSet;
use std::path::PathBuf;

use metadata::control::Settings;
use storage::directory::TopicPartition;
use wire::ids::{BrokerId, Offset, Uuid};

use crate::log_config::LogLimits;

pub use metadata::image::Endpoint;

/// Everything a node needs to open.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// `node.id`.
    pub node_id: BrokerId,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// `log.dirs`, at least one.
    pub log_dirs: Vec<PathBuf>,
    /// `tidelog.log.dirs.abandoned`: directory ids that this broker had and will not have again.
    pub abandoned_log_dirs: Vec<Uuid>,
    /// `tidelog.log.corrupt.accept`: logs, and the offset from which on the operator gives up what
    /// is bad or missing in them.
    pub accepted_losses: BTreeSet<(TopicPartition, Offset)>,
    /// `metadata.log.dir`; the first of `log_dirs` when absent.
    pub metadata_log_dir: Option<PathBuf>,
    /// `tidelog.cluster.id`: required of the disk if it has one, given to it if it has none.
    pub cluster_id: Option<String>,
    /// Its part in the metadata quorum.
    pub quorum: QuorumConfig,
    /// The advertised listeners.
    pub endpoints: Vec<Endpoint>,
    /// What topics get: `num.partitions`, `offsets.topic.*`, the topic defaults and so on.
    pub settings: Settings,
    /// Limits that every log shares.
    pub log_limits: LogLimits,
    /// `max.incremental.fetch.session.cache.slots`.
    pub fetch_session_slots: usize,
    /// `group.*` of the classic protocol.
    pub groups: coordinator::Config,
    /// Logs opened at once at the start (`num.recovery.threads.per.data.dir`); 1 is in order.
    pub recovery_threads: usize,
    /// `log.segment.delete.delay.ms`, for topics whose deletion the last stop interrupted.
    pub delete_delay_ms: i64,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub metadata_snapshot_bytes: u64,
    /// `metadata.log.max.snapshot.interval.ms`; 0 is never by time.
    pub metadata_snapshot_interval_ms: i64,
}

/// `process.roles`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// It serves partitions.
    pub broker: bool,
    /// It may lead the metadata log.
    pub controller: bool,
}

/// A node's part in the metadata quorum.
#[derive(Clone, Debug)]
pub struct QuorumConfig {
    /// What the process is.
    pub roles: Roles,
    /// How it begins when its disk is empty. `Alone` also for `controller.quorum.voters` that name
    /// this node only.
    pub bootstrap: quorum::Bootstrap,
    /// How many `controller.quorum.bootstrap.servers` there are to ask, or voters in their place.
    pub bootstrap_servers: usize,
    /// `controller.quorum.auto.join.enable`
    pub auto_join: bool,
    /// Where it is reached as a controller: the advertised controller listeners.
    pub endpoints: Vec<quorum::Endpoint>,
    /// `controller.quorum.fetch.timeout.ms`
    pub fetch_timeout_ms: i64,
    /// `controller.quorum.election.timeout.ms`
    pub election_timeout_ms: i64,
    /// `controller.quorum.election.backoff.max.ms`
    pub election_backoff_max_ms: i64,
    /// `controller.quorum.request.timeout.ms`
    pub request_timeout_ms: i64,
    /// `controller.quorum.retry.backoff.ms`
    pub retry_backoff_ms: i64,
    /// `controller.quorum.fetch.max.bytes`
    pub fetch_bytes: u32,
    /// `broker.session.timeout.ms`
    pub session_timeout_ms: i64,
    /// `broker.heartbeat.interval.ms`
    pub heartbeat_interval_ms: i64,
    /// How long what this broker passes on waits for an active controller.
    pub forward_timeout_ms: i64,
}

impl QuorumConfig {
    /// A node that is the whole quorum.
    #[must_use]
    pub fn alone() -> Self {
        Self {
            roles: Roles { broker: true, controller: true },
            bootstrap: quorum::Bootstrap::Alone,
            bootstrap_servers: 0,
            auto_join: false,
            endpoints: Vec::new(),
            fetch_timeout_ms: 1_000,
            election_timeout_ms: 1_000,
            election_backoff_max_ms: 1_000,
            request_timeout_ms: 2_000,
            retry_backoff_ms: 20,
            fetch_bytes: 1 << 20,
            session_timeout_ms: 1_500,
            heartbeat_interval_ms: 300,
            forward_timeout_ms: 30_000,
        }
    }

    /// Whether this node is the whole quorum: it waits for nobody.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.bootstrap == quorum::Bootstrap::Alone
    }
}
