//! DeleteRecords: a partition's log begins later.

use metadata::topic_name;
use wire::ErrorCode;
use wire::ids::{Offset, PartitionIndex};
use wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsRequest};
use wire::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};

use crate::broker::Broker;
use crate::dispatch::{Answer, Call};

pub(crate) fn handle(call: &Call, request: DeleteRecordsRequest) -> Answer<DeleteRecordsResponse> {
    Answer::blocking(call, move |broker| {
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| {
                let deleted = delete(broker, &topic.name, asked);
                DeleteRecordsPartitionResult {
                    partition_index: asked.partition_index,
                    low_watermark: deleted.map_or(-1, |start| start.0),
                    error_code: deleted.err().unwrap_or(ErrorCode::None).code(),
                }
            });
            DeleteRecordsTopicResult { partitions: partitions.collect(), name: topic.name }
        });
        DeleteRecordsResponse { topics: topics.collect(), throttle_time_ms: 0 }
    })
}

fn delete(
    broker: &Broker,
    topic: &str,
    asked: &DeleteRecordsPartition,
) -> Result<Offset, ErrorCode> {
    if topic_name::is_internal(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let index = PartitionIndex(asked.partition_index);
    let partition = broker.node.partition_by_name(topic, index)?;
    if asked.offset < -1 {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    partition.delete_records(Offset(asked.offset)).map_err(|error| {
        broker.partition_failed(&partition, &error);
        error.code()
    })
}
