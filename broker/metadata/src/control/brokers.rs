//! Brokers: registration, fencing, unfencing.

use wire::ErrorCode;
use wire::ids::{BrokerId, Uuid};
use wire::messages::broker_registration_change_record::BrokerRegistrationChangeRecord;
use wire::messages::partition_change_record::PartitionChangeRecord;

use super::{Decision, Refusal};
use crate::features::SUPPORTED;
use crate::image::{
    Broker, Endpoint, Image, LEADER_UNCHANGED, NO_LEADER, Partition, SupportedFeature,
};
use wire::messages::metadata_records::MetadataRecord;

/// What the record of a registration change says for "unfence".
const UNFENCE: i8 = -1;

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
    /// Its rack.
    pub rack: Option<String>,
    /// Its log directories.
    pub log_dirs: Vec<Uuid>,
}

/// Decides a registration; the broker starts fenced. `next_offset` is the offset of the first
/// record that would be written now: it becomes the broker's epoch. `session_alive` says whether
/// another run under the same id was heard of within its session.
pub fn register_broker(
    image: &Image,
    registration: &Registration,
    next_offset: i64,
    session_alive: bool,
) -> Decision<Result<i64, Refusal>> {
    let refuse = |code, message: String| Decision {
        records: Vec::new(),
        response: Err(Refusal::new(code, message)),
    };
    let theirs = registration.cluster_id.as_deref();
    if theirs.is_some() && image.cluster_id().is_some() && theirs != image.cluster_id() {
        let ours = image.cluster_id().unwrap_or_default();
        let theirs = theirs.unwrap_or_default();
        let message = format!("Expected cluster ID {ours}, but got cluster ID {theirs}");
        return refuse(ErrorCode::InconsistentClusterId, message);
    }
    let known = image.brokers.get(registration.id);
    if session_alive && known.is_some_and(|b| b.incarnation != registration.incarnation) {
        let id = registration.id;
        let message = format!("Another broker is registered with that broker id: {id}");
        return refuse(ErrorCode::DuplicateBrokerRegistration, message);
    }
    let feature = |f: &crate::features::Supported| SupportedFeature {
        name: f.name.to_owned(),
        min: f.min,
        max: f.max,
    };
    let broker = Broker {
        id: registration.id,
        epoch: next_offset,
        incarnation: registration.incarnation,
        endpoints: registration.endpoints.clone(),
        features: SUPPORTED.iter().map(feature).collect(),
        rack: registration.rack.clone(),
        fenced: true,
        in_controlled_shutdown: false,
        log_dirs: registration.log_dirs.clone(),
        cordoned_log_dirs: None,
    };
    let records = vec![MetadataRecord::RegisterBroker(broker.to_record())];
    Decision { records, response: Ok(next_offset) }
}

/// Decides to unfence a broker that has caught up.
///
/// Every partition that it leads, or that has no leader while it is in sync, gets it as the leader
/// of a new epoch: what an unclean stop cut from the log's end must not come back under an epoch
/// that clients have seen.
pub fn unfence_broker(image: &Image, id: BrokerId, epoch: i64) -> Decision<Result<(), Refusal>> {
    let broker = match current(image, id, epoch) {
        Ok(broker) => broker,
        Err(refusal) => return Decision { records: Vec::new(), response: Err(refusal) },
    };
    if !broker.fenced {
        return Decision { records: Vec::new(), response: Ok(()) };
    }
    let mut records =
        vec![MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
            broker_id: id.0,
            broker_epoch: epoch,
            fenced: UNFENCE,
            ..Default::default()
        })];
    for topic in image.topics.iter() {
        for (index, partition) in topic.partitions.iter() {
            let Some(change) = leading(partition, id) else { continue };
            records.push(MetadataRecord::PartitionChange(PartitionChangeRecord {
                partition_id: index.0,
                topic_id: topic.id.0,
                leader: id.0,
                ..change
            }));
        }
    }
    Decision { records, response: Ok(()) }
}

/// What makes `id` the leader, besides its id; `None` when it may not lead.
fn leading(partition: &Partition, id: BrokerId) -> Option<PartitionChangeRecord> {
    if partition.leader != NO_LEADER {
        return (partition.leader == id).then(unchanged);
    }
    if partition.isr.contains(&id) {
        return Some(unchanged());
    }
    if !partition.isr.is_empty() {
        return None;
    }
    // Kafka's controllers move the last replica out of the in-sync set when its broker stops.
    let (eligible, last) = (&partition.eligible_leader_replicas, &partition.last_known_leader);
    if eligible.contains(&id) {
        let others = eligible.iter().filter(|other| **other != id).map(|other| other.0);
        return Some(PartitionChangeRecord {
            isr: Some(vec![id.0]),
            eligible_leader_replicas: Some(others.collect()),
            last_known_elr: Some(Vec::new()),
            ..unchanged()
        });
    }
    // With nobody eligible, whoever led last leads again.
    let again = eligible.is_empty() && **last == [id];
    again.then(|| PartitionChangeRecord {
        isr: Some(vec![id.0]),
        last_known_elr: Some(Vec::new()),
        ..unchanged()
    })
}

/// A change record that changes nothing yet.
fn unchanged() -> PartitionChangeRecord {
    PartitionChangeRecord {
        leader: LEADER_UNCHANGED,
        leader_recovery_state: -1,
        ..Default::default()
    }
}

/// The broker, if `epoch` is that of its latest registration.
pub(super) fn current(image: &Image, id: BrokerId, epoch: i64) -> Result<&Broker, Refusal> {
    let Some(broker) = image.brokers.get(id) else {
        let message = format!("Broker ID {id} is not currently registered");
        return Err(Refusal::new(ErrorCode::BrokerIdNotRegistered, message));
    };
    if broker.epoch != epoch {
        let message = format!("Expected broker epoch {}, but got {epoch}", broker.epoch);
        return Err(Refusal::new(ErrorCode::StaleBrokerEpoch, message));
    }
    Ok(broker)
}
