//! Fencing, unfencing, and removing a broker for good.

use wire::ids::BrokerId;
use wire::messages::broker_registration_change_record::BrokerRegistrationChangeRecord;
use wire::messages::metadata_records::MetadataRecord;
use wire::messages::unregister_broker_record::UnregisterBrokerRecord;

use super::super::leadership::{step_down, take_lead};
use super::super::{Decision, Refusal};
use super::{current, registered};
use crate::image::{Broker, Image, Partition};

/// What the record of a registration change says for "unfence".
const UNFENCE: i8 = -1;
/// What it says for "fence".
const FENCE: i8 = 1;

/// Fences brokers that have not been heard of: they lead nothing any more. Those that are fenced
/// already, or not registered, are passed over.
pub fn fence_brokers(image: &Image, ids: &[BrokerId]) -> Decision<()> {
    let unfenced = |id: &&BrokerId| image.brokers.get(**id).is_some_and(|b| !b.fenced);
    let going: Vec<BrokerId> = ids.iter().filter(unfenced).copied().collect();
    let mut records = Vec::new();
    if !going.is_empty() {
        records = step_down(image, &going, |_| true);
        let brokers = going.iter().filter_map(|id| image.brokers.get(*id));
        records.extend(brokers.map(|broker| fenced(broker, FENCE)));
    }
    Decision { records, response: () }
}

/// Decides to unfence a broker that has caught up: it leads again what it led, in a new epoch.
pub fn unfence_broker(image: &Image, id: BrokerId, epoch: i64) -> Decision<Result<(), Refusal>> {
    match current(image, id, epoch) {
        Ok(broker) if broker.fenced => {
            Decision { records: unfence(image, broker, |_| true), response: Ok(()) }
        }
        Ok(_) => Decision { records: Vec::new(), response: Ok(()) },
        Err(refusal) => Decision { records: Vec::new(), response: Err(refusal) },
    }
}

/// Removes a broker that will not come back. What only it has keeps it as its replica, and stays
/// without a leader.
///
/// # Errors
/// No such broker is registered.
pub fn unregister_broker(image: &Image, id: BrokerId) -> Decision<Result<(), Refusal>> {
    let broker = match registered(image, id) {
        Ok(broker) => broker,
        Err(refusal) => return Decision { records: Vec::new(), response: Err(refusal) },
    };
    let mut records = step_down(image, &[id], |_| true);
    records.push(MetadataRecord::UnregisterBroker(UnregisterBrokerRecord {
        broker_id: id.0,
        broker_epoch: broker.epoch,
    }));
    Decision { records, response: Ok(()) }
}

/// The records that unfence a broker and give it what it may lead.
pub(super) fn unfence(
    image: &Image,
    broker: &Broker,
    able: impl Fn(&Partition) -> bool,
) -> Vec<MetadataRecord> {
    let mut records = vec![fenced(broker, UNFENCE)];
    records.extend(take_lead(image, broker.id, able));
    records
}

/// The records that fence one broker.
pub(super) fn fence(image: &Image, broker: &Broker) -> Vec<MetadataRecord> {
    let mut records = step_down(image, &[broker.id], |_| true);
    records.push(fenced(broker, FENCE));
    records
}

fn fenced(broker: &Broker, fenced: i8) -> MetadataRecord {
    MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
        broker_id: broker.id.0,
        broker_epoch: broker.epoch,
        fenced,
        ..Default::default()
    })
}
