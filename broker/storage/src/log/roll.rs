//! Closing the active segment and beginning the next one.

use wire::ids::Offset;

use super::Log;
use super::unsynced::UnsyncedIndex;
use std::sync::Arc;

use crate::disk::{Access, DiskError, DiskFile};
use crate::error::LogError;
use crate::producers::snapshot;
use crate::segment::{self, Segment};
use crate::walk::{Step, Walk};

/// Positions in an index are 31 bits, whatever `segment.bytes` says.
const SEGMENT_BYTES_MAX: u64 = i32::MAX as u64;

/// Entries of the two indexes, in bytes.
const OFFSET_ENTRY_BYTES: u32 = 8;
const TIME_ENTRY_BYTES: u32 = 12;

impl Log {
    /// Closes the active segment, unless it is empty. Returns the base offset of the active one.
    pub fn roll(&mut self, now_ms: i64) -> Result<Offset, LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        if self.segments.active().is_some_and(|segment| segment.size > 0) {
            self.roll_to(now_ms, self.end).map_err(|error| self.maintenance_failed(error))?;
        }
        Ok(Offset(self.segments.active_base()))
    }

    /// Whether `bytes` more, up to `last_offset`, do not belong into the active segment.
    pub(super) fn must_roll(
        &mut self,
        now_ms: i64,
        bytes: u64,
        max_timestamp: i64,
        last_offset: i64,
    ) -> Result<bool, DiskError> {
        let at = self.segments.len().saturating_sub(1);
        let Some(segment) = self.segments.get(at) else { return Ok(false) };
        let limit = u64::from(self.config.segment_bytes).min(SEGMENT_BYTES_MAX);
        let too_far = i32::try_from(last_offset.saturating_sub(segment.base)).is_err();
        if segment.size == 0 {
            return Ok(too_far);
        }
        if too_far || segment.size.saturating_add(bytes) > limit {
            return Ok(true);
        }
        if let Some(indexes) = segment.indexes.get() {
            let max = self.config.segment_index_bytes;
            if indexes.offsets.entries() >= max / OFFSET_ENTRY_BYTES
                || indexes.times.entries() >= max / TIME_ENTRY_BYTES
            {
                return Ok(true);
            }
        }
        let waited = match self.first_timestamp(at)? {
            first if first >= 0 => max_timestamp.saturating_sub(first),
            _ => now_ms
                .saturating_sub(self.segments.get(at).map_or(now_ms, |segment| segment.created_ms)),
        };
        Ok(waited > self.config.segment_ms.saturating_sub(self.jitter_ms()))
    }

    /// The largest timestamp of the segment's first batch.
    fn first_timestamp(&mut self, at: usize) -> Result<i64, DiskError> {
        let Some(segment) = self.segments.get(at) else { return Ok(-1) };
        if let Some(first) = segment.first_timestamp {
            return Ok(first);
        }
        let size = segment.size;
        let file = self.segments.file(at)?;
        let first = match Walk::headers(file.as_ref(), 0, size).step()? {
            Step::Batch(found) => found.header.max_timestamp,
            Step::End | Step::Bad { .. } => -1,
        };
        if let Some(segment) = self.segments.get_mut(at) {
            segment.first_timestamp = Some(first);
        }
        Ok(first)
    }

    /// A fixed share of `segment.jitter.ms`, from the directory's name: partitions that were made
    /// together do not roll together, and one seed replays the same rolls.
    fn jitter_ms(&self) -> i64 {
        let most = self.config.segment_jitter_ms.min(self.config.segment_ms);
        if most <= 0 {
            return 0;
        }
        let name = self.dir.file_name().unwrap_or_default();
        let hash = crc32c::crc32c(name.as_encoded_bytes());
        i64::from(hash) % most
    }

    /// Closes the active segment and begins one at `base`. After an error the log is as before.
    pub(super) fn roll_to(&mut self, now_ms: i64, base: i64) -> Result<(), DiskError> {
        let closed = self.segments.active_base();
        self.touched = true;
        self.write_active_indexes()?;
        self.write_snapshot(base)?;
        if self.recovery_point >= base {
            // The recovery point has passed the whole segment: recovery will not read it again, so
            // what was just written about it must be durable now.
            self.sync_closing_files(base)?;
        }
        let file = self.new_file(base)?;
        if self.config.preallocate || self.reserved.0 == closed {
            self.trim_active();
        }
        self.name_changes.mark();
        self.segments.push(Segment::new(base, now_ms), file);
        self.index_written(closed);
        Ok(())
    }

    /// Makes the file of a new segment, with all its space when the topic wants that.
    pub(super) fn new_file(&self, base: i64) -> Result<Arc<dyn DiskFile>, DiskError> {
        let path = self.segments.path(base, segment::LOG);
        let file = self.disk.open(&path, Access::CreateTruncate)?;
        let bytes = u64::from(self.config.segment_bytes);
        if self.config.preallocate
            && let Err(error) = file.preallocate(bytes)
        {
            // The active segment stays the last one.
            let _ = self.disk.remove_file(&path);
            return Err(error);
        }
        Ok(file)
    }

    /// Gives back the space that the active segment has and does not need any more. What cannot be
    /// given back is space, not data.
    pub(super) fn trim_active(&mut self) {
        let at = self.segments.len().saturating_sub(1);
        let Some(segment) = self.segments.get(at) else { return };
        if let Ok(file) = self.segments.file(at) {
            let _ = file.truncate(segment.size);
        }
    }

    /// Syncs the active segment's indexes and the snapshot at its end.
    fn sync_closing_files(&mut self, end: i64) -> Result<(), DiskError> {
        let base = self.segments.active_base();
        let files =
            [(base, segment::INDEX), (base, segment::TIME_INDEX), (end, snapshot::EXTENSION)];
        for (offset, extension) in files {
            self.disk
                .open(&self.segments.path(offset, extension), Access::ReadWrite)?
                .sync_data()?;
        }
        self.disk.sync_dir(&self.dir)
    }

    /// The index files of a closed segment have been written: the next flush syncs them, as no
    /// start reads the records below the recovery point to find out that they are torn.
    pub(super) fn index_written(&mut self, base: i64) {
        self.name_changes.mark();
        let written = self.name_changes.unsynced().unwrap_or(0);
        self.closed_indexes.insert(base, UnsyncedIndex { written, begun: false });
    }

    /// Completes the active segment's indexes on disk.
    pub(super) fn write_active_indexes(&mut self) -> Result<(), DiskError> {
        let Some(segment) = self.segments.active_mut() else { return Ok(()) };
        let base = segment.base;
        let Some(mut indexes) = segment.indexes.take() else { return Ok(()) };
        indexes.push_time(base);
        let result = self.segments.write_indexes(base, &mut indexes);
        if let Some(segment) = self.segments.active_mut() {
            segment.indexes = indexes.into();
        }
        self.name_changes.mark();
        result
    }

    /// Writes the producers' state as of `offset`. A torn snapshot fails its CRC and is not used.
    pub(super) fn write_snapshot(&mut self, offset: i64) -> Result<(), DiskError> {
        let path = self.segments.path(offset, snapshot::EXTENSION);
        let file = self.disk.open(&path, Access::CreateTruncate)?;
        let bytes = snapshot::encode(&self.producers);
        file.write_all_at(&[std::io::IoSlice::new(&bytes)], 0)?;
        self.name_changes.mark();
        Ok(())
    }

    /// What a disk error means for maintenance; a disk that is broken closes the log.
    pub(super) fn maintenance_failed(&mut self, error: DiskError) -> LogError {
        self.poisoned |= !error.heals();
        LogError::Disk(error)
    }
}
