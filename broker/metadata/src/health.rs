//! How the cluster stands, and whether a broker may be restarted: read off the image.
//!
//! A partition whose replication factor does not exceed its `min.insync.replicas` cannot live
//! through any restart without an interruption. It is not a reason to wait: no waiting mends it.

use std::sync::Arc;

use wire::ids::{BrokerId, PartitionIndex};

use crate::Image;
use crate::image::{Partition, Topic};

/// Why one partition stands against a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concern {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's index.
    pub partition: PartitionIndex,
    /// What is the matter.
    pub why: Why,
}

/// What is the matter with a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Nobody leads it now.
    #[error("it has no leader")]
    NoLeader,
    /// Without the broker, acks=all would be refused.
    #[error("{left} of its replicas would be in sync, and min.insync.replicas is {required}")]
    TooFewInSync {
        /// Replicas in sync besides the broker.
        left: usize,
        /// `min.insync.replicas`.
        required: usize,
    },
    /// The broker has yet to catch up.
    #[error("the broker's replica is not in sync")]
    NotInSync,
}

/// The partitions of a cluster, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartitionCounts {
    /// All.
    pub all: usize,
    /// Those that nobody leads.
    pub offline: usize,
    /// Those with a replica that is not in sync.
    pub under_replicated: usize,
    /// Those with fewer replicas in sync than `min.insync.replicas`.
    pub under_min_isr: usize,
    /// Those with exactly as many.
    pub at_min_isr: usize,
    /// Those led by another than the first of their replicas.
    pub not_preferred: usize,
}

/// What speaks against restarting `broker` now; `None` when no such broker is registered.
/// `min_isr` tells a topic's `min.insync.replicas`.
pub fn before_restart(
    image: &Image,
    broker: BrokerId,
    min_isr: impl Fn(&Topic) -> usize,
) -> Option<Vec<Concern>> {
    if image.brokers.get(broker)?.fenced {
        // It is out already: nobody counts on it.
        return Some(Vec::new());
    }
    Some(concerns(image, |topic, partition| {
        let required = min_isr(topic);
        if !partition.replicas.contains(&broker) || partition.replicas.len() <= required {
            return None;
        }
        if !partition.has_leader() {
            return Some(Why::NoLeader);
        }
        let left = partition.isr.iter().filter(|id| **id != broker).count();
        (left < required.max(1)).then_some(Why::TooFewInSync { left, required })
    }))
}

/// What is still to come after a restart of `broker`; `None` when no such broker is registered.
/// Its being fenced is for the caller to look at.
pub fn after_restart(image: &Image, broker: BrokerId) -> Option<Vec<Concern>> {
    image.brokers.get(broker)?;
    Some(concerns(image, |_, partition| {
        if !partition.replicas.contains(&broker) {
            return None;
        }
        if !partition.has_leader() {
            return Some(Why::NoLeader);
        }
        (!partition.isr.contains(&broker)).then_some(Why::NotInSync)
    }))
}

/// Counts the partitions of the cluster.
pub fn partition_counts(image: &Image, min_isr: impl Fn(&Topic) -> usize) -> PartitionCounts {
    let mut counts = PartitionCounts::default();
    for topic in image.topics.iter() {
        let required = min_isr(topic);
        for partition in topic.partitions.values() {
            let in_sync = partition.isr.len();
            counts.all += 1;
            counts.offline += usize::from(!partition.has_leader());
            counts.under_replicated += usize::from(in_sync < partition.replicas.len());
            counts.under_min_isr += usize::from(in_sync < required);
            counts.at_min_isr += usize::from(in_sync == required);
            let preferred = partition.replicas.first() == Some(&partition.leader);
            counts.not_preferred += usize::from(partition.has_leader() && !preferred);
        }
    }
    counts
}

fn concerns(image: &Image, why: impl Fn(&Topic, &Partition) -> Option<Why>) -> Vec<Concern> {
    let mut found = Vec::new();
    for topic in image.topics.iter() {
        for (index, partition) in topic.partitions.iter() {
            if let Some(why) = why(topic, partition) {
                found.push(Concern { topic: Arc::clone(&topic.name), partition: *index, why });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
