//! FetchSnapshot.

use bytes::Bytes;
use quorum::{
    Body, FetchSnapshotBody, FetchSnapshotRequest as Asked, Payload, ReplicaKey, Request, Response,
    SnapshotId,
};
use wire::ErrorCode;
use wire::ids::{BrokerId, LeaderEpoch, Offset};
use wire::messages::fetch_snapshot_request as asked_of;
use wire::messages::fetch_snapshot_request::{
    FetchSnapshotRequest, PartitionSnapshot, TopicSnapshot,
};
use wire::messages::fetch_snapshot_response as out;
use wire::messages::fetch_snapshot_response::FetchSnapshotResponse;
use wire::records_slot::Records;

use super::fetch::{bytes_max, records_of};
use super::{
    Question, Sender, TOPIC, bare, code, endpoints_of, leader_id, leader_of, node_of, only,
};

pub(super) fn question(request: &FetchSnapshotRequest) -> Result<Question, ErrorCode> {
    let partition = only(
        &request.topics,
        |topic: &TopicSnapshot| topic.name == TOPIC,
        |topic| &topic.partitions,
        |partition: &PartitionSnapshot| partition.partition,
    );
    // Kafka names what is wrong here more closely than elsewhere.
    let asked = partition.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let position = u64::try_from(asked.position).map_err(|_| ErrorCode::PositionOutOfRange)?;
    Ok(Question {
        cluster_id: request.cluster_id.clone(),
        request: Request::FetchSnapshot(Asked {
            epoch: LeaderEpoch(asked.current_leader_epoch),
            replica: ReplicaKey {
                id: BrokerId(request.replica_id),
                directory: asked.replica_directory_id,
            },
            id: SnapshotId {
                end_offset: Offset(asked.snapshot_id.end_offset),
                epoch: LeaderEpoch(asked.snapshot_id.epoch),
            },
            position,
            max_bytes: bytes_max(request.max_bytes),
        }),
    })
}

pub(super) fn answer(version: i16, response: Response) -> FetchSnapshotResponse {
    let mut partition = out::PartitionSnapshot {
        index: 0,
        error_code: response.error.into(),
        current_leader: out::LeaderIdAndEpoch {
            leader_id: leader_id(&response),
            leader_epoch: response.epoch.0,
        },
        ..Default::default()
    };
    let node = |node_id, host, port| out::NodeEndpoint { node_id, host, port };
    let node_endpoints = if version >= 1 { node_of(&response, node) } else { Vec::new() };
    let mut bytes = Bytes::new();
    if let Body::FetchSnapshot(body) = response.body {
        partition.snapshot_id =
            out::SnapshotId { end_offset: body.id.end_offset.0, epoch: body.id.epoch.0 };
        partition.size = i64::try_from(body.size).unwrap_or(i64::MAX);
        partition.position = i64::try_from(body.position).unwrap_or(i64::MAX);
        if let Payload::Bytes(piece) = body.bytes {
            bytes = piece;
        }
    }
    partition.unaligned_records = Some(records_of(bytes));
    let topic = out::TopicSnapshot { name: TOPIC.to_owned(), partitions: vec![partition] };
    FetchSnapshotResponse { topics: vec![topic], node_endpoints, ..Default::default() }
}

pub(super) fn request(sender: Sender<'_>, asked: Asked) -> FetchSnapshotRequest {
    let partition = PartitionSnapshot {
        partition: 0,
        current_leader_epoch: asked.epoch.0,
        snapshot_id: asked_of::SnapshotId {
            end_offset: asked.id.end_offset.0,
            epoch: asked.id.epoch.0,
        },
        position: i64::try_from(asked.position).unwrap_or(i64::MAX),
        replica_directory_id: asked.replica.directory,
    };
    FetchSnapshotRequest {
        cluster_id: sender.cluster_id.map(str::to_owned),
        replica_id: asked.replica.id.0,
        max_bytes: i32::try_from(asked.max_bytes).unwrap_or(i32::MAX),
        topics: vec![TopicSnapshot { name: TOPIC.to_owned(), partitions: vec![partition] }],
    }
}

pub(super) fn response(answer: FetchSnapshotResponse) -> Response {
    let partitions = answer.topics.into_iter().flat_map(|topic| topic.partitions);
    let Some(said) = partitions.into_iter().next() else { return bare(answer.error_code) };
    let leader = leader_of(said.current_leader.leader_id);
    let body = FetchSnapshotBody {
        id: SnapshotId {
            end_offset: Offset(said.snapshot_id.end_offset),
            epoch: LeaderEpoch(said.snapshot_id.epoch),
        },
        size: u64::try_from(said.size).unwrap_or_default(),
        position: u64::try_from(said.position).unwrap_or(u64::MAX),
        bytes: Payload::Bytes(said.unaligned_records.map(Records::into_bytes).unwrap_or_default()),
    };
    Response {
        error: code(said.error_code),
        epoch: LeaderEpoch(said.current_leader.leader_epoch),
        leader,
        endpoints: endpoints_of(leader, answer.node_endpoints, |n| (n.node_id, n.host, n.port)),
        body: if said.error_code == 0 { Body::FetchSnapshot(body) } else { Body::Empty },
    }
}
