//! What is advertised works, at every version; what is not closes the connection.

use wire::frame::decode_response;
use wire::ids::Uuid;
use wire::message::Request;
use wire::messages::add_raft_voter_request::AddRaftVoterRequest;
use wire::messages::alter_configs_request::AlterConfigsRequest;
use wire::messages::api_versions_request::ApiVersionsRequest;
use wire::messages::api_versions_response::ApiVersionsResponse;
use wire::messages::create_partitions_request::CreatePartitionsRequest;
use wire::messages::create_topics_request::CreateTopicsRequest;
use wire::messages::delete_groups_request::DeleteGroupsRequest;
use wire::messages::delete_records_request::DeleteRecordsRequest;
use wire::messages::delete_topics_request::DeleteTopicsRequest;
use wire::messages::describe_cluster_request::DescribeClusterRequest;
use wire::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use wire::messages::describe_groups_request::DescribeGroupsRequest;
use wire::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use wire::messages::describe_producers_request::DescribeProducersRequest;
use wire::messages::describe_quorum_request::{DescribeQuorumRequest, PartitionData, TopicData};
use wire::messages::describe_topic_partitions_request::DescribeTopicPartitionsRequest;
use wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use wire::messages::find_coordinator_request::FindCoordinatorRequest;
use wire::messages::heartbeat_request::HeartbeatRequest;
use wire::messages::incremental_alter_configs_request::IncrementalAlterConfigsRequest;
use wire::messages::init_producer_id_request::InitProducerIdRequest;
use wire::messages::join_group_request::JoinGroupRequest;
use wire::messages::leave_group_request::LeaveGroupRequest;
use wire::messages::list_config_resources_request::ListConfigResourcesRequest;
use wire::messages::list_groups_request::ListGroupsRequest;
use wire::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use wire::messages::offset_commit_request::OffsetCommitRequest;
use wire::messages::offset_delete_request::OffsetDeleteRequest;
use wire::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup};
use wire::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use wire::messages::remove_raft_voter_request::RemoveRaftVoterRequest;
use wire::messages::sync_group_request::SyncGroupRequest;
use wire::messages::unregister_broker_request::UnregisterBrokerRequest;
use wire::messages::update_features_request::UpdateFeaturesRequest;
use wire::{ApiKey, ErrorCode};

use crate::harness::{Client, TestBroker, batch, metadata_request, produce_request};

pub(crate) fn software() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "test".to_owned(),
        client_software_version: "1".to_owned(),
        ..ApiVersionsRequest::default()
    }
}

fn advertised(client: &mut Client) -> ApiVersionsResponse {
    client.call(4, &software())
}

/// Sends the request that `make` gives for each advertised version, and decodes the answers.
pub(crate) fn sweep<Q: Request>(
    client: &mut Client,
    advertised: &mut ApiVersionsResponse,
    make: impl Fn(i16) -> Q,
) -> Vec<(i16, Q::Response)> {
    let key = Q::KEY.code();
    let at = advertised.api_keys.iter().position(|api| api.api_key == key);
    let api = advertised.api_keys.remove(at.unwrap_or_else(|| panic!("{} is missing", Q::NAME)));
    let lowest = if Q::KEY == ApiKey::Produce { 3 } else { api.min_version };
    let answer = |version| {
        let number = client.send(version, &make(version));
        let frame = client.frame();
        let frame = frame.unwrap_or_else(|| panic!("{} {version}: closed", Q::NAME));
        (version, decode_response::<Q>(frame, version, number).unwrap())
    };
    (lowest..=api.max_version).map(answer).collect()
}

#[test]
fn every_advertised_version_is_answered() {
    let broker = TestBroker::start(&[]);
    let client = &mut broker.connect();
    let id = client.create_topic("sweep", 1);
    let mut left = advertised(client);
    let left = &mut left;
    for (version, answer) in sweep(client, left, |_| software()) {
        assert_eq!(answer.error_code, 0, "ApiVersions {version}");
    }
    let produced = sweep(client, left, |version| {
        let mut request = produce_request("sweep", 0, -1, batch(&["x"]));
        if version >= 13 {
            request.topic_data[0].name = String::new();
            request.topic_data[0].topic_id = id;
        }
        request
    });
    for ((version, answer), offset) in produced.into_iter().zip(0..) {
        let partition = &answer.responses[0].partition_responses[0];
        assert_eq!((partition.error_code, partition.base_offset), (0, offset), "{version}");
    }
    let fetched = sweep(client, left, |version| {
        let partition = FetchPartition { partition_max_bytes: 1000, ..FetchPartition::default() };
        let mut topic = FetchTopic { partitions: vec![partition], ..FetchTopic::default() };
        if version >= 13 {
            topic.topic_id = id
        } else {
            topic.topic = "sweep".to_owned()
        }
        FetchRequest { topics: vec![topic], ..FetchRequest::default() }
    });
    for (version, answer) in fetched {
        let partition = &answer.responses[0].partitions[0];
        assert_eq!(partition.error_code, 0, "Fetch {version}");
        assert!(!partition.records.clone().unwrap().is_empty(), "Fetch {version}");
    }
    for (version, answer) in sweep(client, left, |_| ListOffsetsRequest {
        topics: vec![ListOffsetsTopic {
            name: "sweep".to_owned(),
            partitions: vec![ListOffsetsPartition { timestamp: -1, ..Default::default() }],
        }],
        ..ListOffsetsRequest::default()
    }) {
        let partition = &answer.topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.offset), (0, 11), "ListOffsets {version}");
    }
    for (version, answer) in sweep(client, left, |_| metadata_request("sweep")) {
        assert_eq!(answer.topics[0].error_code, 0, "Metadata {version}");
        assert_eq!(answer.brokers.len(), 1, "Metadata {version}");
    }
    sweep_control(client, left);
    sweep_configs(client, left);
    sweep_alter_configs(client, left);
    sweep_quorum(client, left);
    sweep_groups(client, left);
    let missing: Vec<i16> = left.api_keys.iter().map(|api| api.api_key).collect();
    assert!(missing.is_empty(), "advertised and not tested: {missing:?}");
}

fn sweep_configs(client: &mut Client, left: &mut ApiVersionsResponse) {
    for (version, answer) in sweep(client, left, |version| DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: 2,
            resource_name: "sweep".to_owned(),
            configuration_keys: None,
        }],
        include_synonyms: true,
        include_documentation: version >= 3,
    }) {
        let result = &answer.results[0];
        assert_eq!(result.error_code, 0, "DescribeConfigs {version}");
        let retention = result.configs.iter().find(|c| c.name == "retention.ms").unwrap();
        assert_eq!(retention.value.as_deref(), Some("604800000"), "{version}");
        let policy = result.configs.iter().find(|c| c.name == "cleanup.policy").unwrap();
        assert_eq!(policy.synonyms[0].name, "log.cleanup.policy", "{version}");
    }
}

fn sweep_alter_configs(client: &mut Client, left: &mut ApiVersionsResponse) {
    sweep(client, left, |_| AlterConfigsRequest::default());
    sweep(client, left, |_| ListConfigResourcesRequest::default());
    sweep(client, left, |_| IncrementalAlterConfigsRequest::default());
}

fn sweep_control(client: &mut Client, left: &mut ApiVersionsResponse) {
    sweep(client, left, |_| OffsetForLeaderEpochRequest {
        topics: vec![OffsetForLeaderTopic {
            topic: "sweep".to_owned(),
            partitions: vec![OffsetForLeaderPartition::default()],
        }],
        ..OffsetForLeaderEpochRequest::default()
    });
    sweep(client, left, |_| CreateTopicsRequest::default());
    sweep(client, left, |_| CreatePartitionsRequest::default());
    sweep(client, left, |_| DeleteTopicsRequest::default());
    sweep(client, left, |_| DeleteRecordsRequest::default());
    sweep(client, left, |_| DescribeClusterRequest::default());
    sweep(client, left, |_| DescribeLogDirsRequest::default());
    sweep(client, left, |_| DescribeProducersRequest::default());
    sweep(client, left, |_| DescribeTopicPartitionsRequest::default());
    for (version, answer) in sweep(client, left, |_| InitProducerIdRequest {
        transactional_id: None,
        ..InitProducerIdRequest::default()
    }) {
        assert_eq!(answer.error_code, 0, "InitProducerId {version}");
    }
}

pub(crate) fn sweep_quorum(client: &mut Client, left: &mut ApiVersionsResponse) {
    let topic = || TopicData {
        topic_name: "__cluster_metadata".to_owned(),
        partitions: vec![PartitionData::default()],
    };
    for (version, answer) in
        sweep(client, left, |_| DescribeQuorumRequest { topics: vec![topic()] })
    {
        let partition = &answer.topics[0].partitions[0];
        let voters = partition.current_voters.len();
        assert_eq!((answer.error_code, partition.error_code, voters), (0, 0, 1), "{version}");
        assert_eq!(partition.leader_id, 0, "DescribeQuorum {version}");
    }
    for (version, answer) in sweep(client, left, |_| UpdateFeaturesRequest::default()) {
        assert_eq!(answer.error_code, 0, "UpdateFeatures {version}");
    }
    let unknown = 77;
    for (version, answer) in sweep(client, left, |_| UnregisterBrokerRequest { broker_id: unknown })
    {
        assert_ne!(answer.error_code, 0, "UnregisterBroker {version}");
    }
    for (version, answer) in sweep(client, left, |_| AddRaftVoterRequest {
        voter_id: unknown,
        timeout_ms: 100,
        ..Default::default()
    }) {
        assert_ne!(answer.error_code, 0, "AddRaftVoter {version}");
    }
    for (version, answer) in sweep(client, left, |_| RemoveRaftVoterRequest {
        voter_id: unknown,
        voter_directory_id: Uuid([7; 16]),
        ..Default::default()
    }) {
        assert_ne!(answer.error_code, 0, "RemoveRaftVoter {version}");
    }
}

fn sweep_groups(client: &mut Client, left: &mut ApiVersionsResponse) {
    for (version, answer) in sweep(client, left, |version| FindCoordinatorRequest {
        key: if version < 4 { "g".to_owned() } else { String::new() },
        coordinator_keys: if version < 4 { Vec::new() } else { vec!["g".to_owned()] },
        ..FindCoordinatorRequest::default()
    }) {
        let error = answer.coordinators.first().map_or(answer.error_code, |c| c.error_code);
        assert_eq!(error, 0, "FindCoordinator {version}");
    }
    let group = || "g".to_owned();
    sweep(client, left, |_| JoinGroupRequest {
        group_id: group(),
        session_timeout_ms: 1,
        ..JoinGroupRequest::default()
    });
    sweep(client, left, |_| SyncGroupRequest { group_id: group(), ..Default::default() });
    sweep(client, left, |_| HeartbeatRequest { group_id: group(), ..Default::default() });
    sweep(client, left, |_| LeaveGroupRequest { group_id: group(), ..Default::default() });
    sweep(client, left, |_| OffsetCommitRequest { group_id: group(), ..Default::default() });
    sweep(client, left, |version| {
        let one = OffsetFetchRequestGroup { group_id: group(), ..Default::default() };
        let groups = if version >= 8 { vec![one] } else { Vec::new() };
        let group_id = if version >= 8 { String::new() } else { group() };
        OffsetFetchRequest { group_id, groups, ..OffsetFetchRequest::default() }
    });
    sweep(client, left, |_| DescribeGroupsRequest { groups: vec![group()], ..Default::default() });
    sweep(client, left, |_| ListGroupsRequest::default());
    sweep(client, left, |_| OffsetDeleteRequest { group_id: group(), ..Default::default() });
    sweep(client, left, |_| DeleteGroupsRequest { groups_names: vec![group()] });
}

#[test]
fn produce_is_advertised_from_zero_and_refused_below_three() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.connect();
    let apis = advertised(&mut client).api_keys;
    let produce = apis.iter().find(|api| api.api_key == 0).unwrap();
    assert_eq!((produce.min_version, produce.max_version), (0, 13));
    // Produce version 2, correlation id 7, no client id, acks 1, timeout 1, no topics.
    let frame = [0, 0, 0, 20, 0, 0, 0, 2, 0, 0, 0, 7, 255, 255, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0];
    std::io::Write::write_all(&mut client.stream, &frame).unwrap();
    assert!(client.frame().is_none());
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_at_zero() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.connect();
    // ApiVersions version 99 with a client id and a tag section that nobody can read.
    let frame = [0, 0, 0, 13, 0, 18, 0, 99, 0, 0, 0, 5, 0, 1, b'x', 0, 9];
    std::io::Write::write_all(&mut client.stream, &frame).unwrap();
    let answer = client.frame().unwrap();
    let answer = decode_response::<ApiVersionsRequest>(answer, 0, 5).unwrap();
    assert_eq!(answer.error_code, ErrorCode::UnsupportedVersion.code());
    assert_eq!(answer.api_keys.len(), 1);
    // The connection goes on.
    assert_eq!(advertised(&mut client).error_code, 0);
}

#[test]
fn features_are_told_to_those_who_can_read_them() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.connect();
    let old = client.call(3, &software());
    assert!(old.supported_features.iter().all(|feature| feature.min_version > 0));
    let new = client.call(4, &software());
    assert!(new.supported_features.iter().any(|feature| feature.min_version == 0));
    let level = new.finalized_features.iter().find(|f| f.name == "metadata.version").unwrap();
    assert!(level.max_version_level >= 7);
    let mut nameless = software();
    nameless.client_software_name = "no good name".to_owned();
    let refused = client.call(3, &nameless);
    assert_eq!(refused.error_code, ErrorCode::InvalidRequest.code());
    let mut elsewhere = software();
    elsewhere.cluster_id = Some("another".to_owned());
    let refused = client.call(5, &elsewhere);
    assert_eq!(refused.error_code, ErrorCode::RebootstrapRequired.code());
}

#[test]
fn transactions_are_refused_for_good() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.connect();
    let request = FindCoordinatorRequest {
        key_type: 1,
        coordinator_keys: vec!["t".to_owned()],
        ..FindCoordinatorRequest::default()
    };
    let found = client.call(4, &request);
    let init = InitProducerIdRequest {
        transactional_id: Some("t".to_owned()),
        ..InitProducerIdRequest::default()
    };
    let refused = client.call(4, &init);
    let found = found.coordinators[0].error_code;
    assert_eq!(found, ErrorCode::TransactionalIdAuthorizationFailed.code());
    for code in [found, refused.error_code] {
        let code = ErrorCode::from_i16(code).unwrap();
        assert!(code.is_error() && !code.is_retriable(), "{code:?}");
    }
}
