//! Golden bytes (made by Apache Kafka 4.3.1's own classes) and refusal of everything else.

use wire::ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicId};

use super::*;
use crate::directory::TopicPartition;
use crate::disk::Access;
use crate::disk::sim::SimDisk;
use meta_properties::MetaProperties;

const FILE: &str = "/d/file";

fn partition(topic: &str, index: i32) -> TopicPartition {
    TopicPartition::new(topic, PartitionIndex(index)).unwrap()
}

#[test]
fn offsets_in_kafkas_bytes() {
    let kafka = b"0\n2\norders 0 42\na.b_c-d 11 0\n";
    let offsets = offsets::Offsets::from([
        (partition("orders", 0), Offset(42)),
        (partition("a.b_c-d", 11), Offset(0)),
    ]);
    assert_eq!(offsets::decode(Path::new(FILE), kafka), Ok(offsets.clone()));
    // Ours are sorted, which Kafka's map is not.
    assert_eq!(offsets::encode(&offsets), b"0\n2\na.b_c-d 11 0\norders 0 42\n");
    assert_eq!(offsets::encode(&offsets::Offsets::new()), b"0\n0\n");
}

#[test]
fn leader_epochs_in_kafkas_bytes() {
    let kafka = b"0\n2\n0 0\n3 1234567890123\n";
    let entries = vec![(LeaderEpoch(0), Offset(0)), (LeaderEpoch(3), Offset(1_234_567_890_123))];
    assert_eq!(leader_epochs::encode(&entries), kafka);
    assert_eq!(leader_epochs::decode(Path::new(FILE), kafka), Ok(entries));
}

#[test]
fn partition_metadata_in_kafkas_bytes() {
    let kafka = b"version: 0\ntopic_id: aw7ntfZmRH6JzpSkMmqRHQ";
    let id = TopicId("aw7ntfZmRH6JzpSkMmqRHQ".parse().unwrap());
    assert_eq!(partition_metadata::encode(id), kafka);
    assert_eq!(partition_metadata::decode(Path::new(FILE), kafka), Ok(id));
}

#[test]
fn meta_properties_in_kafkas_bytes() {
    let kafka = b"#\n#Sun Nov 22 10:46:14 UTC 2026\nnode.id=7\n\
        directory.id=aw7ntfZmRH6JzpSkMmqRHQ\nversion=1\ncluster.id=4L6g3nShT-eMCtK--X86sw\n";
    let ours = b"#\ncluster.id=4L6g3nShT-eMCtK--X86sw\ndirectory.id=aw7ntfZmRH6JzpSkMmqRHQ\n\
        node.id=7\nversion=1\n";
    let properties = MetaProperties {
        cluster_id: "4L6g3nShT-eMCtK--X86sw".to_owned(),
        node_id: BrokerId(7),
        directory_id: "aw7ntfZmRH6JzpSkMmqRHQ".parse().ok(),
    };
    let decode = |bytes: &[u8]| meta_properties::decode(Path::new(FILE), bytes);
    assert_eq!(decode(kafka), Ok(properties.clone()));
    assert_eq!(meta_properties::encode(&properties), ours);
    assert_eq!(decode(ours), Ok(properties.clone()));
    let old = b"version = 0\nbroker.id: 7\ncluster.id 4L6g3nShT-eMCtK--X86sw\nfuture.key=x\n";
    assert_eq!(decode(old), Ok(MetaProperties { directory_id: None, ..properties.clone() }));
    let odd = MetaProperties { cluster_id: " a=b:c\\#d\n!".to_owned(), ..properties };
    assert_eq!(decode(&meta_properties::encode(&odd)), Ok(odd));
}

#[test]
fn clean_shutdown_in_kafkas_bytes() {
    let kafka = b"{\"version\":0,\"brokerEpoch\":12}";
    assert_eq!(clean_shutdown::encode(12), kafka);
    assert_eq!(clean_shutdown::decode(kafka), 12);
    assert_eq!(clean_shutdown::decode(b"{ \"brokerEpoch\" : -1, \"x\": 3}"), -1);
    assert_eq!(clean_shutdown::decode(b""), -1);
    assert_eq!(clean_shutdown::decode(b"\"brokerEpoch\":99999999999999999999"), -1);
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, CheckpointError>, line: usize) {
    match result {
        Err(CheckpointError::Malformed { line: at, .. }) => assert_eq!(at, line),
        other => panic!("expected a refusal of line {line}, got {other:?}"),
    }
}

#[test]
fn what_kafka_would_not_write_is_refused_by_line() {
    let file = Path::new(FILE);
    let offsets = |text: &str| offsets::decode(file, text.as_bytes());
    refused(offsets(""), 1);
    refused(offsets("0"), 2);
    refused(offsets("x\n0\n"), 1);
    refused(offsets("0\n-1\n"), 2);
    refused(offsets("0\n1\n"), 3);
    refused(offsets("0\n0\na 0 0\n"), 4);
    refused(offsets("0\n18446744073709551615\na 0 0\n"), 4);
    refused(offsets("0\n1\na 0\n"), 3);
    refused(offsets("0\n1\na 0 0 0\n"), 3);
    refused(offsets("0\n1\na  0 0\n"), 3);
    refused(offsets("0\n1\na 0 -1\n"), 3);
    refused(offsets("0\n1\na 0 +1\n"), 3);
    refused(offsets("0\n1\n../a 0 1\n"), 3);
    refused(offsets("0\n1\na 2147483648 1\n"), 3);
    refused(offsets("0\n1\na 0 9223372036854775808\n"), 3);
    refused(offsets("0\n2\na 0 1\na 0 2\n"), 4);
    refused(offsets::decode(file, b"0\n1\n\xff 0 1\n"), 0);
    let epochs = |text: &str| leader_epochs::decode(file, text.as_bytes());
    refused(epochs("0\n1\n1\n"), 3);
    refused(epochs("0\n2\n1 0\n1 5\n"), 4);
    refused(epochs("0\n2\n1 5\n2 4\n"), 4);
    let metadata = |text: &str| partition_metadata::decode(file, text.as_bytes());
    refused(metadata("version: 0\n"), 2);
    refused(metadata("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA"), 2);
    refused(metadata("topic_id: aw7ntfZmRH6JzpSkMmqRHQ"), 1);
    let properties = |text: &str| meta_properties::decode(file, text.as_bytes());
    refused(properties("cluster.id=a\nnode.id=1\n"), 3);
    refused(properties("version=1\nnode.id=1\n"), 3);
    refused(properties("version=1\ncluster.id=a\nbroker.id=1\n"), 4);
    refused(properties("version=1\ncluster.id\n"), 2);
    refused(properties("version=1\ncluster.id=a\nnode.id=1\ndirectory.id=b\n"), 4);
}

#[test]
fn newer_versions_are_refused_by_name() {
    let file = Path::new(FILE);
    let newer = |version, known| CheckpointError::Version { file: file.into(), version, known };
    assert_eq!(offsets::decode(file, b"1\n0\n"), Err(newer(1, 0)));
    assert_eq!(partition_metadata::decode(file, b"version: 7\n"), Err(newer(7, 0)));
    let error = meta_properties::decode(file, b"version=2\n").unwrap_err();
    assert_eq!(error, newer(2, 1));
    assert_eq!(error.to_string(), "/d/file has version 2, this program knows up to 1");
}

#[test]
fn files_are_written_read_and_bounded() {
    let disk = SimDisk::new(1);
    let file = Path::new(FILE);
    disk.create_dir_all(Path::new("/d")).unwrap();
    assert_eq!(offsets::read(&disk, file), Ok(offsets::Offsets::new()));
    assert_eq!(clean_shutdown::read(&disk, file), Ok(None));
    let epochs = vec![(LeaderEpoch(1), Offset(2))];
    leader_epochs::write(&disk, file, &epochs).unwrap();
    assert_eq!(leader_epochs::read(&disk, file), Ok(Some(epochs)));
    clean_shutdown::write(&disk, file, 3).unwrap();
    assert_eq!(clean_shutdown::read(&disk, file), Ok(Some(3)));
    disk.open(file, Access::ReadWrite).unwrap().truncate(1 << 20).unwrap();
    let error = partition_metadata::read(&disk, file).unwrap_err();
    assert!(error.to_string().contains("larger than its limit"), "{error}");
}
