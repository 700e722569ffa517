//! A node's life: topics made, written, read, deleted, over restarts and crashes, on the
//! simulated disk and on a real one.

use std::path::Path;
use std::sync::Arc;

use crate::common::{
    NOW, append, append_as, config, create, create_code, delete, open, open_with, partition, values,
};
use storage::disk::Disk;
use storage::disk::os::OsDisk;
use storage::disk::sim::SimDisk;
use tidelog_node::NodeConfig;
use wire::ErrorCode;
use wire::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use wire::messages::init_producer_id_request::InitProducerIdRequest;

fn sim(seed: u64) -> (SimDisk, Arc<dyn Disk>) {
    let sim = SimDisk::new(seed);
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    (sim, disk)
}

/// Create, write, read, stop, start, read: on whatever disk.
fn write_stop_start_read(disk: &Arc<dyn Disk>, dir: &str) {
    // Several logs are closed at once.
    let several = NodeConfig { recovery_threads: 2, ..config(&[dir]) };
    let node = open_with(several, disk, NOW);
    let cluster = node.cluster_id().to_owned();
    assert_eq!(cluster.len(), 22);
    create(&node, "letters", 2);
    let id = node.image().topics.id_of("letters").unwrap();
    let produced = append(&partition(&node, "letters", 1), &["a", "b"]).unwrap();
    assert_eq!((produced.first_offset, produced.last_offset), (Offset(0), Offset(1)));
    assert!(produced.committed && !produced.must_flush && !produced.duplicate);
    append(&partition(&node, "letters", 1), &["c"]).unwrap();
    assert_eq!(values(&partition(&node, "letters", 1)), ["a", "b", "c"]);
    assert!(values(&partition(&node, "letters", 0)).is_empty());
    node.shutdown(NOW).unwrap();
    drop(node);

    let node = open_with(config(&[dir]), disk, NOW + 1000);
    assert!(node.take_notices().is_empty());
    assert_eq!(node.cluster_id(), cluster);
    assert_eq!(node.image().topics.id_of("letters"), Some(id));
    let again = node.partition(id, PartitionIndex(1)).unwrap();
    assert_eq!(values(&again), ["a", "b", "c"]);
    assert_eq!(again.high_watermark(), Offset(3));
    assert!(again.leader_epoch() > LeaderEpoch(0));
    append(&again, &["d"]).unwrap();
    assert_eq!(values(&again), ["a", "b", "c", "d"]);
    node.shutdown(NOW + 2000).unwrap();
}

#[test]
fn records_outlive_a_restart_on_the_simulated_disk() {
    write_stop_start_read(&sim(1).1, "/data");
}

#[test]
fn records_outlive_a_restart_on_a_real_disk() {
    let dir = std::env::temp_dir().join(format!("tidelog-node-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    write_stop_start_read(&disk, dir.to_str().unwrap());
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn flushed_records_and_topics_outlive_a_crash() {
    for seed in 0..20 {
        println!("seed={seed}");
        let (sim, disk) = sim(seed);
        let node = open(&disk);
        create(&node, "letters", 1);
        let letters = partition(&node, "letters", 0);
        append(&letters, &["a", "b"]).unwrap();
        letters.flush(Offset(2)).unwrap();
        append(&letters, &["lost", "maybe"]).unwrap();
        drop((letters, node));
        sim.crash();

        let node = open(&disk);
        let found = values(&partition(&node, "letters", 0));
        let whole = ["a", "b", "lost", "maybe"];
        assert!(found == whole[..2] || found == whole, "{found:?}");
        append(&partition(&node, "letters", 0), &["c"]).unwrap();
        assert_eq!(values(&partition(&node, "letters", 0)).last().unwrap(), "c");
    }
}

#[test]
fn a_duplicate_is_known_after_a_restart() {
    let (_, disk) = sim(3);
    let node = open(&disk);
    create(&node, "letters", 1);
    let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
    let response = node.init_producer_id(NOW, &request);
    assert_eq!((response.error_code, response.producer_epoch), (0, 0));
    let id = response.producer_id;
    let letters = partition(&node, "letters", 0);
    append_as(&letters, (id, 0, 0), &["a", "b"]).unwrap();
    append_as(&letters, (id, 0, 2), &["c"]).unwrap();
    node.shutdown(NOW).unwrap();
    drop((letters, node));

    let node = open(&disk);
    let letters = partition(&node, "letters", 0);
    let again = append_as(&letters, (id, 0, 0), &["a", "b"]).unwrap();
    assert!(again.duplicate && again.committed);
    assert_eq!((again.first_offset, again.last_offset), (Offset(0), Offset(1)));
    let gap = append_as(&letters, (id, 0, 9), &["z"]).unwrap_err();
    assert_eq!(gap.code(), ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(values(&letters), ["a", "b", "c"]);
    let response = node.init_producer_id(NOW, &request);
    assert!(response.producer_id > id, "a producer id was given away twice");
}

#[test]
fn a_deleted_topic_is_gone_and_its_name_is_free() {
    let (_, disk) = sim(4);
    let node = open(&disk);
    create(&node, "letters", 1);
    let old = partition(&node, "letters", 0);
    let old_id = old.topic_id();
    append(&old, &["a"]).unwrap();
    assert_eq!(delete(&node, "letters"), ErrorCode::None);
    assert_eq!(append(&old, &["b"]).unwrap_err().code(), ErrorCode::UnknownTopicOrPartition);
    let gone = node.partition(old_id, PartitionIndex(0)).unwrap_err();
    assert_eq!(gone, ErrorCode::UnknownTopicId);
    let gone = node.partition_by_name("letters", PartitionIndex(0)).unwrap_err();
    assert_eq!(gone, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(delete(&node, "letters"), ErrorCode::UnknownTopicOrPartition);

    create(&node, "letters", 1);
    assert!(values(&partition(&node, "letters", 0)).is_empty());
    let names = |disk: &Arc<dyn Disk>| -> Vec<String> {
        let entries = disk.list(Path::new("/data")).unwrap();
        entries.into_iter().map(|entry| entry.name).filter(|n| n.ends_with("-delete")).collect()
    };
    assert_eq!(names(&disk).len(), 1);
    node.remove_due(NOW + 1);
    assert_eq!(names(&disk).len(), 1);
    node.remove_due(NOW + 61_000);
    assert!(names(&disk).is_empty());
}

#[test]
fn refusals_are_kafkas() {
    let (_, disk) = sim(5);
    let node = open(&disk);
    create(&node, "letters", 1);
    assert_eq!(create_code(&node, "letters", 1, &[]), ErrorCode::TopicAlreadyExists);
    assert_eq!(create_code(&node, "..", 1, &[]), ErrorCode::InvalidTopicException);
    assert_eq!(create_code(&node, "x", 1, &[("no.such", "1")]), ErrorCode::InvalidConfig);
    let unknown = node.partition_by_name("letters", PartitionIndex(1)).unwrap_err();
    assert_eq!(unknown, ErrorCode::UnknownTopicOrPartition);
    let unknown = node.partition(TopicId::ZERO, PartitionIndex(0)).unwrap_err();
    assert_eq!(unknown, ErrorCode::UnknownTopicId);
    let two = [("min.insync.replicas", "2")];
    assert_eq!(create_code(&node, "strict", 1, &two), ErrorCode::None);
    let refused = append(&partition(&node, "strict", 0), &["a"]).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::NotEnoughReplicas);
    let letters = partition(&node, "letters", 0);
    let stale = letters.list_offset(-1, replication::Isolation::LogEnd, LeaderEpoch(99));
    assert_eq!(stale.unwrap_err().code(), ErrorCode::UnknownLeaderEpoch);
}

#[test]
fn a_log_that_nobody_assigned_is_set_aside() {
    let (_, disk) = sim(6);
    let node = open(&disk);
    create(&node, "letters", 1);
    node.shutdown(NOW).unwrap();
    drop(node);
    disk.create_dir_all(Path::new("/data/foreign-0")).unwrap();
    let node = open(&disk);
    let notices = node.take_notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].to_string().contains("-stray"), "{}", notices[0]);
    assert!(values(&partition(&node, "letters", 0)).is_empty());
}

#[test]
fn another_clusters_disk_is_refused() {
    let (_, disk) = sim(7);
    open(&disk).shutdown(NOW).unwrap();
    let mut other = config(&["/data"]);
    other.cluster_id = Some("somewhere-else".to_owned());
    let refused = tidelog_node::Node::open(other, Arc::clone(&disk), NOW, 1).err().unwrap();
    assert!(refused.to_string().contains("somewhere-else"), "{refused}");
}

#[test]
fn topics_outlive_crashes_and_snapshots_of_the_metadata() {
    for seed in 0..10 {
        println!("seed={seed}");
        let (sim, disk) = sim(seed);
        let small = || {
            let mut small = config(&["/data"]);
            small.metadata_snapshot_bytes = 500;
            small
        };
        let node = open_with(small(), &disk, NOW);
        for n in 0..10 {
            create(&node, &format!("topic-{n}"), 1);
        }
        let ids: Vec<TopicId> = node.image().topics.iter().map(|topic| topic.id).collect();
        assert_eq!(ids.len(), 10);
        drop(node);
        sim.crash();
        let node = open_with(small(), &disk, NOW);
        let found: Vec<TopicId> = node.image().topics.iter().map(|topic| topic.id).collect();
        assert_eq!(found, ids);
        for n in 0..10 {
            append(&partition(&node, &format!("topic-{n}"), 0), &["a"]).unwrap();
        }
    }
}
