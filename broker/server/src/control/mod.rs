//! The control plane's threads: one drives [`Node::control`], one puts committed changes in force.
//!
//! ```text
//! handlers, controller listeners ── Control::ask ──> queue ──> tidelog-quorum: Node::control
//! peers' answers, apply's completions ─────────────^              |
//!          peers (their own runtime) <── Send ────────────────────+── Respond ──> who asked
//!          tidelog-apply: Node::apply, Node::load_logs <── Apply, LoadLogs
//! ```
//!
//! Neither thread serves clients, so that a flood of records delays no vote and no heartbeat.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use node::{Asker, ControlEvent, ControlRequest, ControlResponse, Token};
use tokio::sync::{oneshot, watch};
use wire::ErrorCode;

mod driver;
mod places;
mod queue;
#[cfg(test)]
mod tests;

pub(crate) use driver::ControlThreads;
pub(crate) use places::goes_first;
use places::{Place, Places};
use queue::Queue;

/// How things stand, for whoever waits for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The broker may take clients.
    pub(crate) ready: bool,
    /// The process may stop.
    pub(crate) may_stop: bool,
    /// Why the node cannot go on.
    pub(crate) fatal: Option<String>,
}

/// The way to the control plane, for handlers and listeners.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Queue,
    next_token: AtomicU64,
    waiting: Mutex<HashMap<Token, Waiting>>,
    places: Places,
    progress: watch::Sender<Progress>,
}

/// Somebody waits for an answer.
#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<ControlResponse>,
    /// The control plane has seen the question.
    taken: bool,
}

impl Control {
    /// A way that leads nowhere until [`ControlThreads::start`] has been called with it.
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                queue: Queue::default(),
                next_token: AtomicU64::new(1),
                waiting: Mutex::default(),
                places: Places::default(),
                progress: watch::Sender::new(Progress::default()),
            }),
        }
    }

    /// Asks the control plane. `None`: it has ended, and the process is about to.
    pub(crate) async fn ask(
        &self,
        asker: Asker,
        request: ControlRequest,
    ) -> Option<ControlResponse> {
        match self.begin(asker, request) {
            Ok(asked) => asked.answer().await,
            Err(refused) => Some(refused),
        }
    }

    /// Puts the question into the queue; its answer is waited for with [`Asked::answer`]. As many
    /// as may wait do: refused, at once.
    pub(crate) fn begin(
        &self,
        asker: Asker,
        request: ControlRequest,
    ) -> Result<Asked, ControlResponse> {
        let Some(place) = self.shared.places.take(asker.listener, &request) else {
            let why = "too many requests wait for the controller";
            return Err(request.refused(ErrorCode::RequestTimedOut, why));
        };
        let token = self.shared.next_token.fetch_add(1, Ordering::Relaxed);
        let (answer, waiting) = oneshot::channel();
        self.shared.waiting().insert(token, Waiting { answer, taken: false });
        let ask = ControlEvent::Ask { token, asker, request };
        if !self.shared.queue.push_question(ask, Arc::clone(&place)) {
            // Nobody will answer: the wait ends at once.
            self.shared.waiting().remove(&token);
        }
        Ok(Asked { shared: Arc::clone(&self.shared), token, waiting, _place: place })
    }

    /// How things stand, and how they change.
    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.shared.progress.subscribe()
    }

    /// Begins the controlled shutdown, and waits until the process may stop, but not for ever.
    pub(crate) fn shut_down(&self, runtime: &tokio::runtime::Runtime, most: Duration) -> bool {
        let mut progress = self.progress();
        self.shared.queue.push(ControlEvent::Shutdown);
        runtime.block_on(async {
            let agreed = progress.wait_for(|now| now.may_stop || now.fatal.is_some());
            tokio::time::timeout(most, agreed).await.is_ok_and(|agreed| agreed.is_ok())
        })
    }

    /// Something for the control plane that is no question.
    fn tell(&self, event: ControlEvent) {
        self.shared.queue.push(event);
    }

    /// The answer to a request of the control plane's own.
    pub(crate) fn answered(&self, id: u64, response: ControlResponse) {
        self.tell(ControlEvent::Answer { id, response });
    }

    /// A request of the control plane's own has no answer.
    pub(crate) fn failed(&self, id: u64, refused: bool) {
        self.tell(ControlEvent::Failed { id, refused });
    }

    fn respond(&self, token: Token, response: ControlResponse) {
        let waiting = self.shared.waiting().remove(&token);
        if let Some(waiting) = waiting {
            // Whoever asked may have gone just now.
            let _ = waiting.answer.send(response);
        }
    }

    /// Whether the control plane has to see this: a question that nobody asks any more is void.
    fn is_wanted(&self, event: &ControlEvent) -> bool {
        let ControlEvent::Ask { token, .. } = event else { return true };
        match self.shared.waiting().get_mut(token) {
            Some(waiting) => {
                waiting.taken = true;
                true
            }
            None => false,
        }
    }

    fn note(&self, change: impl FnOnce(&mut Progress)) {
        self.shared.progress.send_modify(change);
    }

    /// Ends the control thread and every wait.
    fn close(&self) {
        self.shared.queue.close();
        self.shared.waiting().clear();
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, HashMap<Token, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that waits for its answer. Dropping it says that nobody waits any more.
#[derive(Debug)]
pub(crate) struct Asked {
    shared: Arc<Shared>,
    token: Token,
    waiting: oneshot::Receiver<ControlResponse>,
    _place: Arc<Place>,
}

impl Asked {
    /// The answer; `None` when the control plane has ended.
    pub(crate) async fn answer(mut self) -> Option<ControlResponse> {
        (&mut self.waiting).await.ok()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let waiting = self.shared.waiting().remove(&self.token);
        if waiting.is_some_and(|waiting| waiting.taken) {
            self.shared.queue.push(ControlEvent::Gone { token: self.token });
        }
    }
}
