//! How many connections there may be, in total, for each listener and each address, and how fast
//! they may come.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::rate::{Rate, Windows};
use crate::serve_config::SocketConfig;

/// Counts the connections of all listeners.
#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    /// What the system has room for, whatever is configured.
    room: usize,
    windows: Windows,
    state: Mutex<State>,
    /// A place became free, or a limit changed.
    changed: Notify,
}

/// A limit on the number of connections and one on how many may come in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Most {
    /// `max.connections`
    pub(crate) connections: usize,
    /// `max.connection.creation.rate`
    pub(crate) a_second: u32,
}

/// `max.connections` and its kin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectionsMax {
    /// Of all listeners together.
    pub(crate) total: Most,
    /// Of single listeners.
    pub(crate) listeners: BTreeMap<String, Most>,
    /// The listener of the brokers among themselves: when there are others, the limits of all
    /// together do not hold for it, so that clients cannot take its places.
    pub(crate) between_brokers: Option<String>,
    /// From one address.
    pub(crate) per_address: usize,
    /// From these addresses.
    pub(crate) overrides: Vec<(IpAddr, usize)>,
}

#[derive(Debug)]
struct State {
    max: ConnectionsMax,
    overrides: HashMap<IpAddr, usize>,
    total: Counted,
    listeners: HashMap<String, Counted>,
    per_address: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Counted {
    connections: usize,
    rate: Rate,
}

/// One connection's place; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Place {
    limits: Arc<ConnectionLimits>,
    listener: String,
    address: IpAddr,
}

/// Why a connection has no place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is none at the moment; it may wait.
    Full,
    /// Its address has its share.
    AddressFull,
}

impl Most {
    /// No limit.
    pub(crate) const ANY: Self = Self { connections: usize::MAX, a_second: u32::MAX };
}

impl ConnectionsMax {
    /// As configured, without limits of single listeners.
    fn configured(config: &SocketConfig) -> Self {
        Self {
            total: Most { connections: config.connections_max, ..Most::ANY },
            listeners: BTreeMap::new(),
            between_brokers: None,
            per_address: config.connections_per_ip_max,
            overrides: config.connections_per_ip_overrides.clone(),
        }
    }

    fn of(&self, listener: &str) -> Most {
        self.listeners.get(listener).copied().unwrap_or(Most::ANY)
    }
}

impl ConnectionLimits {
    /// As configured; `room` is what the system has room for.
    pub(crate) fn new(room: usize, config: &SocketConfig) -> Self {
        let windows = Windows { count: config.rate_windows, size: config.rate_window };
        let max = ConnectionsMax::configured(config);
        let state = State {
            overrides: overrides(&max),
            max,
            total: Counted::new(windows),
            listeners: HashMap::new(),
            per_address: HashMap::new(),
        };
        Self { room, windows, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Other limits from now on. Connections above them stay until they end.
    pub(crate) fn change(&self, max: ConnectionsMax) {
        let mut state = self.state();
        state.overrides = overrides(&max);
        state.max = max;
        drop(state);
        self.changed.notify_waiters();
    }

    /// A listener opens: it is counted on its own.
    pub(crate) fn opened(&self, listener: &str) {
        let windows = self.windows;
        self.state().listeners.entry(listener.to_owned()).or_insert_with(|| Counted::new(windows));
    }

    /// Waits until there is room for one more connection of a listener: as in Kafka, the others
    /// stay in the backlog.
    pub(crate) async fn wait_for_room(&self, listener: &str) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.state().has_room(listener, self.room) {
                return;
            }
            changed.await;
        }
    }

    /// A connection has come; until when it must wait because others came too fast.
    pub(crate) fn came(&self, listener: &str, now: Instant) -> Instant {
        let state = &mut *self.state();
        let of_all = match state.is_between_brokers(listener) {
            true => Default::default(),
            false => state.total.rate.record(now, state.max.total.a_second),
        };
        let most = state.max.of(listener).a_second;
        let own = state.listeners.get_mut(listener).map(|counted| counted.rate.record(now, most));
        now + of_all.max(own.unwrap_or_default())
    }

    /// A place for a connection from `address`.
    pub(crate) fn take(
        self: &Arc<Self>,
        listener: &str,
        address: IpAddr,
    ) -> Result<Place, Refused> {
        let address = address.to_canonical();
        let mut state = self.state();
        if !state.has_room(listener, self.room) {
            return Err(Refused::Full);
        }
        let most = *state.overrides.get(&address).unwrap_or(&state.max.per_address);
        if state.per_address.get(&address).copied().unwrap_or_default() >= most {
            return Err(Refused::AddressFull);
        }
        *state.per_address.entry(address).or_default() += 1;
        state.total.connections += 1;
        if let Some(counted) = state.listeners.get_mut(listener) {
            counted.connections += 1;
        }
        Ok(Place { limits: Arc::clone(self), listener: listener.to_owned(), address })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self, listener: &str, room: usize) -> bool {
        let of_listener = self.listeners.get(listener).map_or(0, |counted| counted.connections);
        let total = self.total.connections;
        total < room
            && of_listener < self.max.of(listener).connections
            && (self.is_between_brokers(listener) || total < self.max.total.connections)
    }

    fn is_between_brokers(&self, listener: &str) -> bool {
        self.listeners.len() > 1 && self.max.between_brokers.as_deref() == Some(listener)
    }
}

impl Counted {
    fn new(windows: Windows) -> Self {
        Self { connections: 0, rate: Rate::new(windows) }
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
        state.total.connections -= 1;
        if let Some(counted) = state.listeners.get_mut(&self.listener) {
            counted.connections -= 1;
        }
        drop(state);
        self.limits.changed.notify_waiters();
    }
}

fn overrides(max: &ConnectionsMax) -> HashMap<IpAddr, usize> {
    max.overrides.iter().map(|(ip, max)| (ip.to_canonical(), *max)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HERE: &str = "127.0.0.1";

    fn limits(room: usize, config: &SocketConfig) -> Arc<ConnectionLimits> {
        let limits = Arc::new(ConnectionLimits::new(room, config));
        limits.opened("A");
        limits
    }

    fn take(
        limits: &Arc<ConnectionLimits>,
        listener: &str,
        address: &str,
    ) -> Result<Place, Refused> {
        limits.take(listener, address.parse().unwrap())
    }

    fn most(connections: usize) -> Most {
        Most { connections, ..Most::ANY }
    }

    fn max(total: usize, per_address: usize) -> ConnectionsMax {
        let config = SocketConfig { connections_max: total, ..SocketConfig::default() };
        ConnectionsMax { per_address, ..ConnectionsMax::configured(&config) }
    }

    #[test]
    fn an_address_gets_its_share_and_no_more() {
        let config = SocketConfig {
            connections_per_ip_max: 2,
            connections_per_ip_overrides: vec![("127.0.0.3".parse().unwrap(), 0)],
            ..SocketConfig::default()
        };
        let limits = limits(10, &config);
        assert_eq!(take(&limits, "A", "127.0.0.3").unwrap_err(), Refused::AddressFull);
        // The second is the same address, as a dual-stack socket reports it.
        let from = [HERE, "::ffff:127.0.0.1", "127.0.0.2"];
        let mut places: Vec<Place> =
            from.iter().map(|from| take(&limits, "A", from).unwrap()).collect();
        assert_eq!(take(&limits, "A", HERE).unwrap_err(), Refused::AddressFull);
        places.remove(0);
        assert!(take(&limits, "A", HERE).is_ok());
        drop(places);
        assert!(limits.state().per_address.is_empty());
    }

    #[test]
    fn other_limits_hold_from_now_on() {
        let config = SocketConfig { connections_max: 2, ..SocketConfig::default() };
        let limits = limits(10, &config);
        let mut places: Vec<Place> = (0..2).map(|_| take(&limits, "A", HERE).unwrap()).collect();
        limits.change(max(1, 5));
        // One goes, and there is still none to give.
        places.pop();
        assert_eq!(take(&limits, "A", HERE).unwrap_err(), Refused::Full);
        limits.change(max(usize::MAX, 1));
        assert_eq!(take(&limits, "A", HERE).unwrap_err(), Refused::AddressFull);
        let others: Vec<Place> =
            (0..9).map(|n| take(&limits, "A", &format!("127.0.1.{n}")).unwrap()).collect();
        assert_eq!(take(&limits, "A", "127.0.2.1").unwrap_err(), Refused::Full, "no more room");
        drop(others);
        limits.change(max(0, 9));
        places.pop();
        assert_eq!(take(&limits, "A", HERE).unwrap_err(), Refused::Full);
    }

    #[test]
    fn a_listener_has_its_share_and_that_of_the_brokers_is_its_own() {
        let limits = limits(10, &SocketConfig::default());
        let listeners = BTreeMap::from([("A".to_owned(), most(2)), ("B".to_owned(), most(3))]);
        let between_brokers = Some("A".to_owned());
        let max = ConnectionsMax { listeners, between_brokers, ..max(1, 100) };
        limits.change(max);
        let only = take(&limits, "A", HERE).unwrap();
        // As long as there is one listener, it shares with nobody.
        assert_eq!(take(&limits, "A", HERE).unwrap_err(), Refused::Full);
        limits.opened("B");
        drop(only);
        let other = take(&limits, "B", HERE).unwrap();
        assert_eq!(take(&limits, "B", HERE).unwrap_err(), Refused::Full);
        let _places = [take(&limits, "A", HERE).unwrap(), take(&limits, "A", HERE).unwrap()];
        assert_eq!(take(&limits, "A", HERE).unwrap_err(), Refused::Full);
        drop(other);
        assert_eq!(take(&limits, "B", HERE).unwrap_err(), Refused::Full);
    }

    #[test]
    fn who_comes_too_fast_waits_and_brokers_do_not_wait_for_clients() {
        let limits = limits(100, &SocketConfig::default());
        limits.opened("B");
        let slow = |a_second| Most { a_second, ..Most::ANY };
        let listeners = BTreeMap::from([("B".to_owned(), slow(2))]);
        let between_brokers = Some("A".to_owned());
        limits.change(ConnectionsMax {
            total: slow(1),
            listeners,
            between_brokers,
            ..max(100, 100)
        });
        let now = Instant::now();
        let waits = |listener: &str, count: usize| -> Vec<u128> {
            (0..count).map(|_| (limits.came(listener, now) - now).as_millis()).collect()
        };
        assert_eq!(waits("A", 100), vec![0; 100]);
        assert_eq!(waits("B", 12), [vec![0; 10], vec![1000; 2]].concat());
        // With more of all together the listener's own limit holds.
        let listeners = BTreeMap::from([("B".to_owned(), slow(2))]);
        limits.change(ConnectionsMax { listeners, ..max(100, 100) });
        assert_eq!(waits("B", 9), [vec![0; 8], vec![500]].concat());
    }

    #[tokio::test]
    async fn who_waits_for_room_gets_it() {
        let config = SocketConfig { connections_max: 1, ..SocketConfig::default() };
        let limits = limits(10, &config);
        let place = take(&limits, "A", HERE).unwrap();
        let waiting = tokio::spawn({
            let limits = Arc::clone(&limits);
            async move { limits.wait_for_room("A").await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(place);
        tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
        let _place = take(&limits, "A", HERE).unwrap();
        let waiting = tokio::spawn({
            let limits = Arc::clone(&limits);
            async move { limits.wait_for_room("A").await }
        });
        tokio::task::yield_now().await;
        limits.change(max(2, 10));
        tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    }
}
