//! What the metadata quorum is at the moment, and how partitions' in-sync replicas came and went:
//! for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use metadata::{Delta, Image, TopicChange};
pub use quorum::Role;
use wire::ids::{BrokerId, LeaderEpoch, Offset};

use crate::node::Node;

/// The quorum as this node knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuorumState {
    /// What this node is in it.
    pub role: Role,
    /// The leader, if one is known.
    pub leader: Option<BrokerId>,
    /// The latest epoch.
    pub epoch: LeaderEpoch,
    /// Everything below is committed.
    pub high_watermark: Offset,
    /// Where the next record goes.
    pub log_end: Offset,
    /// How many voters there are.
    pub voters: usize,
    /// Who else fetches, as the leader knows.
    pub observers: usize,
}

/// What is followed from step to step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuorumMarks {
    /// What this node is.
    pub role: Role,
    /// The leader, if one is known.
    pub leader: Option<BrokerId>,
    /// Where the next record goes.
    pub log_end: Offset,
    /// Everything below is committed.
    pub high_watermark: Offset,
}

/// How often replicas left and joined those in sync, of partitions that this broker leads.
#[derive(Debug, Default)]
pub(crate) struct IsrChanges {
    shrinks: AtomicU64,
    expands: AtomicU64,
}

impl Node {
    /// The quorum at the moment; `None` while a decision is under way, which may wait for a disk.
    #[must_use]
    pub fn quorum_state(&self) -> Option<QuorumState> {
        let plane = self.plane.try_lock().ok()?;
        let quorum = plane.quorum();
        Some(QuorumState {
            role: quorum.role(),
            leader: quorum.leader(),
            epoch: quorum.epoch(),
            high_watermark: quorum.high_watermark(),
            log_end: quorum.log_end(),
            voters: quorum.voters().len(),
            observers: quorum.describe().map_or(0, |quorum| quorum.observers.len()),
        })
    }

    /// The quorum after a step; for the thread that steps it, as it waits for a step under way.
    #[must_use]
    pub fn quorum_marks(&self) -> QuorumMarks {
        let plane = self.plane();
        let quorum = plane.quorum();
        QuorumMarks {
            role: quorum.role(),
            leader: quorum.leader(),
            log_end: quorum.log_end(),
            high_watermark: quorum.high_watermark(),
        }
    }

    /// How often replicas left those in sync of a partition that this broker leads, and how often
    /// they joined them.
    #[must_use]
    pub fn isr_changes(&self) -> (u64, u64) {
        let IsrChanges { shrinks, expands } = &self.isr_changes;
        (shrinks.load(Ordering::Relaxed), expands.load(Ordering::Relaxed))
    }
}

impl IsrChanges {
    /// Counts what leads from one image to the next.
    pub(crate) fn count(&self, this: BrokerId, before: &Image, next: &Image, delta: &Delta) {
        for (id, change) in &delta.topics {
            let TopicChange::Changed { partitions, .. } = change else { continue };
            let (Some(old), Some(new)) = (before.topics.by_id(*id), next.topics.by_id(*id)) else {
                continue;
            };
            for index in partitions {
                let (Some(old), Some(new)) = (old.partitions.get(index), new.partitions.get(index))
                else {
                    continue;
                };
                if new.leader != this {
                    continue;
                }
                let left = old.isr.iter().any(|replica| !new.isr.contains(replica));
                let joined = new.isr.iter().any(|replica| !old.isr.contains(replica));
                self.shrinks.fetch_add(u64::from(left), Ordering::Relaxed);
                self.expands.fetch_add(u64::from(joined), Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use metadata::MetadataRecord;
    use wire::ids::Uuid;
    use wire::messages::partition_change_record::PartitionChangeRecord;
    use wire::messages::partition_record::PartitionRecord;
    use wire::messages::topic_record::TopicRecord;

    use super::*;

    #[test]
    fn replicas_that_leave_and_join_are_counted_where_this_broker_leads() {
        let topic_id = Uuid([7; 16]);
        let partition = |partition_id: i32, leader: i32| {
            MetadataRecord::Partition(PartitionRecord {
                partition_id,
                topic_id,
                replicas: vec![1, 2, 3],
                isr: vec![1, 2, 3],
                leader,
                ..Default::default()
            })
        };
        let topic = MetadataRecord::Topic(TopicRecord { name: "t".to_owned(), topic_id });
        let made = [topic, partition(0, 1), partition(1, 2)];
        let (changes, empty) = (IsrChanges::default(), Image::default());
        let (mut image, delta) = empty.apply(&made).unwrap();
        changes.count(BrokerId(1), &empty, &image, &delta);
        let mut now = |partition_id: i32, isr: &[i32]| {
            let record = MetadataRecord::PartitionChange(PartitionChangeRecord {
                partition_id,
                topic_id,
                isr: Some(isr.to_vec()),
                ..Default::default()
            });
            let (next, delta) = image.apply(&[record]).unwrap();
            changes.count(BrokerId(1), &image, &next, &delta);
            image = next;
            let IsrChanges { shrinks, expands } = &changes;
            (shrinks.load(Ordering::Relaxed), expands.load(Ordering::Relaxed))
        };
        assert_eq!(now(0, &[1]), (1, 0));
        assert_eq!(now(0, &[1, 2]), (1, 1));
        assert_eq!(now(0, &[1, 3]), (2, 2));
        // Another broker leads it, and counts it.
        assert_eq!(now(1, &[2]), (2, 2));
    }
}
