//! Reading by offset: where the wanted batches lie in a segment's file.

use wire::ids::Offset;

use super::Log;
use crate::error::ReadError;
use crate::file_range::FileRange;

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
}

impl Log {
    /// The batches from the one that holds `offset` on: whole ones, all below `upto` (the high
    /// watermark or the last stable offset), at most `max_bytes` of them; the first one also when
    /// it is larger, if `min_one`. Empty when there is none.
    pub fn read(
        &self,
        offset: Offset,
        _max_bytes: u32,
        _upto: Offset,
        _min_one: bool,
    ) -> Result<LogSlice, ReadError> {
        Err(ReadError::OutOfRange {
            offset,
            start: self.log_start_offset(),
            end: self.end_offset(),
        })
    }
}
