//! Reading by offset: where the wanted batches lie in a segment's file.

use wire::ids::Offset;

use super::Log;
use crate::error::{Corruption, ReadError};
use crate::file_range::FileRange;
use crate::walk::Found;

/// Whole batches in one segment.
#[derive(Clone, Debug)]
pub struct LogSlice {
    /// Where they lie; None when there is nothing to read.
    pub range: Option<FileRange>,
    /// Base offset of the first batch, which may lie before the offset asked for.
    pub first_offset: Offset,
    /// The offset behind the last batch.
    pub next_offset: Offset,
}

impl LogSlice {
    /// Bytes of all batches.
    pub fn bytes(&self) -> u32 {
        self.range.as_ref().map_or(0, |range| range.len)
    }

    fn empty(offset: Offset) -> Self {
        Self { range: None, first_offset: offset, next_offset: offset }
    }
}

impl Log {
    /// The batches from the one that holds `offset` on: whole ones, all below `upto` (the high
    /// watermark or the last stable offset), at most `max_bytes` of them; the first one also when
    /// it is larger, if `min_one`. Empty when there is none.
    pub fn read(
        &self,
        offset: Offset,
        max_bytes: u32,
        upto: Offset,
        min_one: bool,
    ) -> Result<LogSlice, ReadError> {
        if let Some(lost) = self.quarantine
            && self.end < self.recovery_point
            && (self.end..=self.recovery_point).contains(&offset.0)
        {
            // There were records: a reader who had got so far must not start over.
            return Err(lost.into());
        }
        if offset.0 < self.start || offset.0 > self.end {
            let (start, end) = (self.log_start_offset(), self.end_offset());
            return Err(ReadError::OutOfRange { offset, start, end });
        }
        let upto = upto.0.min(self.end);
        if offset.0 >= upto {
            return Ok(LogSlice::empty(offset));
        }
        if let Some(missing) = self.missing_head.filter(|it| it.segment > offset) {
            return Err(missing.into());
        }
        // A segment may end before the next one begins, when its last records were compacted away.
        for at in self.segments.find(offset.0)..self.segments.len() {
            if let Some(first) = self.segments.locate(at, offset.0)? {
                return self.slice(offset, at, &first, max_bytes, upto, min_one);
            }
        }
        Ok(LogSlice::empty(offset))
    }

    fn slice(
        &self,
        offset: Offset,
        at: usize,
        first: &Found,
        max_bytes: u32,
        upto: i64,
        min_one: bool,
    ) -> Result<LogSlice, ReadError> {
        let (stop, stop_offset) = self.stop_before(at, upto)?;
        let limit = first.position.saturating_add(u64::from(max_bytes));
        let (mut to, mut next) = if stop <= limit {
            (stop, stop_offset)
        } else {
            self.segments.boundary(at, first, limit)?
        };
        if to < first.end() && min_one && first.end() <= stop {
            (to, next) = (first.end(), first.header.next_offset());
        }
        if to <= first.position {
            return Ok(LogSlice::empty(offset));
        }
        let sound = self.segments.verify(at, first.position, to)?;
        if sound < to {
            if sound == first.position {
                return Err(self.corrupt_at(at, first).into());
            }
            (to, next) = self.segments.boundary(at, first, sound)?;
        }
        let len = u32::try_from(to - first.position).unwrap_or(u32::MAX);
        let range = FileRange { file: self.segments.file(at)?, position: first.position, len };
        Ok(LogSlice {
            range: Some(range),
            first_offset: Offset(first.header.base_offset),
            next_offset: Offset(next),
        })
    }

    /// Where in a segment the batches below `upto` end, and at which offset.
    fn stop_before(&self, at: usize, upto: i64) -> Result<(u64, i64), ReadError> {
        let size = self.segments.get(at).map_or(0, |segment| segment.size);
        let end = self.segments.next_base(at).unwrap_or(self.end);
        if upto >= end {
            return Ok((size, end));
        }
        Ok(match self.segments.locate(at, upto)? {
            Some(found) => (found.position, found.header.base_offset),
            None => (size, end),
        })
    }

    fn corrupt_at(&self, at: usize, first: &Found) -> Corruption {
        let segment = self.segments.get(at).map_or(0, |segment| segment.base);
        Corruption::bad_bytes(segment, first.position, first.header.base_offset)
    }

    /// Closes descriptors that reads of closed segments left open. For a timer to call.
    pub fn close_idle_files(&self) {
        self.segments.close_idle_files();
    }
}
