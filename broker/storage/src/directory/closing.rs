//! The checkpoints now and then, and the end of a clean stop.

use wire::ids::Offset;

use super::log_dir::{Checkpoints, held};
use super::{LogDirs, TopicPartition};
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
    /// Writes the checkpoints of all directories. A partition that is left out loses its recovery
    /// point, which costs time at the next start, not data. Returns the failures; a full disk
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
    /// without failure before; a directory where that failed must have been marked offline.
    /// Returns the failures; a directory that has one is recovered at the next start.
    pub fn close_clean(
        &self,
        partitions: &[PartitionCheckpoint],
        broker_epoch: i64,
    ) -> Vec<DiskError> {
        let mut failures = Vec::new();
        for (dir, checkpoints) in self.dirs.iter().zip(self.by_dir(partitions)) {
            if dir.is_offline() {
                continue;
            }
            let closed = dir
                .write_checkpoints(checkpoints)
                .and_then(|()| dir.write_clean_marker(broker_epoch));
            failures.extend(closed.err());
        }
        failures
    }

    fn by_dir(&self, partitions: &[PartitionCheckpoint]) -> Vec<Checkpoints> {
        let mut split = vec![Checkpoints::default(); self.dirs.len()];
        let state = held(&self.state);
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
