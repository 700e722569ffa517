//! Apache Kafka's own DumpLogSegments decodes a node's metadata log and its snapshots, and the
//! group records of `__consumer_offsets`. The jars of Apache Kafka 4.3.1 are in
//! `$TIDELOG_TEST_CACHE/kafka-4.3.1/libs`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use storage::disk::Disk;
use storage::disk::os::OsDisk;

use crate::common::{NOW, append, config, create, create_code, delete, open_with, partition};
use crate::groups::commit_as_only_member;

/// Words by which the tool reports what it does not like.
const COMPLAINTS: [&str; 5] = ["ould not", "Exception", "isvalid: false", "invalid bytes", "rror"];

#[expect(clippy::disallowed_methods, reason = "the cache is named by the environment")]
fn jars() -> String {
    let cache = std::env::var("TIDELOG_TEST_CACHE").expect("TIDELOG_TEST_CACHE names the cache");
    let libs = Path::new(&cache).join("kafka-4.3.1/libs");
    assert!(libs.is_dir(), "{} is missing: tests/run puts it there", libs.display());
    libs.join("*").to_str().unwrap().to_owned()
}

fn dump(decoder: &str, files: &[PathBuf]) -> String {
    let files: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let output = Command::new("java")
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", &jars()])
        .args(["org.apache.kafka.tools.DumpLogSegments", decoder, "--files", &files.join(",")])
        .output()
        .expect("java runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}\n{text}");
    for line in text.lines().chain(errors.lines()) {
        let complains = COMPLAINTS.iter().any(|complaint| line.contains(complaint));
        assert!(!complains, "{decoder}: {line}");
    }
    text
}

fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        paths.filter(|path| path.to_str().unwrap().ends_with(ending)).collect();
    found.sort();
    found
}

#[test]
fn kafka_reads_a_nodes_metadata_and_groups() {
    let root = std::env::temp_dir().join(format!("tidelog-node-dump-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&root);
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let mut small = config(&[root.to_str().unwrap()]);
    let metadata = root.join("__cluster_metadata-0");
    let mut wanted = Vec::new();
    for round in 0..2 {
        // Snapshots free what was before them, so the first round has none.
        small.metadata_snapshot_bytes = [1 << 20, 2_000][usize::try_from(round).unwrap()];
        // And no snapshot, the one that the cluster began with included, is kept for over a week.
        let node = open_with(small.clone(), &disk, NOW - (1 - round) * 8 * 24 * 3_600_000);
        create_code(&node, &format!("kept-{round}"), 3, &[("retention.ms", "1000")]);
        create(&node, "gone", 1);
        append(&partition(&node, "gone", 0), &["a"]).unwrap();
        delete(&node, "gone");
        node.init_producer_id(
            NOW,
            &wire::messages::init_producer_id_request::InitProducerIdRequest {
                transactional_id: None,
                ..Default::default()
            },
        );
        node.prepare_groups(NOW).unwrap();
        node.load_groups(NOW);
        commit_as_only_member(&node, "kept-0", 42);
        node.shutdown(NOW).unwrap();
        for log in files(&metadata, ".log").iter().filter(|_| round == 0) {
            let copy = root.join(log.file_name().unwrap());
            std::fs::copy(log, &copy).unwrap();
            wanted.push(copy);
        }
    }

    let snapshots = files(&metadata, ".checkpoint");
    assert!(!snapshots.is_empty());
    let first = files(&metadata, ".log").swap_remove(0);
    assert!(!first.ends_with(format!("{:020}.log", 0)), "snapshots free the log's beginning");
    wanted.extend(files(&metadata, ".log"));
    wanted.extend(snapshots);
    let text = dump("--cluster-metadata-decoder", &wanted);
    for record in [
        "LeaderChange",
        "FEATURE_LEVEL_RECORD",
        "REGISTER_BROKER_RECORD",
        "BROKER_REGISTRATION_CHANGE_RECORD",
        "TOPIC_RECORD",
        "PARTITION_RECORD",
        "PARTITION_CHANGE_RECORD",
        "CONFIG_RECORD",
        "REMOVE_TOPIC_RECORD",
        "PRODUCER_IDS_RECORD",
        "SnapshotHeader",
        "SnapshotFooter",
        "KRaftVoters",
    ] {
        assert!(text.contains(record), "no {record} in:\n{text}");
    }

    let logs: Vec<PathBuf> =
        (0..3).flat_map(|n| files(&root.join(format!("__consumer_offsets-{n}")), ".log")).collect();
    let text = dump("--offsets-decoder", &logs);
    for piece in ["\"readers\"", "kept-0", "\"offset\":42"] {
        assert!(text.contains(piece), "no {piece} in:\n{text}");
    }
    std::fs::remove_dir_all(&root).unwrap();
}
