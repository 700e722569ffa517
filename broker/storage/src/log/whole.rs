//! After a clean stop every record from the log's start to its recovery point is there. What is not
//! has been taken away since: a segment's file, or the end of one.

use wire::ids::Offset;

use super::Log;
use crate::error::{Corruption, LogError};
use crate::walk::{Step, Walk};

impl Log {
    /// Looks for missing records before, between and behind the segments. Of a closed segment only
    /// what lies behind its last index entry is read.
    ///
    /// A segment begins where the one before it ended, but for compaction, which may take the last
    /// records of a segment: logs that were ever compacted are not judged by it.
    pub(super) fn check_whole(&mut self, checkpointed_start: i64) -> Result<(), LogError> {
        let first = self.segments.get(0).map_or(0, |segment| segment.base);
        let start = self.known_start(checkpointed_start);
        if let Some(start) = start.filter(|start| *start < first && !self.may_be_sparse) {
            let mut missing = Corruption::bad_bytes(first, 0, start);
            missing.missing_upto = Some(Offset(first));
            self.missing_head = Some(missing);
            self.quarantined(missing);
        }
        let last = self.segments.len().saturating_sub(1);
        for at in 0..last {
            let (position, offset) = self.find_end(at)?;
            let size = self.segments.get(at).map_or(0, |segment| segment.size);
            let gap = self.segments.next_base(at).is_some_and(|next| offset < next);
            if position < size || (gap && !self.may_be_sparse) {
                self.break_segment(at, position, offset);
            }
        }
        if self.end < self.recovery_point {
            // Whole batches are missing from the end of what the clean stop had synced.
            let size = self.segments.get(last).map_or(0, |segment| segment.size);
            self.break_segment(last, size, self.end);
        }
        Ok(())
    }

    /// Where the log began at the stop, as far as anything says. The checkpoint has every start
    /// that we moved; Kafka lists one only when it lies within a segment, but moves the first epoch
    /// with it, as we do.
    fn known_start(&self, checkpointed: i64) -> Option<i64> {
        if checkpointed > 0 {
            return Some(checkpointed);
        }
        self.epochs.entries().first().map(|(_, start)| start.0)
    }

    /// Where the last sound batch of a closed segment ends, and the offset behind it.
    fn find_end(&self, at: usize) -> Result<(u64, i64), LogError> {
        let Some(segment) = self.segments.get(at) else { return Ok((0, 0)) };
        let indexed = self.segments.load_indexes(segment)?;
        let last = indexed.and_then(|indexes| indexes.offsets.last());
        let from = last.map_or(0, |entry| u64::from(entry.position));
        match self.find_end_from(at, from)? {
            // The index names no batch.
            (position, _) if position == from && from > 0 => self.find_end_from(at, 0),
            end => Ok(end),
        }
    }

    fn find_end_from(&self, at: usize, from: u64) -> Result<(u64, i64), LogError> {
        let Some(segment) = self.segments.get(at) else { return Ok((0, 0)) };
        let (base, size) = (segment.base, segment.size);
        let file = self.segments.file(at)?;
        let mut walk = Walk::headers(file.as_ref(), from, size).with_offset_min(base);
        loop {
            match walk.step()? {
                Step::Batch(_) => {}
                Step::End => return Ok((size, walk.offset_min())),
                Step::Bad { position } => {
                    let offset = walk.offset_min();
                    let verifying = Walk::verifying(file.as_ref(), position, size);
                    let mut verifying = verifying.with_offset_min(offset);
                    let Some(found) = verifying.resync()? else { return Ok((position, offset)) };
                    // Reads meet the bad bytes before it, and say so.
                    walk = Walk::headers(file.as_ref(), found.end(), size)
                        .with_offset_min(found.header.next_offset());
                }
            }
        }
    }
}
