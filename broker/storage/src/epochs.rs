//! The leader epochs of a log: which epoch began at which offset. Kept in memory, written to
//! `leader-epoch-checkpoint` before the recovery point may pass what it says (a flush does it), so
//! that whatever a crash takes from it can be read again from the batches.

use wire::ids::{LeaderEpoch, Offset};

/// The epochs of one log, oldest first; both numbers grow from entry to entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderEpochs {
    entries: Vec<(LeaderEpoch, Offset)>,
}

impl LeaderEpochs {
    /// Takes entries as read from the checkpoint; those that do not grow are dropped.
    pub fn from_entries(entries: impl IntoIterator<Item = (LeaderEpoch, Offset)>) -> Self {
        let mut epochs = Self::default();
        for (epoch, start) in entries {
            epochs.assign(epoch, start);
        }
        epochs
    }

    /// The entries, oldest first.
    pub fn entries(&self) -> &[(LeaderEpoch, Offset)] {
        &self.entries
    }

    /// The newest epoch.
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|(epoch, _)| *epoch)
    }

    /// Notes that `epoch` begins at `start`; says whether that was news.
    /// Entries at or after `start` had no records and give way.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        if epoch.0 < 0 || self.latest().is_some_and(|latest| latest >= epoch) {
            return false;
        }
        self.entries.retain(|(_, begin)| *begin < start);
        self.entries.push((epoch, start));
        true
    }

    /// The epoch of the record at an offset.
    pub fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        let at = self.entries.partition_point(|(_, start)| *start <= offset);
        at.checked_sub(1).and_then(|at| self.entries.get(at)).map(|(epoch, _)| *epoch)
    }

    /// The largest epoch not above `epoch`, and the offset where it ends. None when `epoch` is
    /// newer than everything known, or nothing is known.
    pub fn end_offset(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<(LeaderEpoch, Offset)> {
        if self.latest() == Some(epoch) {
            return Some((epoch, log_end));
        }
        let next = self.entries.partition_point(|(known, _)| *known <= epoch);
        let (_, end) = self.entries.get(next)?;
        let floor = next.checked_sub(1).and_then(|at| self.entries.get(at));
        Some((floor.map_or(epoch, |(floor, _)| *floor), *end))
    }

    /// Forgets epochs that begin at or after `end`; says whether there were any.
    pub fn truncate_end(&mut self, end: Offset) -> bool {
        let kept = self.entries.partition_point(|(_, start)| *start < end);
        let changed = kept < self.entries.len();
        self.entries.truncate(kept);
        changed
    }

    /// Forgets what lies before `start`; the epoch that covers `start` then begins there.
    pub fn truncate_start(&mut self, start: Offset) -> bool {
        let covering = self.entries.partition_point(|(_, begin)| *begin <= start);
        let Some(floor) = covering.checked_sub(1) else { return false };
        if self.entries.get(floor).is_some_and(|(_, begin)| floor == 0 && *begin == start) {
            return false;
        }
        self.entries.drain(..floor);
        if let Some((_, begin)) = self.entries.first_mut() {
            *begin = start;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        LeaderEpochs::from_entries(entries.iter().map(|(e, s)| (LeaderEpoch(*e), Offset(*s))))
    }

    #[track_caller]
    fn check_end(entries: &[(i32, i64)], epoch: i32, expect: Option<(i32, i64)>) {
        let got = epochs(entries).end_offset(LeaderEpoch(epoch), Offset(100));
        assert_eq!(got.map(|(e, o)| (e.0, o.0)), expect);
    }

    #[test]
    fn end_of_an_epoch_is_the_start_of_the_next() {
        let known = [(2, 10), (4, 20), (7, 50)];
        check_end(&known, 7, Some((7, 100)));
        check_end(&known, 8, None);
        check_end(&known, 4, Some((4, 50)));
        check_end(&known, 5, Some((4, 50)));
        check_end(&known, 1, Some((1, 10)));
        check_end(&[], 1, None);
    }

    #[test]
    fn an_epoch_without_records_gives_way() {
        let mut known = epochs(&[(1, 0), (2, 10)]);
        assert!(known.assign(LeaderEpoch(3), Offset(10)));
        assert_eq!(known, epochs(&[(1, 0), (3, 10)]));
        assert!(!known.assign(LeaderEpoch(3), Offset(12)));
        assert!(!known.assign(LeaderEpoch(2), Offset(12)));
        assert!(!known.assign(LeaderEpoch(-1), Offset(12)));
    }

    #[test]
    fn truncation_at_both_ends() {
        let mut known = epochs(&[(1, 0), (2, 10), (3, 20)]);
        assert!(known.truncate_start(Offset(15)));
        assert_eq!(known, epochs(&[(2, 15), (3, 20)]));
        assert!(!known.truncate_start(Offset(15)));
        assert!(known.truncate_end(Offset(20)));
        assert_eq!(known, epochs(&[(2, 15)]));
        assert_eq!(known.epoch_of(Offset(14)), None);
        assert_eq!(known.epoch_of(Offset(99)), Some(LeaderEpoch(2)));
    }
}
