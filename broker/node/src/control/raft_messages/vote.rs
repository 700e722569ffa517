//! Vote.

use quorum::{Body, ReplicaKey, Request, Response, VoteRequest as Asked};
use wire::ErrorCode;
use wire::ids::{BrokerId, LeaderEpoch, Offset};
use wire::messages::vote_request::{PartitionData, TopicData, VoteRequest};
use wire::messages::vote_response as out;
use wire::messages::vote_response::VoteResponse;

use super::{
    Question, Sender, TOPIC, bare, code, endpoints_of, leader_id, leader_of, node_of, only,
    only_owned,
};

pub(super) fn question(own: ReplicaKey, request: &VoteRequest) -> Result<Question, ErrorCode> {
    let partition = only(
        &request.topics,
        |topic: &TopicData| topic.topic_name == TOPIC,
        |topic| &topic.partitions,
        |partition: &PartitionData| partition.partition_index,
    );
    let asked = partition.ok_or(ErrorCode::InvalidRequest)?;
    // Before the first epoch there is nothing but asking who would be elected.
    let lowest = i32::from(!asked.pre_vote);
    if asked.last_offset < 0 || asked.last_offset_epoch < 0 || asked.replica_epoch < lowest {
        return Err(ErrorCode::InvalidRequest);
    }
    let voter_id = if request.voter_id < 0 { own.id } else { BrokerId(request.voter_id) };
    Ok(Question {
        cluster_id: request.cluster_id.clone(),
        request: Request::Vote(Asked {
            epoch: LeaderEpoch(asked.replica_epoch),
            candidate: ReplicaKey {
                id: BrokerId(asked.replica_id),
                directory: asked.replica_directory_id,
            },
            voter: ReplicaKey { id: voter_id, directory: asked.voter_directory_id },
            last_epoch: LeaderEpoch(asked.last_offset_epoch),
            end_offset: Offset(asked.last_offset),
            pre_vote: asked.pre_vote,
        }),
    })
}

pub(super) fn answer(version: i16, response: Response) -> VoteResponse {
    let partition = out::PartitionData {
        partition_index: 0,
        error_code: response.error.into(),
        leader_id: leader_id(&response),
        leader_epoch: response.epoch.0,
        vote_granted: matches!(response.body, Body::Vote { granted: true }),
    };
    let topic = out::TopicData { topic_name: TOPIC.to_owned(), partitions: vec![partition] };
    let node = |node_id, host, port| out::NodeEndpoint { node_id, host, port };
    VoteResponse {
        topics: vec![topic],
        node_endpoints: if version >= 1 { node_of(&response, node) } else { Vec::new() },
        ..Default::default()
    }
}

pub(super) fn request(sender: Sender<'_>, asked: Asked) -> VoteRequest {
    let partition = PartitionData {
        partition_index: 0,
        replica_epoch: asked.epoch.0,
        replica_id: asked.candidate.id.0,
        replica_directory_id: asked.candidate.directory,
        voter_directory_id: asked.voter.directory,
        last_offset_epoch: asked.last_epoch.0,
        last_offset: asked.end_offset.0,
        pre_vote: asked.pre_vote,
    };
    VoteRequest {
        cluster_id: sender.cluster_id.map(str::to_owned),
        voter_id: asked.voter.id.0,
        topics: vec![TopicData { topic_name: TOPIC.to_owned(), partitions: vec![partition] }],
    }
}

pub(super) fn response(answer: VoteResponse) -> Response {
    let Some(said) = only_owned(answer.topics, |topic| topic.partitions) else {
        return bare(answer.error_code);
    };
    let leader = leader_of(said.leader_id);
    Response {
        error: code(said.error_code),
        epoch: LeaderEpoch(said.leader_epoch),
        leader,
        endpoints: endpoints_of(leader, answer.node_endpoints, |n| (n.node_id, n.host, n.port)),
        body: Body::Vote { granted: said.vote_granted },
    }
}
