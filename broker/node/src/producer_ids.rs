//! Producer ids for idempotent producers, out of blocks that the metadata log gives away.

use std::sync::PoisonError;

use metadata::control::producer_ids;
use wire::ErrorCode;
use wire::ids::ProducerId;
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
        let refused = |code: ErrorCode| InitProducerIdResponse {
            error_code: code.into(),
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        };
        if request.transactional_id.is_some() {
            return refused(ErrorCode::UnsupportedVersion);
        }
        match self.next_producer_id(now_ms) {
            // Whatever id and epoch the producer had: a fresh id starts a fresh sequence.
            Ok(id) => InitProducerIdResponse {
                producer_id: id.0,
                producer_epoch: 0,
                ..Default::default()
            },
            Err(_) => refused(ErrorCode::CoordinatorNotAvailable),
        }
    }

    fn next_producer_id(&self, now_ms: i64) -> Result<ProducerId, Error> {
        let mut ids = self.producer_ids.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = ids.take() {
            return Ok(id);
        }
        let broker = self.node_id();
        let epoch = self.image().brokers.get(broker).map_or(-1, |broker| broker.epoch);
        let block = self.decide(now_ms, |ctx| {
            producer_ids::allocate_producer_ids(ctx.image, broker, epoch)
        })??;
        *ids = ProducerIds { next: block.first.0, left: block.len };
        ids.take().ok_or(Error::ControllerStopped)
    }
}
