//! DescribeProducers: what a partition's log remembers of its producers.

use metadata::topic_name;
use wire::ErrorCode;
use wire::ids::PartitionIndex;
use wire::messages::describe_producers_request::DescribeProducersRequest;
use wire::messages::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};

use crate::broker::Broker;
use crate::dispatch::{Answer, Call};

pub(crate) fn handle(
    call: &Call,
    request: DescribeProducersRequest,
) -> Answer<DescribeProducersResponse> {
    let topics = request.topics.into_iter().map(|topic| {
        let answer = |index: &i32| {
            let partition_index = *index;
            match producers(&call.broker, &topic.name, PartitionIndex(partition_index)) {
                Ok(active_producers) => PartitionResponse {
                    partition_index,
                    active_producers,
                    ..PartitionResponse::default()
                },
                Err(code) => PartitionResponse {
                    partition_index,
                    error_code: code.code(),
                    error_message: Some(code.message().to_owned()),
                    ..PartitionResponse::default()
                },
            }
        };
        let partitions = topic.partition_indexes.iter().map(answer).collect();
        TopicResponse { name: topic.name, partitions }
    });
    Answer::Now(DescribeProducersResponse { topics: topics.collect(), throttle_time_ms: 0 })
}

fn producers(
    broker: &Broker,
    topic: &str,
    index: PartitionIndex,
) -> Result<Vec<ProducerState>, ErrorCode> {
    topic_name::validate(topic).map_err(|_| ErrorCode::InvalidTopicException)?;
    let partition = broker.node.partition_by_name(topic, index)?;
    let mut found = Vec::new();
    let seen = partition.for_each_producer(|producer_id, producer| {
        found.push(ProducerState {
            producer_id,
            producer_epoch: i32::from(producer.epoch),
            last_sequence: producer.batches.back().map_or(-1, |batch| batch.last_sequence),
            last_timestamp: producer.timestamp,
            coordinator_epoch: producer.coordinator_epoch,
            current_txn_start_offset: producer.transaction_start.unwrap_or(-1),
        });
    });
    seen.map(|()| found).map_err(|error| error.code())
}
