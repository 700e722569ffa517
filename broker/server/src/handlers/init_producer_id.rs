//! InitProducerId: an id for an idempotent producer, out of the block that this broker has; the
//! controller gives the next block. A transactional id is refused by the node, for good.

use wire::ErrorCode;
use wire::messages::allocate_producer_ids_response::AllocateProducerIdsResponse;
use wire::messages::init_producer_id_request::InitProducerIdRequest;
use wire::messages::init_producer_id_response::InitProducerIdResponse;

use super::control::ask_for_ourselves;
use crate::connection::Close;
use crate::dispatch::{Answer, Call};

/// Other producers may take a whole block before the one that asked for it.
const BLOCKS_MAX: usize = 5;

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
    if let Some(answer) = call.broker.node.producer_id_at_hand(&request) {
        if call.broker.node.producer_ids_run_low() {
            tokio::spawn(fetch_ahead(call.clone()));
        }
        return Answer::Now(answer);
    }
    let call = call.clone();
    Answer::Serial(Box::pin(async move { after_next_block(&call, &request).await }))
}

/// Asks for the next block while there are ids left, so that no producer waits for it.
async fn fetch_ahead(call: Call) {
    let node = &call.broker.node;
    let asked: Result<AllocateProducerIdsResponse, Close> =
        ask_for_ourselves(&call, node.producer_ids_request()).await;
    match asked {
        Ok(block) if block.error_code == 0 => node.take_producer_ids(&block),
        _ => node.no_producer_ids(),
    }
}

async fn after_next_block(
    call: &Call,
    request: &InitProducerIdRequest,
) -> Result<InitProducerIdResponse, Close> {
    let node = &call.broker.node;
    for _ in 0..BLOCKS_MAX {
        let block: AllocateProducerIdsResponse =
            ask_for_ourselves(call, node.producer_ids_request()).await?;
        if block.error_code != ErrorCode::None.code() {
            break;
        }
        node.take_producer_ids(&block);
        if let Some(answer) = node.producer_id_at_hand(request) {
            return Ok(answer);
        }
    }
    Ok(InitProducerIdResponse {
        error_code: ErrorCode::CoordinatorNotAvailable.code(),
        producer_id: -1,
        producer_epoch: -1,
        ..InitProducerIdResponse::default()
    })
}

/// A producer that had an id had an epoch too; a transactional id has a name.
fn is_well_formed(request: &InitProducerIdRequest) -> bool {
    (request.producer_id == -1) == (request.producer_epoch == -1)
        && request.transactional_id.as_deref() != Some("")
}
