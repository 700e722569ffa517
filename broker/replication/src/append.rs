//! Appending to a partition, and making what was appended durable.

use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use storage::log::{AppendOrigin, FlushScope};
use wire::ids::{LeaderEpoch, Offset};

use crate::error::Error;
use crate::partition::Partition;

/// What a producer wants to know before it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Nothing (acks=0).
    None,
    /// That the leader has it (acks=1).
    Leader,
    /// That every in-sync replica has it (acks=-1), of which there must be enough.
    All,
}

/// Batches that are in the log, now or since the first time they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Produced {
    /// The offset of the first record.
    pub first_offset: Offset,
    /// The offset of the last record.
    pub last_offset: Offset,
    /// The time the log put on the records, -1 when the producer's was kept.
    pub log_append_time_ms: i64,
    /// The first offset there is.
    pub log_start_offset: Offset,
    /// These batches were there already; the offsets are those of the first time.
    pub duplicate: bool,
    /// `flush.messages` was crossed: [`Partition::flush`] up to [`Self::required`] comes before
    /// any acknowledgement.
    pub must_flush: bool,
    /// The high watermark has passed the last record: acks=all may be answered (after a flush,
    /// if one is due).
    pub committed: bool,
}

impl Produced {
    /// The high watermark at which the last record is committed.
    #[must_use]
    pub fn required(&self) -> Offset {
        self.last_offset.plus(1)
    }
}

/// An append at the disk, until it is dropped.
struct Turn<'a>(&'a AtomicU64);

impl<'a> Turn<'a> {
    fn begin(turns: &'a AtomicU64) -> Self {
        turns.fetch_add(1, Ordering::Relaxed);
        Self(turns)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Partition {
    /// The append that is at the disk now, if one is, by a number that no other has.
    #[must_use]
    pub fn append_under_way(&self) -> Option<u64> {
        let turn = self.turns.load(Ordering::Relaxed);
        (turn % 2 == 1).then_some(turn)
    }

    /// Appends a client's batches. A refused append changes nothing.
    ///
    /// # Errors
    /// Why nothing was appended. When there is an [`Error::disk_error`] that does not heal, the
    /// caller has to take the log directory offline.
    pub fn append(
        &self,
        now_ms: i64,
        batches: Bytes,
        acks: Acks,
        current_leader_epoch: LeaderEpoch,
    ) -> Result<Produced, Error> {
        let batches = self.in_the_topics_codec(batches)?;
        let bytes = batches.len();
        let origin = AppendOrigin::Client;
        let done = self.append_from(now_ms, batches, acks, current_leader_epoch, origin);
        self.traffic.appended(bytes, &done);
        done
    }

    /// Converts to the topic's `compression.type`, without the lock.
    fn in_the_topics_codec(&self, batches: Bytes) -> Result<Bytes, Error> {
        if !self.converts.load(Ordering::Relaxed) {
            return Ok(batches);
        }
        let config = Arc::clone(self.lock().log().config());
        Ok(storage::log::converted(&config, batches)?)
    }

    /// Appends a coordinator's own batches, with the guarantees of acks=all.
    ///
    /// # Errors
    /// As for [`Self::append`].
    pub fn append_as_coordinator(&self, now_ms: i64, batches: Bytes) -> Result<Produced, Error> {
        let any = LeaderEpoch::UNKNOWN;
        let bytes = batches.len();
        let origin = AppendOrigin::Coordinator;
        let done = self.append_from(now_ms, batches, Acks::All, any, origin);
        self.traffic.appended(bytes, &done);
        done
    }

    fn append_from(
        &self,
        now_ms: i64,
        batches: Bytes,
        acks: Acks,
        current_leader_epoch: LeaderEpoch,
        origin: AppendOrigin,
    ) -> Result<Produced, Error> {
        self.check_leading()?;
        let bytes = i64::try_from(batches.len()).unwrap_or(i64::MAX);
        let (appended, must_flush, moved) = {
            let mut leader = self.lock_to_change()?;
            // Again, now that it cannot change any more.
            self.check_leading()?;
            leader.check_epoch(current_leader_epoch)?;
            if acks == Acks::All {
                leader.check_in_sync()?;
            }
            let epoch = leader.epoch();
            let _turn = Turn::begin(&self.turns);
            let appended = leader.log_mut().append(now_ms, batches, origin, epoch)?;
            if !appended.duplicate {
                leader.appended(bytes, appended.flush_due);
            }
            // A duplicate may come while the flush of the first time is still under way.
            let awaits = appended.duplicate && leader.awaits_flush();
            (appended, appended.flush_due || awaits, leader.advance(self.high_watermark()))
        };
        self.publish(moved);
        let produced = Produced {
            first_offset: appended.first_offset,
            last_offset: appended.last_offset,
            log_append_time_ms: appended.log_append_time_ms,
            log_start_offset: appended.log_start_offset,
            duplicate: appended.duplicate,
            must_flush,
            committed: false,
        };
        let committed = self.high_watermark() >= produced.required();
        Ok(Produced { committed, ..produced })
    }

    /// Makes everything below `upto` durable: one fsync serves all who wait for one meanwhile.
    /// Blocks for the time of up to two fsyncs; belongs on a blocking thread.
    ///
    /// # Errors
    /// The fsync failed: nothing of it may be acknowledged, and the directory must go offline.
    pub fn flush(&self, upto: Offset) -> Result<(), Error> {
        // Whoever waits here finds, more often than not, that the flush before was enough.
        let _one = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_serving()?;
        if self.lock().durable_upto() >= upto {
            return Ok(());
        }
        self.flush_once(FlushScope::All)
    }

    fn flush_once(&self, scope: FlushScope) -> Result<(), Error> {
        let job = self.lock_to_change()?.log_mut().begin_flush(scope);
        let done = job.run();
        let moved = {
            let mut leader = self.lock_to_change()?;
            let upto = leader.log_mut().finish_flush(done)?;
            leader.flushed(upto);
            leader.advance(self.high_watermark())
        };
        self.publish(moved);
        Ok(())
    }

    /// Flushes if `flush.ms` has passed for the oldest unflushed record, or the segments that a
    /// roll has closed. As [`Self::flush`].
    ///
    /// # Errors
    /// As for [`Self::flush`].
    pub fn flush_if_due(&self, now_ms: i64) -> Result<bool, Error> {
        let due = self.lock().log().flush_due(now_ms);
        match due {
            Some(FlushScope::All) => self.flush(self.log_end_offset())?,
            Some(FlushScope::Closed) => {
                let _one = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
                self.flush_once(FlushScope::Closed)?;
            }
            None => return Ok(false),
        }
        Ok(true)
    }
}
