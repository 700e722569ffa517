//! How many connections there may be, in total and per address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::serve_config::SocketConfig;

/// Counts the connections of all listeners.
#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    total: Arc<Semaphore>,
    per_address_max: usize,
    overrides: HashMap<IpAddr, usize>,
    per_address: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection's place; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Place {
    limits: Arc<ConnectionLimits>,
    address: IpAddr,
    _total: OwnedSemaphorePermit,
}

impl ConnectionLimits {
    pub(crate) fn new(total_max: usize, config: &SocketConfig) -> Self {
        let overrides = config.connections_per_ip_overrides.iter();
        Self {
            total: Arc::new(Semaphore::new(total_max.min(Semaphore::MAX_PERMITS))),
            per_address_max: config.connections_per_ip_max,
            overrides: overrides.map(|(ip, max)| (ip.to_canonical(), *max)).collect(),
            per_address: Mutex::new(HashMap::new()),
        }
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
        let mut per_address = self.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = per_address.entry(address).or_default();
        let most = self.overrides.get(&address).unwrap_or(&self.per_address_max);
        if *count >= *most {
            if *count == 0 {
                per_address.remove(&address);
            }
            return None;
        }
        *count += 1;
        Some(Place { limits: Arc::clone(self), address, _total: total })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut per_address =
            self.limits.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = per_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                per_address.remove(&self.address);
            }
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
        assert!(limits.per_address.lock().unwrap().is_empty());
    }
}
