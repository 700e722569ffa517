//! Flipped bits at rest: the metadata log refuses the start, a partition is closed for writing.

use std::path::Path;
use std::sync::Arc;

use crate::common::{NOW, append, config, create, delete, open, open_with, partition, values};
use storage::disk::sim::SimDisk;
use storage::disk::{Access, Disk};
use tidelog_node::{Error, Node, Notice};
use wire::ErrorCode;
use wire::ids::Offset;

const METADATA: &str = "/data/__cluster_metadata-0/00000000000000000000.log";

fn len(disk: &Arc<dyn Disk>, file: &str) -> u64 {
    disk.open(Path::new(file), Access::Read).unwrap().len().unwrap()
}

/// A node that has made three topics and stopped; the metadata log's length before the last one.
fn stopped(clean: bool) -> (SimDisk, Arc<dyn Disk>, u64) {
    let sim = SimDisk::new(3);
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let node = open(&disk);
    create(&node, "first", 1);
    create(&node, "second", 1);
    let before = len(&disk, METADATA);
    create(&node, "third", 1);
    append(&partition(&node, "first", 0), &["a"]).unwrap();
    if clean {
        node.shutdown(NOW).unwrap();
    }
    drop(node);
    (sim, disk, before)
}

fn refusal(disk: &Arc<dyn Disk>) -> String {
    match Node::open(config(&["/data"]), Arc::clone(disk), NOW, 8) {
        Err(error @ Error::MetadataCorrupt { .. }) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("a node without its topics must not start"),
    }
}

#[test]
fn a_flipped_bit_in_the_metadata_log_refuses_the_start() {
    for clean in [true, false] {
        let (sim, disk, before) = stopped(clean);
        let size = len(&disk, METADATA);
        sim.flip(Path::new(METADATA), before - 20, 1).unwrap();
        let said = refusal(&disk);
        assert!(said.contains("position") && said.contains("offset"), "{said}");
        // Trying again changes nothing.
        assert_eq!(refusal(&disk), said);
        assert_eq!(len(&disk, METADATA), size);
    }
}

#[test]
fn the_last_batch_of_the_metadata_log_is_torn_only_when_it_was_not_synced() {
    for clean in [true, false] {
        let (sim, disk, _) = stopped(clean);
        sim.flip(Path::new(METADATA), len(&disk, METADATA) - 5, 1).unwrap();
        refusal(&disk);
    }
    let (_, disk, _) = stopped(false);
    let size = len(&disk, METADATA);
    let file = disk.open(Path::new(METADATA), Access::ReadWrite).unwrap();
    // As the next append leaves it when the process dies amid it.
    let mut begun = vec![0; 40];
    file.read_exact_at(&mut begun, 0).unwrap();
    file.write_all_at(&[std::io::IoSlice::new(&begun)], size).unwrap();
    drop(file);
    let node = open(&disk);
    assert!(node.image().topics.by_name("third").is_some());
    let said = node.take_notices().iter().map(ToString::to_string).collect::<String>();
    assert!(said.contains("torn write"), "{said}");
}

#[test]
fn a_shorter_segment_after_a_clean_stop_is_said_and_closes_the_partition() {
    let (_, disk, _) = stopped(true);
    let file =
        disk.open(Path::new("/data/first-0/00000000000000000000.log"), Access::ReadWrite).unwrap();
    file.truncate(file.len().unwrap() - 7).unwrap();
    let node = open(&disk);
    let notices = node.take_notices();
    let said = notices.iter().find(|notice| notice.is_error()).unwrap().to_string();
    assert!(said.contains("/data/first-0: bad bytes in 00000000000000000000.log at pos"), "{said}");
    let first = partition(&node, "first", 0);
    assert_eq!(append(&first, &["b"]).unwrap_err().code(), ErrorCode::KafkaStorageError);
    append(&partition(&node, "second", 0), &["c"]).unwrap();
    // Read, but not written: whoever looks at the cluster's health has to see it.
    assert_eq!(node.partition_counts().offline, 1);
    assert!(node.is_served(first.topic_id(), first.index()));
}

#[test]
fn without_a_recovery_point_the_checkpointed_high_watermark_tells_corruption() {
    let (sim, disk, _) = stopped(false);
    let node = open(&disk);
    let first = partition(&node, "first", 0);
    for value in ["b", "c", "d"] {
        append(&first, &[value]).unwrap();
    }
    drop(first);
    node.shutdown(NOW).unwrap();
    drop(node);
    for name in [".kafka_cleanshutdown", "recovery-point-offset-checkpoint"] {
        disk.remove_file(&Path::new("/data").join(name)).unwrap();
    }
    let file = "/data/first-0/00000000000000000000.log";
    let size = len(&disk, file);
    sim.flip(Path::new(file), size / 4 + 65, 1).unwrap();
    let node = open(&disk);
    assert!(node.take_notices().iter().any(Notice::is_error));
    assert_eq!(len(&disk, file), size);
    append(&partition(&node, "first", 0), &["e"]).unwrap();
}

#[test]
fn a_loss_is_accepted_by_name() {
    let (_, disk, _) = stopped(true);
    disk.remove_dir_all(Path::new("/data/first-0")).unwrap();
    let node = open(&disk);
    let said = node.take_notices().iter().map(ToString::to_string).collect::<String>();
    assert!(said.contains("tidelog.log.corrupt.accept=first-0@0"), "{said}");
    let refused = node.partition_by_name("first", wire::ids::PartitionIndex(0)).unwrap_err();
    assert_eq!(refused, ErrorCode::KafkaStorageError);
    node.shutdown(NOW).unwrap();
    drop(node);
    let mut config = config(&["/data"]);
    let first = storage::directory::TopicPartition::new("first", wire::ids::PartitionIndex(0));
    config.accepted_losses.insert((first.unwrap(), Offset(0)));
    let node = open_with(config.clone(), &disk, NOW);
    let said = node.take_notices().iter().map(ToString::to_string).collect::<String>();
    assert!(said.contains("first-0: offsets 0..1 were given up"), "{said}");
    assert_eq!(append(&partition(&node, "first", 0), &["b"]).unwrap().first_offset, Offset(1));
    node.shutdown(NOW).unwrap();
    drop(node);
    let node = open_with(config, &disk, NOW);
    let said = node.take_notices().iter().map(ToString::to_string).collect::<String>();
    assert!(said.contains("nothing is lost"), "{said}");
    assert_eq!(values(&partition(&node, "first", 0)), ["b"]);
}

#[test]
fn a_topic_whose_log_is_gone_can_be_deleted_and_made_again() {
    let (_, disk, _) = stopped(true);
    disk.remove_dir_all(Path::new("/data/first-0")).unwrap();
    let node = open(&disk);
    assert_eq!(delete(&node, "first"), ErrorCode::None);
    create(&node, "first", 1);
    assert_eq!(append(&partition(&node, "first", 0), &["b"]).unwrap().first_offset, Offset(0));
}
