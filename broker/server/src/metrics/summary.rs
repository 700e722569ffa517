//! Durations as Kafka's metrics show them: a count, a sum, and quantiles of the last minutes.
//!
//! Observing adds to three counters and takes no lock. Quantiles come from buckets a quarter of a
//! power of two wide, over the window under way and the one before it, so that old times fade.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Buckets for each power of two.
const STEPS: usize = 4;
/// Up to 2^29 microseconds, nine minutes; what takes longer is in the last bucket.
const BUCKETS: usize = 28 * STEPS;

/// The quantiles that Kafka's own histograms show.
pub(crate) const QUANTILES: [(f64, &str); 6] = [
    (0.5, "0.50"),
    (0.75, "0.75"),
    (0.95, "0.95"),
    (0.98, "0.98"),
    (0.99, "0.99"),
    (0.999, "0.999"),
];

/// The durations of one thing.
#[derive(Debug)]
pub(crate) struct Summary {
    sum_micros: AtomicU64,
    windows: [[AtomicU32; BUCKETS]; 2],
    /// Which window is under way.
    current: AtomicUsize,
}

impl Default for Summary {
    fn default() -> Self {
        Self {
            sum_micros: AtomicU64::new(0),
            windows: [const { [const { AtomicU32::new(0) }; BUCKETS] }; 2],
            current: AtomicUsize::new(0),
        }
    }
}

impl Summary {
    pub(crate) fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
        let window = self.windows.get(self.current.load(Ordering::Relaxed) % 2);
        if let Some(bucket) = window.and_then(|window| window.get(bucket_of(micros))) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Begins a new window and forgets the one before the last. Called by one timer.
    pub(crate) fn turn(&self) {
        let next = (self.current.load(Ordering::Relaxed) + 1) % 2;
        for bucket in self.windows.get(next).into_iter().flatten() {
            bucket.store(0, Ordering::Relaxed);
        }
        self.current.store(next, Ordering::Relaxed);
    }

    /// The sum of all durations ever, in milliseconds.
    pub(crate) fn sum_ms(&self) -> f64 {
        self.sum_micros.load(Ordering::Relaxed) as f64 / 1000.0
    }

    /// [`QUANTILES`] of the last two windows in milliseconds; `None` when there was nothing.
    pub(crate) fn quantiles_ms(&self) -> Option<[f64; QUANTILES.len()]> {
        let [first, second] = &self.windows;
        let counts: Vec<u64> = first
            .iter()
            .zip(second)
            .map(|(a, b)| {
                u64::from(a.load(Ordering::Relaxed)) + u64::from(b.load(Ordering::Relaxed))
            })
            .collect();
        let total: u64 = counts.iter().sum();
        (total > 0).then(|| QUANTILES.map(|(quantile, _)| at(&counts, quantile * total as f64)))
    }
}

/// The duration, in milliseconds, that `rank` of the counted ones do not exceed.
fn at(counts: &[u64], rank: f64) -> f64 {
    let mut below = 0.0;
    let mut last = 0;
    for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let count = *count as f64;
        if below + count >= rank {
            let (low, width) = bounds(index);
            return (low as f64 + width as f64 * ((rank - below) / count)) / 1000.0;
        }
        below += count;
        last = index;
    }
    bounds(last).0 as f64 / 1000.0
}

fn bucket_of(micros: u64) -> usize {
    if micros < STEPS as u64 {
        return usize::try_from(micros).unwrap_or(0);
    }
    let power = micros.ilog2() as usize;
    let step = usize::try_from(micros >> (power - 2)).unwrap_or(0) % STEPS;
    ((power - 1) * STEPS + step).min(BUCKETS - 1)
}

/// Where a bucket begins and how wide it is, in microseconds.
fn bounds(bucket: usize) -> (u64, u64) {
    if bucket < STEPS {
        return (bucket as u64, 1);
    }
    let width = 1 << (bucket / STEPS - 1);
    ((STEPS + bucket % STEPS) as u64 * width, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_in_its_bucket() {
        for micros in (0..5_000).chain((12..29).map(|power| (1 << power) + 12_345)) {
            let (low, width) = bounds(bucket_of(micros));
            assert!((low..low + width).contains(&micros), "{micros}: {low} {width}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_the_last_windows() {
        let summary = Summary::default();
        assert_eq!(summary.quantiles_ms(), None);
        for ms in 1..=1000 {
            summary.observe(Duration::from_millis(ms));
        }
        let found = summary.quantiles_ms().unwrap();
        for ((quantile, _), found) in QUANTILES.iter().zip(found) {
            let exact = quantile * 1000.0;
            assert!((found - exact).abs() <= exact * 0.15, "{quantile}: {found}");
        }
        assert!((summary.sum_ms() - 500_500.0).abs() < 1.0);
        summary.turn();
        summary.observe(Duration::from_micros(3));
        assert!(summary.quantiles_ms().unwrap()[0] > 400.0, "the window before still counts");
        summary.turn();
        assert!(summary.quantiles_ms().unwrap()[5] < 0.01, "it has faded");
        summary.turn();
        assert_eq!(summary.quantiles_ms(), None);
    }
}
