//! Producer ids for idempotent producers, out of blocks that the metadata log gives away.

use std::sync::PoisonError;

use wire::ErrorCode;
use wire::ids::ProducerId;
use wire::messages::allocate_producer_ids_request::AllocateProducerIdsRequest;
use wire::messages::allocate_producer_ids_response::AllocateProducerIdsResponse;
use wire::messages::init_producer_id_request::InitProducerIdRequest;
use wire::messages::init_producer_id_response::InitProducerIdResponse;

use crate::node::Node;

/// What is left of this broker's block.
#[derive(Debug, Default)]
pub(crate) struct ProducerIds {
    next: i64,
    left: i64,
}

impl ProducerIds {
    fn take(&mut self) -> Option<ProducerId> {
        if self.left == 0 {
            return None;
        }
        let id = ProducerId(self.next);
        self.next += 1;
        self.left -= 1;
        Some(id)
    }
}

fn refused(code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse {
        error_code: code.into(),
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    }
}

/// Whatever id and epoch the producer had: a fresh id starts a fresh sequence.
fn fresh(id: ProducerId) -> InitProducerIdResponse {
    InitProducerIdResponse { producer_id: id.0, producer_epoch: 0, ..Default::default() }
}

impl Node {
    /// Serves InitProducerId on a node that is alone. Blocks on the disk once in a thousand ids.
    pub fn init_producer_id(
        &self,
        now_ms: i64,
        request: &InitProducerIdRequest,
    ) -> InitProducerIdResponse {
        if let Some(answer) = self.producer_id_at_hand(request) {
            return answer;
        }
        let block = self.ask_alone(now_ms, 0, self.producer_ids_request().into());
        if let Ok(block) = AllocateProducerIdsResponse::try_from(block)
            && block.error_code == ErrorCode::None.code()
        {
            self.take_producer_ids(&block);
        }
        let answer = self.producer_id_at_hand(request);
        answer.unwrap_or_else(|| refused(ErrorCode::CoordinatorNotAvailable))
    }

    /// Serves InitProducerId out of this broker's block; `None` when that is used up, and the
    /// controller is to be asked for the next.
    ///
    /// A transactional id is refused with a code that clients take for final: there are no
    /// transactions yet.
    pub fn producer_id_at_hand(
        &self,
        request: &InitProducerIdRequest,
    ) -> Option<InitProducerIdResponse> {
        if request.transactional_id.is_some() {
            return Some(refused(ErrorCode::UnsupportedVersion));
        }
        let mut ids = self.producer_ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.take().map(fresh)
    }

    /// Takes over the block that the controller gave.
    pub fn take_producer_ids(&self, block: &AllocateProducerIdsResponse) {
        let left = i64::from(block.producer_id_len.max(0));
        let mut ids = self.producer_ids.lock().unwrap_or_else(PoisonError::into_inner);
        *ids = ProducerIds { next: block.producer_id_start, left };
    }

    /// The request for the next block.
    #[must_use]
    pub fn producer_ids_request(&self) -> AllocateProducerIdsRequest {
        let broker = self.node_id();
        let broker_epoch = self.image().brokers.get(broker).map_or(-1, |broker| broker.epoch);
        AllocateProducerIdsRequest { broker_id: broker.0, broker_epoch }
    }
}
