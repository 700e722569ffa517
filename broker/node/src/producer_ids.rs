//! Producer ids for idempotent producers, out of blocks that the metadata log gives away.

use std::sync::PoisonError;

use wire::ErrorCode;
use wire::ids::ProducerId;
use wire::messages::allocate_producer_ids_request::AllocateProducerIdsRequest;
use wire::messages::allocate_producer_ids_response::AllocateProducerIdsResponse;
use wire::messages::init_producer_id_request::InitProducerIdRequest;
use wire::messages::init_producer_id_response::InitProducerIdResponse;

use crate::node::Node;

/// The part of a block, in tenths, that is left when the next one is asked for, as in Kafka.
const LOW_TENTHS: i64 = 1;

/// What is left of this broker's block, and the block after it.
#[derive(Debug, Default)]
pub(crate) struct ProducerIds {
    next: i64,
    left: i64,
    /// How long the block was.
    len: i64,
    /// The first id of the next block, and how many it has.
    then: Option<(i64, i64)>,
    /// The next block is on its way.
    asked: bool,
}

impl ProducerIds {
    fn take(&mut self) -> Option<ProducerId> {
        if self.left == 0
            && let Some((first, len)) = self.then.take()
        {
            (self.next, self.left, self.len) = (first, len, len);
        }
        if self.left == 0 {
            return None;
        }
        let id = ProducerId(self.next);
        self.next += 1;
        self.left -= 1;
        Some(id)
    }

    fn add(&mut self, first: i64, len: i64) {
        self.asked = false;
        if self.left == 0 {
            (self.next, self.left, self.len) = (first, len, len);
        } else if self.then.is_none() {
            self.then = Some((first, len));
        }
    }

    /// Whether to ask for the next block now; says so once for each.
    fn runs_low(&mut self) -> bool {
        let low = self.left <= self.len * LOW_TENTHS / 10 && self.then.is_none();
        low && !std::mem::replace(&mut self.asked, true)
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
        let len = i64::from(block.producer_id_len.max(0));
        let mut ids = self.producer_ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.add(block.producer_id_start, len);
    }

    /// Whether the block is nearly used up and the next was not asked for yet: it is to be asked
    /// for now, while nobody waits for it; [`Self::take_producer_ids`] or
    /// [`Self::no_producer_ids`] follows.
    pub fn producer_ids_run_low(&self) -> bool {
        self.producer_ids.lock().unwrap_or_else(PoisonError::into_inner).runs_low()
    }

    /// The controller gave no block: it is asked again.
    pub fn no_producer_ids(&self) {
        self.producer_ids.lock().unwrap_or_else(PoisonError::into_inner).asked = false;
    }

    /// The request for the next block.
    #[must_use]
    pub fn producer_ids_request(&self) -> AllocateProducerIdsRequest {
        let broker = self.node_id();
        let broker_epoch = self.image().brokers.get(broker).map_or(-1, |broker| broker.epoch);
        AllocateProducerIdsRequest { broker_id: broker.0, broker_epoch }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_block_is_asked_for_once_before_it_is_needed() {
        let mut ids = ProducerIds::default();
        assert_eq!(ids.take(), None);
        ids.add(0, 20);
        let mut given = Vec::new();
        for n in 0..20 {
            given.extend(ids.take());
            // Two are left when eighteen are gone.
            assert_eq!(ids.runs_low(), n == 17, "after {n}");
            if n == 18 {
                ids.add(100, 20);
            }
        }
        given.extend(ids.take());
        let wanted: Vec<ProducerId> = (0..20).chain([100]).map(ProducerId).collect();
        assert_eq!(given, wanted);
        // A second block that comes late takes nobody's place.
        ids.add(200, 20);
        ids.add(300, 20);
        let rest: Vec<ProducerId> = std::iter::from_fn(|| ids.take()).collect();
        assert_eq!(rest.len(), 39);
        assert_eq!((rest[18], rest[19]), (ProducerId(119), ProducerId(200)));
        assert!(ids.runs_low() && !ids.runs_low());
        ids.asked = false;
        assert!(ids.runs_low(), "refused, it is asked for again");
    }
}
