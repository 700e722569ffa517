//! The checkpoints now and then, and the end of a clean stop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wire::ids::Offset;

use super::log_dir::{Checkpoints, LogDir, held};
use super::{LogDirs, TopicPartition};
use crate::checkpoints::clean_shutdown;
use crate::disk::DiskError;

/// What the periodic checkpoints say of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionCheckpoint {
    /// The partition.
    pub partition: TopicPartition,
    /// `Log::recovery_point`.
    pub recovery_point: Offset,
    /// `Log::log_start_offset`.
    pub log_start: Offset,
    /// The replica's high watermark.
    pub high_watermark: Offset,
}

impl LogDirs {
    /// Writes the checkpoints of all directories. What they say of a log that could not be opened
    /// stays: the next start has to know what should be there. Returns the failures; a full disk
    /// leaves the old checkpoint, anything else takes the directory offline.
    pub fn write_checkpoints(&self, partitions: &[PartitionCheckpoint]) -> Vec<DiskError> {
        let mut failures = Vec::new();
        for (dir, checkpoints) in self.dirs.iter().zip(self.by_dir(partitions)) {
            if dir.is_offline() {
                continue;
            }
            if let Err(error) = dir.write_checkpoints(checkpoints) {
                dir.note_failure(&error);
                failures.push(error);
            }
        }
        failures
    }

    /// Ends a clean stop: the checkpoints, then the markers. Every log must have been flushed
    /// without failure before; a directory with a log that is left out (its disk was full, say), or
    /// that is offline, gets no marker. Returns the failures; a directory that has one is recovered
    /// at the next start.
    pub fn close_clean(
        &self,
        partitions: &[PartitionCheckpoint],
        broker_epoch: i64,
    ) -> Vec<DiskError> {
        let mut failures = Vec::new();
        let unclosed = self.unclosed(partitions);
        let split = self.by_dir(partitions);
        for (place, (dir, mut checkpoints)) in self.dirs.iter().zip(split).enumerate() {
            if dir.is_offline() {
                continue;
            }
            let open = unclosed.get(&place);
            for partition in open.into_iter().flatten() {
                // What is known of it holds on: where its log begins, for one.
                dir.keep_checkpoints(partition, &mut checkpoints);
            }
            let closed = dir.write_checkpoints(checkpoints).and_then(|()| match open {
                Some(_) => Ok(()),
                None => dir.write_clean_marker(broker_epoch),
            });
            failures.extend(closed.err());
        }
        failures
    }

    /// The broker epoch under which the last run stopped cleanly, if all directories say the same;
    /// -1 when that is not known. The markers stay where they are.
    pub fn clean_epoch(&self) -> i64 {
        let epoch = |dir: &Arc<LogDir>| match dir.is_offline() {
            true => clean_shutdown::EPOCH_UNKNOWN,
            false => dir.clean_epoch().ok().flatten().unwrap_or(clean_shutdown::EPOCH_UNKNOWN),
        };
        let mut epochs = self.dirs.iter().map(epoch);
        let first = epochs.next().unwrap_or(clean_shutdown::EPOCH_UNKNOWN);
        if epochs.all(|other| other == first) { first } else { clean_shutdown::EPOCH_UNKNOWN }
    }

    /// The logs that were opened and are not among these, by directory.
    fn unclosed(&self, closed: &[PartitionCheckpoint]) -> BTreeMap<usize, Vec<TopicPartition>> {
        let closed: BTreeSet<_> = closed.iter().map(|closed| &closed.partition).collect();
        let state = held(&self.state);
        let mut unclosed: BTreeMap<usize, Vec<TopicPartition>> = BTreeMap::new();
        for (partition, place) in &state.places {
            if !closed.contains(partition) && !state.unopened.contains(partition) {
                unclosed.entry(*place).or_default().push(partition.clone());
            }
        }
        unclosed
    }

    fn by_dir(&self, partitions: &[PartitionCheckpoint]) -> Vec<Checkpoints> {
        let mut split = vec![Checkpoints::default(); self.dirs.len()];
        let state = held(&self.state);
        for partition in &state.unopened {
            let place = state.places.get(partition);
            let Some(place) =
                place.and_then(|place| self.dirs.get(*place).zip(split.get_mut(*place)))
            else {
                continue;
            };
            let (dir, split) = place;
            dir.keep_checkpoints(partition, split);
        }
        for checkpoint in partitions {
            // A partition that was deleted meanwhile has no place and no checkpoint.
            let place = state.places.get(&checkpoint.partition);
            let Some(split) = place.and_then(|place| split.get_mut(*place)) else { continue };
            let name = &checkpoint.partition;
            split.recovery_points.insert(name.clone(), checkpoint.recovery_point);
            split.high_watermarks.insert(name.clone(), checkpoint.high_watermark);
            if checkpoint.log_start.0 > 0 {
                split.log_starts.insert(name.clone(), checkpoint.log_start);
            }
        }
        split
    }
}
