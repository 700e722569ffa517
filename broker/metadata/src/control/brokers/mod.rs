//! Brokers: registration, heartbeats, fencing and unfencing, controlled shutdown, goodbye.

mod fence;
mod heartbeat;
mod register;

use wire::ErrorCode;
use wire::ids::BrokerId;

use super::Refusal;
use crate::image::{Broker, Image};

pub use fence::{fence_brokers, unfence_broker, unregister_broker};
pub use heartbeat::{broker_heartbeat, cordoned};
pub use register::{Registration, register_broker};

/// The broker, if `epoch` is that of its latest registration.
pub(super) fn current(image: &Image, id: BrokerId, epoch: i64) -> Result<&Broker, Refusal> {
    let broker = registered(image, id)?;
    if broker.epoch != epoch {
        let message = format!("Expected broker epoch {}, but got {epoch}", broker.epoch);
        return Err(Refusal::new(ErrorCode::StaleBrokerEpoch, message));
    }
    Ok(broker)
}

/// The broker, if it is registered.
fn registered(image: &Image, id: BrokerId) -> Result<&Broker, Refusal> {
    let broker = image.brokers.get(id).map(|broker| &**broker);
    broker.ok_or_else(|| {
        let message = format!("Broker ID {id} is not currently registered");
        Refusal::new(ErrorCode::BrokerIdNotRegistered, message)
    })
}
