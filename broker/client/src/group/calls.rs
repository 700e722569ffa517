//! Requests about groups whose form depends on the version.

use std::collections::BTreeMap;
use std::sync::Arc;

use wire::Request;
use wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire::messages::offset_commit_response::OffsetCommitResponse;
use wire::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use wire::messages::offset_fetch_response::OffsetFetchResponse;

use crate::connection::Connection;
use crate::error::Error;

/// The first version that asks about several groups at once.
const GROUPS_LIST: i16 = 8;

/// An offset that a group has committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset that the group wants.
    pub offset: i64,
    /// The epoch of the leader it was read from; -1 when not known.
    pub leader_epoch: i32,
    /// What the member said about it.
    pub metadata: String,
}

/// Asks for the offsets of these partitions, or of all that have one.
pub(crate) fn offset_fetch(
    group: &str,
    partitions: Option<&BTreeMap<String, Vec<i32>>>,
    version: i16,
) -> OffsetFetchRequest {
    if version >= GROUPS_LIST {
        let topic = |(name, indexes): (&String, &Vec<i32>)| OffsetFetchRequestTopics {
            name: name.clone(),
            partition_indexes: indexes.clone(),
            ..OffsetFetchRequestTopics::default()
        };
        let topics = partitions.map(|partitions| partitions.iter().map(topic).collect());
        let group = OffsetFetchRequestGroup {
            group_id: group.to_owned(),
            topics,
            ..OffsetFetchRequestGroup::default()
        };
        return OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() };
    }
    let topic = |(name, indexes): (&String, &Vec<i32>)| OffsetFetchRequestTopic {
        name: name.clone(),
        partition_indexes: indexes.clone(),
    };
    OffsetFetchRequest {
        group_id: group.to_owned(),
        topics: partitions.map(|partitions| partitions.iter().map(topic).collect()),
        ..OffsetFetchRequest::default()
    }
}

pub(crate) fn up_to<M: Request>(connection: &Connection, most: i16) -> Result<i16, Error> {
    connection
        .versions()
        .highest_up_to::<M>(most)
        .ok_or_else(|| Error::Unsupported { address: connection.address().to_owned(), api: M::KEY })
}

pub(crate) fn malformed<M: Request>(
    connection: &Connection,
    source: wire::codec::DecodeError,
) -> Error {
    Error::Malformed { address: connection.address().to_owned(), api: M::KEY, source }
}

/// The offsets that an answer holds; partitions without one are left out.
pub(crate) fn committed_offsets(
    response: &OffsetFetchResponse,
    about: &str,
) -> Result<BTreeMap<(Arc<str>, i32), CommittedOffset>, Error> {
    Error::check(response.error_code, None, about)?;
    let mut offsets = BTreeMap::new();
    let mut take = |topic: &str, index: i32, code: i16, committed: CommittedOffset| {
        Error::check(code, None, format!("committed offset of {topic}-{index}"))?;
        if committed.offset >= 0 {
            offsets.insert((Arc::from(topic), index), committed);
        }
        Ok::<(), Error>(())
    };
    for topic in &response.topics {
        for one in &topic.partitions {
            let committed = CommittedOffset {
                offset: one.committed_offset,
                leader_epoch: one.committed_leader_epoch,
                metadata: one.metadata.clone().unwrap_or_default(),
            };
            take(&topic.name, one.partition_index, one.error_code, committed)?;
        }
    }
    for group in &response.groups {
        Error::check(group.error_code, None, about)?;
        for topic in &group.topics {
            for one in &topic.partitions {
                let committed = CommittedOffset {
                    offset: one.committed_offset,
                    leader_epoch: one.committed_leader_epoch,
                    metadata: one.metadata.clone().unwrap_or_default(),
                };
                take(&topic.name, one.partition_index, one.error_code, committed)?;
            }
        }
    }
    Ok(offsets)
}

/// What a commit of these offsets asks.
pub(crate) fn commit_topics(
    offsets: &BTreeMap<(Arc<str>, i32), i64>,
) -> Vec<OffsetCommitRequestTopic> {
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for ((topic, partition), offset) in offsets {
        topics.entry(topic).or_default().push(OffsetCommitRequestPartition {
            partition_index: *partition,
            committed_offset: *offset,
            committed_leader_epoch: -1,
            committed_metadata: Some(String::new()),
        });
    }
    let topics = topics.into_iter().map(|(name, partitions)| OffsetCommitRequestTopic {
        name: name.to_owned(),
        partitions,
        ..OffsetCommitRequestTopic::default()
    });
    topics.collect()
}

/// Whether every partition was committed.
pub(crate) fn check_commit(response: OffsetCommitResponse) -> Result<(), Error> {
    for topic in response.topics {
        for partition in topic.partitions {
            let about = format!("commit of {}-{}", topic.name, partition.partition_index);
            Error::check(partition.error_code, None, about)?;
        }
    }
    Ok(())
}
