//! A broker registers: under an epoch of its own, fenced until it has caught up.

use std::collections::BTreeSet;

use wire::ErrorCode;
use wire::ids::{BrokerId, Uuid};
use wire::messages::broker_registration_request::BrokerRegistrationRequest;
use wire::messages::metadata_records::MetadataRecord;
use wire::messages::partition_change_record::PartitionChangeRecord;

use super::super::leadership::{change, step_down, unchanged};
use super::super::{Decision, Refusal};
use crate::features::{METADATA_VERSION_FEATURE, SUPPORTED, supports};
use crate::image::{Broker, Endpoint, Image, SupportedFeature};

/// The ids of directories below this one stand for what is no directory.
const RESERVED_DIRECTORY_IDS: u128 = 100;

/// What a broker says of itself when it registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Its id.
    pub id: BrokerId,
    /// This run of the process.
    pub incarnation: Uuid,
    /// The cluster that its disks belong to, if they belong to one.
    pub cluster_id: Option<String>,
    /// Where it is reached.
    pub endpoints: Vec<Endpoint>,
    /// What it supports.
    pub features: Vec<SupportedFeature>,
    /// Its rack.
    pub rack: Option<String>,
    /// Its log directories.
    pub log_dirs: Vec<Uuid>,
    /// The epoch under which it stopped cleanly; -1 when it did not, or never ran.
    pub previous_epoch: i64,
}

impl Registration {
    /// What this version supports.
    pub fn own_features() -> Vec<SupportedFeature> {
        let feature = |f: &crate::features::Supported| SupportedFeature {
            name: f.name.to_owned(),
            min: f.min,
            max: f.max,
        };
        SUPPORTED.iter().map(feature).collect()
    }

    /// As the message that says it to a controller.
    pub fn to_request(&self) -> BrokerRegistrationRequest {
        BrokerRegistrationRequest {
            broker_id: self.id.0,
            cluster_id: self.cluster_id.clone().unwrap_or_default(),
            incarnation_id: self.incarnation,
            listeners: self.endpoints.iter().map(Into::into).collect(),
            features: self.features.iter().map(Into::into).collect(),
            rack: self.rack.clone(),
            is_migrating_zk_broker: false,
            log_dirs: self.log_dirs.clone(),
            previous_broker_epoch: self.previous_epoch,
        }
    }

    /// What the message says. An empty cluster id is that of disks that belong to none yet.
    ///
    /// # Errors
    /// The broker stands in a migration from ZooKeeper, or its id cannot be one.
    pub fn from_request(request: &BrokerRegistrationRequest) -> Result<Self, Refusal> {
        if request.is_migrating_zk_broker {
            let message = "Controller does not support registering ZK brokers.";
            return Err(Refusal::new(ErrorCode::BrokerIdNotRegistered, message));
        }
        if request.broker_id < 0 {
            let message = format!("A broker's id cannot be {}.", request.broker_id);
            return Err(Refusal::new(ErrorCode::InvalidRegistration, message));
        }
        Ok(Self {
            id: BrokerId(request.broker_id),
            incarnation: request.incarnation_id,
            cluster_id: Some(request.cluster_id.clone()).filter(|id| !id.is_empty()),
            endpoints: request.listeners.iter().map(Into::into).collect(),
            features: request.features.iter().map(Into::into).collect(),
            rack: request.rack.clone(),
            log_dirs: request.log_dirs.clone(),
            previous_epoch: request.previous_broker_epoch,
        })
    }
}

/// Decides a registration; a new run of the broker starts fenced. `next_offset` is the offset of
/// the first record that would be written now: the registration's own becomes the broker's epoch.
/// `session_alive` says whether the run that is registered was heard of within its session.
///
/// The same run may register again, because an answer was lost or because something about it has
/// changed: it keeps its epoch, and stays as fenced as it is.
pub fn register_broker(
    image: &Image,
    registration: &Registration,
    next_offset: i64,
    session_alive: bool,
) -> Decision<Result<i64, Refusal>> {
    if let Err(refusal) = check(image, registration, session_alive) {
        return Decision { records: Vec::new(), response: Err(refusal) };
    }
    let known = image.brokers.get(registration.id);
    let same_run = known.filter(|known| known.incarnation == registration.incarnation);
    let mut records = match (same_run, known) {
        (None, Some(known)) => after_stop(image, known, registration.previous_epoch),
        _ => Vec::new(),
    };
    let before = i64::try_from(records.len()).unwrap_or(i64::MAX);
    let epoch = same_run.map_or(next_offset.saturating_add(before), |known| known.epoch);
    let broker = Broker {
        id: registration.id,
        epoch,
        incarnation: registration.incarnation,
        endpoints: registration.endpoints.clone(),
        features: registration.features.clone(),
        rack: registration.rack.clone(),
        fenced: same_run.is_none_or(|known| known.fenced),
        in_controlled_shutdown: same_run.is_some_and(|known| known.in_controlled_shutdown),
        log_dirs: registration.log_dirs.clone(),
        cordoned_log_dirs: same_run.and_then(|known| known.cordoned_log_dirs.clone()),
    };
    if same_run.is_none_or(|known| **known != broker) {
        records.push(MetadataRecord::RegisterBroker(broker.to_record()));
    }
    Decision { records, response: Ok(epoch) }
}

/// What the end of the broker's former run leaves to be done.
fn after_stop(image: &Image, known: &Broker, previous_epoch: i64) -> Vec<MetadataRecord> {
    if image.brokers.len() < 2 {
        // Nobody else could lead in the meantime, and nobody asks.
        return Vec::new();
    }
    let mut records = step_down(image, &[known.id], |_| true);
    if previous_epoch == known.epoch {
        return records;
    }
    // It may have lost what it had acknowledged: it must not lead for having been in sync once.
    for (topic, index, partition) in image.topics.of_broker(known.id) {
        let eligible = &partition.eligible_leader_replicas;
        if eligible.contains(&known.id) {
            let left = eligible.iter().filter(|id| **id != known.id).map(|id| id.0);
            let left: Vec<i32> = left.collect();
            let last_known_elr =
                (left.is_empty() && partition.isr.is_empty()).then(|| vec![known.id.0]);
            let made = PartitionChangeRecord {
                eligible_leader_replicas: Some(left),
                last_known_elr,
                ..unchanged()
            };
            records.push(change(topic, index, made));
        }
    }
    records
}

fn check(image: &Image, registration: &Registration, session_alive: bool) -> Result<(), Refusal> {
    let theirs = registration.cluster_id.as_deref();
    if let (Some(theirs), Some(ours)) = (theirs, image.cluster_id())
        && theirs != ours
    {
        let message = format!("Expected cluster ID {ours}, but got cluster ID {theirs}");
        return Err(Refusal::new(ErrorCode::InconsistentClusterId, message));
    }
    let known = image.brokers.get(registration.id);
    if session_alive && known.is_some_and(|b| b.incarnation != registration.incarnation) {
        let message = format!(
            "Another broker is registered with that broker id: {}. If the broker was recently \
             restarted this should self-resolve once the heartbeat manager expires the broker's \
             session.",
            registration.id
        );
        return Err(Refusal::new(ErrorCode::DuplicateBrokerRegistration, message));
    }
    check_directories(image, registration)?;
    check_features(image, registration)
}

fn check_directories(image: &Image, registration: &Registration) -> Result<(), Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidRegistration, message));
    let dirs = &registration.log_dirs;
    if dirs.is_empty() {
        return invalid("No directories specified in request".to_owned());
    }
    if dirs.iter().any(|id| u128::from_be_bytes(id.0) < RESERVED_DIRECTORY_IDS) {
        return invalid("Reserved directory ID in request".to_owned());
    }
    if dirs.iter().collect::<BTreeSet<_>>().len() != dirs.len() {
        return invalid("Duplicate directory ID in request".to_owned());
    }
    for other in image.brokers.iter().filter(|other| other.id != registration.id) {
        if let Some(dir) = dirs.iter().find(|dir| other.log_dirs.contains(dir)) {
            let holder = other.id;
            return invalid(format!("Broker {holder} is already registered with directory {dir}"));
        }
    }
    Ok(())
}

/// A broker has to support what the cluster has finalised. A level that this version does not know
/// itself came with a log that Apache Kafka wrote: nothing here acts on it, nobody has to know it.
fn check_features(image: &Image, registration: &Registration) -> Result<(), Refusal> {
    let range = |name: &str| registration.features.iter().find(|feature| feature.name == name);
    if range(METADATA_VERSION_FEATURE).is_none() {
        let message = "Request features do not contain 'metadata.version'";
        return Err(Refusal::new(ErrorCode::InvalidRegistration, message));
    }
    for (name, level) in image.features.iter().filter(|(name, level)| supports(name, *level)) {
        let (min, max) = range(name).map_or((0, 0), |feature| (feature.min, feature.max));
        if !(min..=max).contains(&level) {
            let message = format!(
                "Unable to register because the broker does not support finalized version \
                 {level} of {name}. The broker wants a version between {min} and {max}, inclusive."
            );
            return Err(Refusal::new(ErrorCode::UnsupportedVersion, message));
        }
    }
    Ok(())
}
