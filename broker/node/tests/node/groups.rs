//! Groups: a member's whole round, offsets over restarts, answers held until committed.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use coordinator::{Request, Response};
use storage::disk::Disk;
use storage::disk::sim::SimDisk;
use tidelog_node::{ClientContext, Node};
use wire::ErrorCode;
use wire::messages::heartbeat_request::HeartbeatRequest;
use wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use wire::messages::join_group_response::JoinGroupResponse;
use wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use wire::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use wire::messages::sync_group_response::SyncGroupResponse;

use crate::common::{NOW, config, create, delete, open, open_with};

/// Where an answer arrives.
type Slot = Arc<Mutex<Option<Response>>>;

fn sim() -> (SimDisk, Arc<dyn Disk>) {
    let sim = SimDisk::new(1);
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    (sim, disk)
}

fn ask(node: &Node, now_ms: i64, version: i16, request: &Request) -> Slot {
    let slot: Slot = Arc::default();
    let into = Arc::clone(&slot);
    let client = ClientContext { version, client_id: "c", client_host: "/127.0.0.1" };
    let reply = Box::new(move |response| {
        assert!(into.lock().unwrap().replace(response).is_none(), "answered twice");
    });
    node.group_request(now_ms, &client, request, reply);
    slot
}

fn answer(slot: &Slot) -> Response {
    slot.lock().unwrap().take().expect("no answer yet")
}

fn join_request(member: &str) -> Request {
    Request::Join(JoinGroupRequest {
        group_id: "readers".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: member.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".to_owned(),
            metadata: Bytes::from_static(b"any"),
        }],
        ..Default::default()
    })
}

/// Joins as the only member; gives the join's answer.
fn join_alone(node: &Node, now_ms: i64) -> JoinGroupResponse {
    let Response::Join(first) = answer(&ask(node, now_ms, 5, &join_request(""))) else { panic!() };
    assert_eq!(first.error_code, ErrorCode::MemberIdRequired.code());
    let slot = ask(node, now_ms, 5, &join_request(&first.member_id));
    let Response::Join(joined) = answer(&slot) else { panic!() };
    assert_eq!(joined.error_code, 0);
    assert_eq!(joined.leader, joined.member_id);
    joined
}

fn sync(node: &Node, now_ms: i64, joined: &JoinGroupResponse) -> SyncGroupResponse {
    let request = Request::Sync(SyncGroupRequest {
        group_id: "readers".to_owned(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        assignments: vec![SyncGroupRequestAssignment {
            member_id: joined.member_id.clone(),
            assignment: Bytes::from_static(b"all of it"),
        }],
        ..Default::default()
    });
    let Response::Sync(synced) = answer(&ask(node, now_ms, 3, &request)) else { panic!() };
    synced
}

fn heartbeat(node: &Node, now_ms: i64, joined: &JoinGroupResponse) -> i16 {
    let request = Request::Heartbeat(HeartbeatRequest {
        group_id: "readers".to_owned(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        ..Default::default()
    });
    let Response::Heartbeat(beat) = answer(&ask(node, now_ms, 3, &request)) else { panic!() };
    beat.error_code
}

/// A whole round of a group of one, after the sessions of others have ended: join, sync, commit.
pub(crate) fn commit_as_only_member(node: &Node, topic: &str, offset: i64) {
    node.tick_groups(NOW + 100_000);
    let joined = join_alone(node, NOW + 100_000);
    assert_eq!(sync(node, NOW, &joined).error_code, 0);
    let Request::OffsetCommit(mut request) = commit_request(&joined, offset) else { panic!() };
    request.topics[0].name = topic.to_owned();
    let answer = answer(&ask(node, NOW, 8, &Request::OffsetCommit(request)));
    assert_eq!(commit_code(answer), 0);
}

fn commit_request(joined: &JoinGroupResponse, offset: i64) -> Request {
    Request::OffsetCommit(OffsetCommitRequest {
        group_id: "readers".to_owned(),
        generation_id_or_member_epoch: joined.generation_id,
        member_id: joined.member_id.clone(),
        topics: vec![OffsetCommitRequestTopic {
            name: "letters".to_owned(),
            partitions: vec![OffsetCommitRequestPartition {
                partition_index: 0,
                committed_offset: offset,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    })
}

fn commit_code(response: Response) -> i16 {
    let Response::OffsetCommit(response) = response else { panic!() };
    response.topics[0].partitions[0].error_code
}

/// The group's committed offset, or the error.
fn committed(node: &Node) -> Result<i64, i16> {
    let request = Request::OffsetFetch(OffsetFetchRequestGroup {
        group_id: "readers".to_owned(),
        topics: Some(vec![OffsetFetchRequestTopics {
            name: "letters".to_owned(),
            partition_indexes: vec![0],
            ..Default::default()
        }]),
        ..Default::default()
    });
    let Response::OffsetFetch(group) = answer(&ask(node, NOW, 8, &request)) else { panic!() };
    match group.error_code {
        0 => Ok(group.topics[0].partitions[0].committed_offset),
        code => Err(code),
    }
}

#[test]
fn without_the_topic_there_is_no_coordinator() {
    let (_, disk) = sim();
    let node = open(&disk);
    assert!(!node.groups_prepared());
    assert_eq!(committed(&node), Err(ErrorCode::CoordinatorNotAvailable.code()));
    node.prepare_groups(NOW).unwrap();
    node.prepare_groups(NOW).unwrap();
    assert_eq!(node.image().topics.by_name("__consumer_offsets").unwrap().partitions.len(), 3);
    // What was never asked for is known to be empty.
    let nobody = node.describe_group("nobody", 6).error_code;
    assert_eq!(nobody, ErrorCode::GroupIdNotFound.code());
    assert_eq!(node.list_groups(&[], &[]), Ok(Vec::new()));
    assert_eq!(committed(&node), Ok(-1));
}

#[test]
fn a_member_joins_commits_and_finds_its_offset_after_restart_and_crash() {
    let (sim, disk) = sim();
    let node = open(&disk);
    create(&node, "letters", 1);
    node.prepare_groups(NOW).unwrap();
    let joined = join_alone(&node, NOW);
    assert_eq!(sync(&node, NOW, &joined).assignment, Bytes::from_static(b"all of it"));
    assert_eq!(heartbeat(&node, NOW + 100, &joined), 0);
    assert_eq!(commit_code(answer(&ask(&node, NOW, 8, &commit_request(&joined, 42)))), 0);
    assert_eq!(committed(&node), Ok(42));
    node.shutdown(NOW).unwrap();
    drop(node);

    let node = open(&disk);
    assert_eq!(committed(&node), Err(ErrorCode::CoordinatorLoadInProgress.code()));
    node.load_groups(NOW);
    assert_eq!(committed(&node), Ok(42));
    // The member itself is still known, and has a whole session to say so.
    assert_eq!(heartbeat(&node, NOW + 9_000, &joined), 0);
    node.tick_groups(NOW + 100_000);
    let gone = heartbeat(&node, NOW + 100_000, &joined);
    assert_eq!(gone, ErrorCode::UnknownMemberId.code());
    for partition in node.topic_by_name("__consumer_offsets").unwrap().iter() {
        partition.flush(partition.log_end_offset()).unwrap();
    }
    drop(node);
    sim.crash();

    let node = open(&disk);
    node.load_groups(NOW);
    assert_eq!(committed(&node), Ok(42));
    assert!(node.take_notices().iter().all(|n| !n.to_string().contains("cannot read")));
}

#[test]
fn a_deleted_topics_offsets_are_forgotten() {
    let (_, disk) = sim();
    let node = open(&disk);
    create(&node, "letters", 1);
    node.prepare_groups(NOW).unwrap();
    let joined = join_alone(&node, NOW);
    sync(&node, NOW, &joined);
    assert_eq!(commit_code(answer(&ask(&node, NOW, 8, &commit_request(&joined, 7)))), 0);
    assert_eq!(committed(&node), Ok(7));
    assert_eq!(delete(&node, "letters"), ErrorCode::None);
    create(&node, "letters", 1);
    assert_eq!(committed(&node), Ok(-1));
}

#[test]
fn what_outlives_the_retention_is_forgotten_for_good() {
    let (_, disk) = sim();
    let node = open(&disk);
    create(&node, "letters", 1);
    node.prepare_groups(NOW).unwrap();
    let joined = join_alone(&node, NOW);
    sync(&node, NOW, &joined);
    assert_eq!(commit_code(answer(&ask(&node, NOW, 8, &commit_request(&joined, 7)))), 0);
    node.tick_groups(NOW + 100_000);
    let week = 7 * 24 * 60 * 60 * 1_000;
    node.expire_groups(NOW + week);
    assert_eq!(committed(&node), Ok(7), "the group has been empty for less than a week");
    node.expire_groups(NOW + 100_000 + week);
    assert_eq!(committed(&node), Ok(-1));
    node.shutdown(NOW).unwrap();
    drop(node);
    let node = open(&disk);
    node.load_groups(NOW);
    assert_eq!(node.list_groups(&[], &[]), Ok(Vec::new()));
}

#[test]
fn answers_wait_for_the_flush_that_they_saw() {
    let (_, disk) = sim();
    let mut strict = config(&["/data"]);
    let flush_each = |key: &str| (key == "log.flush.interval.messages").then(|| "1".to_owned());
    strict.settings.topic_defaults =
        metadata::topic_config::Defaults::from_broker(flush_each).unwrap();
    let node = open_with(strict, &disk, NOW);
    create(&node, "letters", 1);
    node.prepare_groups(NOW).unwrap();
    let Response::Join(first) = answer(&ask(&node, NOW, 5, &join_request(""))) else { panic!() };
    let join = ask(&node, NOW, 5, &join_request(&first.member_id));
    node.tick_groups(NOW + 1);
    node.flush_due(NOW + 1);
    let Response::Join(joined) = answer(&join) else { panic!() };
    let sync = Request::Sync(SyncGroupRequest {
        group_id: "readers".to_owned(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        ..Default::default()
    });
    let synced = ask(&node, NOW, 3, &sync);
    assert!(synced.lock().unwrap().is_none(), "answered before its record was durable");
    node.flush_due(NOW + 1);
    let Response::Sync(synced) = answer(&synced) else { panic!() };
    assert_eq!(synced.error_code, 0);
}

#[test]
fn a_cancelled_join_is_not_answered() {
    let (_, disk) = sim();
    let mut slow = config(&["/data"]);
    slow.groups.initial_rebalance_delay_ms = 3_000;
    let node = open_with(slow, &disk, NOW);
    node.prepare_groups(NOW).unwrap();
    let client = ClientContext { version: 3, client_id: "c", client_host: "/127.0.0.1" };
    let reply = Box::new(|_| panic!("answered though cancelled"));
    let ticket = node.group_request(NOW, &client, &join_request(""), reply).expect("waits");
    node.cancel_group_request(NOW, &ticket);
    node.tick_groups(NOW + 3_000);
}

#[test]
fn a_shard_goes_with_its_partition_and_whoever_waits_in_it_is_told() {
    let (_, disk) = sim();
    let node = open(&disk);
    create(&node, "letters", 1);
    node.prepare_groups(NOW).unwrap();
    let joined = join_alone(&node, NOW);
    assert_eq!(sync(&node, NOW, &joined).error_code, 0);
    let Response::Join(second) = answer(&ask(&node, NOW, 5, &join_request(""))) else { panic!() };
    // Waits until the first has joined again.
    let waiting = ask(&node, NOW, 5, &join_request(&second.member_id));
    assert!(waiting.lock().unwrap().is_none());
    assert_eq!(node.group_counts().members, 2);
    for partition in node.topic_by_name("__consumer_offsets").unwrap().iter() {
        partition.go_offline();
    }
    assert_eq!(heartbeat(&node, NOW, &joined), ErrorCode::NotCoordinator.code());
    node.tick_groups(NOW);
    let Response::Join(told) = answer(&waiting) else { panic!() };
    assert_eq!(told.error_code, ErrorCode::NotCoordinator.code());
    assert_eq!(node.group_counts(), Default::default());
    assert_eq!(heartbeat(&node, NOW, &joined), ErrorCode::NotCoordinator.code());
    assert_eq!(node.list_groups(&[], &[]).unwrap(), []);
}
