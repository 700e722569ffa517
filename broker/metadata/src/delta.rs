//! From one image to the next: replaying records, and saying what they touched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wire::ids::{BrokerId, PartitionIndex, TopicId};

use crate::features::{METADATA_VERSION, METADATA_VERSION_FEATURE, METADATA_VERSION_MIN};
use crate::image::{Image, Partition, Resource, Topic};
use wire::messages::metadata_records::MetadataRecord;

/// The states of a migration from ZooKeeper in which not all is in the log.
const MIGRATING: [i8; 2] = [1, 2];

/// What a batch of records touched, for those who act on changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delta {
    /// The topics touched. A topic made and removed in one batch is not here.
    pub topics: BTreeMap<TopicId, TopicChange>,
    /// The resources whose configuration changed.
    pub configs: BTreeSet<Resource>,
    /// The brokers that registered, changed or went.
    pub brokers: BTreeSet<BrokerId>,
    /// The controllers that registered.
    pub controllers: BTreeSet<BrokerId>,
    /// Whether a feature's level changed.
    pub features: bool,
    /// Whether producer ids were handed out.
    pub producer_ids: bool,
}

/// What became of a topic.
#[derive(Debug, Clone, PartialEq)]
pub enum TopicChange {
    /// The topic is there, and these of its partitions are new or changed.
    Changed {
        /// Whether the topic itself is new.
        created: bool,
        /// The partitions touched.
        partitions: BTreeSet<PartitionIndex>,
    },
    /// The topic is gone.
    Deleted {
        /// What it was.
        before: Arc<Topic>,
    },
}

/// Why a record cannot be applied: the log contradicts itself, or is newer than this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// A record names a topic that does not exist.
    #[error("metadata record names topic {0}, which does not exist")]
    UnknownTopic(TopicId),
    /// A record names a partition that does not exist.
    #[error("metadata record names partition {1} of topic {0}, which does not exist")]
    UnknownPartition(TopicId, PartitionIndex),
    /// A record names a broker that is not registered.
    #[error("metadata record names broker {0}, which is not registered")]
    UnknownBroker(BrokerId),
    /// A topic is made whose name or id is taken.
    #[error("metadata record makes topic {name} ({id}), which exists")]
    TopicExists {
        /// The name.
        name: String,
        /// The id.
        id: TopicId,
    },
    /// A configuration for a kind of resource that this version does not know.
    #[error("metadata record configures a resource of unknown type {0}")]
    UnknownResource(i8),
    /// A record that this version does not keep; starting would lose what it says.
    #[error("metadata record of type {0} is not supported by this version")]
    Unsupported(i16),
    /// The log was left in the middle of a migration from ZooKeeper.
    #[error("the metadata log is in a migration from ZooKeeper: finish it with Kafka 3.9 first")]
    ZkMigration,
    /// A metadata transaction begins within another, or one ends that has not begun.
    #[error("the metadata log's transactions begin and end out of order")]
    TransactionOrder,
    /// The log is at a level that this version does not read.
    #[error(
        "metadata.version {0} is not supported: this version reads {METADATA_VERSION_MIN} to \
         {METADATA_VERSION}"
    )]
    UnsupportedMetadataVersion(i16),
}

impl Delta {
    /// Whether nothing was touched.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn touch(&mut self, id: TopicId, index: PartitionIndex) {
        let change = self.topics.entry(id).or_insert_with(|| TopicChange::Changed {
            created: false,
            partitions: BTreeSet::new(),
        });
        if let TopicChange::Changed { partitions, .. } = change {
            partitions.insert(index);
        }
    }

    fn deleted(&mut self, topic: Arc<Topic>) {
        let id = topic.id;
        let known = self.topics.get(&id);
        let was_new =
            known.is_some_and(|c| matches!(c, TopicChange::Changed { created: true, .. }));
        if was_new {
            self.topics.remove(&id);
        } else {
            self.topics.insert(id, TopicChange::Deleted { before: topic });
        }
    }
}

impl Image {
    /// The image after `records`, and what they touched. This image stays as it is.
    ///
    /// # Errors
    /// The records do not follow from this image.
    pub fn apply<'a>(
        &self,
        records: impl IntoIterator<Item = &'a MetadataRecord>,
    ) -> Result<(Self, Delta), ReplayError> {
        let mut next = self.clone();
        let mut delta = Delta::default();
        for record in records {
            next.replay(record, &mut delta)?;
        }
        Ok((next, delta))
    }

    fn replay(&mut self, record: &MetadataRecord, delta: &mut Delta) -> Result<(), ReplayError> {
        match record {
            MetadataRecord::Topic(_)
            | MetadataRecord::Partition(_)
            | MetadataRecord::PartitionChange(_)
            | MetadataRecord::RemoveTopic(_) => return self.replay_topic(record, delta),
            MetadataRecord::RegisterBroker(r) => {
                self.brokers.register(r);
                delta.brokers.insert(BrokerId(r.broker_id));
            }
            MetadataRecord::UnregisterBroker(r) => {
                let id = BrokerId(r.broker_id);
                self.brokers.unregister(id).ok_or(ReplayError::UnknownBroker(id))?;
                delta.brokers.insert(id);
            }
            MetadataRecord::BrokerRegistrationChange(r) => {
                let id = BrokerId(r.broker_id);
                self.brokers.change(r).ok_or(ReplayError::UnknownBroker(id))?;
                delta.brokers.insert(id);
            }
            MetadataRecord::RegisterController(r) => {
                self.controllers.register(r);
                delta.controllers.insert(BrokerId(r.controller_id));
            }
            MetadataRecord::Config(r) => {
                let resource = self.configs.set(r);
                let unknown = ReplayError::UnknownResource(r.resource_type);
                delta.configs.insert(resource.ok_or(unknown)?);
            }
            MetadataRecord::FeatureLevel(r) => {
                let known = METADATA_VERSION_MIN..=METADATA_VERSION;
                if r.name == METADATA_VERSION_FEATURE && !known.contains(&r.feature_level) {
                    return Err(ReplayError::UnsupportedMetadataVersion(r.feature_level));
                }
                self.features.set(&r.name, r.feature_level);
                delta.features = true;
            }
            MetadataRecord::ProducerIds(r) => {
                self.producer_ids.next = r.next_producer_id;
                self.producer_ids.last_broker = BrokerId(r.broker_id);
                self.producer_ids.last_broker_epoch = r.broker_epoch;
                delta.producer_ids = true;
            }
            MetadataRecord::NoOp(_) => {}
            MetadataRecord::FenceBroker(_)
            | MetadataRecord::UnfenceBroker(_)
            | MetadataRecord::ClearElr(_)
            | MetadataRecord::ZkMigrationState(_) => return self.replay_old(record, delta),
            MetadataRecord::BeginTransaction(_)
            | MetadataRecord::EndTransaction(_)
            | MetadataRecord::AbortTransaction(_) => return self.replay_transaction(record),
            other if self.kept.replay(other) => {}
            other => return Err(ReplayError::Unsupported(other.record_type())),
        }
        Ok(())
    }

    /// What Kafka's controllers write, or once wrote, and ours do not.
    fn replay_old(
        &mut self,
        record: &MetadataRecord,
        delta: &mut Delta,
    ) -> Result<(), ReplayError> {
        let mut fence = |id: i32, fenced: bool| {
            let id = BrokerId(id);
            self.brokers.fence(id, fenced).ok_or(ReplayError::UnknownBroker(id))?;
            delta.brokers.insert(id);
            Ok(())
        };
        match record {
            MetadataRecord::FenceBroker(r) => fence(r.id, true),
            MetadataRecord::UnfenceBroker(r) => fence(r.id, false),
            MetadataRecord::ClearElr(r) => {
                let name = Some(r.topic_name.as_str()).filter(|name| !name.is_empty());
                for (id, index) in self.topics.clear_elr(name) {
                    delta.touch(id, index);
                }
                Ok(())
            }
            MetadataRecord::ZkMigrationState(r) if MIGRATING.contains(&r.zk_migration_state) => {
                Err(ReplayError::ZkMigration)
            }
            _ => Ok(()),
        }
    }

    fn replay_transaction(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        match record {
            MetadataRecord::BeginTransaction(_) if self.before_transaction.is_none() => {
                self.before_transaction = Some(Arc::new(self.clone()));
            }
            MetadataRecord::EndTransaction(_) if self.before_transaction.is_some() => {
                self.before_transaction = None;
            }
            MetadataRecord::AbortTransaction(_) => match self.before_transaction.take() {
                Some(before) => *self = (*before).clone(),
                None => return Err(ReplayError::TransactionOrder),
            },
            _ => return Err(ReplayError::TransactionOrder),
        }
        Ok(())
    }

    fn replay_topic(
        &mut self,
        record: &MetadataRecord,
        delta: &mut Delta,
    ) -> Result<(), ReplayError> {
        match record {
            MetadataRecord::Topic(r) => {
                let id = TopicId(r.topic_id);
                if !self.topics.add(&r.name, id) {
                    return Err(ReplayError::TopicExists { name: r.name.clone(), id });
                }
                let partitions = BTreeSet::new();
                delta.topics.insert(id, TopicChange::Changed { created: true, partitions });
            }
            MetadataRecord::Partition(r) => {
                let (id, index) = (TopicId(r.topic_id), PartitionIndex(r.partition_id));
                let set = self.topics.set_partition(id, index, Partition::from_record(r));
                set.ok_or(ReplayError::UnknownTopic(id))?;
                delta.touch(id, index);
            }
            MetadataRecord::PartitionChange(r) => {
                let (id, index) = (TopicId(r.topic_id), PartitionIndex(r.partition_id));
                let changed = self.topics.change_partition(id, index, |p| p.change(r));
                changed.ok_or(ReplayError::UnknownPartition(id, index))?;
                delta.touch(id, index);
            }
            MetadataRecord::RemoveTopic(r) => {
                let id = TopicId(r.topic_id);
                let topic = self.topics.remove(id).ok_or(ReplayError::UnknownTopic(id))?;
                // The configuration goes with the topic, without records of its own.
                let resource = Resource::topic(&topic.name);
                if self.configs.remove(&resource) {
                    delta.configs.insert(resource);
                }
                delta.deleted(topic);
            }
            _ => {}
        }
        Ok(())
    }
}
