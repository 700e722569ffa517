//! One segment of a log: `<base20>.log` and its indexes.

use std::sync::{Mutex, OnceLock};

use crate::error::Corruption;
use crate::index::SparseIndex;
use crate::index::offset::OffsetEntry;
use crate::index::time::TimeEntry;
use crate::verified::Verified;
use crate::walk::Found;

/// The extension of a segment's records.
pub(crate) const LOG: &str = "log";
/// The extension of a segment's offset index.
pub(crate) const INDEX: &str = "index";
/// The extension of a segment's time index.
pub(crate) const TIME_INDEX: &str = "timeindex";

/// The name of a segment's file: its base offset in 20 digits, and an extension.
pub(crate) fn file_name(base: i64, extension: &str) -> String {
    format!("{base:020}.{extension}")
}

/// The base offset and the extension in a file's name, when it is one of a segment's.
pub(crate) fn parse_file_name(name: &str) -> Option<(i64, &str)> {
    let (digits, extension) = name.split_once('.')?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, extension))
}

/// The largest timestamp of a segment and the last offset of the batch that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MaxTimestamp {
    pub(crate) timestamp: i64,
    pub(crate) offset: i64,
}

impl MaxTimestamp {
    /// No record has a timestamp.
    pub(crate) const NONE: Self = Self { timestamp: -1, offset: -1 };
}

/// Both indexes of a segment.
#[derive(Clone, Debug)]
pub(crate) struct Indexes {
    pub(crate) offsets: SparseIndex<OffsetEntry>,
    pub(crate) times: SparseIndex<TimeEntry>,
    /// Bytes of batches since the newest entry of `offsets`.
    unindexed: u64,
    /// The segment's largest timestamp so far.
    pub(crate) max: MaxTimestamp,
}

impl Indexes {
    /// Of a segment without batches.
    pub(crate) fn empty() -> Self {
        Self {
            offsets: SparseIndex::empty(),
            times: SparseIndex::empty(),
            unindexed: 0,
            max: MaxTimestamp::NONE,
        }
    }

    /// Takes note of a batch that follows those known.
    pub(crate) fn note(&mut self, base: i64, found: &Found, interval_bytes: u32) {
        let header = &found.header;
        if header.max_timestamp > self.max.timestamp {
            self.max =
                MaxTimestamp { timestamp: header.max_timestamp, offset: header.last_offset() };
        }
        let last = u32::try_from(header.last_offset() - base);
        let position = u32::try_from(found.position);
        if self.unindexed > u64::from(interval_bytes)
            && let (Ok(relative), Ok(position)) = (last, position)
        {
            self.offsets.push(OffsetEntry { relative, position });
            self.push_time(base);
            self.unindexed = 0;
        }
        self.unindexed += header.size_in_bytes() as u64;
    }

    /// Goes on from what the files say: the segment's batches from the newest entry on follow by
    /// `note`.
    pub(crate) fn resume(
        base: i64,
        offsets: SparseIndex<OffsetEntry>,
        times: SparseIndex<TimeEntry>,
    ) -> Self {
        let max = times.last().map_or(MaxTimestamp::NONE, |entry| MaxTimestamp {
            timestamp: entry.timestamp,
            offset: base.saturating_add(i64::from(entry.relative)),
        });
        Self { offsets, times, unindexed: 0, max }
    }

    /// Notes the largest timestamp so far in the time index, if it is news.
    pub(crate) fn push_time(&mut self, base: i64) {
        let relative = u32::try_from(self.max.offset.saturating_sub(base));
        if let (Ok(relative), true) = (relative, self.max.timestamp >= 0) {
            self.times.push(TimeEntry { timestamp: self.max.timestamp, relative });
        }
    }
}

/// One segment.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Offset that its name says: no record in it is below.
    pub(crate) base: i64,
    /// Bytes of whole batches in its file.
    pub(crate) size: u64,
    /// When it was made or found, by the broker's clock.
    pub(crate) created_ms: i64,
    /// The largest timestamp of its first batch, once known: what `segment.ms` counts from.
    pub(crate) first_timestamp: Option<i64>,
    /// Read from disk when first wanted.
    pub(crate) indexes: OnceLock<Indexes>,
    /// Which of its bytes were checked since the start.
    pub(crate) verified: Mutex<Verified>,
    /// Behind `size` nothing in the segment can be made out, or records are missing.
    pub(crate) broken: Option<Corruption>,
}

impl Segment {
    /// A new, empty segment.
    pub(crate) fn new(base: i64, now_ms: i64) -> Self {
        Self {
            base,
            size: 0,
            created_ms: now_ms,
            first_timestamp: None,
            indexes: OnceLock::from(Indexes::empty()),
            verified: Mutex::new(Verified::all()),
            broken: None,
        }
    }

    /// A segment found on disk, not a byte of which was read.
    pub(crate) fn found(base: i64, size: u64, now_ms: i64) -> Self {
        Self {
            base,
            size,
            created_ms: now_ms,
            first_timestamp: None,
            indexes: OnceLock::new(),
            verified: Mutex::new(Verified::from(size)),
            broken: None,
        }
    }
}
