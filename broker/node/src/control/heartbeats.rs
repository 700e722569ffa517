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
/// How much later than usual a heartbeat may come before its broker is looked for.
const LATE_MS: i64 = 100;
/// How long until a broker that is still silent is looked for again.
const PROBE_AGAIN_MS: i64 = 200;
/// The most brokers that are looked for at once.
const PROBES_MAX: usize = 32;

/// What is known of a broker.
#[derive(Debug, Clone, Copy)]
struct Contact {
    /// When it was heard of last.
    at: i64,
    /// Up to where it has applied the metadata log, if it has said so.
    applied: Option<i64>,
    /// It is stopping, and loses what it leads by the records up to here.
    stops_at: Option<i64>,
    /// When to look whether it is still there, unless it is heard of before.
    probe_at: i64,
    /// It was looked for since it was heard of last.
    probed: bool,
}

/// The brokers heard of.
#[derive(Debug)]
pub(super) struct Heartbeats {
    session_timeout_ms: i64,
    heartbeat_ms: i64,
    clock: Clock,
    contacts: BTreeMap<BrokerId, Contact>,
    /// When a refused connection counted last as the end of a broker.
    refusals: BTreeMap<BrokerId, i64>,
    /// Before this nobody can be overdue: contacts only get younger, and whoever is unfenced has
    /// just made one.
    quiet_until: i64,
}

impl Heartbeats {
    pub(super) fn new(session_timeout_ms: i64, heartbeat_ms: i64) -> Self {
        Self {
            session_timeout_ms,
            heartbeat_ms,
            clock: Clock::capped(STEP_MS_MAX),
            contacts: BTreeMap::new(),
            refusals: BTreeMap::new(),
            quiet_until: i64::MIN,
        }
    }

    /// A controller begins: every unfenced broker has a full session. Of a fenced one nothing is
    /// lost: it may be a run that has ended, and the next need not wait for it.
    pub(super) fn begin(&mut self, now_ms: i64, image: &Image) {
        self.clock.advance(now_ms);
        self.contacts.clear();
        self.quiet_until = i64::MIN;
        for broker in image.brokers.unfenced() {
            self.heard(broker.id, None);
        }
        // The last controller may have gone together with some of them.
        let now = self.clock.now();
        self.contacts.values_mut().for_each(|contact| contact.probe_at = now);
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
        self.quiet_until = i64::MIN;
    }

    /// Whether a broker was heard of within its session.
    pub(super) fn is_alive(&mut self, now_ms: i64, broker: BrokerId) -> bool {
        self.clock.advance(now_ms);
        self.contacts.get(&broker).is_some_and(|contact| self.is_fresh(contact))
    }

    /// The unfenced brokers that were not heard of within their sessions.
    pub(super) fn overdue(&mut self, now_ms: i64, image: &Image) -> Vec<BrokerId> {
        self.clock.advance(now_ms);
        let now = self.clock.now();
        if now < self.quiet_until {
            return Vec::new();
        }
        let mut overdue = Vec::new();
        let mut quiet_until = now.saturating_add(self.session_timeout_ms);
        for broker in image.brokers.unfenced() {
            match self.contacts.get(&broker.id).filter(|contact| self.is_fresh(contact)) {
                Some(contact) => {
                    let until = contact.at.saturating_add(self.session_timeout_ms);
                    quiet_until = quiet_until.min(until);
                }
                None => overdue.push(broker.id),
            }
        }
        // Whoever is overdue now is so until the caller has fenced it.
        self.quiet_until = if overdue.is_empty() { quiet_until } else { i64::MIN };
        overdue
    }

    /// The unfenced brokers to connect to now: they are silent, and if nobody listens there any
    /// more, their sessions need not run out.
    pub(super) fn silent_now(&mut self, now_ms: i64, image: &Image) -> Vec<BrokerId> {
        self.clock.advance(now_ms);
        let now = self.clock.now();
        let unfenced = |id: &BrokerId| image.brokers.get(*id).is_some_and(|b| !b.fenced);
        let due = self.contacts.iter_mut().filter(|(id, c)| c.probe_at <= now && unfenced(id));
        let ask = |(id, contact): (&BrokerId, &mut Contact)| {
            contact.probe_at = now.saturating_add(PROBE_AGAIN_MS);
            contact.probed = true;
            *id
        };
        due.take(PROBES_MAX).map(ask).collect()
    }

    /// The connection to a broker was refused. Says whether that is the end of its session: not
    /// when it was heard of meanwhile, and once per session time-out, so that a broker whose
    /// address is wrong is not fenced over and over.
    pub(super) fn refused(&mut self, now_ms: i64, broker: BrokerId) -> bool {
        self.clock.advance(now_ms);
        let now = self.clock.now();
        let silent = self.contacts.get(&broker).is_some_and(|contact| contact.probed);
        let before = self.refusals.get(&broker);
        let counts = before.is_none_or(|at| now.saturating_sub(*at) >= self.session_timeout_ms);
        if silent && counts {
            self.refusals.insert(broker, now);
            self.forget(broker);
        }
        silent && counts
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
        let probe_at = at.saturating_add(self.heartbeat_ms).saturating_add(LATE_MS);
        let contact = Contact { at, applied: None, stops_at: None, probe_at, probed: false };
        let contact = self.contacts.entry(broker).or_insert(contact);
        (contact.at, contact.probe_at, contact.probed) = (at, probe_at, false);
        contact.applied = applied.or(contact.applied);
    }

    fn is_fresh(&self, contact: &Contact) -> bool {
        self.clock.now().saturating_sub(contact.at) < self.session_timeout_ms
    }
}

#[cfg(test)]
mod tests;
