//! Which brokers the active controller has heard of, and when. Soft state: it begins anew with
//! each controller, which gives every serving broker a full session.
//!
//! Time is what has passed between events, and no event lets more than a moment pass: a clock that
//! jumps, or a process that was paused, fences nobody.

use std::collections::BTreeMap;

use metadata::Image;
use quorum::Clock;
use wire::ids::BrokerId;

/// The most that one event moves the clock.
const STEP_MS_MAX: i64 = 500;

/// What is known of a broker.
#[derive(Debug, Clone, Copy)]
struct Contact {
    /// When it was heard of last.
    at: i64,
    /// Up to where it has applied the metadata log, if it has said so.
    applied: Option<i64>,
    /// It is stopping, and loses what it leads by the records up to here.
    stops_at: Option<i64>,
}

/// The brokers heard of.
#[derive(Debug)]
pub(super) struct Heartbeats {
    session_timeout_ms: i64,
    clock: Clock,
    contacts: BTreeMap<BrokerId, Contact>,
}

impl Heartbeats {
    pub(super) fn new(session_timeout_ms: i64) -> Self {
        Self { session_timeout_ms, clock: Clock::capped(STEP_MS_MAX), contacts: BTreeMap::new() }
    }

    /// A controller begins: every unfenced broker has a full session. Of a fenced one nothing is
    /// lost: it may be a run that has ended, and the next need not wait for it.
    pub(super) fn begin(&mut self, now_ms: i64, image: &Image) {
        self.clock.advance(now_ms);
        self.contacts.clear();
        for broker in image.brokers.unfenced() {
            self.heard(broker.id, None);
        }
    }

    /// A broker was heard of. `applied` is the offset up to which it has the metadata log.
    pub(super) fn contact(&mut self, now_ms: i64, broker: BrokerId, applied: Option<i64>) {
        self.clock.advance(now_ms);
        self.heard(broker, applied);
    }

    /// A broker is stopping: it loses what it leads by records that end before `end`.
    pub(super) fn stopping(&mut self, broker: BrokerId, end: i64) {
        if let Some(contact) = self.contacts.get_mut(&broker) {
            contact.stops_at.get_or_insert(end);
        }
    }

    /// A broker has registered anew, has stopped, or was unregistered: what was known of it is of
    /// no use any more.
    pub(super) fn forget(&mut self, broker: BrokerId) {
        self.contacts.remove(&broker);
    }

    /// Whether a broker was heard of within its session.
    pub(super) fn is_alive(&mut self, now_ms: i64, broker: BrokerId) -> bool {
        self.clock.advance(now_ms);
        self.contacts.get(&broker).is_some_and(|contact| self.is_fresh(contact))
    }

    /// The unfenced brokers that were not heard of within their sessions.
    pub(super) fn overdue(&mut self, now_ms: i64, image: &Image) -> Vec<BrokerId> {
        self.clock.advance(now_ms);
        let fresh = |id: &BrokerId| self.contacts.get(id).is_some_and(|c| self.is_fresh(c));
        image.brokers.unfenced().map(|broker| broker.id).filter(|id| !fresh(id)).collect()
    }

    /// Whether every other broker that serves has applied the records by which `broker`, which is
    /// stopping, lost what it led.
    pub(super) fn all_have_seen(&self, broker: BrokerId, image: &Image) -> bool {
        let Some(end) = self.contacts.get(&broker).and_then(|contact| contact.stops_at) else {
            return false;
        };
        let others = image.brokers.iter().filter(|other| other.is_active() && other.id != broker);
        let applied = |id: &BrokerId| self.contacts.get(id).and_then(|contact| contact.applied);
        others.map(|other| applied(&other.id)).all(|at| at.is_some_and(|at| at >= end - 1))
    }

    fn heard(&mut self, broker: BrokerId, applied: Option<i64>) {
        let at = self.clock.now();
        let contact = Contact { at, applied: None, stops_at: None };
        let contact = self.contacts.entry(broker).or_insert(contact);
        contact.at = at;
        contact.applied = applied.or(contact.applied);
    }

    fn is_fresh(&self, contact: &Contact) -> bool {
        self.clock.now().saturating_sub(contact.at) < self.session_timeout_ms
    }
}

#[cfg(test)]
mod tests;
