//! The controller's listener: what is advertised there is answered, nothing else is served, and
//! bytes that mean nothing harm nobody.

use std::io::Write;

use wire::ApiKey;
use wire::messages::allocate_producer_ids_request::AllocateProducerIdsRequest;
use wire::messages::alter_configs_request::AlterConfigsRequest;
use wire::messages::api_versions_request::ApiVersionsRequest;
use wire::messages::begin_quorum_epoch_request::BeginQuorumEpochRequest;
use wire::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use wire::messages::broker_registration_request::BrokerRegistrationRequest;
use wire::messages::controller_registration_request::ControllerRegistrationRequest;
use wire::messages::create_partitions_request::CreatePartitionsRequest;
use wire::messages::create_topics_request::CreateTopicsRequest;
use wire::messages::delete_topics_request::DeleteTopicsRequest;
use wire::messages::describe_cluster_request::DescribeClusterRequest;
use wire::messages::describe_configs_request::DescribeConfigsRequest;
use wire::messages::end_quorum_epoch_request::EndQuorumEpochRequest;
use wire::messages::envelope_request::EnvelopeRequest;
use wire::messages::fetch_request::FetchRequest;
use wire::messages::fetch_snapshot_request::FetchSnapshotRequest;
use wire::messages::incremental_alter_configs_request::IncrementalAlterConfigsRequest;
use wire::messages::metadata_request::MetadataRequest;
use wire::messages::update_raft_voter_request::UpdateRaftVoterRequest;
use wire::messages::vote_request::VoteRequest;

use crate::harness::{Client, TestBroker};
use crate::versions::{software, sweep, sweep_quorum};

const CONTROLLER: usize = 1;

fn broker() -> TestBroker {
    TestBroker::start(&[
        "listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0",
        "controller.listener.names=CONTROLLER",
    ])
}

fn is_well(client: &mut Client) {
    let answer = client.call::<ApiVersionsRequest>(4, &software());
    assert_eq!(answer.error_code, 0);
}

#[test]
fn every_api_of_the_controller_is_answered_at_every_version() {
    let broker = broker();
    let client = &mut broker.connect_to(CONTROLLER);
    let left = &mut client.call(4, &software());
    sweep(client, left, |_| software());
    for (version, answer) in sweep(client, left, |version| DescribeClusterRequest {
        endpoint_type: if version >= 1 { 2 } else { 1 },
        ..DescribeClusterRequest::default()
    }) {
        if version >= 1 {
            let ids: Vec<i32> = answer.brokers.iter().map(|one| one.broker_id).collect();
            assert_eq!((answer.error_code, answer.controller_id, ids), (0, 0, vec![0]));
            assert!(answer.brokers[0].port > 0);
        } else {
            assert_ne!(answer.error_code, 0, "brokers are not told here");
        }
    }
    sweep_quorum(client, left);
    // Requests that say nothing are answered, whatever with.
    sweep(client, left, |_| FetchRequest::default());
    sweep(client, left, |_| CreateTopicsRequest::default());
    sweep(client, left, |_| DeleteTopicsRequest::default());
    sweep(client, left, |_| DescribeConfigsRequest::default());
    sweep(client, left, |_| AlterConfigsRequest::default());
    sweep(client, left, |_| CreatePartitionsRequest::default());
    sweep(client, left, |_| IncrementalAlterConfigsRequest::default());
    sweep(client, left, |_| VoteRequest::default());
    sweep(client, left, |_| BeginQuorumEpochRequest::default());
    sweep(client, left, |_| EndQuorumEpochRequest::default());
    sweep(client, left, |_| EnvelopeRequest::default());
    sweep(client, left, |_| FetchSnapshotRequest::default());
    sweep(client, left, |_| BrokerRegistrationRequest { broker_id: 77, ..Default::default() });
    sweep(client, left, |_| BrokerHeartbeatRequest { broker_id: 77, ..Default::default() });
    sweep(client, left, |_| AllocateProducerIdsRequest { broker_id: 77, ..Default::default() });
    sweep(client, left, |_| ControllerRegistrationRequest {
        controller_id: 77,
        ..Default::default()
    });
    sweep(client, left, |_| UpdateRaftVoterRequest { voter_id: 77, ..Default::default() });
    assert!(left.api_keys.is_empty(), "not swept: {:?}", left.api_keys);
    // None of it has moved the controller.
    broker.connect().create_topic("after", 1);
}

#[test]
fn each_kind_of_listener_serves_its_own() {
    let broker = broker();
    let apis = |listener| broker.connect_to(listener).call(4, &software()).api_keys;
    let has = |listener, key: ApiKey| apis(listener).iter().any(|api| api.api_key == key.code());
    for (key, of_clients, of_controller) in [
        (ApiKey::Produce, true, false),
        (ApiKey::Metadata, true, false),
        (ApiKey::Vote, false, true),
        (ApiKey::BrokerHeartbeat, false, true),
        (ApiKey::Envelope, false, true),
        (ApiKey::DescribeQuorum, true, true),
    ] {
        assert_eq!((has(0, key), has(CONTROLLER, key)), (of_clients, of_controller), "{key}");
    }
    // What is not advertised ends the connection.
    let mut client = broker.connect_to(CONTROLLER);
    client.send(9, &MetadataRequest::default());
    assert!(client.frame().is_none());
    let mut client = broker.connect();
    client.send(1, &VoteRequest::default());
    assert!(client.frame().is_none());
}

#[test]
fn garbage_on_the_controllers_listener_harms_nobody() {
    let broker = broker();
    // Announced and never sent, more than is taken, and no request at all.
    let frames: [&[u8]; 4] =
        [&[0, 255, 255, 255, 1], &[127, 255, 255, 255], &[0, 0, 0, 4, 9, 9, 9, 9], &[255; 64]];
    for frame in frames {
        let mut client = broker.connect_to(CONTROLLER);
        client.stream.write_all(frame).unwrap();
        is_well(&mut broker.connect_to(CONTROLLER));
    }
    // Every API with a body that is cut off or random: an answer, or the end of that connection.
    let apis = broker.connect_to(CONTROLLER).call(4, &software()).api_keys;
    for api in apis {
        for body in [&[][..], &[0xff; 40], &[0x7f, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3]] {
            let mut frame = Vec::new();
            frame.extend_from_slice(&api.api_key.to_be_bytes());
            frame.extend_from_slice(&api.max_version.to_be_bytes());
            frame.extend_from_slice(&[0, 0, 0, 1, 255, 255, 0]);
            frame.extend_from_slice(body);
            let mut client = broker.connect_to(CONTROLLER);
            let length = u32::try_from(frame.len()).unwrap().to_be_bytes();
            client.stream.write_all(&[&length[..], &frame].concat()).unwrap();
            client.stream.shutdown(std::net::Shutdown::Write).unwrap();
            let _ = client.frame();
        }
    }
    is_well(&mut broker.connect_to(CONTROLLER));
    broker.connect().create_topic("after", 1);
}
