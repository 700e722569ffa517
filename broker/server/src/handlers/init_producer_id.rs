//! InitProducerId: an id for an idempotent producer. A transactional id is refused by the node, for
//! good.

use wire::messages::init_producer_id_request::InitProducerIdRequest;
use wire::messages::init_producer_id_response::InitProducerIdResponse;

use crate::dispatch::{Answer, Call};

pub(crate) fn handle(
    call: &Call,
    request: InitProducerIdRequest,
) -> Answer<InitProducerIdResponse> {
    // Blocks only when the block of ids is used up, which the caller cannot know.
    Answer::blocking(call, move |broker| broker.node.init_producer_id(broker.now_ms(), &request))
}
