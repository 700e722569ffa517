//! The node: what is found without waiting.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use metadata::Image;
use metadata::image::Topic;
use replication::fetch_session::SessionCache;
use replication::{Partition, TrafficCounts};
use storage::directory::{LogDir, LogDirs, TopicPartition};
use storage::disk::Disk;
use storage::error::ReadError;
use storage::log::Deletion;
use wire::ErrorCode;
use wire::ids::{BrokerId, Offset, PartitionIndex, TopicId};

use crate::config::NodeConfig;
use crate::control::{Applying, ControlStatus, Plane};
use crate::groups::Groups;
use crate::notice::{Notice, Notices};
use crate::partitions::{Partitions, TopicReplicas};
use crate::producer_ids::ProducerIds;
use crate::quorum_state::IsrChanges;
use crate::reconcile::name_of;

/// Bad batches that are told apart; what a disk that rots further shows is not told any more.
const CORRUPT_MAX: usize = 1_000;

/// A broker without sockets. Share it as an `Arc`.
pub struct Node {
    pub(crate) config: NodeConfig,
    /// Unknown while a node of several has not met its cluster.
    pub(crate) cluster_id: OnceLock<String>,
    /// Counts this broker's registrations.
    pub(crate) broker_epoch: AtomicI64,
    pub(crate) image: ArcSwap<Image>,
    /// The image has every record below; it is never ahead of the image.
    pub(crate) image_end: AtomicI64,
    pub(crate) partitions: Partitions,
    /// Decides and remembers. Locked after `applying`.
    pub(crate) plane: Mutex<Plane>,
    /// How the quorum stands.
    pub(crate) status: ArcSwap<ControlStatus>,
    /// Puts in force what was decided.
    pub(crate) applying: Mutex<Applying>,
    pub(crate) producer_ids: Mutex<ProducerIds>,
    pub(crate) sessions: SessionCache,
    pub(crate) groups: Groups,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dirs: Arc<LogDirs>,
    /// Holds the lock on `metadata.log.dir` when that is not one of `log.dirs`.
    pub(crate) metadata_dirs: Option<LogDirs>,
    /// The directory that holds the metadata log.
    pub(crate) metadata_dir: Arc<LogDir>,
    /// Directories whose failure has been acted on.
    pub(crate) offline_dirs: Mutex<BTreeSet<PathBuf>>,
    /// Bad batches that reads have met.
    pub(crate) corrupt: Mutex<BTreeSet<(TopicPartition, Offset, u64)>>,
    /// Partitions whose logs could not be made yet.
    pub(crate) missing: Mutex<BTreeSet<(TopicId, PartitionIndex)>>,
    /// Files of segments that retention gave up, until their delay has passed.
    pub(crate) deletions: Mutex<Vec<Deletion>>,
    pub(crate) notices: Notices,
    /// What had gone through the partitions that are gone.
    pub(crate) departed: Mutex<TrafficCounts>,
    pub(crate) isr_changes: IsrChanges,
}

impl Node {
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

    /// The cluster's id; empty while a node of several has not met its cluster.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        self.cluster_id.get().map_or("", String::as_str)
    }

    /// The cluster's state as committed. Cheap; hold it for one request.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        self.image.load_full()
    }

    /// The offset of the last record that the image has; -1 before the first.
    #[must_use]
    pub fn image_offset(&self) -> Offset {
        Offset(self.image_end.load(Ordering::Acquire).saturating_sub(1))
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
    /// UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER when other brokers have
    /// it, or KAFKA_STORAGE_ERROR when its directory is offline.
    pub fn partition(
        &self,
        id: TopicId,
        index: PartitionIndex,
    ) -> Result<Arc<Partition>, ErrorCode> {
        let found = match self.topic(id) {
            Some(topic) => topic.partition(index).cloned(),
            None => Err(ErrorCode::UnknownTopicId),
        };
        found.map_err(|error| match self.image().topics.by_id(id) {
            Some(topic) => self.or_elsewhere(topic, index, error),
            None => error,
        })
    }

    /// A partition that this broker serves.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER when other brokers have it, or
    /// KAFKA_STORAGE_ERROR when its directory is offline.
    pub fn partition_by_name(
        &self,
        name: &str,
        index: PartitionIndex,
    ) -> Result<Arc<Partition>, ErrorCode> {
        let found = match self.topic_by_name(name) {
            Some(topic) => topic.partition(index).cloned(),
            None => Err(ErrorCode::UnknownTopicOrPartition),
        };
        found.map_err(|error| match self.image().topics.by_name(name) {
            Some(topic) => self.or_elsewhere(topic, index, error),
            None => error,
        })
    }

    /// Why a partition is not found here: others have it, or as `error` says.
    fn or_elsewhere(&self, topic: &Topic, index: PartitionIndex, error: ErrorCode) -> ErrorCode {
        match topic.partition(index) {
            Some(partition) if !partition.replicas.contains(&self.node_id()) => {
                ErrorCode::NotLeaderOrFollower
            }
            _ => error,
        }
    }

    /// Whether this broker serves its replica of a partition. False while the log is out of
    /// service; true when there is none here.
    #[must_use]
    pub fn is_served(&self, id: TopicId, index: PartitionIndex) -> bool {
        match self.partition(id, index) {
            Ok(partition) => partition.check_serving().is_ok(),
            Err(error) => error != ErrorCode::KafkaStorageError,
        }
    }

    /// As [`Self::is_served`], and its log takes records: corruption may have closed it for writing
    /// while it is still read.
    #[must_use]
    pub fn takes_writes(&self, id: TopicId, index: PartitionIndex) -> bool {
        match self.partition(id, index) {
            Ok(partition) => partition.takes_writes(),
            Err(error) => error != ErrorCode::KafkaStorageError,
        }
    }

    /// A call on the partition failed: if the disk under it is broken, its directory goes offline
    /// with all partitions on it. To be called with every error of [`Partition::append`],
    /// [`Partition::read`] and [`Partition::flush`]; cheap when the disk is not to blame.
    pub fn partition_failed(&self, partition: &Partition, error: &replication::Error) {
        if let Some(disk_error) = error.disk_error()
            && let Some(name) = name_of(partition)
        {
            self.dirs.note_failure(&name, disk_error);
            self.follow_offline_dirs();
        }
    }

    /// Notes the bad batch that a read met, once for each; says whether it was news. To be called
    /// with every error of [`Partition::read`] and [`Partition::list_offset`].
    pub fn corruption_met(&self, partition: &Partition, error: &replication::Error) -> bool {
        let replication::Error::Read(ReadError::Corrupt(corruption)) = error else { return false };
        let Some(name) = name_of(partition) else { return false };
        let corruption = *corruption;
        let mut known = self.corrupt.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (name.clone(), corruption.segment, corruption.position);
        if known.len() >= CORRUPT_MAX || !known.insert(place) {
            return false;
        }
        drop(known);
        let dir = self.dirs.dir_of(&name).map(|dir| dir.path().join(name.to_string()));
        let file = dir.unwrap_or_default().join(format!("{:020}.log", corruption.segment.0));
        self.notices.push(Notice::Corrupt { partition: name, file, corruption });
        true
    }
}
