//! ListOffsets: from a timestamp, or one of its special values, to an offset.

use bytes::Bytes;
use wire::ids::{LeaderEpoch, Offset};
use wire::records::{Batch, RecordSet};

use super::Log;
use crate::disk::DiskFile;
use crate::error::{Corruption, ReadError};
use crate::segment::{self, MaxTimestamp};
use crate::walk::{Found, Step, Walk};

/// The offset after the last readable record.
pub const LATEST: i64 = -1;
/// The first offset.
pub const EARLIEST: i64 = -2;
/// The record with the largest timestamp (KIP-734).
pub const MAX_TIMESTAMP: i64 = -3;
/// The first offset on local disk (KIP-405).
pub const EARLIEST_LOCAL: i64 = -4;
/// The last offset in the remote store (KIP-1005).
pub const LATEST_TIERED: i64 = -5;
/// The first offset that is not yet in the remote store (KIP-1023).
pub const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// An offset found for a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    /// The record's timestamp; -1 for the special values that name no record.
    pub timestamp: i64,
    /// The offset.
    pub offset: Offset,
    /// The epoch of the record there, if known.
    pub leader_epoch: Option<LeaderEpoch>,
}

impl Log {
    /// The first record below `upto` whose timestamp is at least `timestamp`, or what a special
    /// value asks for. None when there is no such record.
    pub fn offset_for_timestamp(
        &self,
        timestamp: i64,
        upto: Offset,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        match timestamp {
            EARLIEST | EARLIEST_LOCAL => Ok(Some(self.named(self.log_start_offset()))),
            LATEST => Ok(Some(self.named(upto))),
            MAX_TIMESTAMP => self.record_of_max_timestamp(upto),
            // Nothing is remote.
            LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(None),
            _ => self.first_record_since(timestamp, upto),
        }
    }

    fn named(&self, offset: Offset) -> TimestampOffset {
        // The end has no record yet: the epoch is that of the last one, as Kafka answers.
        let leader_epoch = self.epochs.epoch_of(offset);
        TimestampOffset { timestamp: -1, offset, leader_epoch }
    }

    /// The largest timestamp of a segment.
    pub(super) fn max_timestamp(&self, at: usize) -> Result<MaxTimestamp, ReadError> {
        Ok(self.segments.indexes(at)?.map_or(MaxTimestamp::NONE, |indexes| indexes.max))
    }

    fn first_record_since(
        &self,
        timestamp: i64,
        upto: Offset,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        for at in self.segments.find(self.start)..self.segments.len() {
            if self.max_timestamp(at)?.timestamp < timestamp {
                continue;
            }
            let from = self.offset_before(at, timestamp)?.max(self.start);
            let found = self.search(
                at,
                from,
                |set| {
                    set.iter()
                        .filter_map(Result::ok)
                        .find(|record| record.offset >= from && record.timestamp >= timestamp)
                        .map(|record| (record.timestamp, record.offset))
                },
                timestamp,
            )?;
            if let Some(found) = found {
                return Ok(Some(found).filter(|found| found.offset < upto));
            }
        }
        Ok(None)
    }

    /// An offset in the segment before which all records are earlier than `timestamp`.
    fn offset_before(&self, at: usize, timestamp: i64) -> Result<i64, ReadError> {
        let Some((segment, indexes)) = self.segments.get(at).zip(self.segments.indexes(at)?) else {
            return Ok(0);
        };
        let path = self.segments.path(segment.base, segment::TIME_INDEX);
        let entry = indexes
            .times
            .search(self.segments.disk(), &path, |entry| entry.timestamp < timestamp)?;
        let relative = entry.map_or(0, |entry| i64::from(entry.relative));
        Ok(segment.base.saturating_add(relative))
    }

    fn record_of_max_timestamp(&self, upto: Offset) -> Result<Option<TimestampOffset>, ReadError> {
        let mut best: Option<(usize, MaxTimestamp)> = None;
        for at in self.segments.find(self.start)..self.segments.len() {
            let max = self.max_timestamp(at)?;
            if max.timestamp >= 0 && best.is_none_or(|(_, best)| max.timestamp > best.timestamp) {
                best = Some((at, max));
            }
        }
        let Some((at, max)) = best else { return Ok(None) };
        let found = self.search(
            at,
            max.offset,
            |set| {
                set.iter()
                    .filter_map(Result::ok)
                    .find(|record| record.timestamp == max.timestamp)
                    .map(|record| (record.timestamp, record.offset))
            },
            max.timestamp,
        )?;
        Ok(found.filter(|found| found.offset < upto))
    }

    /// Looks into the batches of a segment from `from` on that have a record as late as
    /// `timestamp`, until `pick` finds what it wants.
    fn search(
        &self,
        at: usize,
        from: i64,
        pick: impl Fn(&RecordSet) -> Option<(i64, i64)>,
        timestamp: i64,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        let Some(first) = self.segments.locate(at, from)? else { return Ok(None) };
        let Some(segment) = self.segments.get(at) else { return Ok(None) };
        let file = self.segments.file(at)?;
        let mut walk = Walk::headers(file.as_ref(), first.position, segment.size)
            .with_offset_min(segment.base);
        loop {
            match walk.step()? {
                Step::Batch(found) if found.header.max_timestamp >= timestamp => {
                    let set = self.records(segment.base, file.as_ref(), &found)?;
                    if let Some((timestamp, offset)) = pick(&set) {
                        let leader_epoch = Some(LeaderEpoch(found.header.partition_leader_epoch))
                            .filter(|epoch| epoch.0 >= 0);
                        let offset = Offset(offset);
                        return Ok(Some(TimestampOffset { timestamp, offset, leader_epoch }));
                    }
                }
                Step::Batch(_) => {}
                Step::End => return Ok(None),
                Step::Bad { position } => {
                    let offset = walk.offset_min();
                    return Err(self.segments.note_corruption(segment, position, offset).into());
                }
            }
        }
    }

    fn records(
        &self,
        base: i64,
        file: &dyn DiskFile,
        found: &Found,
    ) -> Result<RecordSet, ReadError> {
        let mut bytes = vec![0; found.header.size_in_bytes()];
        file.read_exact_at(&mut bytes, found.position)?;
        let corrupt = Corruption::bad_bytes(base, found.position, found.header.base_offset);
        let batch = Batch::parse(&Bytes::from(bytes)).map_err(|_| corrupt)?;
        batch.verify_crc().map_err(|_| corrupt)?;
        let limit = self.config.decompressed_bytes_max;
        batch.records(limit).map_err(|_| ReadError::from(corrupt))
    }
}
