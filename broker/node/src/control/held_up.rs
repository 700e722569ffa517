//! Appends that the disk holds up: a broker whose disk hangs must not look alive, or its clients
//! would wait for it instead of being told that it is gone.

use std::collections::BTreeMap;

use quorum::Clock;
use wire::ids::{PartitionIndex, TopicId};

/// An append of one partition, by a number that no other of it has.
pub(crate) type Append = (TopicId, PartitionIndex, u64);

/// An append that takes longer than this stops the heartbeats.
const HELD_UP_MS: i64 = 5_000;
/// How often the partitions are looked at.
const LOOK_MS: i64 = 500;
/// The most that one event moves the clock: what a paused process missed, the disk did too.
const STEP_MS_MAX: i64 = 500;

/// Since when which appends are under way.
#[derive(Debug)]
pub(crate) struct HeldUp {
    clock: Clock,
    look_at: i64,
    since: BTreeMap<Append, i64>,
}

impl HeldUp {
    pub(crate) fn new() -> Self {
        Self { clock: Clock::capped(STEP_MS_MAX), look_at: 0, since: BTreeMap::new() }
    }

    /// Takes the time; whether to look now.
    pub(crate) fn is_due(&mut self, now_ms: i64) -> bool {
        self.clock.advance(now_ms);
        self.clock.now() >= self.look_at
    }

    /// Takes the appends that are under way.
    pub(crate) fn look(&mut self, under_way: impl Iterator<Item = Append>) {
        let now = self.clock.now();
        self.look_at = now.saturating_add(LOOK_MS);
        let since = |append| (append, self.since.get(&append).copied().unwrap_or(now));
        self.since = under_way.map(since).collect();
    }

    /// Whether the disk holds one up for too long.
    pub(crate) fn is_held_up(&self) -> bool {
        let now = self.clock.now();
        self.since.values().any(|since| now.saturating_sub(*since) > HELD_UP_MS)
    }
}

#[cfg(test)]
mod tests {
    use wire::ids::Uuid;

    use super::*;

    fn append(turn: u64) -> Append {
        (TopicId(Uuid([1; 16])), PartitionIndex(0), turn)
    }

    /// Looks as a control plane does, every 10 ms until `to`; whether it is held up then.
    fn look(held_up: &mut HeldUp, from: i64, to: i64, turn: impl Fn(i64) -> Option<u64>) -> bool {
        for now in (from..=to).step_by(10) {
            if held_up.is_due(now) {
                held_up.look(turn(now).map(append).into_iter());
            }
        }
        held_up.is_held_up()
    }

    #[test]
    fn one_long_append_is_noticed_and_many_short_ones_are_not() {
        let mut held_up = HeldUp::new();
        // A busy partition: another append at each look.
        assert!(!look(&mut held_up, 0, 20_000, |now| Some(now as u64 * 2 + 1)));
        assert!(!look(&mut held_up, 20_010, 25_000, |_| Some(7)));
        assert!(look(&mut held_up, 25_010, 26_100, |_| Some(7)));
        assert!(!look(&mut held_up, 26_110, 26_700, |_| None), "it is over");
    }

    #[test]
    fn a_jump_of_the_clock_holds_up_nothing() {
        let mut held_up = HeldUp::new();
        assert!(!look(&mut held_up, 0, 1_000, |_| Some(3)));
        assert!(!look(&mut held_up, 9_000_000, 9_001_000, |_| Some(3)));
    }
}
