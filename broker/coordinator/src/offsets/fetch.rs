//! The answers to OffsetFetch.

use metadata::Image;
use wire::ErrorCode;
use wire::ids::Uuid;
use wire::messages::offset_commit_value::OffsetCommitValue;
use wire::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use wire::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};

use super::{Offsets, TOPIC_ID_VERSION, find};
use crate::config::{FETCH_BYTES_MAX, FETCH_ENTRIES_MAX};

/// From this version on, OffsetFetch asks for several groups.
const SEVERAL_GROUPS_VERSION: i16 = 8;
/// The offset that stands for "none committed".
const NO_OFFSET: i64 = -1;

/// Answers for one group what it has committed.
pub(crate) fn fetch(
    image: &Image,
    version: i16,
    offsets: Option<&Offsets>,
    request: &OffsetFetchRequestGroup,
) -> OffsetFetchResponseGroup {
    let none = Offsets::default();
    let offsets = offsets.unwrap_or(&none);
    if is_too_much(image, version, offsets, request.topics.as_deref()) {
        let error_code = ErrorCode::InvalidRequest.code();
        let group_id = request.group_id.clone();
        return OffsetFetchResponseGroup { group_id, error_code, ..Default::default() };
    }
    let topics = match &request.topics {
        Some(topics) => topics.iter().map(|topic| fetch_topic(image, version, offsets, topic)),
        None => return fetch_all(image, version, offsets, request),
    };
    OffsetFetchResponseGroup {
        group_id: request.group_id.clone(),
        topics: topics.collect(),
        error_code: ErrorCode::None.code(),
    }
}

/// Whether the answer would hold up the other groups of the shard, or fill memory.
fn is_too_much(
    image: &Image,
    version: i16,
    offsets: &Offsets,
    topics: Option<&[OffsetFetchRequestTopics]>,
) -> bool {
    let Some(topics) = topics else {
        let bytes = offsets.iter().map(|(_, _, value)| value.metadata.len());
        return bytes.sum::<usize>() > FETCH_BYTES_MAX;
    };
    let (mut entries, mut bytes) = (0, 0);
    for topic in topics {
        entries += topic.partition_indexes.len();
        if entries > FETCH_ENTRIES_MAX {
            return true;
        }
        let Ok(name) = named(image, version, topic) else { continue };
        let values = topic.partition_indexes.iter().filter_map(|at| offsets.get(name, *at));
        bytes += values.map(|value| value.metadata.len()).sum::<usize>();
        if bytes > FETCH_BYTES_MAX {
            return true;
        }
    }
    false
}

/// The name of the topic. By name, what was committed is answered even for a topic that is gone.
fn named<'a>(
    image: &'a Image,
    version: i16,
    topic: &'a OffsetFetchRequestTopics,
) -> Result<&'a str, ErrorCode> {
    match version >= TOPIC_ID_VERSION {
        true => find(image, &topic.name, topic.topic_id, version).map(|found| &*found.name),
        false => Ok(topic.name.as_str()),
    }
}

fn fetch_topic(
    image: &Image,
    version: i16,
    offsets: &Offsets,
    topic: &OffsetFetchRequestTopics,
) -> OffsetFetchResponseTopics {
    let name = named(image, version, topic);
    let partition = |index: &i32| match &name {
        Ok(name) => partition(*index, offsets.get(name, *index)),
        Err(code) => {
            OffsetFetchResponsePartitions { error_code: code.code(), ..partition(*index, None) }
        }
    };
    OffsetFetchResponseTopics {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partition_indexes.iter().map(partition).collect(),
    }
}

fn fetch_all(
    image: &Image,
    version: i16,
    offsets: &Offsets,
    request: &OffsetFetchRequestGroup,
) -> OffsetFetchResponseGroup {
    let mut topics = Vec::new();
    for (name, partitions) in offsets.topics() {
        let topic_id = image.topics.id_of(name).map_or(Uuid::ZERO, |id| id.0);
        if version >= TOPIC_ID_VERSION && topic_id.is_zero() {
            continue;
        }
        let partitions = partitions.iter().map(|(index, value)| partition(*index, Some(value)));
        let (name, partitions) = (name.to_owned(), partitions.collect());
        topics.push(OffsetFetchResponseTopics { name, topic_id, partitions });
    }
    OffsetFetchResponseGroup {
        group_id: request.group_id.clone(),
        topics,
        error_code: ErrorCode::None.code(),
    }
}

fn partition(index: i32, value: Option<&OffsetCommitValue>) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: index,
        committed_offset: value.map_or(NO_OFFSET, |value| value.offset),
        committed_leader_epoch: value.map_or(-1, |value| value.leader_epoch),
        metadata: Some(value.map(|value| value.metadata.clone()).unwrap_or_default()),
        error_code: ErrorCode::None.code(),
    }
}

/// The groups of an OffsetFetch of any version, each to go to its own shard.
pub fn fetch_groups(request: &OffsetFetchRequest, version: i16) -> Vec<OffsetFetchRequestGroup> {
    if version >= SEVERAL_GROUPS_VERSION {
        return request.groups.clone();
    }
    let topics = request.topics.as_ref().map(|topics| {
        topics
            .iter()
            .map(|topic| OffsetFetchRequestTopics {
                name: topic.name.clone(),
                partition_indexes: topic.partition_indexes.clone(),
                ..Default::default()
            })
            .collect()
    });
    vec![OffsetFetchRequestGroup {
        group_id: request.group_id.clone(),
        topics,
        ..Default::default()
    }]
}

/// The answer to an OffsetFetch that is refused as a whole.
pub fn fetch_refused(
    request: &OffsetFetchRequest,
    code: ErrorCode,
    version: i16,
) -> OffsetFetchResponse {
    let groups = fetch_groups(request, version).into_iter().map(|group| OffsetFetchResponseGroup {
        group_id: group.group_id,
        error_code: code.code(),
        ..Default::default()
    });
    fetch_response(request, groups.collect(), version)
}

/// The answer to an OffsetFetch of any version, from the answers for its groups.
pub fn fetch_response(
    request: &OffsetFetchRequest,
    groups: Vec<OffsetFetchResponseGroup>,
    version: i16,
) -> OffsetFetchResponse {
    if version >= SEVERAL_GROUPS_VERSION {
        return OffsetFetchResponse { groups, ..Default::default() };
    }
    let group = groups.into_iter().next().unwrap_or_default();
    let error_code = group.error_code;
    let mut topics: Vec<OffsetFetchResponseTopic> = Vec::new();
    for topic in group.topics {
        let partitions = topic.partitions.into_iter().map(|p| OffsetFetchResponsePartition {
            partition_index: p.partition_index,
            committed_offset: p.committed_offset,
            committed_leader_epoch: p.committed_leader_epoch,
            metadata: p.metadata,
            error_code: p.error_code,
        });
        let partitions = partitions.collect();
        topics.push(OffsetFetchResponseTopic { name: topic.name, partitions });
    }
    if error_code != 0 && version < 2 {
        // The oldest version has no error but its partitions'.
        for topic in request.topics.iter().flatten() {
            let partitions =
                topic.partition_indexes.iter().map(|index| OffsetFetchResponsePartition {
                    partition_index: *index,
                    committed_offset: NO_OFFSET,
                    metadata: Some(String::new()),
                    error_code,
                    ..Default::default()
                });
            let partitions = partitions.collect();
            topics.push(OffsetFetchResponseTopic { name: topic.name.clone(), partitions });
        }
    }
    OffsetFetchResponse { topics, error_code, ..Default::default() }
}
