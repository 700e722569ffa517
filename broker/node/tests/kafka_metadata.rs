//! Apache Kafka's own tools read the metadata log, its snapshots, `quorum-state` and the offsets
//! topic that a node writes, without complaint.
//!
//! A node lives on the real disk through topics, groups, snapshots and restarts; then
//! DumpLogSegments decodes every record, and Kafka's raft classes read `quorum-state`. The jars
//! of Apache Kafka 4.3.1 are in `$TIDELOG_TEST_CACHE/kafka-4.3.1/libs`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may fail, and its cache is named by the environment"
)]

#[path = "node/common.rs"]
#[expect(dead_code, reason = "shared with the node's other tests")]
mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use coordinator::{Request, Response};
use storage::disk::Disk;
use storage::disk::os::OsDisk;
use tidelog_node::{ClientContext, Node, NodeConfig};
use wire::messages::init_producer_id_request::InitProducerIdRequest;
use wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};

use common::{NOW, create, create_code, delete, open_with};

/// Words by which the tool reports what it does not like.
const COMPLAINTS: [&str; 6] =
    ["Error at", "ismatch", "isvalid: false", "Exception", "could not", "Unknown"];

/// Prints what Kafka's own reader makes of a `quorum-state`.
const READ_QUORUM_STATE: &str = r#"
import java.io.File;
import org.apache.kafka.raft.FileQuorumStateStore;
public class ReadQuorumState {
    public static void main(String[] args) {
        System.out.println(new FileQuorumStateStore(new File(args[0])).readElectionState());
    }
}
"#;

struct Root(PathBuf);

impl Drop for Root {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

fn node_config(root: &Path) -> NodeConfig {
    NodeConfig { metadata_snapshot_bytes: 20_000, ..common::config(&[root.to_str().unwrap()]) }
}

fn ask(node: &Node, version: i16, request: &Request) -> Response {
    let slot: Arc<Mutex<Option<Response>>> = Arc::default();
    let into = Arc::clone(&slot);
    let client = ClientContext { version, client_id: "c", client_host: "/127.0.0.1" };
    let reply = Box::new(move |response| *into.lock().unwrap() = Some(response));
    node.group_request(NOW, &client, request, reply);
    node.tick_groups(NOW);
    slot.lock().unwrap().take().expect("no answer")
}

/// One member joins, is assigned, and commits.
fn live_in_a_group(node: &Node) {
    node.prepare_groups(NOW).unwrap();
    node.load_groups(NOW);
    let group_id = "readers".to_owned();
    let protocols =
        vec![JoinGroupRequestProtocol { name: "range".to_owned(), metadata: "any".into() }];
    let join = JoinGroupRequest {
        group_id: group_id.clone(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer".to_owned(),
        protocols,
        ..Default::default()
    };
    let Response::Join(joined) = ask(node, 3, &Request::Join(join)) else { panic!("no join") };
    assert_eq!(joined.error_code, 0);
    let assignments = vec![SyncGroupRequestAssignment {
        member_id: joined.member_id.clone(),
        assignment: "all".into(),
    }];
    let sync = SyncGroupRequest {
        group_id: group_id.clone(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        assignments,
        ..Default::default()
    };
    let Response::Sync(synced) = ask(node, 3, &Request::Sync(sync)) else { panic!("no sync") };
    assert_eq!(synced.error_code, 0);
    let partition = OffsetCommitRequestPartition {
        committed_offset: 4711,
        committed_leader_epoch: 2,
        committed_metadata: Some("note".to_owned()),
        ..Default::default()
    };
    let topics = vec![OffsetCommitRequestTopic {
        name: "topic.0".to_owned(),
        partitions: vec![partition],
        ..Default::default()
    }];
    let commit = OffsetCommitRequest {
        group_id,
        generation_id_or_member_epoch: joined.generation_id,
        member_id: joined.member_id,
        topics,
        ..Default::default()
    };
    let Response::OffsetCommit(done) = ask(node, 8, &Request::OffsetCommit(commit)) else {
        panic!("no commit")
    };
    assert_eq!(done.topics[0].partitions[0].error_code, 0);
}

/// Three lives of a node: enough topics for several snapshots.
fn write(root: &Path) {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    for life in 0..3 {
        let node = open_with(node_config(root), &disk, NOW + life);
        for n in 0..40 {
            create(&node, &format!("topic.{}", life * 40 + n), 3);
        }
        let configs = [("retention.ms", "3600000")];
        create_code(&node, &format!("configured{life}"), 1, &configs);
        delete(&node, &format!("topic.{}", life * 40 + 7));
        let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
        let given = node.init_producer_id(NOW, &request);
        assert_eq!(given.error_code, 0);
        if life == 2 {
            live_in_a_group(&node);
        }
        node.shutdown(NOW).unwrap();
    }
}

fn jars() -> String {
    let cache = std::env::var("TIDELOG_TEST_CACHE").unwrap_or_else(|_| "/work/cache".to_owned());
    let libs = Path::new(&cache).join("kafka-4.3.1/libs");
    assert!(
        libs.is_dir(),
        "Apache Kafka 4.3.1 is not in {}: run `tests/run tools`, or set TIDELOG_TEST_CACHE",
        libs.display()
    );
    format!("{}/*", libs.display())
}

fn java(args: &[&str]) -> String {
    let output = Command::new("java")
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", &jars()])
        .args(args)
        .output()
        .expect("java runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {errors}\n{text}");
    for complaint in COMPLAINTS {
        let line = text.lines().find(|line| line.contains(complaint));
        assert_eq!(line, None, "{args:?} complains");
    }
    text
}

fn dump(decoder: &str, files: &[String]) -> String {
    java(&["org.apache.kafka.tools.DumpLogSegments", decoder, "--files", &files.join(",")])
}

/// The files of a directory with one of these extensions.
fn files(dir: &Path, extensions: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| extensions.contains(&e.to_str().unwrap())))
        .map(|path| path.to_str().unwrap().to_owned())
        .collect();
    found.sort();
    found
}

#[test]
fn kafka_reads_the_metadata_and_the_groups_that_we_write() {
    let root = std::env::temp_dir().join(format!("tidelog-metadata-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&root);
    let root = Root(root);
    write(&root.0);
    let metadata = root.0.join("__cluster_metadata-0");
    let all = files(&metadata, &["log", "checkpoint"]);
    assert!(all.iter().any(|file| file.ends_with(".checkpoint")), "{all:?}");
    let text = dump("--cluster-metadata-decoder", &all);
    for expect in [
        "LeaderChange",
        "SnapshotHeader",
        "SnapshotFooter",
        "KRaftVersion",
        "KRaftVoters",
        "REGISTER_BROKER_RECORD",
        "BROKER_REGISTRATION_CHANGE_RECORD",
        "FEATURE_LEVEL_RECORD",
        "tidelog.cluster.id",
        "TOPIC_RECORD",
        "\"name\":\"topic.119\"",
        "PARTITION_RECORD",
        "PARTITION_CHANGE_RECORD",
        "CONFIG_RECORD",
        "REMOVE_TOPIC_RECORD",
        "PRODUCER_IDS_RECORD",
    ] {
        assert!(text.contains(expect), "{expect} is missing in {text}");
    }
    for file in &all {
        assert!(text.contains(&format!("Dumping {file}")), "{file} was not read");
    }

    let groups: Vec<String> = (0..3)
        .flat_map(|n| files(&root.0.join(format!("__consumer_offsets-{n}")), &["log"]))
        .collect();
    let text = dump("--offsets-decoder", &groups);
    for expect in ["\"group\":\"readers\"", "\"offset\":4711", "\"protocol\":\"range\"", "note"] {
        assert!(text.contains(expect), "{expect} is missing in {text}");
    }

    let source = root.0.join("ReadQuorumState.java");
    std::fs::write(&source, READ_QUORUM_STATE).unwrap();
    let state = metadata.join("quorum-state");
    let text = java(&[source.to_str().unwrap(), state.to_str().unwrap()]);
    assert!(text.contains("epoch=3"), "{text}");
    assert!(text.contains("id=1") || text.contains("leaderId=OptionalInt[1]"), "{text}");
}
