//! Committed offsets: how they are kept, and the answers to OffsetCommit and OffsetFetch.

mod fetch;

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

use crate::config::{COMMIT_BYTES_MAX, COMMIT_ENTRIES_MAX};
use crate::message::commit_error;
use crate::{Config, Decision, Record};

pub(crate) use fetch::fetch;
pub use fetch::{fetch_groups, fetch_refused, fetch_response};

/// From this version on, OffsetCommit and OffsetFetch name topics by id.
const TOPIC_ID_VERSION: i16 = 10;
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
