//! Blocks of producer ids: each broker takes one at a time and hands its ids out.

use wire::ErrorCode;
use wire::ids::{BrokerId, ProducerId};
use wire::messages::producer_ids_record::ProducerIdsRecord;

use super::{Decision, Refusal, brokers};
use crate::image::Image;
use wire::messages::metadata_records::MetadataRecord;

/// How many ids one block has.
pub const PRODUCER_IDS_PER_BLOCK: i64 = 1000;

/// Ids that belong to one broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// The first id.
    pub first: ProducerId,
    /// How many there are.
    pub len: i64,
}

/// Decides the next block.
pub fn allocate_producer_ids(
    image: &Image,
    broker: BrokerId,
    broker_epoch: i64,
) -> Decision<Result<Block, Refusal>> {
    let refused = |refusal| Decision { records: Vec::new(), response: Err(refusal) };
    if let Err(refusal) = brokers::current(image, broker, broker_epoch) {
        return refused(refusal);
    }
    let first = image.producer_ids.next;
    let Some(next) = first.checked_add(PRODUCER_IDS_PER_BLOCK) else {
        let message = "Exhausted all producerIds as the next block's end producerId has exceeded \
                       the int64 type limit";
        return refused(Refusal::new(ErrorCode::UnknownServerError, message));
    };
    let record = MetadataRecord::ProducerIds(ProducerIdsRecord {
        broker_id: broker.0,
        broker_epoch,
        next_producer_id: next,
    });
    let block = Block { first: ProducerId(first), len: PRODUCER_IDS_PER_BLOCK };
    Decision { records: vec![record], response: Ok(block) }
}
