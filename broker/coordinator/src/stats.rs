//! What is counted of a shard's groups, for metrics.

use crate::Shard;
use crate::group::State;

/// The groups of a shard, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupCounts {
    /// Groups without members.
    pub empty: usize,
    /// Groups that wait for their members to join.
    pub preparing: usize,
    /// Groups that wait for the leader's assignment.
    pub completing: usize,
    /// Groups whose members have their assignments.
    pub stable: usize,
    /// Members of all groups.
    pub members: usize,
    /// Offsets that are kept.
    pub offsets: usize,
}

impl GroupCounts {
    /// The groups of each state by its name in the protocol.
    pub fn by_state(&self) -> [(&'static str, usize); 4] {
        [
            (State::Empty.name(), self.empty),
            (State::Preparing.name(), self.preparing),
            (State::Completing.name(), self.completing),
            (State::Stable.name(), self.stable),
        ]
    }
}

impl std::ops::AddAssign for GroupCounts {
    fn add_assign(&mut self, other: Self) {
        self.empty += other.empty;
        self.preparing += other.preparing;
        self.completing += other.completing;
        self.stable += other.stable;
        self.members += other.members;
        self.offsets += other.offsets;
    }
}

impl Shard {
    /// Counts the groups.
    pub fn counts(&self) -> GroupCounts {
        let mut counts = GroupCounts {
            empty: self.groups_with_offsets_only().count(),
            offsets: self.all_offsets().map(|(_, offsets)| offsets.iter().count()).sum(),
            ..GroupCounts::default()
        };
        for group in self.groups() {
            counts.members += group.members.len();
            let of_state = match group.state {
                State::Empty => &mut counts.empty,
                State::Preparing => &mut counts.preparing,
                State::Completing => &mut counts.completing,
                State::Stable => &mut counts.stable,
            };
            *of_state += 1;
        }
        counts
    }

    /// Shows every group's number of members.
    pub fn for_each_group(&self, mut look: impl FnMut(&str, usize)) {
        for group in self.groups() {
            look(&group.id, group.members.len());
        }
        for id in self.groups_with_offsets_only() {
            look(id, 0);
        }
    }

    /// Shows every committed offset: group, topic, partition, offset.
    pub fn for_each_offset(&self, mut look: impl FnMut(&str, &str, i32, i64)) {
        for (group, offsets) in self.all_offsets() {
            for (topic, partition, value) in offsets.iter() {
                look(group, topic, partition, value.offset);
            }
        }
    }
}
