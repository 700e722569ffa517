//! What waits for the control thread: first what keeps the cluster together, then what clients ask.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use node::ControlEvent;

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

/// The queue. How much may be in it is limited by who puts things in: questions by
/// [`super::ASKS_OF_CLIENTS_MAX`] and [`super::ASKS_OF_CONTROLLERS_MAX`], everything else by what
/// the control plane itself has under way.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Of the quorum and the controller, and answers.
    first: VecDeque<ControlEvent>,
    /// Of clients.
    then: VecDeque<ControlEvent>,
    closed: bool,
}

impl Queue {
    /// Something of the quorum, or an answer. False when the queue is closed.
    pub(super) fn push(&self, event: ControlEvent) -> bool {
        let mut state = self.state();
        if !state.closed {
            state.first.push_back(event);
            self.came.notify_one();
        }
        !state.closed
    }

    /// Something that a client asks. False when the queue is closed.
    pub(super) fn push_of_client(&self, event: ControlEvent) -> bool {
        let mut state = self.state();
        if !state.closed {
            state.then.push_back(event);
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
            if let Some(event) = first.or_else(|| state.then.pop_front()) {
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

    use super::*;

    fn id(next: Next) -> Option<u64> {
        let Next::Event(event) = next else { return None };
        match *event {
            ControlEvent::Gone { token } => Some(token),
            _ => None,
        }
    }

    #[test]
    fn what_clients_ask_waits_for_the_quorum() {
        let queue = Queue::default();
        let soon = Instant::now();
        queue.push_of_client(ControlEvent::Gone { token: 1 });
        queue.push_of_client(ControlEvent::Gone { token: 2 });
        queue.push(ControlEvent::Gone { token: 3 });
        assert_eq!(id(queue.next(soon)), Some(3));
        assert_eq!(id(queue.next(soon)), Some(1));
        queue.push(ControlEvent::Gone { token: 4 });
        assert_eq!(id(queue.next(soon)), Some(4));
        assert_eq!(id(queue.next(soon)), Some(2));
        assert!(matches!(queue.next(soon + Duration::from_millis(1)), Next::Late));
        queue.push(ControlEvent::Gone { token: 5 });
        queue.close();
        assert!(!queue.push(ControlEvent::Gone { token: 6 }));
        assert!(matches!(queue.next(soon), Next::Closed));
    }
}
