//! The leader's state under the partition's lock: the log, the epoch, the in-sync set, and
//! whether the high watermark has to wait for a flush.

use std::collections::BTreeMap;

use storage::log::Log;
use wire::ids::{BrokerId, LeaderEpoch, Offset};

use crate::error::Error;
use crate::high_watermark::Isr;
use crate::partition::{Advance, Leadership};

/// A leader's log and what it knows of its followers.
#[derive(Debug)]
pub(crate) struct Leader {
    log: Log,
    broker: BrokerId,
    epoch: LeaderEpoch,
    isr: Isr,
    min_insync_replicas: usize,
    /// Where each follower's log is known to end. No followers yet.
    follower_ends: BTreeMap<BrokerId, Offset>,
    /// An append that ended here crossed `flush.messages`: nothing more becomes readable, and so
    /// nothing is acknowledged with acks=all, before a flush has got so far.
    flush_pending: Option<Offset>,
    /// Everything below is known to be on the disk.
    durable_upto: Offset,
    /// Bytes appended and not readable yet.
    bytes_hidden: i64,
}

impl Leader {
    pub(crate) fn new(log: Log, leadership: Leadership) -> Self {
        Self {
            durable_upto: log.recovery_point(),
            log,
            broker: leadership.broker,
            epoch: leadership.epoch,
            isr: Isr::committed(leadership.isr),
            min_insync_replicas: leadership.min_insync_replicas,
            follower_ends: BTreeMap::new(),
            flush_pending: None,
            bytes_hidden: 0,
        }
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    pub(crate) fn log_mut(&mut self) -> &mut Log {
        &mut self.log
    }

    pub(crate) fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    pub(crate) fn start_offset(&self) -> Offset {
        self.log.log_start_offset()
    }

    pub(crate) fn end_offset(&self) -> Offset {
        self.log.end_offset()
    }

    /// Takes over a new epoch or in-sync set. An older epoch than ours is stale news.
    pub(crate) fn lead(&mut self, leadership: Leadership, current: Offset) -> Option<Advance> {
        if leadership.epoch < self.epoch {
            return None;
        }
        self.broker = leadership.broker;
        self.epoch = leadership.epoch;
        self.isr.commit(leadership.isr);
        self.min_insync_replicas = leadership.min_insync_replicas;
        self.advance(current)
    }

    /// The caller's leader epoch must be ours; -1 is not checked.
    pub(crate) fn check_epoch(&self, got: LeaderEpoch) -> Result<(), Error> {
        let current = self.epoch;
        if got == LeaderEpoch::UNKNOWN || got == current {
            Ok(())
        } else if got < current {
            Err(Error::FencedEpoch { got, current })
        } else {
            Err(Error::UnknownEpoch { got, current })
        }
    }

    /// acks=all needs `min.insync.replicas` committed in-sync replicas.
    pub(crate) fn check_in_sync(&self) -> Result<(), Error> {
        let in_sync = self.isr.committed_replicas().len();
        let required = self.min_insync_replicas;
        if in_sync < required {
            return Err(Error::NotEnoughReplicas { in_sync, required });
        }
        Ok(())
    }

    /// `bytes` were appended; `must_flush` when that crossed `flush.messages`.
    pub(crate) fn appended(&mut self, bytes: i64, must_flush: bool) {
        self.bytes_hidden = self.bytes_hidden.saturating_add(bytes);
        if must_flush {
            self.flush_pending = Some(self.log.end_offset());
        }
    }

    /// Everything below `upto` is on the disk.
    pub(crate) fn flushed(&mut self, upto: Offset) {
        self.durable_upto = self.durable_upto.max(upto);
        if self.flush_pending.is_some_and(|pending| pending <= upto) {
            self.flush_pending = None;
        }
    }

    /// Whether something appended must not be acknowledged before a flush.
    pub(crate) fn awaits_flush(&self) -> bool {
        self.flush_pending.is_some()
    }

    /// Everything below is known to be on the disk.
    pub(crate) fn durable_upto(&self) -> Offset {
        self.durable_upto
    }

    /// Moves the high watermark from `current` as far as it may go.
    pub(crate) fn advance(&mut self, current: Offset) -> Option<Advance> {
        if self.awaits_flush() {
            return None;
        }
        let end = self.log.end_offset();
        let to = self.isr.high_watermark(current, self.broker, end, &self.follower_ends);
        if to <= current {
            return None;
        }
        let bytes = std::mem::take(&mut self.bytes_hidden);
        Some(Advance { to, bytes })
    }
}
