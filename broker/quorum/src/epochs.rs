//! Which epoch wrote which part of the log: where two logs part is found by it.

use wire::ids::{LeaderEpoch, Offset};

use crate::SnapshotId;

/// The first offset of each epoch in the log, ascending in both.
#[derive(Debug, Clone, Default)]
pub(crate) struct Epochs {
    /// What came before the log: the snapshot at its start.
    base: Option<SnapshotId>,
    starts: Vec<(LeaderEpoch, Offset)>,
}

impl Epochs {
    /// A log that begins where a snapshot ends.
    pub(crate) fn after(base: SnapshotId) -> Self {
        Self { base: Some(base), starts: Vec::new() }
    }

    /// A batch of `epoch` begins at `offset`.
    pub(crate) fn note(&mut self, epoch: LeaderEpoch, offset: Offset) {
        if self.starts.last().is_none_or(|(last, _)| *last < epoch) {
            self.starts.push((epoch, offset));
        }
    }

    /// The epoch of the last record.
    pub(crate) fn last(&self) -> LeaderEpoch {
        let base = self.base.map_or(LeaderEpoch(0), |base| base.epoch);
        self.starts.last().map_or(base, |(epoch, _)| *epoch)
    }

    /// The epoch of the record at `offset`.
    pub(crate) fn at(&self, offset: Offset) -> LeaderEpoch {
        let base = self.base.map_or(LeaderEpoch(0), |base| base.epoch);
        let before = |(_, start): &&(LeaderEpoch, Offset)| *start <= offset;
        self.starts.iter().rev().find(before).map_or(base, |(epoch, _)| *epoch)
    }

    /// The largest epoch not above `epoch`, and where it ends in a log that ends at `log_end`.
    pub(crate) fn end_of(&self, epoch: LeaderEpoch, log_end: Offset) -> (LeaderEpoch, Offset) {
        let after = self.starts.iter().find(|(other, _)| *other > epoch);
        let end = after.map_or(log_end, |(_, start)| *start);
        let base = self.base.map_or((LeaderEpoch(0), Offset(0)), |b| (b.epoch, b.end_offset));
        match self.starts.iter().rev().find(|(other, _)| *other <= epoch) {
            Some((found, _)) => (*found, end),
            None if base.0 <= epoch => (base.0, end),
            None => (LeaderEpoch(0), Offset(0)),
        }
    }

    /// The log now ends at `end`.
    pub(crate) fn truncate(&mut self, end: Offset) {
        self.starts.retain(|(_, start)| *start < end);
    }

    /// The log now begins where this snapshot ends.
    pub(crate) fn trim(&mut self, base: SnapshotId) {
        let at = self.at(base.end_offset);
        let continues = self.starts.iter().any(|(_, start)| *start <= base.end_offset);
        self.starts.retain(|(_, start)| *start > base.end_offset);
        if continues && at > base.epoch {
            self.starts.insert(0, (at, base.end_offset));
        }
        self.base = Some(base);
    }

    /// The snapshot at the log's start.
    pub(crate) fn base(&self) -> Option<SnapshotId> {
        self.base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(starts: &[(i32, i64)]) -> Epochs {
        let mut epochs = Epochs::default();
        starts.iter().for_each(|(epoch, start)| epochs.note(LeaderEpoch(*epoch), Offset(*start)));
        epochs
    }

    #[test]
    fn the_end_of_an_epoch_is_the_start_of_the_next() {
        let epochs = epochs(&[(1, 0), (1, 3), (3, 5), (4, 9)]);
        let end = |epoch| {
            let (epoch, end) = epochs.end_of(LeaderEpoch(epoch), Offset(12));
            (epoch.0, end.0)
        };
        assert_eq!([end(0), end(1), end(2)], [(0, 0), (1, 5), (1, 5)]);
        assert_eq!([end(3), end(4), end(7)], [(3, 9), (4, 12), (4, 12)]);
        assert_eq!([epochs.at(Offset(4)), epochs.at(Offset(5))], [LeaderEpoch(1), LeaderEpoch(3)]);
    }

    #[test]
    fn truncation_and_trimming_keep_the_rest() {
        let mut epochs = epochs(&[(1, 0), (3, 5), (4, 9)]);
        epochs.truncate(Offset(9));
        assert_eq!(epochs.last(), LeaderEpoch(3));
        epochs.trim(SnapshotId { end_offset: Offset(5), epoch: LeaderEpoch(1) });
        assert_eq!(epochs.at(Offset(5)), LeaderEpoch(3));
        assert_eq!(epochs.end_of(LeaderEpoch(1), Offset(8)), (LeaderEpoch(1), Offset(5)));
        epochs.trim(SnapshotId { end_offset: Offset(8), epoch: LeaderEpoch(3) });
        assert_eq!(epochs.last(), LeaderEpoch(3));
        assert_eq!(epochs.end_of(LeaderEpoch(3), Offset(8)), (LeaderEpoch(3), Offset(8)));
    }
}
