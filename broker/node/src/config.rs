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
