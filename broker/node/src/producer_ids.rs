//! Producer ids for idempotent producers, out of blocks that the metadata log gives away.

use std::sync::PoisonError;

use wire::ErrorCode;
use wire::ids::ProducerId;
use wire::messages::allocate_producer_ids_request::AllocateProducerIdsRequest;
use wire::messages::allocate_producer_ids_response::AllocateProducerIdsResponse;
use wire::messages::init_producer_id_request::InitProducerIdRequest;
use wire::messages::init_producer_id_response::InitProducerIdResponse;

use crate::error::Error;
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
    /// Serves InitProducerId. Blocks on the disk once in a thousand ids.
    ///
    /// A transactional id is refused with a code that clients take for final: there are no
    /// transactions yet.
    pub fn init_producer_id(
        &self,
        now_ms: i64,
        request: &InitProducerIdRequest,
    ) -> InitProducerIdResponse {
        if request.transactional_id.is_some() {
            return refused(ErrorCode::UnsupportedVersion);
        }
        match self.next_producer_id(now_ms) {
            Ok(id) => fresh(id),
            Err(_) => refused(ErrorCode::CoordinatorNotAvailable),
        }
    }

    /// As [`Self::init_producer_id`], without waiting; `None` when the block is used up, and the
    /// controller is to be asked for the next.
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

    fn next_producer_id(&self, now_ms: i64) -> Result<ProducerId, Error> {
        let mut ids = self.producer_ids.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = ids.take() {
            return Ok(id);
        }
        let broker = self.node_id();
        let epoch = self.image().brokers.get(broker).map_or(-1, |broker| broker.epoch);
        let request = AllocateProducerIdsRequest { broker_id: broker.0, broker_epoch: epoch };
        let answer = self.ask_alone(now_ms, 0, request.into());
        match AllocateProducerIdsResponse::try_from(answer) {
            Ok(answer) if answer.error_code == 0 => {
                let left = i64::from(answer.producer_id_len);
                *ids = ProducerIds { next: answer.producer_id_start, left };
            }
            _ => return Err(Error::ControllerStopped),
        }
        ids.take().ok_or(Error::ControllerStopped)
    }
}
