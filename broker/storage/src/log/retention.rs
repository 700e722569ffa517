//! What a log gives up: by time, by size, by its start offset.

use std::path::PathBuf;

use wire::ids::Offset;

use super::Log;
use crate::disk::{Disk, DiskError, DiskErrorKind};
use crate::error::{LogError, ReadError};
use crate::index::txn;
use crate::producers::snapshot;
use crate::segment::{self, Segment};

/// The suffix of files that wait for their removal.
pub(super) const DELETED: &str = ".deleted";

/// Files that are no longer part of a log, to be removed later: readers may hold them open.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "run it when it is due"]
pub struct Deletion {
    /// The directory they are in.
    pub dir: PathBuf,
    /// Their names, all ending in `.deleted`.
    pub names: Vec<String>,
    /// When `file.delete.delay.ms` has passed.
    pub due_ms: i64,
}

impl Deletion {
    /// Removes the files. One that is gone already is fine.
    pub fn run(&self, disk: &dyn Disk) -> Result<(), DiskError> {
        for name in &self.names {
            match disk.remove_file(&self.dir.join(name)) {
                Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// What retention gave up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retired {
    /// Segments given up.
    pub segments: usize,
    /// Bytes of them.
    pub bytes: u64,
    /// Their files.
    pub deletion: Option<Deletion>,
}

impl Log {
    /// Applies `retention.ms`, `retention.bytes` and the log's start offset to segments that lie
    /// wholly below `high_watermark`. The active segment is rolled first when it has to go.
    pub fn apply_retention(
        &mut self,
        now_ms: i64,
        high_watermark: Offset,
    ) -> Result<Retired, LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        let mut count = self.below_start();
        if self.config.cleanup.delete {
            count = count.max(self.over_size(high_watermark)?);
            count = count.max(self.expired(now_ms, high_watermark)?);
        }
        if count > 0 && count == self.segments.len() {
            match self.roll(now_ms) {
                Ok(_) => {}
                // No space for a new segment: giving up the older ones makes some.
                Err(LogError::Disk(error)) if error.heals() => count -= 1,
                Err(error) => return Err(error),
            }
        }
        if count == 0 {
            return Ok(Retired::default());
        }
        let start = self.segments.get(count).map_or(self.end, |segment| segment.base);
        let segments = self.segments.drain_front(count);
        self.raise_start(self.start.max(start));
        let bytes = segments.iter().map(|segment| segment.size).sum();
        let deletion = self.retire(now_ms, &segments)?;
        Ok(Retired { segments: segments.len(), bytes, deletion })
    }

    /// Moves the log's start up to `upto` (at most `high_watermark`): DeleteRecords. Files go with
    /// the next `apply_retention`. Returns the new start.
    pub fn delete_records(
        &mut self,
        upto: Offset,
        high_watermark: Offset,
    ) -> Result<Offset, LogError> {
        let upto = if upto.0 == super::LATEST { high_watermark } else { upto };
        if upto.0 < 0 || upto > high_watermark {
            let (start, end) = (self.log_start_offset(), high_watermark);
            return Err(LogError::OutOfRange { offset: upto, start, end });
        }
        self.raise_start(self.start.max(upto.0));
        Ok(self.log_start_offset())
    }

    fn raise_start(&mut self, start: i64) {
        if start > self.start {
            self.touched = true;
            self.start = start;
            self.epoch_changes.mark_if(self.epochs.truncate_start(Offset(start)));
        }
    }

    /// How many of the oldest segments lie below the start offset.
    fn below_start(&self) -> usize {
        (0..self.segments.len())
            .take_while(|at| self.segments.next_base(*at).is_some_and(|next| next <= self.start))
            .count()
    }

    /// How many of the oldest segments `retention.bytes` does not want.
    fn over_size(&self, high_watermark: Offset) -> Result<usize, ReadError> {
        let Ok(wanted) = u64::try_from(self.config.retention_bytes) else { return Ok(0) };
        let mut over = self.size_bytes().saturating_sub(wanted);
        let mut count = 0;
        for (at, segment) in self.segments.iter().enumerate() {
            let is_active = at + 1 == self.segments.len();
            if is_active || over < segment.size || !self.is_below(at, high_watermark) {
                break;
            }
            over -= segment.size;
            count += 1;
        }
        Ok(count)
    }

    /// How many of the oldest segments are older than `retention.ms`.
    fn expired(&self, now_ms: i64, high_watermark: Offset) -> Result<usize, ReadError> {
        if self.config.retention_ms < 0 {
            return Ok(0);
        }
        let mut count = 0;
        for (at, segment) in self.segments.iter().enumerate() {
            let newest = match self.max_timestamp(at)?.timestamp {
                timestamp if timestamp >= 0 => timestamp,
                // No record has a time: the segment's own age counts.
                _ => segment.created_ms,
            };
            let expired = now_ms.saturating_sub(newest) > self.config.retention_ms;
            if !expired || segment.size == 0 || !self.is_below(at, high_watermark) {
                break;
            }
            count += 1;
        }
        Ok(count)
    }

    fn is_below(&self, at: usize, high_watermark: Offset) -> bool {
        self.segments.next_base(at).unwrap_or(self.end) <= high_watermark.0
    }

    /// Renames the files of segments that are no longer listed. A name that cannot be changed now
    /// stays; the next start finds it below the log's start.
    pub(super) fn retire(
        &mut self,
        now_ms: i64,
        segments: &[Segment],
    ) -> Result<Option<Deletion>, LogError> {
        let extensions = [
            segment::LOG,
            segment::INDEX,
            segment::TIME_INDEX,
            txn::EXTENSION,
            snapshot::EXTENSION,
        ];
        let mut names = Vec::new();
        for segment in segments {
            for extension in extensions {
                let name = segment::file_name(segment.base, extension);
                let deleted = format!("{name}{DELETED}");
                match self.disk.rename(&self.dir.join(&name), &self.dir.join(&deleted)) {
                    Ok(()) => names.push(deleted),
                    Err(error) if error.kind == DiskErrorKind::NotFound => {}
                    Err(error) => return Err(self.maintenance_failed(error)),
                }
            }
        }
        self.name_changes.mark();
        let due_ms = now_ms.saturating_add(self.config.file_delete_delay_ms);
        let deletion = Deletion { dir: self.dir.clone(), names, due_ms };
        Ok((!deletion.names.is_empty()).then_some(deletion))
    }
}
