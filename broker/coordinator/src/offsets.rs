//! Committed offsets: the answers to OffsetCommit and OffsetFetch.

use std::collections::BTreeMap;

use metadata::Image;
use wire::ErrorCode;
use wire::ids::{TopicId, Uuid};
use wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use wire::messages::offset_commit_value::OffsetCommitValue;
use wire::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use wire::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};

use crate::{Config, Decision, Record};

/// From this version on, OffsetFetch asks for several groups.
const SEVERAL_GROUPS_VERSION: i16 = 8;
/// From this version on, OffsetCommit and OffsetFetch name topics by id.
const TOPIC_ID_VERSION: i16 = 10;
/// The offset that stands for "none committed".
const NO_OFFSET: i64 = -1;

/// The offsets of one group, by topic and partition.
pub(crate) type Offsets = BTreeMap<(String, i32), OffsetCommitValue>;

/// What a commit is decided with.
pub(crate) struct Commit<'a> {
    pub(crate) image: &'a Image,
    pub(crate) config: &'a Config,
    pub(crate) version: i16,
    pub(crate) now_ms: i64,
}

impl Commit<'_> {
    /// Decides a commit whose member was found in order.
    pub(crate) fn decide(
        &self,
        request: &OffsetCommitRequest,
        out: &mut Decision,
    ) -> OffsetCommitResponse {
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let found = find(self.image, &topic.name, topic.topic_id, self.version);
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let done = match &found {
                    Ok((name, id)) => self.one(&request.group_id, name, *id, partition, out),
                    Err(code) => Err(*code),
                };
                partitions.push(OffsetCommitResponsePartition {
                    partition_index: partition.partition_index,
                    error_code: done.err().unwrap_or(ErrorCode::None).code(),
                });
            }
            topics.push(answer(topic, partitions));
        }
        OffsetCommitResponse { topics, ..Default::default() }
    }

    fn one(
        &self,
        group: &str,
        topic: &str,
        id: Uuid,
        partition: &OffsetCommitRequestPartition,
        out: &mut Decision,
    ) -> Result<(), ErrorCode> {
        let index = partition.partition_index;
        let known = self.image.topics.by_id(TopicId(id));
        if known.is_none_or(|t| t.partition(wire::ids::PartitionIndex(index)).is_none()) {
            return Err(ErrorCode::UnknownTopicOrPartition);
        }
        let metadata = partition.committed_metadata.clone().unwrap_or_default();
        if metadata.len() > self.config.offset_metadata_bytes_max {
            return Err(ErrorCode::OffsetMetadataTooLarge);
        }
        let value = OffsetCommitValue {
            offset: partition.committed_offset,
            leader_epoch: partition.committed_leader_epoch,
            metadata,
            commit_timestamp: self.now_ms,
            topic_id: id,
            ..Default::default()
        };
        match out.record(Record::offset(group, topic, index, Some(&value))) {
            true => Ok(()),
            false => Err(ErrorCode::InvalidRequest),
        }
    }
}

fn answer(
    topic: &OffsetCommitRequestTopic,
    partitions: Vec<OffsetCommitResponsePartition>,
) -> OffsetCommitResponseTopic {
    OffsetCommitResponseTopic { name: topic.name.clone(), topic_id: topic.topic_id, partitions }
}

/// The topic that a request names, by id or by name as its version has it.
fn find(image: &Image, name: &str, id: Uuid, version: i16) -> Result<(String, Uuid), ErrorCode> {
    let (topic, missing) = if version >= TOPIC_ID_VERSION {
        (image.topics.by_id(TopicId(id)), ErrorCode::UnknownTopicId)
    } else {
        (image.topics.by_name(name), ErrorCode::UnknownTopicOrPartition)
    };
    topic.map(|topic| (topic.name.to_string(), topic.id.0)).ok_or(missing)
}

/// Answers for one group what it has committed.
pub(crate) fn fetch(
    image: &Image,
    version: i16,
    offsets: Option<&Offsets>,
    request: &OffsetFetchRequestGroup,
) -> OffsetFetchResponseGroup {
    let none = Offsets::new();
    let offsets = offsets.unwrap_or(&none);
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

fn fetch_topic(
    image: &Image,
    version: i16,
    offsets: &Offsets,
    topic: &OffsetFetchRequestTopics,
) -> OffsetFetchResponseTopics {
    // By name, what was committed is answered even for a topic that is gone.
    let name = match version >= TOPIC_ID_VERSION {
        true => find(image, &topic.name, topic.topic_id, version).map(|(name, _)| name),
        false => Ok(topic.name.clone()),
    };
    let partition = |index: &i32| match &name {
        Ok(name) => partition(*index, offsets.get(&(name.clone(), *index))),
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
    let mut topics: Vec<OffsetFetchResponseTopics> = Vec::new();
    for ((name, index), value) in offsets {
        let topic_id = image.topics.id_of(name).map_or(Uuid::ZERO, |id| id.0);
        if version >= TOPIC_ID_VERSION && topic_id.is_zero() {
            continue;
        }
        if topics.last().is_none_or(|topic| topic.name != *name) {
            let name = name.clone();
            topics.push(OffsetFetchResponseTopics { name, topic_id, partitions: Vec::new() });
        }
        if let Some(topic) = topics.last_mut() {
            topic.partitions.push(partition(*index, Some(value)));
        }
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
