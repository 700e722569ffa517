//! The node: what is found without waiting, and how it comes up.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use metadata::Image;
use replication::Partition;
use replication::fetch_session::SessionCache;
use storage::disk::Disk;
use wire::ErrorCode;
use wire::ids::{BrokerId, PartitionIndex, TopicId};

use crate::config::NodeConfig;
use crate::controller::Controller;
use crate::error::Error;
use crate::partitions::{Partitions, TopicReplicas};
use crate::producer_ids::ProducerIds;

/// A broker without sockets. Share it as an `Arc`.
pub struct Node {
    pub(crate) config: NodeConfig,
    cluster_id: String,
    pub(crate) image: ArcSwap<Image>,
    pub(crate) partitions: Partitions,
    pub(crate) controller: Mutex<Controller>,
    pub(crate) producer_ids: Mutex<ProducerIds>,
    sessions: SessionCache,
}

impl Node {
    /// Opens the log directories (formatting fresh ones), replays the metadata log, registers this
    /// broker and starts its partitions. Blocks on the disk.
    ///
    /// # Errors
    /// Why the node cannot come up; the message is for the operator.
    pub fn open(
        config: NodeConfig,
        _disk: Arc<dyn Disk>,
        _now_ms: i64,
        seed: u64,
    ) -> Result<Self, Error> {
        let controller = Controller::new(seed);
        Ok(Self {
            cluster_id: config.cluster_id.clone().unwrap_or_default(),
            image: ArcSwap::default(),
            partitions: Partitions::default(),
            controller: Mutex::new(controller),
            producer_ids: Mutex::default(),
            sessions: SessionCache::new(config.fetch_session_slots, seed),
            config,
        })
    }

    /// The configuration it was opened with.
    #[must_use]
    pub fn config(&self) -> &NodeConfig {
        &self.config
    }

    /// `node.id`.
    #[must_use]
    pub fn node_id(&self) -> BrokerId {
        self.config.node_id
    }

    /// The cluster's id.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The cluster's state as committed. Cheap; hold it for one request.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        self.image.load_full()
    }

    /// The fetch sessions.
    #[must_use]
    pub fn fetch_sessions(&self) -> &SessionCache {
        &self.sessions
    }

    /// A topic's partitions here, by id.
    #[must_use]
    pub fn topic(&self, id: TopicId) -> Option<Arc<TopicReplicas>> {
        self.partitions.by_id(id)
    }

    /// A topic's partitions here, by name.
    #[must_use]
    pub fn topic_by_name(&self, name: &str) -> Option<Arc<TopicReplicas>> {
        self.partitions.by_name(name)
    }

    /// A partition that this broker serves.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, or KAFKA_STORAGE_ERROR when its directory is
    /// offline.
    pub fn partition(
        &self,
        id: TopicId,
        index: PartitionIndex,
    ) -> Result<Arc<Partition>, ErrorCode> {
        let topic = self.topic(id).ok_or(ErrorCode::UnknownTopicId)?;
        topic.partition(index).cloned()
    }

    /// A partition that this broker serves.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION, or KAFKA_STORAGE_ERROR when its directory is offline.
    pub fn partition_by_name(
        &self,
        name: &str,
        index: PartitionIndex,
    ) -> Result<Arc<Partition>, ErrorCode> {
        let topic = self.topic_by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        topic.partition(index).cloned()
    }

    /// A call on the partition failed: if the disk under it is broken, its directory goes offline
    /// with all partitions on it.
    pub fn partition_failed(&self, partition: &Partition, error: &replication::Error) {
        if error.breaks_directory() {
            partition.go_offline();
        }
    }
}
