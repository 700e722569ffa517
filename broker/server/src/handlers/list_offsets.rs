//! ListOffsets: offsets by timestamp, the special timestamps included.

use std::collections::BTreeSet;

use replication::Isolation;
use wire::ErrorCode;
use wire::ids::{LeaderEpoch, PartitionIndex};
use wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest};
use wire::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};

use crate::dispatch::{Answer, Call};

/// From here on answers carry the epoch of the record's leader.
const VERSION_WITH_EPOCH: i16 = 4;
/// A special timestamp and the version that brought it.
const SPECIAL_SINCE: &[(i64, i16)] = &[(-1, 1), (-2, 1), (-3, 7), (-4, 8), (-5, 9), (-6, 11)];

pub(crate) fn handle(call: &Call, request: ListOffsetsRequest) -> Answer<ListOffsetsResponse> {
    let isolation = match (request.replica_id, request.isolation_level) {
        (-1, 0) => Isolation::HighWatermark,
        (-1, _) => Isolation::Committed,
        // Followers, and tools that look at one replica.
        _ => Isolation::LogEnd,
    };
    let mut seen = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let key = (topic.name.as_str(), partition.partition_index);
            if !seen.insert(key) {
                twice.insert(key);
            }
        }
    }
    let mut told = BTreeSet::new();
    let topics = request.topics.iter().map(|topic| {
        let once = |asked: &&ListOffsetsPartition| {
            let key = (topic.name.as_str(), asked.partition_index);
            !twice.contains(&key) || told.insert(key)
        };
        let partitions = topic.partitions.iter().filter(once).map(|asked| {
            match twice.contains(&(topic.name.as_str(), asked.partition_index)) {
                true => failed(asked, ErrorCode::InvalidRequest),
                false => look_up(call, &topic.name, asked, isolation)
                    .unwrap_or_else(|error| failed(asked, error)),
            }
        });
        ListOffsetsTopicResponse { partitions: partitions.collect(), name: topic.name.clone() }
    });
    Answer::Now(ListOffsetsResponse { topics: topics.collect(), throttle_time_ms: 0 })
}

fn look_up(
    call: &Call,
    topic: &str,
    asked: &ListOffsetsPartition,
    isolation: Isolation,
) -> Result<ListOffsetsPartitionResponse, ErrorCode> {
    let timestamp = asked.timestamp;
    let since = SPECIAL_SINCE.iter().find(|(special, _)| *special == timestamp);
    let served = match since {
        Some((_, since)) => *since <= call.version,
        None => timestamp >= 0,
    };
    if !served {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let index = PartitionIndex(asked.partition_index);
    let partition = call.broker.node.partition_by_name(topic, index)?;
    let epoch = LeaderEpoch(asked.current_leader_epoch);
    let found = partition.list_offset(timestamp, isolation, epoch).map_err(|error| {
        call.broker.partition_failed(&partition, &error);
        error.code()
    })?;
    let mut response = failed(asked, ErrorCode::None);
    if let Some(at) = found {
        response.timestamp = at.timestamp_ms;
        response.offset = at.offset.0;
        if call.version >= VERSION_WITH_EPOCH {
            response.leader_epoch = at.leader_epoch.0;
        }
    }
    Ok(response)
}

fn failed(asked: &ListOffsetsPartition, error: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        error_code: error.code(),
        timestamp: -1,
        offset: -1,
        leader_epoch: -1,
    }
}
