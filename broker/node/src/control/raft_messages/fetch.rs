//! Fetch, of the metadata log.

use bytes::Bytes;
use quorum::{
    Body, FetchBody, FetchRequest as Asked, Payload, ReplicaKey, Request, Response, SnapshotId,
};
use wire::ErrorCode;
use wire::ids::{BrokerId, LeaderEpoch, Offset, Uuid};
use wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic, ReplicaState};
use wire::messages::fetch_response as out;
use wire::messages::fetch_response::FetchResponse;
use wire::records_slot::Records;

use super::{
    Question, Sender, TOPIC, bare, code, endpoints_of, leader_id, leader_of, node_of, only,
};

/// The first version that tells where logs part, without which nobody can follow.
const VERSION_MIN: i16 = 12;

pub(super) fn question(version: i16, request: &FetchRequest) -> Result<Question, ErrorCode> {
    if version < VERSION_MIN {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let is_log = |topic: &FetchTopic| match version {
        13.. => topic.topic_id == Uuid::METADATA_TOPIC,
        _ => topic.topic == TOPIC,
    };
    let partition = only(
        &request.topics,
        is_log,
        |topic| &topic.partitions,
        |partition: &FetchPartition| partition.partition,
    );
    let asked = partition.ok_or(ErrorCode::InvalidRequest)?;
    let id = if version >= 15 { request.replica_state.replica_id } else { request.replica_id };
    if asked.fetch_offset < 0 || asked.last_fetched_epoch < 0 || id < 0 {
        return Err(ErrorCode::InvalidRequest);
    }
    Ok(Question {
        cluster_id: request.cluster_id.clone(),
        request: Request::Fetch(Asked {
            epoch: LeaderEpoch(asked.current_leader_epoch),
            replica: ReplicaKey { id: BrokerId(id), directory: asked.replica_directory_id },
            offset: Offset(asked.fetch_offset),
            last_epoch: LeaderEpoch(asked.last_fetched_epoch),
            high_watermark: Offset(asked.high_watermark),
            max_wait_ms: i64::from(request.max_wait_ms),
            max_bytes: bytes_max(request.max_bytes.min(asked.partition_max_bytes)),
        }),
    })
}

pub(super) fn answer(version: i16, response: Response) -> FetchResponse {
    let mut partition = out::PartitionData {
        partition_index: 0,
        error_code: response.error.into(),
        high_watermark: -1,
        current_leader: out::LeaderIdAndEpoch {
            leader_id: leader_id(&response),
            leader_epoch: response.epoch.0,
        },
        ..Default::default()
    };
    let node = |node_id, host, port: u16| out::NodeEndpoint {
        node_id,
        host,
        port: i32::from(port),
        rack: None,
    };
    let node_endpoints = if version >= 16 { node_of(&response, node) } else { Vec::new() };
    let mut records = Bytes::new();
    if let Body::Fetch(body) = response.body {
        partition.high_watermark = body.high_watermark.0;
        partition.log_start_offset = body.log_start.0;
        if let Some((epoch, end)) = body.diverging {
            partition.diverging_epoch = out::EpochEndOffset { epoch: epoch.0, end_offset: end.0 };
        }
        if let Some(id) = body.snapshot {
            let (end_offset, epoch) = (id.end_offset.0, id.epoch.0);
            partition.snapshot_id = out::SnapshotId { end_offset, epoch };
        }
        if let Payload::Bytes(bytes) = body.records {
            records = bytes;
        }
    }
    partition.records = Some(records_of(records));
    let topic = out::FetchableTopicResponse {
        topic: TOPIC.to_owned(),
        topic_id: Uuid::METADATA_TOPIC,
        partitions: vec![partition],
    };
    FetchResponse { responses: vec![topic], node_endpoints, ..Default::default() }
}

pub(super) fn request(sender: Sender<'_>, asked: Asked) -> FetchRequest {
    let max_bytes = i32::try_from(asked.max_bytes).unwrap_or(i32::MAX);
    let partition = FetchPartition {
        partition: 0,
        current_leader_epoch: asked.epoch.0,
        fetch_offset: asked.offset.0,
        last_fetched_epoch: asked.last_epoch.0,
        log_start_offset: -1,
        partition_max_bytes: max_bytes,
        replica_directory_id: asked.replica.directory,
        high_watermark: asked.high_watermark.0,
    };
    let topic = FetchTopic {
        topic: TOPIC.to_owned(),
        topic_id: Uuid::METADATA_TOPIC,
        partitions: vec![partition],
    };
    FetchRequest {
        cluster_id: sender.cluster_id.map(str::to_owned),
        replica_state: ReplicaState { replica_id: asked.replica.id.0, replica_epoch: -1 },
        max_wait_ms: i32::try_from(asked.max_wait_ms).unwrap_or(i32::MAX),
        max_bytes,
        topics: vec![topic],
        ..Default::default()
    }
}

pub(super) fn response(answer: FetchResponse) -> Response {
    let partitions = answer.responses.into_iter().flat_map(|topic| topic.partitions);
    let Some(said) = partitions.into_iter().next() else { return bare(answer.error_code) };
    let leader = leader_of(said.current_leader.leader_id);
    let read = |node: out::NodeEndpoint| {
        (node.node_id, node.host, u16::try_from(node.port).unwrap_or_default())
    };
    let diverging = (said.diverging_epoch.epoch >= 0).then_some((
        LeaderEpoch(said.diverging_epoch.epoch),
        Offset(said.diverging_epoch.end_offset),
    ));
    let snapshot = (said.snapshot_id.epoch >= 0).then_some(SnapshotId {
        end_offset: Offset(said.snapshot_id.end_offset),
        epoch: LeaderEpoch(said.snapshot_id.epoch),
    });
    let records = said.records.map(Records::into_bytes).unwrap_or_default();
    Response {
        error: code(said.error_code),
        epoch: LeaderEpoch(said.current_leader.leader_epoch),
        leader,
        endpoints: endpoints_of(leader, answer.node_endpoints, read),
        body: match said.error_code {
            0 => Body::Fetch(FetchBody {
                high_watermark: Offset(said.high_watermark),
                log_start: Offset(said.log_start_offset),
                diverging,
                snapshot,
                records: if records.is_empty() { Payload::Empty } else { Payload::Bytes(records) },
            }),
            _ => Body::Empty,
        },
    }
}

/// A limit of the wire, which is signed there.
pub(super) fn bytes_max(limit: i32) -> u32 {
    u32::try_from(limit).unwrap_or(0)
}

pub(super) fn records_of(bytes: Bytes) -> Records {
    let mut records = Records::new();
    records.push_bytes(bytes);
    records
}
