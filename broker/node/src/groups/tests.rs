//! Leadership that goes and comes back: of groups, and of what clients write.

use std::collections::BTreeSet;
use std::path::PathBuf;

use bytes::Bytes;
use metadata::control::Settings;
use metadata::topic_config::Defaults;
use replication::{Acks, ReadRequest};
use storage::disk::Disk;
use storage::disk::sim::SimDisk;
use wire::ids::{BrokerId, LeaderEpoch, Offset};
use wire::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use wire::records::{BatchBuilder, BatchOptions};

use super::*;
use crate::control::ControlResponse;
use crate::{LogLimits, NodeConfig, QuorumConfig};

const NOW: i64 = 1_700_000_000_000;

fn open() -> Node {
    let mut settings = Settings::new(Defaults::from_broker(|_| None).unwrap());
    settings.offsets_topic_num_partitions = 2;
    settings.offsets_topic_replication_factor = 1;
    let config = NodeConfig {
        node_id: BrokerId(1),
        rack: None,
        log_dirs: vec![PathBuf::from("/data")],
        abandoned_log_dirs: Vec::new(),
        accepted_losses: BTreeSet::new(),
        metadata_log_dir: None,
        cluster_id: None,
        endpoints: Vec::new(),
        settings,
        log_limits: LogLimits::default(),
        groups: coordinator::Config::default(),
        fetch_session_slots: 10,
        recovery_threads: 1,
        delete_delay_ms: 0,
        metadata_snapshot_bytes: 20 << 20,
        metadata_snapshot_interval_ms: 0,
        quorum: QuorumConfig::alone(),
    };
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let node = Node::open(config, disk, NOW, 7).unwrap();
    node.auto_create_topics(NOW, &["letters", OFFSETS_TOPIC]);
    node
}

/// The controller takes the leadership from the broker, or gives it back.
fn heartbeat(node: &Node, want_fence: bool) {
    let request = BrokerHeartbeatRequest {
        broker_id: node.node_id().0,
        broker_epoch: node.broker_epoch.load(Ordering::Relaxed),
        current_metadata_offset: i64::MAX,
        want_fence,
        ..Default::default()
    };
    let answer = node.ask_alone(NOW, 2, request.into());
    let ControlResponse::BrokerHeartbeat(answer) = answer else { panic!("{answer:?}") };
    assert_eq!((answer.error_code, answer.is_fenced), (0, want_fence));
}

fn fence(node: &Node) {
    heartbeat(node, true);
}

fn unfence(node: &Node) {
    heartbeat(node, false);
}

type Slot = Arc<Mutex<Option<Response>>>;

fn ask(node: &Node, version: i16, request: &Request) -> Slot {
    let slot: Slot = Arc::default();
    let into = Arc::clone(&slot);
    let client = ClientContext { version, client_id: "c", client_host: "/127.0.0.1" };
    let reply = Box::new(move |response| {
        assert!(into.lock().unwrap().replace(response).is_none(), "answered twice");
    });
    node.group_request(NOW, &client, request, reply);
    slot
}

fn commit(node: &Node, offset: i64) -> i16 {
    let request = Request::OffsetCommit(OffsetCommitRequest {
        group_id: "readers".to_owned(),
        generation_id_or_member_epoch: -1,
        topics: vec![OffsetCommitRequestTopic {
            name: "letters".to_owned(),
            partitions: vec![OffsetCommitRequestPartition {
                committed_offset: offset,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    });
    let slot = ask(node, 8, &request);
    let Some(Response::OffsetCommit(done)) = slot.lock().unwrap().take() else { panic!() };
    done.topics[0].partitions[0].error_code
}

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
    let slot = ask(node, 8, &request);
    let Some(Response::OffsetFetch(group)) = slot.lock().unwrap().take() else { panic!() };
    match group.error_code {
        0 => Ok(group.topics[0].partitions[0].committed_offset),
        code => Err(code),
    }
}

#[test]
fn groups_go_and_come_with_the_leadership() {
    let node = open();
    assert_eq!(commit(&node, 41), 0);
    let join = |member: &str| {
        Request::Join(JoinGroupRequest {
            group_id: "readers".to_owned(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 10_000,
            member_id: member.to_owned(),
            protocol_type: "consumer".to_owned(),
            protocols: vec![JoinGroupRequestProtocol {
                name: "range".to_owned(),
                metadata: Bytes::new(),
            }],
            ..Default::default()
        })
    };
    let first = ask(&node, 5, &join(""));
    let Some(Response::Join(first)) = first.lock().unwrap().take() else { panic!() };
    let waiting = ask(&node, 5, &join(&first.member_id));
    assert!(waiting.lock().unwrap().is_none(), "the rebalance waits for more members");

    fence(&node);
    let elsewhere = ErrorCode::NotCoordinator.code();
    let Some(Response::Join(sent_away)) = waiting.lock().unwrap().take() else { panic!() };
    assert_eq!(sent_away.error_code, elsewhere);
    assert_eq!((commit(&node, 42), committed(&node)), (elsewhere, Err(elsewhere)));
    assert_eq!(node.list_groups(&[], &[]), Ok(Vec::new()));
    assert_eq!(node.describe_group("readers", 5).error_code, elsewhere);
    node.tick_groups(NOW + 100_000);
    node.load_groups_that_came(NOW);
    assert_eq!(committed(&node), Err(elsewhere));

    unfence(&node);
    assert_eq!(committed(&node), Err(ErrorCode::CoordinatorLoadInProgress.code()));
    node.load_groups_that_came(NOW);
    assert_eq!(committed(&node), Ok(41));
    assert_eq!(commit(&node, 43), 0);
    assert_eq!(node.group_counts().members, 0, "who joined before is forgotten");
}

#[test]
fn who_does_not_lead_takes_and_gives_nothing() {
    let node = open();
    let partition = node.partition_by_name("letters", PartitionIndex(0)).unwrap();
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append(NOW, None, Some(b"a"), &[]);
    let batch = builder.build().unwrap();
    let any = LeaderEpoch::UNKNOWN;
    let append = || partition.append(NOW, batch.clone(), Acks::All, any);
    let read = || {
        partition.read(ReadRequest {
            fetch_offset: Offset(0),
            max_bytes: 1_000,
            min_one: true,
            isolation: replication::Isolation::HighWatermark,
            current_leader_epoch: any,
        })
    };
    let epoch = partition.leader_epoch();
    append().unwrap();
    fence(&node);
    let away = ErrorCode::NotLeaderOrFollower;
    assert_eq!(append().unwrap_err().code(), away);
    assert_eq!(read().unwrap_err().code(), away);
    let latest = partition.list_offset(-1, replication::Isolation::HighWatermark, any);
    assert_eq!(latest.unwrap_err().code(), away);
    assert_eq!(partition.delete_records(Offset(1)).unwrap_err().code(), away);
    assert_eq!(partition.end_offset_for_epoch(epoch, any).unwrap_err().code(), away);
    assert_eq!(partition.for_each_producer(|_, _| {}).unwrap_err().code(), away);
    let waits = partition.produce_status(Offset(2));
    assert_eq!(waits.unwrap_err().code(), away, "an acks=all that waits hears of it");
    assert_eq!(partition.log_end_offset(), Offset(1));
    unfence(&node);
    assert!(partition.leader_epoch() > epoch);
    assert_eq!(read().unwrap().high_watermark, Offset(1));
    append().unwrap();
}
