//! EndQuorumEpoch.

use quorum::{Body, EndEpochRequest as Asked, ReplicaKey, Request, Response};
use wire::ErrorCode;
use wire::ids::{BrokerId, LeaderEpoch, Uuid};
use wire::messages::end_quorum_epoch_request::{
    EndQuorumEpochRequest, LeaderEndpoint, PartitionData, ReplicaInfo, TopicData,
};
use wire::messages::end_quorum_epoch_response as out;
use wire::messages::end_quorum_epoch_response::EndQuorumEpochResponse;

use super::{
    Question, Sender, TOPIC, bare, code, endpoints_of, leader_id, leader_of, node_of, only,
    only_owned,
};

pub(super) fn question(request: &EndQuorumEpochRequest) -> Result<Question, ErrorCode> {
    let partition = only(
        &request.topics,
        |topic: &TopicData| topic.topic_name == TOPIC,
        |topic| &topic.partitions,
        |partition: &PartitionData| partition.partition_index,
    );
    let asked = partition.ok_or(ErrorCode::InvalidRequest)?;
    let named = asked.preferred_candidates.iter().map(|candidate| ReplicaKey {
        id: BrokerId(candidate.candidate_id),
        directory: candidate.candidate_directory_id,
    });
    // The first version of the request named ids only.
    let ids = asked.preferred_successors.iter();
    let by_id = ids.map(|id| ReplicaKey { id: BrokerId(*id), directory: Uuid::ZERO });
    Ok(Question {
        cluster_id: request.cluster_id.clone(),
        request: Request::EndEpoch(Asked {
            epoch: LeaderEpoch(asked.leader_epoch),
            leader: BrokerId(asked.leader_id),
            successors: named.chain(by_id).collect(),
        }),
    })
}

pub(super) fn answer(version: i16, response: Response) -> EndQuorumEpochResponse {
    let partition = out::PartitionData {
        partition_index: 0,
        error_code: response.error.into(),
        leader_id: leader_id(&response),
        leader_epoch: response.epoch.0,
    };
    let topic = out::TopicData { topic_name: TOPIC.to_owned(), partitions: vec![partition] };
    let node = |node_id, host, port| out::NodeEndpoint { node_id, host, port };
    EndQuorumEpochResponse {
        topics: vec![topic],
        node_endpoints: if version >= 1 { node_of(&response, node) } else { Vec::new() },
        ..Default::default()
    }
}

pub(super) fn request(sender: Sender<'_>, asked: Asked) -> EndQuorumEpochRequest {
    let candidate = |key: ReplicaKey| ReplicaInfo {
        candidate_id: key.id.0,
        candidate_directory_id: key.directory,
    };
    let partition = PartitionData {
        partition_index: 0,
        leader_id: asked.leader.0,
        leader_epoch: asked.epoch.0,
        preferred_successors: Vec::new(),
        preferred_candidates: asked.successors.into_iter().map(candidate).collect(),
    };
    let endpoints = sender.endpoints.iter().map(|e| LeaderEndpoint {
        name: e.listener.clone(),
        host: e.host.clone(),
        port: e.port,
    });
    EndQuorumEpochRequest {
        cluster_id: sender.cluster_id.map(str::to_owned),
        topics: vec![TopicData { topic_name: TOPIC.to_owned(), partitions: vec![partition] }],
        leader_endpoints: endpoints.collect(),
    }
}

pub(super) fn response(answer: EndQuorumEpochResponse) -> Response {
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
