//! A broker's heartbeat: it unfences a broker that has caught up, fences one that wants it, and
//! lets one stop when nothing is left that it leads.

use std::collections::BTreeSet;

use wire::ids::{BrokerId, Uuid};
use wire::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use wire::messages::broker_heartbeat_response::BrokerHeartbeatResponse;
use wire::messages::broker_registration_change_record::BrokerRegistrationChangeRecord;
use wire::messages::metadata_records::MetadataRecord;

use super::super::leadership::{leads_any, step_down};
use super::super::{Decision, Refusal};
use super::current;
use super::fence::{fence, unfence};
use crate::image::{Broker, Image, Partition};

/// What the record of a registration change says for "in controlled shutdown".
const IN_CONTROLLED_SHUTDOWN: i8 = 1;

/// How a broker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fenced,
    Unfenced,
    /// It leads nothing any more; the others are yet to hear of it.
    Stopping,
    /// It may stop now.
    Stopped,
}

/// Decides a heartbeat. `all_have_seen` says whether every other active broker has applied the
/// records by which the broker lost what it led, if it is stopping.
///
/// # Errors
/// The broker is not registered, or not under this epoch.
pub fn broker_heartbeat(
    image: &Image,
    request: &BrokerHeartbeatRequest,
    all_have_seen: bool,
) -> Decision<Result<BrokerHeartbeatResponse, Refusal>> {
    let broker = match current(image, BrokerId(request.broker_id), request.broker_epoch) {
        Ok(broker) => broker,
        Err(refusal) => return Decision { records: Vec::new(), response: Err(refusal) },
    };
    let caught_up = request.current_metadata_offset >= broker.epoch;
    let offline = &request.offline_log_dirs;
    let now = state(broker);
    let next = next_state(image, broker, request, caught_up, all_have_seen);
    let mut records = match next {
        _ if next == now => Vec::new(),
        State::Unfenced => unfence(image, broker, |p| !lies_in(p, broker.id, offline)),
        State::Fenced => fence(image, broker),
        // It may have stopped before it was ever unfenced.
        State::Stopped if broker.fenced => Vec::new(),
        State::Stopped => fence(image, broker),
        State::Stopping => stopping(image, broker),
    };
    let steps_down_anyway = matches!(next, State::Stopped | State::Stopping | State::Fenced);
    records.extend(directories_lost(image, broker, offline, steps_down_anyway && next != now));
    records.extend(cordoned(broker, request.cordoned_log_dirs.as_deref()));
    let response = BrokerHeartbeatResponse {
        is_caught_up: caught_up,
        is_fenced: matches!(next, State::Fenced | State::Stopped),
        should_shut_down: next == State::Stopped,
        ..Default::default()
    };
    Decision { records, response: Ok(response) }
}

fn state(broker: &Broker) -> State {
    match (broker.fenced, broker.in_controlled_shutdown) {
        (true, _) => State::Fenced,
        (false, true) => State::Stopping,
        (false, false) => State::Unfenced,
    }
}

fn next_state(
    image: &Image,
    broker: &Broker,
    request: &BrokerHeartbeatRequest,
    caught_up: bool,
    all_have_seen: bool,
) -> State {
    match state(broker) {
        State::Fenced if request.want_shut_down => State::Stopped,
        // A broker that was stopping comes back with a new registration only.
        State::Fenced if broker.in_controlled_shutdown => State::Fenced,
        State::Fenced if !request.want_fence && caught_up => State::Unfenced,
        State::Fenced => State::Fenced,
        State::Unfenced if request.want_fence && request.want_shut_down => State::Stopped,
        State::Unfenced if request.want_fence => State::Fenced,
        State::Unfenced if request.want_shut_down => {
            if leads_any(image, broker.id) {
                State::Stopping
            } else {
                State::Stopped
            }
        }
        State::Unfenced => State::Unfenced,
        State::Stopping if all_have_seen && !leads_any(image, broker.id) => State::Stopped,
        State::Stopping | State::Stopped => State::Stopping,
    }
}

/// The records of a controlled shutdown that begins.
fn stopping(image: &Image, broker: &Broker) -> Vec<MetadataRecord> {
    let mut records = vec![registration_change(broker, |change| {
        change.in_controlled_shutdown = IN_CONTROLLED_SHUTDOWN;
    })];
    records.extend(step_down(image, &[broker.id], |_| true));
    records
}

/// What lies in a directory that broke is not led by its broker any more.
fn directories_lost(
    image: &Image,
    broker: &Broker,
    offline: &[Uuid],
    stepped_down: bool,
) -> Vec<MetadataRecord> {
    let lost: Vec<Uuid> =
        broker.log_dirs.iter().filter(|id| offline.contains(id)).copied().collect();
    if lost.is_empty() {
        return Vec::new();
    }
    let mut records = Vec::new();
    if !stepped_down {
        records = step_down(image, &[broker.id], |p| lies_in(p, broker.id, &lost));
    }
    let left: Vec<Uuid> = broker.log_dirs.iter().filter(|id| !lost.contains(id)).copied().collect();
    // A record without directories would say that they are as before: a broker that has lost all
    // of them stops by itself.
    if !left.is_empty() {
        records.push(registration_change(broker, |change| change.log_dirs = left));
    }
    records
}

/// Takes note of the directories that are to take no new partitions.
pub fn cordoned(broker: &Broker, cordoned: Option<&[Uuid]>) -> Option<MetadataRecord> {
    let cordoned = cordoned?;
    let known: BTreeSet<&Uuid> = broker.cordoned_log_dirs.iter().flatten().collect();
    let news = cordoned.iter().collect::<BTreeSet<_>>() != known;
    news.then(|| {
        registration_change(broker, |change| change.cordoned_log_dirs = Some(cordoned.to_vec()))
    })
}

fn lies_in(partition: &Partition, broker: BrokerId, dirs: &[Uuid]) -> bool {
    partition.directory_of(broker).is_some_and(|dir| dirs.contains(&dir))
}

fn registration_change(
    broker: &Broker,
    set: impl FnOnce(&mut BrokerRegistrationChangeRecord),
) -> MetadataRecord {
    let mut change = BrokerRegistrationChangeRecord {
        broker_id: broker.id.0,
        broker_epoch: broker.epoch,
        ..Default::default()
    };
    set(&mut change);
    MetadataRecord::BrokerRegistrationChange(change)
}
