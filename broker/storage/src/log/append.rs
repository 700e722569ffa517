//! Appending batches: validation, producer state, offsets and epochs, one vectored write.

use std::io::IoSlice;

use bytes::Bytes;
use wire::ids::{LeaderEpoch, Offset};
use wire::records::{
    Batch, BatchError, BatchHeader, BatchIter, FRESH_HEAD_BYTES, NO_TIMESTAMP, ProduceRules,
    TimestampType, validate_produced,
};

use super::Log;
use crate::disk::DiskError;
use crate::error::AppendError;
use crate::producers::{ProducedBatch, Verdict};
use crate::walk::Found;

/// Who made the batches, and so how far they are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A client: strict validation, sequences, no control batches, `max.message.bytes`.
    Client,
    /// A coordinator of this broker: control batches allowed, no sequences, only epochs.
    Coordinator,
    /// The metadata quorum: taken as it is.
    Raft,
}

/// What an append did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record; of a duplicate the original's.
    pub first_offset: Offset,
    /// Offset of the last record; of a duplicate the original's.
    pub last_offset: Offset,
    /// The broker's time, when the topic asks for it (of a duplicate the original's timestamp);
    /// else -1.
    pub log_append_time_ms: i64,
    /// The log's first offset.
    pub log_start_offset: Offset,
    /// Whether the batches had been in the log before: nothing was written.
    pub duplicate: bool,
    /// Whether `flush.messages` has been crossed: a flush is due before the answer.
    pub flush_due: bool,
}

/// A batch that may be written: `header` has its final offset and epoch, the bytes not yet.
#[derive(Debug)]
pub(super) struct Staged {
    batch: Batch,
    pub(super) header: BatchHeader,
}

/// What validation decided about the batches of one call.
enum Plan {
    Write(Vec<Staged>),
    Duplicate(ProducedBatch),
}

impl Log {
    /// Appends batches as their leader, giving them the next offsets.
    pub fn append(
        &mut self,
        now_ms: i64,
        batches: Bytes,
        origin: AppendOrigin,
        leader_epoch: LeaderEpoch,
    ) -> Result<Appended, AppendError> {
        if self.poisoned {
            return Err(self.closed());
        }
        match self.plan(now_ms, batches, origin, leader_epoch)? {
            Plan::Write(staged) => self.write(now_ms, &staged),
            Plan::Duplicate(original) => Ok(Appended {
                first_offset: Offset(original.first_offset()),
                last_offset: Offset(original.last_offset),
                log_append_time_ms: original.timestamp,
                log_start_offset: self.log_start_offset(),
                duplicate: true,
                flush_due: false,
            }),
        }
    }

    /// Appends batches as they are, offsets and epochs included: what a follower does.
    pub fn append_verbatim(
        &mut self,
        now_ms: i64,
        batches: Bytes,
    ) -> Result<Appended, AppendError> {
        if self.poisoned {
            return Err(self.closed());
        }
        let mut end = self.end;
        let mut staged = Vec::new();
        for batch in BatchIter::new(batches) {
            let batch = batch.map_err(refused)?;
            batch.verify_crc().map_err(refused)?;
            let header = *batch.header();
            if header.base_offset < end || header.last_offset_delta < 0 {
                let got = Offset(header.base_offset);
                return Err(AppendError::OffsetMismatch { got, end: Offset(end) });
            }
            end = header.next_offset();
            staged.push(Staged { batch, header });
        }
        self.write(now_ms, &staged)
    }

    /// Validates and places the batches; changes nothing.
    fn plan(
        &self,
        now_ms: i64,
        batches: Bytes,
        origin: AppendOrigin,
        leader_epoch: LeaderEpoch,
    ) -> Result<Plan, AppendError> {
        if origin == AppendOrigin::Client && BatchIter::new(batches.clone()).nth(1).is_some() {
            return Err(AppendError::SeveralBatches);
        }
        let mut next = self.end;
        let mut staged = Vec::new();
        for batch in BatchIter::new(batches) {
            let batch = self.validated(now_ms, batch.map_err(refused)?, origin)?;
            let mut header = *batch.header();
            if header.has_producer_id()
                && let Verdict::Duplicate(original) = self.judge(&header, origin)?
            {
                return Ok(Plan::Duplicate(original));
            }
            header.base_offset = next;
            header.partition_leader_epoch = leader_epoch.0;
            next = header.next_offset();
            staged.push(Staged { batch, header });
        }
        Ok(Plan::Write(staged))
    }

    /// Checks one batch as far as its origin asks, and stamps it when the topic says so.
    fn validated(
        &self,
        now_ms: i64,
        batch: Batch,
        origin: AppendOrigin,
    ) -> Result<Batch, AppendError> {
        let config = &self.config;
        if origin == AppendOrigin::Raft {
            return if batch.header().last_offset_delta < 0 {
                Err(refused(BatchError::InvalidBatch("negative last offset")))
            } else {
                Ok(batch)
            };
        }
        let mut max_timestamp = batch.header().max_timestamp;
        let bytes = batch.bytes().len() as u64;
        if bytes > u64::from(config.max_message_bytes) {
            return Err(AppendError::BatchTooLarge { bytes, max: config.max_message_bytes });
        }
        if origin == AppendOrigin::Client {
            if batch.header().attributes.is_control() {
                return Err(AppendError::ControlBatch);
            }
            let rules = self.rules(now_ms);
            max_timestamp = validate_produced(&batch, &rules)
                .map_err(|error| timestamp_refused(error, &rules))?
                .max_timestamp;
            if batch.header().attributes.is_transactional() {
                return Err(AppendError::Transactional);
            }
        }
        match config.timestamp_type {
            TimestampType::LogAppendTime => {
                Ok(batch.with_timestamps(TimestampType::LogAppendTime, now_ms))
            }
            TimestampType::CreateTime if max_timestamp != batch.header().max_timestamp => {
                Ok(batch.with_timestamps(TimestampType::CreateTime, max_timestamp))
            }
            TimestampType::CreateTime => Ok(batch),
        }
    }

    fn rules(&self, now_ms: i64) -> ProduceRules {
        let config = &self.config;
        ProduceRules {
            timestamp_type: config.timestamp_type,
            timestamp_min: now_ms.saturating_sub(config.timestamp_before_max_ms),
            timestamp_max: now_ms.saturating_add(config.timestamp_after_max_ms),
            key_required: config.cleanup.compact,
            decompressed_bytes_max: config.decompressed_bytes_max,
            strict: config.strict_validation,
        }
    }

    /// Judges a producer's batch against what is in the log.
    fn judge(&self, header: &BatchHeader, origin: AppendOrigin) -> Result<Verdict, AppendError> {
        if origin == AppendOrigin::Client {
            return self.producers.judge(header);
        }
        self.producers.judge_epoch(header)?;
        Ok(Verdict::Next)
    }

    /// Writes placed batches in one call and takes note of them.
    fn write(&mut self, now_ms: i64, staged: &[Staged]) -> Result<Appended, AppendError> {
        let (Some(first), Some(last)) = (staged.first(), staged.last()) else {
            return Err(AppendError::Empty);
        };
        let bytes: u64 = staged.iter().map(|staged| staged.batch.bytes().len() as u64).sum();
        let segment_bytes = self.config.segment_bytes;
        if bytes > u64::from(segment_bytes) {
            return Err(AppendError::AppendTooLarge { bytes, max: segment_bytes });
        }
        let max_timestamp =
            staged.iter().map(|staged| staged.header.max_timestamp).max().unwrap_or(NO_TIMESTAMP);
        if self
            .must_roll(now_ms, bytes, max_timestamp, last.header.last_offset())
            .map_err(|error| self.failed(error))?
        {
            self.roll_to(now_ms, first.header.base_offset).map_err(|error| self.failed(error))?;
        }
        let position = self.segments.active().map_or(0, |segment| segment.size);
        self.write_bytes(staged, position)?;
        self.noted(now_ms, staged, position);
        let log_append_time_ms = match self.config.timestamp_type {
            TimestampType::LogAppendTime => now_ms,
            TimestampType::CreateTime => NO_TIMESTAMP,
        };
        Ok(Appended {
            first_offset: Offset(first.header.base_offset),
            last_offset: Offset(last.header.last_offset()),
            log_append_time_ms,
            log_start_offset: self.log_start_offset(),
            duplicate: false,
            flush_due: self.unflushed() >= self.config.flush_messages,
        })
    }

    /// One vectored write of fresh heads and the batches' own bytes. After an error the file is cut
    /// back, so that nothing of the call is in the log.
    fn write_bytes(&mut self, staged: &[Staged], position: u64) -> Result<(), AppendError> {
        let heads: Vec<[u8; FRESH_HEAD_BYTES]> = staged
            .iter()
            .map(|staged| {
                let header = &staged.header;
                header.fresh_head(header.base_offset, header.partition_leader_epoch)
            })
            .collect();
        let mut pieces = Vec::with_capacity(staged.len() * 2);
        for (head, staged) in heads.iter().zip(staged) {
            pieces.push(IoSlice::new(head));
            let rest = staged.batch.bytes().get(FRESH_HEAD_BYTES..).unwrap_or_default();
            pieces.push(IoSlice::new(rest));
        }
        let active = self.segments.len().saturating_sub(1);
        let file = self.segments.file(active).map_err(|error| self.failed(error))?;
        if let Err(error) = file.write_all_at(&pieces, position) {
            if file.truncate(position).is_err() {
                self.poisoned = true;
            }
            return Err(self.failed(error));
        }
        Ok(())
    }

    /// Takes note of batches that are in the file from `position` on.
    fn noted(&mut self, now_ms: i64, staged: &[Staged], mut position: u64) {
        for Staged { header, batch } in staged {
            let found = Found { position, header: *header };
            position = found.end();
            self.note_in_active(&found);
            let epoch = LeaderEpoch(header.partition_leader_epoch);
            self.epoch_changes.mark_if(self.epochs.assign(epoch, Offset(header.base_offset)));
            let max = self.config.producers_max;
            self.producers.note(now_ms, header, max, || Ok(batch.bytes().clone())).ok();
            self.end = header.next_offset();
        }
        self.touched = true;
        self.unflushed_since_ms.get_or_insert(now_ms);
        self.spill_if_wanted();
    }

    fn note_in_active(&mut self, found: &Found) {
        let interval_bytes = self.config.index_interval_bytes;
        let Some(segment) = self.segments.active_mut() else { return };
        if segment.size == 0 {
            segment.first_timestamp = Some(found.header.max_timestamp);
        }
        let base = segment.base;
        if let Some(indexes) = segment.indexes.get_mut() {
            indexes.note(base, found, interval_bytes);
        }
        segment.size = found.end();
    }

    /// Writes the active segment's index entries out when enough have gathered. The records are
    /// in the log whatever comes of it: entries that a full disk refuses wait for the next time.
    fn spill_if_wanted(&mut self) {
        let Some(segment) = self.segments.active_mut() else { return };
        let base = segment.base;
        let Some(mut indexes) = segment.indexes.take() else { return };
        let mut result = Ok(());
        if indexes.offsets.wants_spill() || indexes.times.wants_spill() {
            result = self.segments.write_indexes(base, &mut indexes);
        }
        if let Some(segment) = self.segments.active_mut() {
            segment.indexes = indexes.into();
        }
        if result.is_err_and(|error| !error.heals()) {
            self.poisoned = true;
        }
    }

    /// Reserves space for `ahead` bytes behind the log's end, when less than half of it is left:
    /// they can then be appended though the disk be full. Does what can be done.
    pub fn reserve(&mut self, ahead: u64) {
        let at = self.segments.len().saturating_sub(1);
        let Some(segment) = self.segments.get(at).filter(|_| !self.poisoned) else { return };
        let (base, size) = (segment.base, segment.size);
        let left = match self.reserved {
            (of, upto) if of == base => upto.saturating_sub(size),
            _ => 0,
        };
        if left > ahead / 2 {
            return;
        }
        let upto = size.saturating_add(ahead);
        if self.segments.file(at).is_ok_and(|file| file.preallocate(upto).is_ok()) {
            self.reserved = (base, upto);
        }
    }

    /// Why nothing may be appended any more.
    fn closed(&self) -> AppendError {
        self.quarantine.map_or(AppendError::Poisoned, AppendError::Quarantined)
    }

    /// What a disk error means for an append; a disk that is broken closes the log.
    pub(super) fn failed(&mut self, error: DiskError) -> AppendError {
        if error.heals() {
            return AppendError::DiskFull(error);
        }
        self.poisoned = true;
        AppendError::Disk(error)
    }

    /// Records that no flush has begun on.
    pub(super) fn unflushed(&self) -> i64 {
        self.end.saturating_sub(self.flush_begun.max(self.recovery_point))
    }
}

/// Sorts what is wrong with a batch by the error code it gets.
pub(super) fn refused(error: BatchError) -> AppendError {
    match error {
        BatchError::UnsupportedMagic(magic @ 0..=1) => AppendError::UnsupportedFormat { magic },
        BatchError::InvalidBatch(_) | BatchError::InvalidRecord { .. } => {
            AppendError::InvalidRecord(error)
        }
        _ => AppendError::Corrupt(error),
    }
}

fn timestamp_refused(error: BatchError, rules: &ProduceRules) -> AppendError {
    match error {
        BatchError::InvalidTimestamp { timestamp, .. } => AppendError::TimestampOutOfRange {
            timestamp,
            min: rules.timestamp_min,
            max: rules.timestamp_max,
        },
        other => refused(other),
    }
}
