//! DescribeQuorum.

use quorum::{Description, Quorum, ReplicaStatus, Voter};
use wire::ErrorCode;
use wire::ids::Uuid;
use wire::messages::describe_quorum_request as asked;
use wire::messages::describe_quorum_request::DescribeQuorumRequest;
use wire::messages::describe_quorum_response::{
    DescribeQuorumResponse, Listener, Node, PartitionData, ReplicaState, TopicData,
};

use super::{TOPIC, only};

/// From here on voters have directories, nodes have addresses, and errors have words.
const VERSION_DIRECTORIES: i16 = 2;

/// How the quorum stands, as its leader sees it.
pub(crate) fn describe(
    quorum: &Quorum,
    version: i16,
    request: &DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    let mut answer = described(quorum, request);
    if version < VERSION_DIRECTORIES {
        answer.nodes = Vec::new();
        answer.error_message = None;
        for partition in answer.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.error_message = None;
            let replicas = [&mut partition.current_voters, &mut partition.observers];
            for replica in replicas.into_iter().flatten() {
                replica.replica_directory_id = Uuid::ZERO;
            }
        }
    }
    answer
}

fn described(quorum: &Quorum, request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
    let partition = only(
        &request.topics,
        |topic: &asked::TopicData| topic.topic_name == TOPIC,
        |topic| &topic.partitions,
        |partition: &asked::PartitionData| partition.partition_index,
    );
    if partition.is_none() {
        return unknown(request);
    }
    let Some(description) = quorum.describe() else {
        return DescribeQuorumResponse {
            error_code: ErrorCode::NotLeaderOrFollower.into(),
            error_message: Some(who_leads(quorum)),
            ..Default::default()
        };
    };
    let topic = TopicData { topic_name: TOPIC.to_owned(), partitions: vec![told(&description)] };
    DescribeQuorumResponse {
        topics: vec![topic],
        nodes: quorum.voters().iter().map(node).collect(),
        ..Default::default()
    }
}

fn who_leads(quorum: &Quorum) -> String {
    let voters: Vec<String> = quorum.voters().iter().map(|one| one.id.to_string()).collect();
    match quorum.leader() {
        Some(leader) => format!("This node does not lead the metadata quorum, {leader} does."),
        None => format!(
            "This node does not lead the metadata quorum, and knows nobody who does; a majority of \
             the voters {} must be up, on empty disks all of them.",
            voters.join(", ")
        ),
    }
}

fn told(description: &Description) -> PartitionData {
    PartitionData {
        partition_index: 0,
        leader_id: description.leader.0,
        leader_epoch: description.epoch.0,
        high_watermark: description.high_watermark.0,
        current_voters: description.voters.iter().map(replica).collect(),
        observers: description.observers.iter().map(replica).collect(),
        ..Default::default()
    }
}

fn replica(status: &ReplicaStatus) -> ReplicaState {
    ReplicaState {
        replica_id: status.replica.id.0,
        replica_directory_id: status.replica.directory,
        log_end_offset: status.end.0,
        last_fetch_timestamp: status.fetched_at_ms,
        last_caught_up_timestamp: status.caught_up_at_ms,
    }
}

fn node(voter: &Voter) -> Node {
    let listener = |e: &quorum::Endpoint| Listener {
        name: e.listener.clone(),
        host: e.host.clone(),
        port: e.port,
    };
    Node { node_id: voter.id.0, listeners: voter.endpoints.iter().map(listener).collect() }
}

/// There is one partition to ask for.
fn unknown(request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
    let partition = |partition: &asked::PartitionData| PartitionData {
        partition_index: partition.partition_index,
        error_code: ErrorCode::UnknownTopicOrPartition.into(),
        ..Default::default()
    };
    let topic = |topic: &asked::TopicData| TopicData {
        topic_name: topic.topic_name.clone(),
        partitions: topic.partitions.iter().map(partition).collect(),
    };
    DescribeQuorumResponse {
        topics: request.topics.iter().map(topic).collect(),
        ..Default::default()
    }
}
