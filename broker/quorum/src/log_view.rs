//! What the quorum knows of its log without holding it: where it begins and ends, what of it is
//! durable, which epochs and voters it tells of.

use std::collections::VecDeque;

use wire::ids::{LeaderEpoch, Offset};

use crate::SnapshotId;
use crate::epochs::Epochs;
use crate::voter_history::VoterHistory;

/// Appended, not committed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) end: Offset,
    pub(crate) bytes: u64,
    pub(crate) at_ms: i64,
}

/// A flush under way.
#[derive(Debug, Clone, Copy)]
struct Flushing {
    upto: Offset,
    /// How much of that the log still held when it was cut meanwhile.
    valid: Offset,
}

/// The log as the quorum sees it.
#[derive(Debug, Clone)]
pub(crate) struct LogView {
    start: Offset,
    end: Offset,
    durable: Offset,
    flushing: Option<Flushing>,
    epochs: Epochs,
    pub(crate) voters: VoterHistory,
    pending: VecDeque<Pending>,
    pending_bytes: u64,
}

/// What a follower's position says about its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// It is a prefix of this log.
    Prefix,
    /// It is not; its last epoch, or the one before it, ends here.
    Diverging(LeaderEpoch, Offset),
    /// It ends before this log begins.
    BeforeStart,
}

impl LogView {
    /// A log as loaded. Only what a snapshot contains is known to be durable: a process may have
    /// died between an append and its flush.
    pub(crate) fn new(
        start: Offset,
        end: Offset,
        durable: Offset,
        epochs: Epochs,
        voters: VoterHistory,
    ) -> Self {
        Self {
            start,
            end,
            durable,
            flushing: None,
            epochs,
            voters,
            pending: VecDeque::new(),
            pending_bytes: 0,
        }
    }

    pub(crate) fn start(&self) -> Offset {
        self.start
    }

    pub(crate) fn end(&self) -> Offset {
        self.end
    }

    /// Everything below is on disk.
    pub(crate) fn durable(&self) -> Offset {
        self.durable
    }

    pub(crate) fn pending_bytes(&self) -> u64 {
        self.pending_bytes
    }

    pub(crate) fn last_epoch(&self) -> LeaderEpoch {
        self.epochs.last()
    }

    /// The snapshot that would stand for everything below `end`.
    pub(crate) fn snapshot_at(&self, end: Offset) -> SnapshotId {
        SnapshotId { end_offset: end, epoch: self.epochs.at(end.plus(-1)) }
    }

    pub(crate) fn append(&mut self, count: i64, bytes: u64, epoch: LeaderEpoch, at_ms: i64) {
        self.epochs.note(epoch, self.end);
        self.end = self.end.plus(count);
        self.pending.push_back(Pending { end: self.end, bytes, at_ms });
        self.pending_bytes = self.pending_bytes.saturating_add(bytes);
    }

    /// Takes out what is committed with everything below `upto`.
    pub(crate) fn pop_committed(&mut self, upto: Offset) -> Option<Pending> {
        let batch = self.pending.pop_front_if(|batch| batch.end <= upto)?;
        self.pending_bytes = self.pending_bytes.saturating_sub(batch.bytes);
        Some(batch)
    }

    pub(crate) fn truncate(&mut self, end: Offset) {
        self.end = end;
        self.durable = self.durable.min(end);
        if let Some(flushing) = &mut self.flushing {
            flushing.valid = flushing.valid.min(end);
        }
        self.epochs.truncate(end);
        self.voters.truncate(end);
        while let Some(batch) = self.pending.pop_back_if(|batch| batch.end > end) {
            self.pending_bytes = self.pending_bytes.saturating_sub(batch.bytes);
        }
    }

    /// The log begins where this snapshot ends.
    pub(crate) fn trim(&mut self, base: SnapshotId) {
        self.start = base.end_offset;
        self.epochs.trim(base);
        self.voters.trim(base.end_offset);
    }

    /// The log is empty and begins where this snapshot ends, once that is installed.
    pub(crate) fn restart(&mut self, base: SnapshotId, voters: VoterHistory) {
        self.start = base.end_offset;
        self.end = base.end_offset;
        self.durable = Offset(0);
        if let Some(flushing) = &mut self.flushing {
            flushing.valid = Offset(0);
        }
        self.epochs = Epochs::after(base);
        self.voters = voters;
        self.pending.clear();
        self.pending_bytes = 0;
    }

    /// The snapshot at the log's start is on disk.
    pub(crate) fn installed(&mut self) {
        self.durable = self.durable.max(self.start);
    }

    /// One flush at a time: what is appended meanwhile shares the next one.
    pub(crate) fn begin_flush(&mut self) -> Option<Offset> {
        if self.flushing.is_some() || self.durable >= self.end {
            return None;
        }
        self.flushing = Some(Flushing { upto: self.end, valid: self.end });
        Some(self.end)
    }

    /// What the flush under way will have made durable.
    #[cfg(test)]
    pub(crate) fn flushing(&self) -> Option<(Offset, Offset)> {
        self.flushing.map(|flushing| (flushing.upto, flushing.valid))
    }

    /// A flush has ended; `false` when there was none.
    pub(crate) fn end_flush(&mut self, upto: Offset) -> bool {
        match self.flushing.take() {
            Some(flushing) if flushing.upto == upto => {
                self.durable = self.durable.max(flushing.valid);
                true
            }
            _ => false,
        }
    }

    /// Where a log that ends at `offset` with a record of `epoch` stands to this one.
    pub(crate) fn position(&self, offset: Offset, epoch: LeaderEpoch) -> Position {
        if offset == Offset(0) && self.start == Offset(0) {
            return Position::Prefix;
        }
        if let Some(base) = self.epochs.base() {
            let other_start = offset == self.start && epoch != base.epoch;
            if offset < self.start || other_start || epoch < base.epoch {
                return Position::BeforeStart;
            }
        }
        let (found, end) = self.epochs.end_of(epoch, self.end);
        if found != epoch || end < offset {
            Position::Diverging(found, end)
        } else {
            Position::Prefix
        }
    }

    /// Where to cut this log, given where its last epoch or an earlier one ends in the leader's.
    pub(crate) fn common_end(&self, epoch: LeaderEpoch, end: Offset) -> Offset {
        let (found, ours) = self.epochs.end_of(epoch, self.end);
        if found == epoch { ours.min(end) } else { ours }
    }
}
