//! Those who wait for a partition: produces with acks=all until the high watermark has passed
//! their last record, fetches until there are enough new bytes.
//!
//! A wake-up carries nothing but "look again": the waiter reads the partition's state itself, so
//! a lost leadership, an offline directory and a reached offset all take one path. Waiters are
//! ordered by the offset they need, an append touches only those it may satisfy, and they are
//! woken after the partition's lock is released. Dropping the [`WaitGuard`] (answered, timed out,
//! connection gone) takes the waiter out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::ids::Offset;

/// Waiters one partition holds at most; one more is refused and has to answer with what it has.
pub const WAITERS_PER_PARTITION_MAX: usize = 100_000;

/// Someone who sleeps until a partition changes. Called without any of the partition's locks, on
/// the thread that made the change: it must not block.
pub trait Wake: Send + Sync {
    /// Look at the partition again.
    fn wake(&self);
}

/// What a fetch over any number of partitions waits for: so many new bytes in all of them
/// together, then one wake-up.
pub struct FetchWait {
    bytes_missing: AtomicI64,
    fired: AtomicBool,
    wake: Arc<dyn Wake>,
}

impl FetchWait {
    /// Waits for `bytes_missing` more bytes (the least is one).
    #[must_use]
    pub fn new(bytes_missing: i64, wake: Arc<dyn Wake>) -> Arc<Self> {
        Arc::new(Self {
            bytes_missing: AtomicI64::new(bytes_missing.max(1)),
            fired: AtomicBool::new(false),
            wake,
        })
    }

    /// Counts `bytes` and says whether this was the addition that made them enough.
    fn add(&self, bytes: i64) -> bool {
        let before = self.bytes_missing.fetch_sub(bytes, Ordering::AcqRel);
        before <= bytes && !self.fired.swap(true, Ordering::AcqRel)
    }

    fn fire(&self) {
        if !self.fired.swap(true, Ordering::AcqRel) {
            self.wake.wake();
        }
    }
}

impl std::fmt::Debug for FetchWait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FetchWait").field("bytes_missing", &self.bytes_missing).finish()
    }
}

/// Takes its waiter out of the partition when dropped.
#[must_use = "dropping the guard takes the waiter out"]
pub struct WaitGuard {
    purgatory: Arc<Purgatory>,
    kind: Kind,
    key: Key,
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        self.purgatory.remove(self.kind, self.key);
    }
}

impl std::fmt::Debug for WaitGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaitGuard").field("key", &self.key).finish_non_exhaustive()
    }
}

/// What became of a wish to wait.
#[derive(Debug)]
pub enum Parked {
    /// The waiter is in; keep the guard until the answer is sent.
    Waiting(WaitGuard),
    /// What it would wait for is already there: look again now.
    Ready,
    /// The partition holds [`WAITERS_PER_PARTITION_MAX`] waiters already.
    Full,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Produce,
    Fetch,
}

type Key = (Offset, u64);

#[derive(Default)]
struct Waiters {
    next_id: u64,
    produces: BTreeMap<Key, Arc<dyn Wake>>,
    fetches: BTreeMap<Key, Arc<FetchWait>>,
}

/// How many wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Produces with acks=all.
    pub produces: usize,
    /// Fetches.
    pub fetches: usize,
}

/// The waiters of one partition.
#[derive(Default)]
pub struct Purgatory {
    waiters: Mutex<Waiters>,
    /// The offset up to which waiters have been woken. Written before the waiters are looked
    /// through, read when one enters, so that no advance falls between the two.
    reached: AtomicI64,
}

impl Purgatory {
    /// No waiters, at `reached`.
    #[must_use]
    pub fn new(reached: Offset) -> Self {
        Self { waiters: Mutex::default(), reached: AtomicI64::new(reached.0) }
    }

    /// The high watermark the waiters know.
    #[must_use]
    pub fn reached(&self) -> Offset {
        Offset(self.reached.load(Ordering::SeqCst))
    }

    /// How many wait, by kind.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        let waiters = self.lock();
        Waiting { produces: waiters.produces.len(), fetches: waiters.fetches.len() }
    }

    /// The number of waiters, for limits and metrics.
    #[must_use]
    pub fn len(&self) -> usize {
        let waiters = self.lock();
        waiters.produces.len() + waiters.fetches.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until the high watermark is at least `required`.
    pub fn park_produce(self: &Arc<Self>, required: Offset, wake: Arc<dyn Wake>) -> Parked {
        let mut waiters = self.lock();
        if self.reached() >= required {
            return Parked::Ready;
        }
        let Some(key) = waiters.key(required) else { return Parked::Full };
        waiters.produces.insert(key, wake);
        self.guard(Kind::Produce, key)
    }

    /// Waits for bytes after `seen`, the high watermark at which the fetch came up short.
    pub fn park_fetch(self: &Arc<Self>, seen: Offset, wait: Arc<FetchWait>) -> Parked {
        let mut waiters = self.lock();
        if self.reached() > seen {
            return Parked::Ready;
        }
        let Some(key) = waiters.key(seen) else { return Parked::Full };
        waiters.fetches.insert(key, wait);
        self.guard(Kind::Fetch, key)
    }

    /// The high watermark went to `reached`, over `bytes` bytes: wakes whom that satisfies.
    pub fn advance(&self, reached: Offset, bytes: i64) {
        // Two appends may come here in the other order than they were appended in.
        let before = self.reached.fetch_max(reached.0, Ordering::SeqCst);
        let reached = Offset(before.max(reached.0));
        let mut produces = Vec::new();
        let mut fetches = Vec::new();
        {
            let mut waiters = self.lock();
            while let Some(first) = waiters.produces.first_entry() {
                if first.key().0 > reached {
                    break;
                }
                produces.push(first.remove());
            }
            let before: Key = (reached, 0);
            let mut done = Vec::new();
            for (key, wait) in waiters.fetches.range(..before) {
                if wait.add(bytes) {
                    fetches.push(Arc::clone(wait));
                    done.push(*key);
                }
            }
            for key in done {
                waiters.fetches.remove(&key);
            }
        }
        for wake in produces {
            wake.wake();
        }
        for wait in fetches {
            wait.wake.wake();
        }
    }

    /// The partition changed in another way (leadership, directory, log start): wakes everyone.
    pub fn wake_all(&self) {
        let (produces, fetches) = {
            let mut waiters = self.lock();
            (std::mem::take(&mut waiters.produces), std::mem::take(&mut waiters.fetches))
        };
        for wake in produces.into_values() {
            wake.wake();
        }
        for wait in fetches.into_values() {
            wait.fire();
        }
    }

    fn guard(self: &Arc<Self>, kind: Kind, key: Key) -> Parked {
        Parked::Waiting(WaitGuard { purgatory: Arc::clone(self), kind, key })
    }

    fn remove(&self, kind: Kind, key: Key) {
        let mut waiters = self.lock();
        match kind {
            Kind::Produce => drop(waiters.produces.remove(&key)),
            Kind::Fetch => drop(waiters.fetches.remove(&key)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiters> {
        // The maps stay whole whatever a panicking thread was doing with them.
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Purgatory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Purgatory").field("reached", &self.reached()).finish_non_exhaustive()
    }
}

impl Waiters {
    fn key(&mut self, offset: Offset) -> Option<Key> {
        if self.produces.len() + self.fetches.len() >= WAITERS_PER_PARTITION_MAX {
            return None;
        }
        // 0 is kept free: it stands before every waiter of an offset.
        self.next_id += 1;
        Some((offset, self.next_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Woken {
        fn times(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    fn parked(outcome: Parked) -> WaitGuard {
        match outcome {
            Parked::Waiting(guard) => guard,
            other => panic!("not parked: {other:?}"),
        }
    }

    #[test]
    fn produces_wake_in_order_of_offset_and_only_when_reached() {
        struct Order(Arc<Mutex<Vec<i64>>>, i64);
        impl Wake for Order {
            fn wake(&self) {
                self.0.lock().unwrap().push(self.1);
            }
        }
        let purgatory = Arc::new(Purgatory::new(Offset(0)));
        let order = Arc::new(Mutex::new(Vec::new()));
        let guards: Vec<_> = [30, 10, 20, 40]
            .into_iter()
            .map(|offset| {
                let wake = Arc::new(Order(Arc::clone(&order), offset));
                parked(purgatory.park_produce(Offset(offset), wake))
            })
            .collect();
        purgatory.advance(Offset(9), 1);
        assert!(order.lock().unwrap().is_empty());
        purgatory.advance(Offset(30), 1);
        assert_eq!(*order.lock().unwrap(), [10, 20, 30]);
        assert_eq!(purgatory.len(), 1);
        drop(guards);
        assert!(purgatory.is_empty());
    }

    #[test]
    fn a_produce_already_reached_does_not_park() {
        let purgatory = Arc::new(Purgatory::new(Offset(5)));
        let wake = Arc::new(Woken::default());
        let outcome = purgatory.park_produce(Offset(5), Arc::clone(&wake) as Arc<dyn Wake>);
        assert!(matches!(outcome, Parked::Ready));
    }

    #[test]
    fn a_fetch_wakes_once_when_bytes_over_all_partitions_are_enough() {
        let first = Arc::new(Purgatory::new(Offset(0)));
        let second = Arc::new(Purgatory::new(Offset(7)));
        let wake = Arc::new(Woken::default());
        let wait = FetchWait::new(100, Arc::clone(&wake) as Arc<dyn Wake>);
        let _first = parked(first.park_fetch(Offset(0), Arc::clone(&wait)));
        let _second = parked(second.park_fetch(Offset(7), Arc::clone(&wait)));
        first.advance(Offset(1), 60);
        assert_eq!(wake.times(), 0);
        second.advance(Offset(8), 39);
        assert_eq!(wake.times(), 0);
        second.advance(Offset(9), 1);
        assert_eq!(wake.times(), 1);
        first.advance(Offset(2), 1000);
        assert_eq!(wake.times(), 1);
    }

    #[test]
    fn a_fetch_that_missed_an_append_does_not_park() {
        let purgatory = Arc::new(Purgatory::new(Offset(3)));
        let wait = FetchWait::new(1, Arc::new(Woken::default()));
        assert!(matches!(purgatory.park_fetch(Offset(2), wait), Parked::Ready));
    }

    #[test]
    fn dropping_the_guard_takes_the_waiter_out() {
        let purgatory = Arc::new(Purgatory::new(Offset(0)));
        let wake = Arc::new(Woken::default());
        let wait = FetchWait::new(1, Arc::clone(&wake) as Arc<dyn Wake>);
        drop(parked(purgatory.park_fetch(Offset(0), wait)));
        purgatory.advance(Offset(1), 1);
        assert_eq!(wake.times(), 0);
        assert!(purgatory.is_empty());
    }

    #[test]
    fn lost_leadership_wakes_everyone() {
        let purgatory = Arc::new(Purgatory::new(Offset(0)));
        let wake = Arc::new(Woken::default());
        let wait = FetchWait::new(1000, Arc::clone(&wake) as Arc<dyn Wake>);
        let _fetch = parked(purgatory.park_fetch(Offset(0), wait));
        let produce = purgatory.park_produce(Offset(9), Arc::clone(&wake) as Arc<dyn Wake>);
        let _produce = parked(produce);
        purgatory.wake_all();
        assert_eq!(wake.times(), 2);
    }
}
