//! The one budget for memory that requests take while they arrive. A connection that cannot get its
//! share stops reading, and TCP pushes back on the peer.
//!
//! Buffers grow step by step, so many half-received requests could each hold a part and wait for
//! more for ever. One lane past the budget breaks that: its holder may always grow until its
//! request is complete. A quarter is kept for requests of a usual size, so that a few huge ones
//! that do not get on cannot hold up everybody. The most that requests can take is therefore the
//! budget plus one request.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits count whole pages: the semaphore's counter is too small for bytes on 32-bit machines.
const PAGE_BYTES: usize = 4096;

/// Memory for requests being received, shared by all connections.
#[derive(Debug, Clone)]
pub(crate) struct RequestBudget {
    pages: Arc<Semaphore>,
    pages_total: usize,
    /// For small requests alone.
    reserve: Arc<Semaphore>,
    reserve_total: usize,
    lane: Arc<Semaphore>,
}

/// A share of the budget; dropping it gives the memory back.
#[derive(Debug)]
pub(crate) struct Share {
    /// Held only for its `Drop`.
    _permit: OwnedSemaphorePermit,
    is_lane: bool,
}

impl Share {
    /// Whether its holder may grow without asking again.
    pub(crate) fn is_lane(&self) -> bool {
        self.is_lane
    }
}

impl RequestBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        let pages = (bytes / PAGE_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        let reserve = pages / 4;
        Self {
            pages: Arc::new(Semaphore::new(pages - reserve)),
            pages_total: pages - reserve,
            reserve: Arc::new(Semaphore::new(reserve)),
            reserve_total: reserve,
            lane: Arc::new(Semaphore::new(1)),
        }
    }

    /// Takes `bytes` if they are there now.
    pub(crate) fn try_take(&self, bytes: usize, small: bool) -> Option<Share> {
        let from = |pool: &Arc<Semaphore>| Arc::clone(pool).try_acquire_many_owned(pages(bytes));
        let permit = match from(&self.pages) {
            Err(_) if small => from(&self.reserve).ok()?,
            taken => taken.ok()?,
        };
        Some(Share { _permit: permit, is_lane: false })
    }

    /// Waits for `bytes`, or for the lane past the budget.
    pub(crate) async fn take(&self, bytes: usize, small: bool) -> Option<Share> {
        let normal = Arc::clone(&self.pages).acquire_many_owned(pages(bytes));
        let reserve = Arc::clone(&self.reserve).acquire_many_owned(pages(bytes));
        let lane = Arc::clone(&self.lane).acquire_owned();
        let (permit, is_lane) = tokio::select! {
            biased;
            permit = normal => (permit.ok()?, false),
            permit = reserve, if small => (permit.ok()?, false),
            permit = lane => (permit.ok()?, true),
        };
        Some(Share { _permit: permit, is_lane })
    }

    /// Whether less than a quarter is free: then nobody keeps memory for later.
    pub(crate) fn is_short(&self) -> bool {
        self.pages.available_permits() < self.pages_total / 4
    }

    /// All there is, in bytes.
    pub(crate) fn total_bytes(&self) -> usize {
        (self.pages_total + self.reserve_total) * PAGE_BYTES
    }

    /// What is taken now, in bytes.
    pub(crate) fn used_bytes(&self) -> usize {
        self.total_bytes().saturating_sub(self.free_bytes())
    }

    /// What is free now, in bytes.
    pub(crate) fn free_bytes(&self) -> usize {
        (self.pages.available_permits() + self.reserve.available_permits()) * PAGE_BYTES
    }
}

fn pages(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(PAGE_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_comes_back_when_dropped() {
        let budget = RequestBudget::new(64 * 1024);
        let share = budget.try_take(44 * 1024, false).unwrap();
        assert!(budget.try_take(8 * 1024, false).is_none());
        drop(share);
        assert_eq!(budget.free_bytes(), 64 * 1024);
    }

    #[tokio::test]
    async fn huge_requests_leave_room_for_small_ones() {
        let budget = RequestBudget::new(64 * 1024);
        let _huge = budget.try_take(48 * 1024, false).unwrap();
        let _lane = budget.take(1024 * 1024, false).await.unwrap();
        assert!(budget.try_take(4096, false).is_none());
        assert!(budget.is_short());
        let small = budget.try_take(16 * 1024, true).unwrap();
        assert!(budget.try_take(4096, true).is_none());
        let waiting = budget.take(16 * 1024, true);
        tokio::pin!(waiting);
        let none = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(none, waiting.as_mut()).await.is_err());
        drop(small);
        assert!(waiting.await.is_some());
    }

    #[tokio::test]
    async fn one_holder_at_a_time_may_pass_the_budget() {
        let budget = RequestBudget::new(8 * 1024);
        let _all = budget.try_take(8 * 1024, false).unwrap();
        let lane = budget.take(1024 * 1024, false).await.unwrap();
        let second = budget.take(4096, false);
        tokio::pin!(second);
        let waited =
            tokio::time::timeout(std::time::Duration::from_millis(20), second.as_mut()).await;
        assert!(waited.is_err(), "a second connection got past the budget");
        drop(lane);
        assert!(second.await.is_some());
    }
}
