//! What waits for the control thread: first what keeps the cluster together, then what clients ask.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use node::ControlEvent;

use super::places::{Place, goes_first};

/// What one look at the queue found.
#[derive(Debug)]
pub(super) enum Next {
    /// This.
    Event(Box<ControlEvent>),
    /// Nothing came in time.
    Late,
    /// The queue is closed, and what was in it is void.
    Closed,
}

/// The queue. How much may be in it is limited by who puts things in: a question holds its
/// [`Place`] for as long as it is here, everything else is what the control plane itself has under
/// way.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    came: Condvar,
}

/// An event; a question with its place.
type Entry = (ControlEvent, Option<Arc<Place>>);

#[derive(Debug, Default)]
struct State {
    /// Of the quorum and the controller, and answers.
    first: VecDeque<Entry>,
    /// Of clients.
    then: VecDeque<Entry>,
    closed: bool,
}

impl Queue {
    /// Something that is no question. False when the queue is closed.
    pub(super) fn push(&self, event: ControlEvent) -> bool {
        self.put((event, None))
    }

    /// A question, which waits among its like. False when the queue is closed.
    pub(super) fn push_question(&self, event: ControlEvent, place: Arc<Place>) -> bool {
        self.put((event, Some(place)))
    }

    fn put(&self, entry: Entry) -> bool {
        let can_wait = match &entry.0 {
            ControlEvent::Ask { request, .. } => !goes_first(request),
            _ => false,
        };
        let mut state = self.state();
        if !state.closed {
            let line = if can_wait { &mut state.then } else { &mut state.first };
            line.push_back(entry);
            self.came.notify_one();
        }
        !state.closed
    }

    /// Nothing goes in or comes out any more.
    pub(super) fn close(&self) {
        let mut state = self.state();
        *state = State { closed: true, ..State::default() };
        self.came.notify_all();
    }

    /// Waits for what is next, not beyond `until`.
    pub(super) fn next(&self, until: Instant) -> Next {
        let mut state = self.state();
        loop {
            if state.closed {
                return Next::Closed;
            }
            let first = state.first.pop_front();
            if let Some((event, _place)) = first.or_else(|| state.then.pop_front()) {
                return Next::Event(Box::new(event));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Next::Late;
            }
            let waited = self.came.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use node::{Asker, ControlRequest, ListenerKind};
    use wire::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
    use wire::messages::create_topics_request::CreateTopicsRequest;
    use wire::messages::envelope_request::EnvelopeRequest;
    use wire::messages::fetch_request::FetchRequest;

    use super::*;

    fn id(next: Next) -> Option<u64> {
        let Next::Event(event) = next else { return None };
        match *event {
            ControlEvent::Gone { token } | ControlEvent::Ask { token, .. } => Some(token),
            _ => None,
        }
    }

    fn by_controllers(token: u64, request: ControlRequest) -> ControlEvent {
        let asker = Asker { listener: ListenerKind::Controller, ..Asker::own(0) };
        ControlEvent::Ask { token, asker, request }
    }

    #[test]
    fn what_clients_ask_waits_for_the_quorum_though_it_comes_the_same_way() {
        let queue = Queue::default();
        let soon = Instant::now();
        queue.push(by_controllers(1, EnvelopeRequest::default().into()));
        queue.push(by_controllers(2, CreateTopicsRequest::default().into()));
        queue.push(by_controllers(3, BrokerHeartbeatRequest::default().into()));
        queue.push(by_controllers(4, FetchRequest::default().into()));
        assert_eq!(id(queue.next(soon)), Some(3));
        assert_eq!(id(queue.next(soon)), Some(4));
        assert_eq!(id(queue.next(soon)), Some(1));
        queue.push(ControlEvent::Gone { token: 5 });
        assert_eq!(id(queue.next(soon)), Some(5));
        assert_eq!(id(queue.next(soon)), Some(2));
        assert!(matches!(queue.next(soon + Duration::from_millis(1)), Next::Late));
        queue.push(ControlEvent::Gone { token: 6 });
        queue.close();
        assert!(!queue.push(ControlEvent::Gone { token: 7 }));
        assert!(matches!(queue.next(soon), Next::Closed));
    }
}
