//! The one budget for memory that requests take while they arrive. A connection that cannot get its
//! share stops reading, and TCP pushes back on the peer.
//!
//! Buffers grow step by step, so many half-received requests could each hold a part and wait for
//! more for ever. One lane past the budget breaks that: its holder may always grow until its
//! request is complete. The most that requests can take is therefore the budget plus one request.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits count whole pages: the semaphore's counter is too small for bytes on 32-bit machines.
const PAGE_BYTES: usize = 4096;

/// Memory for requests being received, shared by all connections.
#[derive(Debug, Clone)]
pub(crate) struct RequestBudget {
    pages: Arc<Semaphore>,
    pages_total: usize,
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
        Self {
            pages: Arc::new(Semaphore::new(pages)),
            pages_total: pages,
            lane: Arc::new(Semaphore::new(1)),
        }
    }

    /// Takes `bytes` if they are there now.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<Share> {
        let permit = Arc::clone(&self.pages).try_acquire_many_owned(pages(bytes)).ok()?;
        Some(Share { _permit: permit, is_lane: false })
    }

    /// Waits for `bytes`, or for the lane past the budget.
    pub(crate) async fn take(&self, bytes: usize) -> Option<Share> {
        let normal = Arc::clone(&self.pages).acquire_many_owned(pages(bytes));
        let lane = Arc::clone(&self.lane).acquire_owned();
        let (permit, is_lane) = tokio::select! {
            biased;
            permit = normal => (permit.ok()?, false),
            permit = lane => (permit.ok()?, true),
        };
        Some(Share { _permit: permit, is_lane })
    }

    /// Whether less than a quarter is free: then nobody keeps memory for later.
    pub(crate) fn is_short(&self) -> bool {
        self.pages.available_permits() < self.pages_total / 4
    }

    /// What is free now, in bytes.
    #[cfg(test)]
    pub(crate) fn free_bytes(&self) -> usize {
        self.pages.available_permits() * PAGE_BYTES
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
        let share = budget.try_take(60 * 1024).unwrap();
        assert!(budget.try_take(8 * 1024).is_none());
        drop(share);
        assert_eq!(budget.free_bytes(), 64 * 1024);
    }

    #[tokio::test]
    async fn one_holder_at_a_time_may_pass_the_budget() {
        let budget = RequestBudget::new(8 * 1024);
        let _all = budget.try_take(8 * 1024).unwrap();
        let lane = budget.take(1024 * 1024).await.unwrap();
        let second = budget.take(4096);
        tokio::pin!(second);
        let waited =
            tokio::time::timeout(std::time::Duration::from_millis(20), second.as_mut()).await;
        assert!(waited.is_err(), "a second connection got past the budget");
        drop(lane);
        assert!(second.await.is_some());
    }
}
