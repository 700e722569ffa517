//! Cutting a log back: a follower that has diverged, or one that starts over.

use wire::ids::Offset;

use super::Log;
use crate::disk::Access;
use crate::epochs::LeaderEpochs;
use crate::error::LogError;
use crate::log::Deletion;
use crate::producers::{Producers, snapshot};
use crate::segment::{self, Segment};

impl Log {
    /// Removes everything from `to` on, and the rest of the batch that holds it. The next append
    /// begins a new segment, so that pages that a read in flight refers to are not written again.
    /// The caller makes sure that no read in flight lies above `to`.
    pub fn truncate(&mut self, now_ms: i64, to: Offset) -> Result<Option<Deletion>, LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        if to.0 >= self.end {
            return Ok(None);
        }
        let first_base = self.segments.get(0).map_or(0, |segment| segment.base);
        if to.0 <= first_base || to.0 < self.start {
            return self.restart_at(now_ms, to);
        }
        let at = self.segments.find(to.0);
        let cut = self.segments.locate(at, to.0)?;
        let (end, keep) = match &cut {
            // The whole segment goes; its name is taken anew.
            Some(found) if found.position == 0 => (found.header.base_offset, at),
            Some(found) => (found.header.base_offset, at + 1),
            None => (to.0, at + 1),
        };
        self.touched = true;
        self.truncations += 1;
        let mut gone = self.segments.split_off(keep);
        let known = self.aborted.len();
        self.aborted.retain(|it| it.last_offset.0 < end);
        if let Some(found) = cut.filter(|found| found.position > 0) {
            self.cut_segment(at, found.position)?;
            if self.aborted.len() < known {
                self.write_aborted(at).map_err(|error| self.maintenance_failed(error))?;
            }
        }
        // Its own name is below; the old file keeps another. Newest first: should the machine stop
        // between two renames, the log ends early, and misses nothing before that.
        gone.reverse();
        let deletion = self.retire(now_ms, &gone)?;
        gone.clear();
        self.begin_segment(now_ms, end)?;
        self.end = end;
        self.recovery_point = self.recovery_point.min(end);
        self.flush_begun = self.flush_begun.min(end);
        self.epoch_changes.mark_if(self.epochs.truncate_end(Offset(end)));
        self.forget_snapshots_after(end)?;
        self.producers = self.load_producers(now_ms, end)?;
        // Retention of the older segment must not forget who wrote it.
        self.write_snapshot(end).map_err(|error| self.maintenance_failed(error))?;
        self.sync_names()?;
        Ok(deletion)
    }

    /// Removes everything; the log then begins and ends at `start`.
    pub fn restart_at(&mut self, now_ms: i64, start: Offset) -> Result<Option<Deletion>, LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        self.touched = true;
        self.truncations += 1;
        let mut gone = self.segments.split_off(0);
        gone.reverse();
        let deletion = self.retire(now_ms, &gone)?;
        self.forget_snapshots_after(-1)?;
        self.begin_segment(now_ms, start.0)?;
        self.start = start.0;
        self.end = start.0;
        self.recovery_point = start.0;
        self.flush_begun = start.0;
        self.unflushed_since_ms = None;
        self.producers = Producers::default();
        self.aborted.clear();
        self.epochs = LeaderEpochs::default();
        self.epoch_changes.mark();
        self.sync_names()?;
        Ok(deletion)
    }

    /// Makes the new set of segments durable: a segment that is gone must not come back beside
    /// records that are appended from now on.
    fn sync_names(&mut self) -> Result<(), LogError> {
        let covered = self.name_changes.unsynced();
        let synced = self.disk.sync_dir(&self.dir);
        synced.map_err(|error| self.maintenance_failed(error))?;
        // The first flush also syncs `partition.metadata`: it must still come.
        if !self.name_changes.is_new() {
            self.name_changes.settle(covered);
        }
        Ok(())
    }

    /// Makes an empty active segment at `base`.
    pub(super) fn begin_segment(&mut self, now_ms: i64, base: i64) -> Result<(), LogError> {
        let file = self.new_file(base).map_err(|error| self.maintenance_failed(error))?;
        self.name_changes.mark();
        self.segments.push(Segment::new(base, now_ms), file);
        Ok(())
    }

    /// Cuts a segment's file at a boundary between batches and builds its indexes anew.
    fn cut_segment(&mut self, at: usize, position: u64) -> Result<(), LogError> {
        let Some(segment) = self.segments.get_mut(at) else { return Ok(()) };
        let base = segment.base;
        segment.size = position;
        segment.indexes.take();
        let path = self.segments.path(base, segment::LOG);
        let result = self
            .segments
            // They speak of what is cut.
            .remove_indexes(base)
            .and_then(|()| self.disk.open(&path, Access::ReadWrite))
            // What is cut must not come back below the segment that begins here.
            .and_then(|file| file.truncate(position).and_then(|()| file.sync_data()))
            .and_then(|()| self.segments.rebuild_indexes(at));
        self.index_written(base);
        result.map_err(|error| self.maintenance_failed(error))
    }

    /// Removes producer snapshots of offsets above `offset`.
    pub(super) fn forget_snapshots_after(&mut self, offset: i64) -> Result<(), LogError> {
        for name in self.snapshot_offsets()?.into_iter().filter(|name| *name > offset) {
            let path = self.segments.path(name, snapshot::EXTENSION);
            self.disk.remove_file(&path).map_err(|error| self.maintenance_failed(error))?;
            self.name_changes.mark();
        }
        Ok(())
    }
}
