//! One session: the partitions it fetches, in the order in which to serve them.

use std::collections::BTreeMap;

use wire::ids::Offset;

use super::{FetchKey, FetchTarget, Outcome};

/// What the session remembers of a partition.
#[derive(Debug)]
struct Remembered {
    key: FetchKey,
    target: FetchTarget,
    /// As last told; `None` makes the next answer name the partition.
    high_watermark: Option<Offset>,
    log_start_offset: Option<Offset>,
}

impl Remembered {
    fn new(key: FetchKey, target: FetchTarget) -> Self {
        Self { key, target, high_watermark: None, log_start_offset: None }
    }

    /// Takes in what is about to be told and says whether it needs telling.
    fn tell(&mut self, outcome: &Outcome) -> bool {
        let changed = self.high_watermark != Some(outcome.high_watermark)
            || self.log_start_offset != Some(outcome.log_start_offset);
        self.high_watermark = Some(outcome.high_watermark);
        self.log_start_offset = Some(outcome.log_start_offset);
        if outcome.is_error {
            // So that the high watermark is told again once the error is gone.
            self.high_watermark = None;
        }
        changed || outcome.has_records || outcome.is_error || outcome.is_redirect
    }
}

/// The memory of one session. Partitions that were answered with records go to the end, so that
/// a bounded answer serves everyone in turn.
#[derive(Debug)]
pub(super) struct Session {
    /// The epoch that the next request must carry.
    pub(super) epoch: i32,
    pub(super) by_topic_id: bool,
    order_next: u64,
    order_of: BTreeMap<FetchKey, u64>,
    by_order: BTreeMap<u64, Remembered>,
}

impl Session {
    pub(super) fn new(by_topic_id: bool, epoch: i32) -> Self {
        Self {
            epoch,
            by_topic_id,
            order_next: 0,
            order_of: BTreeMap::new(),
            by_order: BTreeMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_order.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_order.is_empty()
    }

    /// Adds a partition, or changes what is wanted of it.
    pub(super) fn put(&mut self, key: FetchKey, target: FetchTarget) {
        let known = self.order_of.get(&key).and_then(|order| self.by_order.get_mut(order));
        match known {
            Some(known) => known.target = target,
            None => self.push(Remembered::new(key, target)),
        }
    }

    pub(super) fn forget(&mut self, key: &FetchKey) {
        if let Some(order) = self.order_of.remove(key) {
            self.by_order.remove(&order);
        }
    }

    pub(super) fn targets(&self) -> Vec<(FetchKey, FetchTarget)> {
        self.by_order.values().map(|known| (known.key.clone(), known.target)).collect()
    }

    /// Takes in one outcome and says whether the answer names the partition.
    pub(super) fn tell(&mut self, key: &FetchKey, outcome: &Outcome) -> bool {
        let Some(order) = self.order_of.get(key).copied() else { return true };
        let Some(known) = self.by_order.get_mut(&order) else { return true };
        let told = known.tell(outcome);
        if outcome.has_records
            && let Some(known) = self.by_order.remove(&order)
        {
            self.push(known);
        }
        told
    }

    fn push(&mut self, known: Remembered) {
        let order = self.order_next;
        self.order_next += 1;
        self.order_of.insert(known.key.clone(), order);
        self.by_order.insert(order, known);
    }
}
