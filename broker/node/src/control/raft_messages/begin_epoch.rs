//! BeginQuorumEpoch.

use quorum::{BeginEpochRequest as Asked, Body, Endpoint, ReplicaKey, Request, Response};
use wire::ErrorCode;
use wire::ids::{BrokerId, LeaderEpoch};
use wire::messages::begin_quorum_epoch_request::{
    BeginQuorumEpochRequest, LeaderEndpoint, PartitionData, TopicData,
};
use wire::messages::begin_quorum_epoch_response as out;
use wire::messages::begin_quorum_epoch_response::BeginQuorumEpochResponse;

use super::{
    Question, Sender, TOPIC, bare, code, endpoints_of, leader_id, leader_of, node_of, only,
    only_owned,
};

pub(super) fn question(
    own: ReplicaKey,
    request: &BeginQuorumEpochRequest,
) -> Result<Question, ErrorCode> {
    let partition = only(
        &request.topics,
        |topic: &TopicData| topic.topic_name == TOPIC,
        |topic| &topic.partitions,
        |partition: &PartitionData| partition.partition_index,
    );
    let asked = partition.ok_or(ErrorCode::InvalidRequest)?;
    let endpoint = |e: &LeaderEndpoint| Endpoint {
        listener: e.name.clone(),
        host: e.host.clone(),
        port: e.port,
    };
    let voter_id = if request.voter_id < 0 { own.id } else { BrokerId(request.voter_id) };
    Ok(Question {
        cluster_id: request.cluster_id.clone(),
        request: Request::BeginEpoch(Asked {
            epoch: LeaderEpoch(asked.leader_epoch),
            leader: BrokerId(asked.leader_id),
            endpoints: request.leader_endpoints.iter().map(endpoint).collect(),
            voter: ReplicaKey { id: voter_id, directory: asked.voter_directory_id },
        }),
    })
}

pub(super) fn answer(version: i16, response: Response) -> BeginQuorumEpochResponse {
    let partition = out::PartitionData {
        partition_index: 0,
        error_code: response.error.into(),
        leader_id: leader_id(&response),
        leader_epoch: response.epoch.0,
    };
    let topic = out::TopicData { topic_name: TOPIC.to_owned(), partitions: vec![partition] };
    let node = |node_id, host, port| out::NodeEndpoint { node_id, host, port };
    BeginQuorumEpochResponse {
        topics: vec![topic],
        node_endpoints: if version >= 1 { node_of(&response, node) } else { Vec::new() },
        ..Default::default()
    }
}

pub(super) fn request(sender: Sender<'_>, asked: Asked) -> BeginQuorumEpochRequest {
    let partition = PartitionData {
        partition_index: 0,
        voter_directory_id: asked.voter.directory,
        leader_id: asked.leader.0,
        leader_epoch: asked.epoch.0,
    };
    let endpoint = |e: Endpoint| LeaderEndpoint { name: e.listener, host: e.host, port: e.port };
    BeginQuorumEpochRequest {
        cluster_id: sender.cluster_id.map(str::to_owned),
        voter_id: asked.voter.id.0,
        topics: vec![TopicData { topic_name: TOPIC.to_owned(), partitions: vec![partition] }],
        leader_endpoints: asked.endpoints.into_iter().map(endpoint).collect(),
    }
}

pub(super) fn response(answer: BeginQuorumEpochResponse) -> Response {
    let Some(said) = only_owned(answer.topics, |topic| topic.partitions) else {
        return bare(answer.error_code);
    };
    let leader = leader_of(said.leader_id);
    Response {
        error: code(said.error_code),
        epoch: LeaderEpoch(said.leader_epoch),
        leader,
        endpoints: endpoints_of(leader, answer.node_endpoints, |n| (n.node_id, n.host, n.port)),
        body: Body::Empty,
    }
}
