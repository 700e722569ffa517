//! Topics by id and by name, and their partitions.

use std::sync::Arc;

use wire::ids::{BrokerId, PartitionIndex, TopicId};

use super::Partition;
use crate::pmap::PMap;
use crate::topic_name;

/// One topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id, which a topic of the same name made later does not share.
    pub id: TopicId,
    /// Its partitions by index.
    pub partitions: PMap<PartitionIndex, Arc<Partition>>,
}

/// All topics.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Topics {
    by_id: PMap<TopicId, Arc<Topic>>,
    by_name: PMap<Arc<str>, TopicId>,
    /// Names that share a metric name, under the form in which they are equal. Only names that
    /// can collide are here.
    by_collision_key: PMap<String, Vec<Arc<str>>>,
    /// The partitions of which a broker has a replica: when it comes or goes, nothing else is
    /// looked at. Nobody is here who has none.
    by_broker: PMap<BrokerId, PMap<(TopicId, PartitionIndex), ()>>,
    partition_count: usize,
}

impl Topic {
    /// One partition.
    pub fn partition(&self, index: PartitionIndex) -> Option<&Arc<Partition>> {
        self.partitions.get(&index)
    }

    /// Whether the topic is the brokers' own.
    pub fn is_internal(&self) -> bool {
        topic_name::is_internal(&self.name)
    }
}

impl Topics {
    /// A topic by id.
    pub fn by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// A topic by name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_id.get(self.by_name.get(name)?)
    }

    /// The id of the topic of this name.
    pub fn id_of(&self, name: &str) -> Option<TopicId> {
        self.by_name.get(name).copied()
    }

    /// All topics in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_name.values().filter_map(|id| self.by_id.get(id))
    }

    /// The topics whose names are at or after `name`, in order (DescribeTopicPartitions' cursor).
    pub fn iter_from<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Arc<Topic>> {
        self.by_name.range_from(name).filter_map(|(_, id)| self.by_id.get(id))
    }

    /// How many topics there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// How many partitions all topics have together.
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// The partitions of which `broker` has a replica, in the order of their topics' ids.
    pub fn of_broker(
        &self,
        broker: BrokerId,
    ) -> impl Iterator<Item = (&Arc<Topic>, PartitionIndex, &Arc<Partition>)> {
        let theirs = self.by_broker.get(&broker).into_iter().flat_map(PMap::keys);
        theirs.filter_map(|(id, index)| {
            let topic = self.by_id.get(id)?;
            Some((topic, *index, topic.partition(*index)?))
        })
    }

    /// An existing topic whose name differs from `name` only in '.' against '_'.
    pub fn colliding_with(&self, name: &str) -> Option<&Arc<str>> {
        if !topic_name::may_collide(name) {
            return None;
        }
        let same = self.by_collision_key.get(topic_name::collision_key(name).as_str())?;
        same.iter().find(|other| ***other != *name)
    }

    /// Adds a topic without partitions. `false` when its name or id is taken.
    pub(crate) fn add(&mut self, name: &str, id: TopicId) -> bool {
        if self.by_id.contains_key(&id) || self.by_name.contains_key(name) {
            return false;
        }
        let name: Arc<str> = Arc::from(name);
        if topic_name::may_collide(&name) {
            let key = topic_name::collision_key(&name);
            if self.by_collision_key.update(key.as_str(), |v| v.push(name.clone())).is_none() {
                self.by_collision_key.insert(key, vec![name.clone()]);
            }
        }
        self.by_name.insert(name.clone(), id);
        let topic = Topic { name, id, partitions: PMap::default() };
        self.by_id.insert(id, Arc::new(topic));
        true
    }

    /// Removes a topic and gives what it was.
    pub(crate) fn remove(&mut self, id: TopicId) -> Option<Arc<Topic>> {
        let topic = self.by_id.remove(&id)?;
        self.by_name.remove(&*topic.name);
        self.partition_count -= topic.partitions.len();
        for (index, partition) in topic.partitions.iter() {
            self.note_replicas(id, *index, &partition.replicas, &[]);
        }
        if topic_name::may_collide(&topic.name) {
            let key = topic_name::collision_key(&topic.name);
            let left = self.by_collision_key.update(key.as_str(), |names| {
                names.retain(|name| *name != topic.name);
                names.len()
            });
            if left == Some(0) {
                self.by_collision_key.remove(key.as_str());
            }
        }
        Some(topic)
    }

    /// Sets one partition whole. `None` when there is no such topic.
    pub(crate) fn set_partition(
        &mut self,
        id: TopicId,
        index: PartitionIndex,
        partition: Partition,
    ) -> Option<()> {
        let replicas = partition.replicas.clone();
        let former = self.by_id.update(&id, |topic| {
            Arc::make_mut(topic).partitions.insert(index, Arc::new(partition))
        })?;
        if former.is_none() {
            self.partition_count += 1;
        }
        let before = former.as_ref().map_or(&[][..], |former| &former.replicas);
        self.note_replicas(id, index, before, &replicas);
        Some(())
    }

    /// Empties the eligible leader replicas of a topic, or of all; says of which partitions.
    pub(crate) fn clear_elr(&mut self, name: Option<&str>) -> Vec<(TopicId, PartitionIndex)> {
        let wanted = |topic: &&Arc<Topic>| name.is_none_or(|name| *topic.name == *name);
        let has = |partition: &Partition| {
            !partition.eligible_leader_replicas.is_empty()
                || !partition.last_known_leader.is_empty()
        };
        let mut found = Vec::new();
        for topic in self.iter().filter(wanted) {
            let with = topic.partitions.iter().filter(|(_, partition)| has(partition));
            found.extend(with.map(|(index, _)| (topic.id, *index)));
        }
        for (id, index) in &found {
            self.change_partition(*id, *index, |partition| {
                partition.eligible_leader_replicas.clear();
                partition.last_known_leader.clear();
            });
        }
        found
    }

    /// Changes one partition. `None` when there is no such topic or partition.
    pub(crate) fn change_partition(
        &mut self,
        id: TopicId,
        index: PartitionIndex,
        change: impl FnOnce(&mut Partition),
    ) -> Option<()> {
        let moved = self.by_id.update(&id, |topic| {
            Arc::make_mut(topic).partitions.update(&index, |partition| {
                let before = partition.replicas.clone();
                change(Arc::make_mut(partition));
                let after = &partition.replicas;
                (before != *after).then(|| (before, after.clone()))
            })
        })??;
        if let Some((before, after)) = moved {
            self.note_replicas(id, index, &before, &after);
        }
        Some(())
    }

    /// The replicas of a partition are others now.
    fn note_replicas(
        &mut self,
        id: TopicId,
        index: PartitionIndex,
        before: &[BrokerId],
        after: &[BrokerId],
    ) {
        for broker in before.iter().filter(|broker| !after.contains(broker)) {
            let left = self.by_broker.update(broker, |theirs| {
                theirs.remove(&(id, index));
                theirs.len()
            });
            if left == Some(0) {
                self.by_broker.remove(broker);
            }
        }
        for broker in after {
            let known = self.by_broker.update(broker, |theirs| theirs.insert((id, index), ()));
            if known.is_none() {
                let theirs = [((id, index), ())].into_iter().collect();
                self.by_broker.insert(*broker, theirs);
            }
        }
    }
}
