//! How fast connections come, and how long the one that came too soon must wait.
//!
//! Kafka's arithmetic: the mean over `quota.window.num` windows of `quota.window.size.seconds`,
//! of which a young measurement fills up the missing ones with silence. So a burst passes until
//! the mean is above the limit, and then each connection waits, one window at most.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How long a rate looks back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Windows {
    /// `quota.window.num`
    pub(crate) count: u32,
    /// `quota.window.size.seconds`
    pub(crate) size: Duration,
}

/// Connections in each of the last windows.
#[derive(Debug)]
pub(crate) struct Rate {
    windows: Windows,
    /// When each window began and what came in it, the oldest first.
    seen: VecDeque<(Instant, u64)>,
}

impl Rate {
    pub(crate) fn new(windows: Windows) -> Self {
        Self { windows, seen: VecDeque::new() }
    }

    /// Counts a connection and says how long it must wait when `max` may come in a second.
    pub(crate) fn record(&mut self, now: Instant, max: u32) -> Duration {
        let Windows { count, size } = self.windows;
        while self.seen.front().is_some_and(|(began, _)| now.duration_since(*began) >= size * count)
        {
            self.seen.pop_front();
        }
        match self.seen.back_mut() {
            Some((began, seen)) if now.duration_since(*began) < size => *seen += 1,
            _ => self.seen.push_back((now, 1)),
        }
        if max == u32::MAX {
            return Duration::ZERO;
        }
        let total: u64 = self.seen.iter().map(|(_, seen)| seen).sum();
        let elapsed = self.elapsed(now);
        let total = Duration::from_secs(total);
        // As long as the mean would take to fall to the limit.
        match total.checked_div(max) {
            Some(due) => whole_ms(due.saturating_sub(elapsed)).min(size),
            None => size,
        }
    }

    /// The time over which the mean is taken.
    fn elapsed(&self, now: Instant) -> Duration {
        let Windows { count, size } = self.windows;
        let elapsed = self.seen.front().map_or(Duration::ZERO, |(began, _)| now - *began);
        let whole = elapsed.as_nanos().checked_div(size.as_nanos()).unwrap_or_default();
        let whole = u32::try_from(whole).unwrap_or(u32::MAX);
        elapsed + size * count.saturating_sub(1).saturating_sub(whole)
    }
}

/// Rounded: who would wait for less than half a millisecond does not.
fn whole_ms(time: Duration) -> Duration {
    let rounded = time.saturating_add(Duration::from_micros(500)).as_millis();
    Duration::from_millis(u64::try_from(rounded).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: Windows = Windows { count: 11, size: Duration::from_secs(1) };

    /// How long each of some connections waits that come one after the other at once.
    fn waits(rate: &mut Rate, now: Instant, max: u32, count: usize) -> Vec<u128> {
        (0..count).map(|_| rate.record(now, max).as_millis()).collect()
    }

    #[test]
    fn a_burst_passes_and_then_each_one_waits() {
        let (mut rate, now) = (Rate::new(WINDOWS), Instant::now());
        // Ten windows of silence stand before the first one.
        assert_eq!(waits(&mut rate, now, 2, 20), vec![0; 20]);
        assert_eq!(waits(&mut rate, now, 2, 3), vec![500, 1000, 1000]);
        // The mean falls with time, and in the end all is forgotten.
        let later = now + Duration::from_secs(10);
        assert_eq!(waits(&mut rate, later, 4, 1), vec![0]);
        assert_eq!(waits(&mut rate, later, 2, 1), vec![1000]);
        let long_after = now + Duration::from_secs(21);
        assert_eq!(waits(&mut rate, long_after, 2, 20), vec![0; 20]);
    }

    #[test]
    fn no_limit_never_waits_and_none_at_all_waits_always() {
        let (mut rate, now) = (Rate::new(WINDOWS), Instant::now());
        assert_eq!(waits(&mut rate, now, u32::MAX, 1000), vec![0; 1000]);
        assert_eq!(waits(&mut rate, now, 0, 1), vec![1000]);
        // What came before the limit counts.
        assert_eq!(waits(&mut rate, now, 50, 1), vec![1000]);
    }
}
