//! The requests of brokers and controllers to the active controller, as messages: what each
//! decision answers on the wire.

use wire::ErrorCode;
use wire::ids::BrokerId;
use wire::messages::allocate_producer_ids_request::AllocateProducerIdsRequest;
use wire::messages::allocate_producer_ids_response::AllocateProducerIdsResponse;
use wire::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use wire::messages::broker_heartbeat_response::BrokerHeartbeatResponse;
use wire::messages::broker_registration_request::BrokerRegistrationRequest;
use wire::messages::broker_registration_response::BrokerRegistrationResponse;
use wire::messages::unregister_broker_request::UnregisterBrokerRequest;
use wire::messages::unregister_broker_response::UnregisterBrokerResponse;

use super::brokers::{self, Registration};
use super::{Decision, Refusal, producer_ids};
use crate::image::Image;

/// BrokerRegistration. `next_offset` is the offset of the first record that would be written now,
/// `session_alive` whether the run that is registered was heard of within its session.
pub fn register_broker(
    image: &Image,
    request: &BrokerRegistrationRequest,
    next_offset: i64,
    session_alive: bool,
) -> Decision<BrokerRegistrationResponse> {
    let decided = match Registration::from_request(request) {
        Ok(registration) => {
            brokers::register_broker(image, &registration, next_offset, session_alive)
        }
        Err(refusal) => Decision { records: Vec::new(), response: Err(refusal) },
    };
    decided.answer(
        |broker_epoch| BrokerRegistrationResponse { broker_epoch, ..Default::default() },
        |refusal| BrokerRegistrationResponse {
            error_code: refusal.code.into(),
            broker_epoch: -1,
            ..Default::default()
        },
    )
}

/// BrokerHeartbeat; for `all_have_seen` see [`brokers::broker_heartbeat`].
pub fn broker_heartbeat(
    image: &Image,
    request: &BrokerHeartbeatRequest,
    all_have_seen: bool,
) -> Decision<BrokerHeartbeatResponse> {
    let decided = brokers::broker_heartbeat(image, request, all_have_seen);
    decided.answer(
        |response| response,
        |refusal| BrokerHeartbeatResponse {
            error_code: refusal.code.into(),
            is_fenced: true,
            ..Default::default()
        },
    )
}

/// UnregisterBroker.
pub fn unregister_broker(
    image: &Image,
    request: &UnregisterBrokerRequest,
) -> Decision<UnregisterBrokerResponse> {
    let decided = brokers::unregister_broker(image, BrokerId(request.broker_id));
    decided.answer(
        |()| UnregisterBrokerResponse::default(),
        |refusal| UnregisterBrokerResponse {
            error_code: refusal.code.into(),
            error_message: Some(refusal.message),
            ..Default::default()
        },
    )
}

/// AllocateProducerIds.
pub fn allocate_producer_ids(
    image: &Image,
    request: &AllocateProducerIdsRequest,
) -> Decision<AllocateProducerIdsResponse> {
    let broker = BrokerId(request.broker_id);
    let decided = producer_ids::allocate_producer_ids(image, broker, request.broker_epoch);
    decided.answer(
        |block| AllocateProducerIdsResponse {
            producer_id_start: block.first.0,
            producer_id_len: i32::try_from(block.len).unwrap_or(i32::MAX),
            ..Default::default()
        },
        |refusal| {
            // Kafka does not tell a broker that is unknown from one that is known otherwise.
            let unknown = refusal.code == ErrorCode::BrokerIdNotRegistered;
            let code = if unknown { ErrorCode::StaleBrokerEpoch } else { refusal.code };
            AllocateProducerIdsResponse {
                error_code: code.into(),
                producer_id_start: -1,
                ..Default::default()
            }
        },
    )
}

impl<T> Decision<Result<T, Refusal>> {
    /// The same records, with the answer as a message.
    fn answer<R>(
        self,
        decided: impl FnOnce(T) -> R,
        refused: impl FnOnce(Refusal) -> R,
    ) -> Decision<R> {
        let response = self.response.map_or_else(refused, decided);
        Decision { records: self.records, response }
    }
}
