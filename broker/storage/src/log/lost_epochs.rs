//! Reading the leader epochs from the batches again when their checkpoint is lost or damaged: a
//! crash while it was written on a full disk, a file that somebody removed.
//!
//! Epochs only grow along a log, so a segment whose first batch is of the same epoch as the first
//! batch behind it holds no other one: few segments are read beyond their first header.

use wire::ids::{LeaderEpoch, Offset};

use super::Log;
use crate::disk::DiskError;
use crate::walk::{Step, Walk};

impl Log {
    /// Finds the epochs of the segments before `upto`; recovery notes those of the others.
    pub(super) fn read_epochs_again(&mut self, upto: usize) -> Result<(), DiskError> {
        let mut begins = Vec::new();
        let mut behind = self.first_epoch(upto)?.map(|(epoch, _)| epoch);
        for at in (0..upto).rev() {
            let Some(first) = self.first_epoch(at)? else { continue };
            if behind == Some(first.0) {
                begins.push(first);
            } else {
                begins.extend(self.epochs_within(at)?.into_iter().rev());
            }
            behind = Some(first.0);
        }
        for (epoch, start) in begins.into_iter().rev() {
            self.epochs.assign(epoch, start);
        }
        self.epoch_changes.mark();
        self.touched = true;
        Ok(())
    }

    /// The epoch of a segment's first batch, and that batch's offset.
    fn first_epoch(&self, at: usize) -> Result<Option<(LeaderEpoch, Offset)>, DiskError> {
        let mut first = None;
        self.each_epoch(at, |epoch, start| {
            first = Some((epoch, start));
            false
        })?;
        Ok(first)
    }

    /// The epochs of a segment's batches, each with where it begins here.
    fn epochs_within(&self, at: usize) -> Result<Vec<(LeaderEpoch, Offset)>, DiskError> {
        let mut epochs: Vec<(LeaderEpoch, Offset)> = Vec::new();
        self.each_epoch(at, |epoch, start| {
            if epochs.last().is_none_or(|(last, _)| *last < epoch) {
                epochs.push((epoch, start));
            }
            true
        })?;
        Ok(epochs)
    }

    /// Gives `wants_more` the epoch and base offset of batch after batch. Bad bytes end a segment:
    /// reads and recovery tell of them.
    fn each_epoch(
        &self,
        at: usize,
        mut wants_more: impl FnMut(LeaderEpoch, Offset) -> bool,
    ) -> Result<(), DiskError> {
        let Some(segment) = self.segments.get(at).filter(|segment| segment.size > 0) else {
            return Ok(());
        };
        let file = self.segments.file(at)?;
        let mut walk = Walk::headers(file.as_ref(), 0, segment.size).with_offset_min(segment.base);
        while let Step::Batch(found) = walk.step()? {
            let header = &found.header;
            if !wants_more(LeaderEpoch(header.partition_leader_epoch), Offset(header.base_offset)) {
                break;
            }
        }
        Ok(())
    }
}
