//! OffsetForLeaderEpoch: where a leader's epoch ends, for clients that check for truncation.

use wire::ErrorCode;
use wire::ids::{LeaderEpoch, PartitionIndex};
use wire::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition,
};
use wire::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};

use crate::dispatch::{Answer, Call};

pub(crate) fn handle(
    call: &Call,
    request: OffsetForLeaderEpochRequest,
) -> Answer<OffsetForLeaderEpochResponse> {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            look_up(call, &topic.topic, asked).unwrap_or_else(|error| unknown(asked, error))
        });
        OffsetForLeaderTopicResult { partitions: partitions.collect(), topic: topic.topic }
    });
    Answer::Now(OffsetForLeaderEpochResponse { topics: topics.collect(), throttle_time_ms: 0 })
}

fn look_up(
    call: &Call,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<EpochEndOffset, ErrorCode> {
    let node = &call.broker.node;
    let partition = node.partition_by_name(topic, PartitionIndex(asked.partition))?;
    let current = LeaderEpoch(asked.current_leader_epoch);
    let found = partition.end_offset_for_epoch(LeaderEpoch(asked.leader_epoch), current).map_err(
        |error| {
            call.broker.partition_failed(&partition, &error);
            error.code()
        },
    )?;
    let mut response = unknown(asked, ErrorCode::None);
    // Who asks for no epoch is told of none, as by Kafka.
    if let Some((epoch, end)) = found.filter(|_| asked.leader_epoch != -1) {
        response.leader_epoch = epoch.0;
        response.end_offset = end.0;
    }
    Ok(response)
}

fn unknown(asked: &OffsetForLeaderPartition, error: ErrorCode) -> EpochEndOffset {
    EpochEndOffset {
        error_code: error.code(),
        partition: asked.partition,
        leader_epoch: -1,
        end_offset: -1,
    }
}
