//! Committed offsets: how they are kept, and the answers to OffsetCommit and OffsetFetch.

use std::collections::BTreeMap;
use std::sync::Arc;

use metadata::Image;
use metadata::image::Topic;
use wire::ErrorCode;
use wire::ids::{PartitionIndex, TopicId, Uuid};
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

use crate::config::{COMMIT_BYTES_MAX, COMMIT_ENTRIES_MAX, FETCH_BYTES_MAX, FETCH_ENTRIES_MAX};
use crate::message::commit_error;
use crate::{Config, Decision, Record};

/// From this version on, OffsetFetch asks for several groups.
const SEVERAL_GROUPS_VERSION: i16 = 8;
/// From this version on, OffsetCommit and OffsetFetch name topics by id.
const TOPIC_ID_VERSION: i16 = 10;
/// The offset that stands for "none committed".
const NO_OFFSET: i64 = -1;

/// Stands for "no retention of its own" in a request and "no time of its own" in a record.
const NO_EXPIRY: i64 = -1;

/// The offsets of one group, by topic and partition.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    by_topic: BTreeMap<String, BTreeMap<i32, OffsetCommitValue>>,
}

impl Offsets {
    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&OffsetCommitValue> {
        self.by_topic.get(topic)?.get(&partition)
    }

    pub(crate) fn insert(&mut self, topic: String, partition: i32, value: OffsetCommitValue) {
        self.by_topic.entry(topic).or_default().insert(partition, value);
    }

    pub(crate) fn remove(&mut self, topic: &str, partition: i32) {
        let Some(of_topic) = self.by_topic.get_mut(topic) else { return };
        of_topic.remove(&partition);
        if of_topic.is_empty() {
            self.by_topic.remove(topic);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_topic.is_empty()
    }

    /// The topics with their partitions, in order.
    pub(crate) fn topics(&self) -> impl Iterator<Item = (&str, &BTreeMap<i32, OffsetCommitValue>)> {
        self.by_topic.iter().map(|(topic, partitions)| (topic.as_str(), partitions))
    }

    /// What was committed, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, i32, &OffsetCommitValue)> {
        let with_topic = |(topic, partitions)| {
            let partitions: &BTreeMap<i32, OffsetCommitValue> = partitions;
            partitions.iter().map(move |(partition, value)| (topic, *partition, value))
        };
        self.topics().flat_map(with_topic)
    }
}

/// Whether an offset may go: at the time it says itself, as the oldest clients could ask, else
/// when the retention has passed since `since_ms`.
pub(crate) fn expired(
    value: &OffsetCommitValue,
    since_ms: i64,
    now_ms: i64,
    config: &Config,
) -> bool {
    match value.expire_timestamp {
        NO_EXPIRY => now_ms.saturating_sub(since_ms) >= config.offsets_retention_ms,
        at => now_ms >= at,
    }
}

/// What a commit is decided with.
pub(crate) struct Commit<'a> {
    pub(crate) image: &'a Image,
    pub(crate) config: &'a Config,
    pub(crate) version: i16,
    pub(crate) now_ms: i64,
}

impl Commit<'_> {
    /// Decides a commit. One that is too large is refused whole. Partitions that do not exist are
    /// refused before `check` is asked whether the rest may be committed at all; without a rest it
    /// is not asked.
    pub(crate) fn decide(
        &self,
        request: &OffsetCommitRequest,
        check: impl FnOnce() -> Result<(), ErrorCode>,
        out: &mut Decision,
    ) -> OffsetCommitResponse {
        let entries: usize = request.topics.iter().map(|topic| topic.partitions.len()).sum();
        if entries > COMMIT_ENTRIES_MAX {
            return commit_error(request, ErrorCode::InvalidCommitOffsetSize);
        }
        let mut bytes = 0;
        let found: Vec<Result<&Arc<Topic>, ErrorCode>> = request
            .topics
            .iter()
            .map(|topic| find(self.image, &topic.name, topic.topic_id, self.version))
            .collect();
        let any = request.topics.iter().zip(&found).any(|(topic, found)| {
            topic.partitions.iter().any(|p| exists(found, p.partition_index).is_ok())
        });
        let allowed = if any { check() } else { Ok(()) };
        let mut topics = Vec::with_capacity(request.topics.len());
        for (topic, found) in request.topics.iter().zip(&found) {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let done = exists(found, partition.partition_index)
                    .and_then(|topic| allowed.map(|()| topic))
                    .and_then(|topic| self.one(request, topic, partition, out));
                if done.is_ok() {
                    bytes += out.records.last().map_or(0, Record::size);
                }
                if bytes > COMMIT_BYTES_MAX {
                    out.records.clear();
                    return commit_error(request, ErrorCode::InvalidCommitOffsetSize);
                }
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
        request: &OffsetCommitRequest,
        topic: &Topic,
        partition: &OffsetCommitRequestPartition,
        out: &mut Decision,
    ) -> Result<(), ErrorCode> {
        let metadata = partition.committed_metadata.clone().unwrap_or_default();
        if self.is_too_large(&metadata) {
            return Err(ErrorCode::OffsetMetadataTooLarge);
        }
        let value = OffsetCommitValue {
            offset: partition.committed_offset,
            leader_epoch: partition.committed_leader_epoch,
            metadata,
            commit_timestamp: self.now_ms,
            expire_timestamp: match request.retention_time_ms {
                NO_EXPIRY => NO_EXPIRY,
                retention => self.now_ms.saturating_add(retention),
            },
            topic_id: topic.id.0,
        };
        let (group, index) = (&request.group_id, partition.partition_index);
        match out.record(Record::offset(group, &topic.name, index, Some(&value))) {
            true => Ok(()),
            false => Err(ErrorCode::InvalidRequest),
        }
    }

    /// Kafka counts what Java's strings are made of: UTF-16 units.
    fn is_too_large(&self, metadata: &str) -> bool {
        let max = self.config.offset_metadata_bytes_max;
        metadata.len() > max && metadata.encode_utf16().count() > max
    }
}

fn answer(
    topic: &OffsetCommitRequestTopic,
    partitions: Vec<OffsetCommitResponsePartition>,
) -> OffsetCommitResponseTopic {
    OffsetCommitResponseTopic { name: topic.name.clone(), topic_id: topic.topic_id, partitions }
}

/// The topic, if it was found and has the partition.
pub(crate) fn exists<'a>(
    topic: &Result<&'a Arc<Topic>, ErrorCode>,
    partition: i32,
) -> Result<&'a Arc<Topic>, ErrorCode> {
    let topic = (*topic)?;
    match topic.partition(PartitionIndex(partition)) {
        Some(_) => Ok(topic),
        None => Err(ErrorCode::UnknownTopicOrPartition),
    }
}

/// The topic that a request names, by id or by name as its version has it.
pub(crate) fn find<'a>(
    image: &'a Image,
    name: &str,
    id: Uuid,
    version: i16,
) -> Result<&'a Arc<Topic>, ErrorCode> {
    if version >= TOPIC_ID_VERSION {
        image.topics.by_id(TopicId(id)).ok_or(ErrorCode::UnknownTopicId)
    } else {
        image.topics.by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition)
    }
}

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
pub fn fetch_refused(request: &OffsetFetchRequest, code: ErrorCode, version: i16) -> OffsetFetchResponse {
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
