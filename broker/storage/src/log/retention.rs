//! What a log gives up: by time, by size, by its start offset.

use std::path::PathBuf;

use wire::ids::Offset;

use super::Log;
use crate::disk::{Disk, DiskError};
use crate::error::LogError;

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
    pub fn run(&self, _disk: &dyn Disk) -> Result<(), DiskError> {
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
        _now_ms: i64,
        _high_watermark: Offset,
    ) -> Result<Retired, LogError> {
        Ok(Retired::default())
    }

    /// Moves the log's start up to `upto` (at most `high_watermark`): DeleteRecords. Files go with
    /// the next `apply_retention`. Returns the new start.
    pub fn delete_records(
        &mut self,
        _upto: Offset,
        _high_watermark: Offset,
    ) -> Result<Offset, LogError> {
        Ok(self.log_start_offset())
    }
}
