//! Who this node is in the quorum, and the limits and times it keeps.

use wire::ids::{BrokerId, Uuid};

use crate::{Endpoint, ReplicaKey, Voter, Voters};

/// How a node without a metadata log finds its quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bootstrap {
    /// It is the quorum. A disk that says otherwise is refused.
    Alone,
    /// It is one of these voters, whose directories are known
    /// (`kafka-storage format --initial-controllers`).
    Voters(Voters),
    /// It is one of these (`controller.quorum.voters`): `kraft.version` 0, known by their ids
    /// alone until the leader has met all their directories and writes them down.
    Static(Voters),
    /// It asks the bootstrap servers, and observes what they tell.
    Join,
}

/// Who this node is, and the limits it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// This node.
    pub node: BrokerId,
    /// The id of its metadata directory (`directory.id` in `meta.properties`).
    pub directory: Uuid,
    /// Where it is reached as a controller.
    pub endpoints: Vec<Endpoint>,
    /// The cluster, if it is known; requests that name another are refused.
    pub cluster_id: Option<String>,
    /// How it begins when its disk is empty.
    pub bootstrap: Bootstrap,
    /// Whether it asks to become a voter (`controller.quorum.auto.join.enable`).
    pub auto_join: bool,
    /// The seed of its randomness.
    pub seed: u64,
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
    /// How long a leader keeps a fetch that finds nothing new.
    pub fetch_wait_ms: i64,
    /// The most bytes that one fetch of records or of a snapshot asks for.
    pub fetch_bytes: u32,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub snapshot_bytes: u64,
    /// `metadata.log.max.snapshot.interval.ms`; 0 is never by time.
    pub snapshot_interval_ms: i64,
    /// `metadata.max.retention.bytes`; negative is no limit.
    pub retention_bytes: i64,
    /// `metadata.max.retention.ms`; negative is no limit.
    pub retention_ms: i64,
}

impl Config {
    /// Kafka's defaults for this node, alone.
    pub fn new(node: BrokerId, directory: Uuid) -> Self {
        Self {
            node,
            directory,
            endpoints: Vec::new(),
            cluster_id: None,
            bootstrap: Bootstrap::Alone,
            auto_join: false,
            seed: 0,
            fetch_timeout_ms: 2_000,
            election_timeout_ms: 1_000,
            election_backoff_max_ms: 1_000,
            request_timeout_ms: 2_000,
            retry_backoff_ms: 20,
            fetch_wait_ms: 500,
            fetch_bytes: 8 * 1024 * 1024,
            snapshot_bytes: 20 * 1024 * 1024,
            snapshot_interval_ms: 3_600_000,
            retention_bytes: 100 * 1024 * 1024,
            retention_ms: 7 * 24 * 3_600_000,
        }
    }

    /// This node as a voter.
    pub fn voter(&self) -> Voter {
        let endpoints = self.endpoints.clone();
        Voter { id: self.node, directory: self.directory, endpoints }
    }

    pub(crate) fn key(&self) -> ReplicaKey {
        ReplicaKey { id: self.node, directory: self.directory }
    }
}
