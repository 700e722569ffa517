//! How many questions may wait for the control plane at once: each kind has a share of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use node::{ControlRequest, ListenerKind};
use wire::ApiKey;

/// Questions of this broker's clients that may wait at once.
pub(super) const OF_CLIENTS_MAX: usize = 1_024;
/// Questions of others' clients, passed on by their brokers, and of tools.
pub(super) const PASSED_ON_MAX: usize = 4_096;
/// Questions of the quorum's nodes and of brokers.
pub(super) const OF_QUORUM_MAX: usize = 4_096;

/// Whether it keeps the cluster together: by whatever way it comes, it goes before what clients
/// want, of which the controller's listeners take much too (envelopes, tools).
pub(crate) fn goes_first(request: &ControlRequest) -> bool {
    matches!(
        request.key(),
        ApiKey::Vote
            | ApiKey::BeginQuorumEpoch
            | ApiKey::EndQuorumEpoch
            | ApiKey::Fetch
            | ApiKey::FetchSnapshot
            | ApiKey::BrokerRegistration
            | ApiKey::BrokerHeartbeat
            | ApiKey::ControllerRegistration
    )
}

/// The places that are taken.
#[derive(Debug, Default)]
pub(super) struct Places {
    of_clients: Arc<AtomicUsize>,
    passed_on: Arc<AtomicUsize>,
    of_quorum: Arc<AtomicUsize>,
}

impl Places {
    /// A place for this question; `None` when its share is full.
    pub(super) fn take(
        &self,
        listener: ListenerKind,
        request: &ControlRequest,
    ) -> Option<Arc<Place>> {
        let (count, most) = match listener {
            _ if goes_first(request) => (&self.of_quorum, OF_QUORUM_MAX),
            ListenerKind::Client => (&self.of_clients, OF_CLIENTS_MAX),
            ListenerKind::Controller => (&self.passed_on, PASSED_ON_MAX),
        };
        let place = Place(Arc::clone(count));
        // Given back by the place's end.
        let before = count.fetch_add(1, Ordering::Relaxed);
        (before < most).then(|| Arc::new(place))
    }
}

/// A place, held by the question in the queue and by whoever waits for its answer: it is free when
/// both are gone.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
