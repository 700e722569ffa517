//! The groups as the metrics tell them. Each shard's lock is held for as long as its groups are
//! looked through, and no longer.

use coordinator::GroupCounts;

use crate::node::Node;

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The group.
    pub group: String,
    /// The topic's name.
    pub topic: String,
    /// The partition's index.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl Node {
    /// Counts the groups of all shards.
    #[must_use]
    pub fn group_counts(&self) -> GroupCounts {
        let mut counts = GroupCounts::default();
        for (_, home) in self.groups.all() {
            counts += home.lock().shard.counts();
        }
        counts
    }

    /// Groups and their numbers of members; at most `count_max`, and how many more there are.
    #[must_use]
    pub fn group_members(&self, count_max: usize) -> (Vec<(String, usize)>, usize) {
        let (mut found, mut left_out) = (Vec::new(), 0);
        for (_, home) in self.groups.all() {
            home.lock().shard.for_each_group(|group, members| match found.len() < count_max {
                true => found.push((group.to_owned(), members)),
                false => left_out += 1,
            });
        }
        (found, left_out)
    }

    /// Committed offsets, sorted by group, topic and partition within each shard; at most
    /// `count_max`, and how many more there are.
    #[must_use]
    pub fn committed_offsets(&self, count_max: usize) -> (Vec<CommittedOffset>, usize) {
        let (mut found, mut left_out) = (Vec::new(), 0);
        for (_, home) in self.groups.all() {
            home.lock().shard.for_each_offset(|group, topic, partition, offset| {
                match found.len() < count_max {
                    true => found.push(CommittedOffset {
                        group: group.to_owned(),
                        topic: topic.to_owned(),
                        partition,
                        offset,
                    }),
                    false => left_out += 1,
                }
            });
        }
        (found, left_out)
    }
}
