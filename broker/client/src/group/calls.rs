//! Requests about groups whose form depends on the version.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;
use wire::Request;
use wire::messages::find_coordinator_request::FindCoordinatorRequest;
use wire::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use wire::messages::offset_fetch_response::OffsetFetchResponse;

use crate::client::Client;
use crate::connection::Connection;
use crate::error::Error;

/// The first versions that ask for, or about, several groups at once.
const COORDINATORS_LIST: i16 = 4;
const GROUPS_LIST: i16 = 8;

pub(super) async fn find_coordinator(
    client: &Client,
    group: &str,
    about: &str,
    deadline: Instant,
) -> Result<i32, Error> {
    let connection = client.any(deadline).await?;
    let version = connection.version::<FindCoordinatorRequest>()?;
    let mut request = FindCoordinatorRequest::default();
    if version >= COORDINATORS_LIST {
        request.coordinator_keys = vec![group.to_owned()];
    } else {
        request.key = group.to_owned();
    }
    let pending = connection.start_at(&request, version).await?;
    let response = pending.wait(client.request_deadline(deadline)).await?;
    if version < COORDINATORS_LIST {
        Error::check(response.error_code, response.error_message.as_deref(), about)?;
        return Ok(response.node_id);
    }
    let found = response.coordinators.into_iter().next();
    let found = found.ok_or_else(|| Error::Missing { about: about.to_owned() })?;
    Error::check(found.error_code, found.error_message.as_deref(), about)?;
    Ok(found.node_id)
}

pub(super) fn offset_fetch(
    group: &str,
    partitions: &BTreeMap<String, Vec<i32>>,
    version: i16,
) -> OffsetFetchRequest {
    if version >= GROUPS_LIST {
        let topics = partitions.iter().map(|(name, indexes)| OffsetFetchRequestTopics {
            name: name.clone(),
            partition_indexes: indexes.clone(),
            ..OffsetFetchRequestTopics::default()
        });
        let group = OffsetFetchRequestGroup {
            group_id: group.to_owned(),
            topics: Some(topics.collect()),
            ..OffsetFetchRequestGroup::default()
        };
        return OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() };
    }
    let topics = partitions.iter().map(|(name, indexes)| OffsetFetchRequestTopic {
        name: name.clone(),
        partition_indexes: indexes.clone(),
    });
    OffsetFetchRequest {
        group_id: group.to_owned(),
        topics: Some(topics.collect()),
        ..OffsetFetchRequest::default()
    }
}

pub(super) fn up_to<M: Request>(connection: &Connection, most: i16) -> Result<i16, Error> {
    connection
        .versions()
        .highest_up_to::<M>(most)
        .ok_or_else(|| Error::Unsupported { address: connection.address().to_owned(), api: M::KEY })
}

pub(super) fn malformed<M: Request>(
    connection: &Connection,
    source: wire::codec::DecodeError,
) -> Error {
    Error::Malformed { address: connection.address().to_owned(), api: M::KEY, source }
}

/// The offsets that an answer holds; partitions without one are left out.
pub(super) fn committed_offsets(
    response: &OffsetFetchResponse,
    about: &str,
) -> Result<BTreeMap<(Arc<str>, i32), i64>, Error> {
    Error::check(response.error_code, None, about)?;
    let mut offsets = BTreeMap::new();
    let mut take = |topic: &str, index: i32, offset: i64, code: i16| {
        Error::check(code, None, format!("committed offset of {topic}-{index}"))?;
        if offset >= 0 {
            offsets.insert((Arc::from(topic), index), offset);
        }
        Ok::<(), Error>(())
    };
    for topic in &response.topics {
        for one in &topic.partitions {
            take(&topic.name, one.partition_index, one.committed_offset, one.error_code)?;
        }
    }
    for group in &response.groups {
        Error::check(group.error_code, None, about)?;
        for topic in &group.topics {
            for one in &topic.partitions {
                take(&topic.name, one.partition_index, one.committed_offset, one.error_code)?;
            }
        }
    }
    Ok(offsets)
}
