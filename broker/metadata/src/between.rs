//! What lies between two images, when no records lead from one to the other: a snapshot of the
//! leader's has replaced what this node knew.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::delta::{Delta, TopicChange};
use crate::image::{Image, Resource, Topic};

impl Delta {
    /// What those who act on changes must hear of when `next` follows `before`.
    pub fn between(before: &Image, next: &Image) -> Self {
        let mut delta = Self::default();
        for topic in next.topics.iter() {
            let known = before.topics.by_id(topic.id);
            if known.is_some_and(|known| Arc::ptr_eq(known, topic)) {
                continue;
            }
            let partitions: BTreeSet<_> = changed_partitions(known, topic).collect();
            if known.is_none() || !partitions.is_empty() {
                let created = known.is_none();
                delta.topics.insert(topic.id, TopicChange::Changed { created, partitions });
            }
        }
        for topic in before.topics.iter().filter(|topic| next.topics.by_id(topic.id).is_none()) {
            delta.topics.insert(topic.id, TopicChange::Deleted { before: Arc::clone(topic) });
        }
        let differs =
            |resource: &&Resource| before.configs.get(resource) != next.configs.get(resource);
        let all = before.configs.iter().chain(next.configs.iter()).map(|(resource, _)| resource);
        delta.configs = all.filter(differs).cloned().collect();
        let all = before.brokers.iter().chain(next.brokers.iter()).map(|broker| broker.id);
        delta.brokers = all.filter(|id| before.brokers.get(*id) != next.brokers.get(*id)).collect();
        delta.features = before.features != next.features;
        delta.producer_ids = before.producer_ids != next.producer_ids;
        delta
    }
}

fn changed_partitions(
    before: Option<&Arc<Topic>>,
    topic: &Topic,
) -> impl Iterator<Item = wire::ids::PartitionIndex> {
    let same = move |index| before.and_then(|known| known.partition(index));
    topic
        .partitions
        .iter()
        .filter(move |(index, now)| same(**index).is_none_or(|known| known != *now))
        .map(|(index, _)| *index)
}
