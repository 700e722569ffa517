//! Batches into Produce requests, and answers back to batches.

use std::collections::BTreeMap;

use wire::ErrorCode;
use wire::ids::Uuid;
use wire::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use wire::messages::produce_response::{PartitionProduceResponse, ProduceResponse};

use super::queue::{Answer, Batch};
use crate::error::Error;
use crate::metadata::Metadata;

/// The first version of Produce that names topics by id.
pub(super) const BY_ID: i16 = 13;

/// The request that carries these batches, of one leader and at most one of each partition.
pub(super) fn request(
    batches: &[Batch],
    acks: i16,
    timeout_ms: i32,
    view: &Metadata,
    version: i16,
) -> ProduceRequest {
    let mut topics: BTreeMap<&str, Vec<PartitionProduceData>> = BTreeMap::new();
    for batch in batches {
        topics.entry(&batch.place.0).or_default().push(PartitionProduceData {
            index: batch.place.1,
            records: Some(batch.bytes.clone()),
        });
    }
    let topic = |(name, partition_data): (&str, Vec<PartitionProduceData>)| TopicProduceData {
        topic_id: if version >= BY_ID { id_of(view, name) } else { Uuid::ZERO },
        name: if version >= BY_ID { String::new() } else { name.to_owned() },
        partition_data,
    };
    let topic_data = topics.into_iter().map(topic).collect();
    ProduceRequest { transactional_id: None, acks, timeout_ms, topic_data }
}

fn id_of(view: &Metadata, name: &str) -> Uuid {
    view.topics.get(name).map_or(Uuid::ZERO, |topic| topic.id)
}

/// What an answer says of each batch.
pub(super) fn answers(
    batches: Vec<Batch>,
    response: &ProduceResponse,
    view: &Metadata,
    version: i16,
) -> Vec<(Batch, Answer)> {
    let of_batch = |batch: &Batch| {
        let topic = response.responses.iter().find(|topic| match version >= BY_ID {
            true => topic.topic_id == id_of(view, &batch.place.0),
            false => *topic.name == *batch.place.0,
        })?;
        topic.partition_responses.iter().find(|partition| partition.index == batch.place.1)
    };
    let answer = |batch: Batch| {
        let answer = match of_batch(&batch) {
            Some(response) => answer(&batch, response),
            None => Answer::Again(Error::Missing { about: about(&batch) }),
        };
        (batch, answer)
    };
    batches.into_iter().map(answer).collect()
}

pub(super) fn about(batch: &Batch) -> String {
    format!("produce to {}-{}", batch.place.0, batch.place.1)
}

fn answer(batch: &Batch, response: &PartitionProduceResponse) -> Answer {
    let message = response
        .record_errors
        .first()
        .and_then(|error| error.batch_index_error_message.as_deref())
        .or(response.error_message.as_deref());
    let Err(error) = Error::check(response.error_code, message, about(batch)) else {
        return Answer::Acknowledged(Some(response.base_offset).filter(|offset| *offset >= 0));
    };
    match error.code() {
        // The broker has it already, under an offset that it no longer knows.
        Some(ErrorCode::DuplicateSequenceNumber) => Answer::Acknowledged(None),
        Some(ErrorCode::OutOfOrderSequenceNumber) => Answer::OutOfOrder(error),
        // A topic that was made anew has another id: the next metadata tells.
        Some(ErrorCode::UnknownTopicId | ErrorCode::InconsistentTopicId) => Answer::Again(error),
        _ if error.is_retriable() => Answer::Again(error),
        _ => Answer::Lost(error),
    }
}
