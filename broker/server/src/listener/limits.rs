//! How many connections there may be, in total and per address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::serve_config::SocketConfig;

/// Counts the connections of all listeners.
#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    total: Arc<Semaphore>,
    /// What the system has room for, whatever is configured.
    room: usize,
    state: Mutex<State>,
}

/// `max.connections` and its kin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectionsMax {
    /// In total.
    pub(crate) total: usize,
    /// From one address.
    pub(crate) per_address: usize,
    /// From these addresses.
    pub(crate) overrides: Vec<(IpAddr, usize)>,
}

#[derive(Debug)]
struct State {
    total_max: usize,
    /// Connections above the limit since it was lowered: their places go with them.
    surplus: usize,
    per_address_max: usize,
    overrides: HashMap<IpAddr, usize>,
    per_address: HashMap<IpAddr, usize>,
}

/// One connection's place; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Place {
    limits: Arc<ConnectionLimits>,
    address: IpAddr,
    total: Option<OwnedSemaphorePermit>,
}

impl ConnectionLimits {
    /// As configured; `room` is what the system has room for.
    pub(crate) fn new(room: usize, config: &SocketConfig) -> Self {
        let room = room.min(Semaphore::MAX_PERMITS);
        let total_max = config.connections_max.min(room);
        let limits = Self {
            total: Arc::new(Semaphore::new(total_max)),
            room,
            state: Mutex::new(State {
                total_max,
                surplus: 0,
                per_address_max: 0,
                overrides: HashMap::new(),
                per_address: HashMap::new(),
            }),
        };
        limits.change(&ConnectionsMax {
            total: total_max,
            per_address: config.connections_per_ip_max,
            overrides: config.connections_per_ip_overrides.clone(),
        });
        limits
    }

    /// Other limits from now on. Connections above them stay until they end.
    pub(crate) fn change(&self, max: &ConnectionsMax) {
        let mut state = self.state();
        state.per_address_max = max.per_address;
        let overrides = max.overrides.iter();
        state.overrides = overrides.map(|(ip, max)| (ip.to_canonical(), *max)).collect();
        let (before, after) = (state.total_max, max.total.min(self.room));
        state.total_max = after;
        let less = before.saturating_sub(after);
        state.surplus += less - self.total.forget_permits(less);
        let more = after.saturating_sub(before);
        let kept = more.min(state.surplus);
        state.surplus -= kept;
        self.total.add_permits(more - kept);
    }

    /// Waits until there is room for one more connection at all: as in Kafka, the others stay in
    /// the backlog.
    pub(crate) async fn wait_for_room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.total).acquire_owned().await.ok()
    }

    /// A place for a connection from `address`, unless that address has its share already.
    pub(crate) fn take(
        self: &Arc<Self>,
        total: OwnedSemaphorePermit,
        address: IpAddr,
    ) -> Option<Place> {
        let address = address.to_canonical();
        let mut state = self.state();
        let most = *state.overrides.get(&address).unwrap_or(&state.per_address_max);
        let count = state.per_address.entry(address).or_default();
        if *count >= most {
            if *count == 0 {
                state.per_address.remove(&address);
            }
            return None;
        }
        *count += 1;
        Some(Place { limits: Arc::clone(self), address, total: Some(total) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.limits.state();
        if let Some(count) = state.per_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                state.per_address.remove(&self.address);
            }
        }
        let total = self.total.take();
        if state.surplus > 0 {
            state.surplus -= 1;
            total.map(OwnedSemaphorePermit::forget).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_gets_its_share_and_no_more() {
        let config = SocketConfig {
            connections_per_ip_max: 2,
            connections_per_ip_overrides: vec![("127.0.0.3".parse().unwrap(), 0)],
            ..SocketConfig::default()
        };
        let limits = Arc::new(ConnectionLimits::new(10, &config));
        let room = limits.wait_for_room().await.unwrap();
        assert!(limits.take(room, "127.0.0.3".parse().unwrap()).is_none());
        let here: IpAddr = "127.0.0.1".parse().unwrap();
        // The same address, as a dual-stack socket reports it.
        let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
        let there: IpAddr = "127.0.0.2".parse().unwrap();
        let mut places = Vec::new();
        for address in [here, mapped, there] {
            let room = limits.wait_for_room().await.unwrap();
            places.push(limits.take(room, address).unwrap());
        }
        let room = limits.wait_for_room().await.unwrap();
        assert!(limits.take(room, here).is_none());
        places.remove(0);
        let room = limits.wait_for_room().await.unwrap();
        assert!(limits.take(room, here).is_some());
        drop(places);
        assert!(limits.state().per_address.is_empty());
    }
    #[tokio::test]
    async fn other_limits_hold_from_now_on() {
        let config = SocketConfig { connections_max: 2, ..SocketConfig::default() };
        let limits = Arc::new(ConnectionLimits::new(10, &config));
        let here: IpAddr = "127.0.0.1".parse().unwrap();
        let mut places = Vec::new();
        for _ in 0..2 {
            let room = limits.wait_for_room().await.unwrap();
            places.push(limits.take(room, here).unwrap());
        }
        let max = |total, per_address| ConnectionsMax { total, per_address, overrides: Vec::new() };
        limits.change(&max(1, 5));
        assert_eq!(limits.total.available_permits(), 0);
        // One goes, and one is still above none.
        places.pop();
        assert_eq!(limits.total.available_permits(), 0);
        limits.change(&max(usize::MAX, 1));
        assert_eq!(limits.total.available_permits(), 9);
        let room = limits.wait_for_room().await.unwrap();
        assert!(limits.take(room, here).is_none());
        limits.change(&max(0, 9));
        places.pop();
        assert_eq!(limits.total.available_permits(), 0);
        limits.change(&max(3, 9));
        assert_eq!(limits.total.available_permits(), 3);
    }
}
