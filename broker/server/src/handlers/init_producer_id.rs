//! InitProducerId: an id for an idempotent producer. A transactional id is refused by the node, for
//! good.

use wire::ErrorCode;
use wire::messages::init_producer_id_request::InitProducerIdRequest;
use wire::messages::init_producer_id_response::InitProducerIdResponse;

use crate::dispatch::{Answer, Call};

pub(crate) fn handle(
    call: &Call,
    request: InitProducerIdRequest,
) -> Answer<InitProducerIdResponse> {
    if !is_well_formed(&request) {
        return Answer::Now(InitProducerIdResponse {
            error_code: ErrorCode::InvalidRequest.code(),
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        });
    }
    // Blocks only when the block of ids is used up, which the caller cannot know.
    Answer::blocking(call, move |broker| broker.node.init_producer_id(broker.now_ms(), &request))
}

/// A producer that had an id had an epoch too; a transactional id has a name.
fn is_well_formed(request: &InitProducerIdRequest) -> bool {
    (request.producer_id == -1) == (request.producer_epoch == -1)
        && request.transactional_id.as_deref() != Some("")
}
