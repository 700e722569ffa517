//! The partitions that this broker serves, found by topic id and by name without a lock.
//!
//! Readers load an immutable map; whoever starts or stops partitions (the controller's thread,
//! one at a time) swaps in a new one that shares all but a few entries with the old.

use std::sync::Arc;

use arc_swap::ArcSwap;
use metadata::pmap::PMap;
use replication::partition::Partition;
use wire::ErrorCode;
use wire::ids::{PartitionIndex, TopicId};

/// One topic's partitions on this broker.
#[derive(Debug)]
pub struct TopicReplicas {
    /// The topic's id.
    pub id: TopicId,
    /// Its name.
    pub name: Arc<str>,
    /// By index; `None` where the log is on an offline directory or not here.
    slots: Vec<Option<Arc<Partition>>>,
}

impl TopicReplicas {
    pub(crate) fn new(id: TopicId, name: Arc<str>) -> Self {
        Self { id, name, slots: Vec::new() }
    }

    /// Puts a partition in; `None` for one that exists but is not served.
    pub(crate) fn set(&mut self, index: usize, partition: Option<Arc<Partition>>) {
        if self.slots.len() <= index {
            self.slots.resize(index + 1, None);
        }
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = partition;
        }
    }

    /// The same replicas, to be changed and put in the old ones' place.
    pub(crate) fn copy(&self) -> Self {
        Self { id: self.id, name: Arc::clone(&self.name), slots: self.slots.clone() }
    }

    /// The partitions that are served.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.slots.iter().flatten()
    }

    /// The partition of this index.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION when there is none, KAFKA_STORAGE_ERROR when its directory is
    /// offline.
    pub fn partition(&self, index: PartitionIndex) -> Result<&Arc<Partition>, ErrorCode> {
        let slot = usize::try_from(index.0).ok().and_then(|index| self.slots.get(index));
        match slot {
            Some(Some(partition)) => Ok(partition),
            Some(None) => Err(ErrorCode::KafkaStorageError),
            None => Err(ErrorCode::UnknownTopicOrPartition),
        }
    }
}

#[derive(Debug, Default)]
struct Maps {
    by_id: PMap<TopicId, Arc<TopicReplicas>>,
    by_name: PMap<Arc<str>, Arc<TopicReplicas>>,
}

/// All topics that have partitions here.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    maps: ArcSwap<Maps>,
}

impl Partitions {
    pub(crate) fn by_id(&self, id: TopicId) -> Option<Arc<TopicReplicas>> {
        self.maps.load().by_id.get(&id).cloned()
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<TopicReplicas>> {
        self.maps.load().by_name.get(name).cloned()
    }

    /// A look at everything, for maintenance.
    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        let maps = self.maps.load();
        maps.by_id.values().flat_map(|topic| topic.iter()).cloned().collect()
    }

    /// The appends that are at the disk now.
    pub(crate) fn appends_under_way(&self) -> Vec<(TopicId, PartitionIndex, u64)> {
        let maps = self.maps.load();
        let all = maps.by_id.values().flat_map(|topic| topic.iter());
        let append = |partition: &Arc<Partition>| {
            let turn = partition.append_under_way()?;
            Some((partition.topic_id(), partition.index(), turn))
        };
        all.filter_map(append).collect()
    }

    /// The topics in the order of their names.
    pub(crate) fn topics(&self) -> Vec<Arc<TopicReplicas>> {
        self.maps.load().by_name.values().cloned().collect()
    }

    /// Adds and removes topics in one step. Only the controller's thread calls this.
    pub(crate) fn change(&self, added: Vec<TopicReplicas>, removed: &[TopicId]) {
        let old = self.maps.load();
        let mut by_id = old.by_id.clone();
        let mut by_name = old.by_name.clone();
        for id in removed {
            let Some(topic) = by_id.remove(id) else { continue };
            // The name may belong to a successor already.
            if by_name.get(&*topic.name).is_some_and(|now| now.id == *id) {
                by_name.remove(&*topic.name);
            }
        }
        for topic in added {
            let topic = Arc::new(topic);
            by_id.insert(topic.id, Arc::clone(&topic));
            by_name.insert(Arc::clone(&topic.name), topic);
        }
        self.maps.store(Arc::new(Maps { by_id, by_name }));
    }
}
