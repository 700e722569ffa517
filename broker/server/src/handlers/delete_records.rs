//! DeleteRecords: a partition's log begins later.

use std::collections::BTreeMap;

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
        // Of a partition that comes twice the last offset counts, as in Kafka.
        let mut asked: BTreeMap<String, BTreeMap<i32, i64>> = BTreeMap::new();
        for topic in request.topics {
            for DeleteRecordsPartition { partition_index, offset } in topic.partitions {
                asked.entry(topic.name.clone()).or_default().insert(partition_index, offset);
            }
        }
        let topics = asked.into_iter().map(|(name, partitions)| {
            let partitions = partitions.into_iter().map(|(partition_index, offset)| {
                let deleted = delete(broker, &name, partition_index, offset);
                DeleteRecordsPartitionResult {
                    partition_index,
                    low_watermark: deleted.map_or(-1, |start| start.0),
                    error_code: deleted.err().unwrap_or(ErrorCode::None).code(),
                }
            });
            DeleteRecordsTopicResult { partitions: partitions.collect(), name }
        });
        DeleteRecordsResponse { topics: topics.collect(), throttle_time_ms: 0 }
    })
}

fn delete(broker: &Broker, topic: &str, partition: i32, offset: i64) -> Result<Offset, ErrorCode> {
    if topic_name::is_internal(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let partition = broker.node.partition_by_name(topic, PartitionIndex(partition))?;
    if offset < -1 {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    partition.delete_records(Offset(offset)).map_err(|error| {
        broker.partition_failed(&partition, &error);
        error.code()
    })
}
