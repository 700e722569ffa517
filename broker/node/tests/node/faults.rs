//! What a failing disk does to a node: full, broken, broken under the metadata log.

use std::path::Path;
use std::sync::Arc;

use crate::common::{
    NOW, append, append_as, config, create, create_code, open, open_with, partition, read_request,
    values,
};
use storage::disk::sim::{Fault, SimDisk};
use storage::disk::{Access, Disk, DiskErrorKind, Operation};
use tidelog_node::Node;
use wire::ErrorCode;
use wire::ids::Offset;
use wire::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use wire::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};

fn sim(seed: u64) -> (SimDisk, Arc<dyn Disk>) {
    let sim = SimDisk::new(seed);
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    (sim, disk)
}

#[test]
fn a_full_disk_refuses_and_heals() {
    let (sim, disk) = sim(1);
    let node = open(&disk);
    create(&node, "letters", 1);
    let letters = partition(&node, "letters", 0);
    append(&letters, &["a"]).unwrap();
    sim.set_capacity(Some(sim.used()));
    let full = append(&letters, &["b"]).unwrap_err();
    assert_eq!(full.code(), ErrorCode::KafkaStorageError);
    node.partition_failed(&letters, &full);
    assert_eq!(create_code(&node, "more", 1, &[]), ErrorCode::KafkaStorageError);
    assert_eq!(values(&letters), ["a"]);
    sim.set_capacity(None);
    append(&letters, &["c"]).unwrap();
    assert_eq!(values(&letters), ["a", "c"]);
    create(&node, "more", 1);
    append(&partition(&node, "more", 0), &["d"]).unwrap();
    assert_eq!(node.failure(), None);
}

#[test]
fn a_failed_fsync_takes_the_directory_offline_and_nothing_more_is_acknowledged() {
    let (sim, disk) = sim(2);
    let node = open_with(config(&["/data", "/more"]), &disk, NOW);
    create(&node, "letters", 2);
    let both = [partition(&node, "letters", 0), partition(&node, "letters", 1)];
    for partition in &both {
        append(partition, &["a"]).unwrap();
    }
    // One of the two partitions is on the directory without the metadata log.
    sim.inject(Fault::always(Operation::Sync, "/more"));
    let outcomes: Vec<bool> = both
        .iter()
        .map(|partition| match partition.flush(Offset(1)) {
            Ok(()) => true,
            Err(error) => {
                node.partition_failed(partition, &error);
                false
            }
        })
        .collect();
    assert_eq!(outcomes.iter().filter(|ok| **ok).count(), 1, "{outcomes:?}");
    sim.clear_faults();
    for (partition, ok) in both.iter().zip(outcomes) {
        let answer = append(partition, &["b"]).map_err(|error| error.code());
        assert_eq!(answer.is_ok(), ok);
        assert_eq!(partition.read(read_request(Offset(0))).is_ok(), ok);
        if !ok {
            assert_eq!(answer.unwrap_err(), ErrorCode::KafkaStorageError);
        }
    }
    let notices = node.take_notices();
    assert!(notices.iter().any(|notice| notice.to_string().contains("/more is offline")));
    assert_eq!(node.offline_dirs(), [Path::new("/more")]);
    assert_eq!(node.partition_counts().offline, 1);
    assert_eq!(node.failure(), None);
}

#[test]
fn a_failed_fsync_of_the_metadata_log_takes_its_directory_offline() {
    let (sim, disk) = sim(3);
    let node = open_with(config(&["/data", "/more"]), &disk, NOW);
    create(&node, "letters", 2);
    sim.inject(Fault::always(Operation::Sync, "__cluster_metadata-0"));
    assert_eq!(create_code(&node, "more", 1, &[]), ErrorCode::KafkaStorageError);
    sim.clear_faults();
    assert_eq!(create_code(&node, "more", 1, &[]), ErrorCode::KafkaStorageError);
    assert_eq!(node.image().topics.len(), 1);
    // What is on the other directory is served until the process stops.
    let served = [0, 1].map(|index| append(&partition(&node, "letters", index), &["a"]).is_ok());
    assert_eq!(served.iter().filter(|served| **served).count(), 1);
    assert!(node.failure().is_some(), "the node cannot go on without its metadata log");
}

#[test]
fn an_append_that_crosses_flush_messages_is_not_committed_before_its_flush() {
    let (sim, disk) = sim(4);
    let node = open(&disk);
    assert_eq!(create_code(&node, "letters", 1, &[("flush.messages", "2")]), ErrorCode::None);
    let letters = partition(&node, "letters", 0);
    let first = append(&letters, &["a"]).unwrap();
    assert!(first.committed && !first.must_flush);
    let second = append(&letters, &["b"]).unwrap();
    assert!(second.must_flush && !second.committed);
    assert_eq!(letters.high_watermark(), Offset(1));
    assert!(!letters.produce_status(second.required()).unwrap());
    letters.flush(second.required()).unwrap();
    assert!(letters.produce_status(second.required()).unwrap());
    let third = append(&letters, &["c"]).unwrap();
    assert!(third.committed && !third.must_flush);

    let fourth = append(&letters, &["d"]).unwrap();
    assert!(fourth.must_flush);
    sim.inject(Fault::always(Operation::Sync, "letters-0"));
    let failed = letters.flush(fourth.required()).unwrap_err();
    node.partition_failed(&letters, &failed);
    assert_eq!(failed.code(), ErrorCode::KafkaStorageError);
    assert!(letters.produce_status(fourth.required()).is_err());
    assert!(node.failure().is_some(), "the only directory is offline");
}

#[test]
fn a_duplicate_is_not_acknowledged_before_the_flush_of_the_first_time() {
    let (_, disk) = sim(5);
    let node = open(&disk);
    assert_eq!(create_code(&node, "letters", 1, &[("flush.messages", "1")]), ErrorCode::None);
    let letters = partition(&node, "letters", 0);
    assert!(append_as(&letters, (9, 0, 0), &["a"]).unwrap().must_flush);
    let again = append_as(&letters, (9, 0, 0), &["a"]).unwrap();
    assert!(again.duplicate && again.must_flush && !again.committed);
    letters.flush(again.required()).unwrap();
    let third = append_as(&letters, (9, 0, 0), &["a"]).unwrap();
    assert!(third.duplicate && !third.must_flush && third.committed);
}

#[test]
fn a_corrupt_batch_is_told_once_with_its_place() {
    let (_, disk) = sim(6);
    let node = open(&disk);
    create(&node, "letters", 1);
    let letters = partition(&node, "letters", 0);
    append(&letters, &["first"]).unwrap();
    append(&letters, &["second"]).unwrap();
    node.shutdown(NOW).unwrap();
    drop((letters, node));
    let path = Path::new("/data/letters-0/00000000000000000000.log");
    let file = disk.open(path, Access::ReadWrite).unwrap();
    let end = file.len().unwrap();
    // Within the last record's value.
    file.write_at(b"x", end - 3).unwrap();
    drop(file);

    let node = open(&disk);
    let letters = partition(&node, "letters", 0);
    drop(node.take_notices());
    let error = letters.read(read_request(Offset(1))).unwrap_err();
    assert_eq!(error.code(), ErrorCode::KafkaStorageError);
    assert!(node.corruption_met(&letters, &error));
    assert!(!node.corruption_met(&letters, &error), "the same batch is no news");
    let notices = node.take_notices();
    let [notice] = notices.as_slice() else { panic!("{notices:?}") };
    assert!(notice.is_error());
    let text = notice.to_string();
    for part in ["letters-0", "position", "offset 1", path.to_str().unwrap()] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

fn topics_request(name: &str, partitions: i32) -> CreateTopicsRequest {
    let topic = CreatableTopic {
        name: name.to_owned(),
        num_partitions: partitions,
        replication_factor: 1,
        ..Default::default()
    };
    CreateTopicsRequest { topics: vec![topic], ..Default::default() }
}

fn more_partitions(node: &Node, name: &str, count: i32) -> (i16, Option<String>) {
    let topic = CreatePartitionsTopic { name: name.to_owned(), count, assignments: None };
    let request = CreatePartitionsRequest { topics: vec![topic], ..Default::default() };
    let result = node.create_partitions(NOW, &request).results.remove(0);
    (result.error_code, result.error_message)
}

#[test]
fn what_a_full_disk_has_no_room_for_is_not_made() {
    let (sim, disk) = sim(8);
    let node = open(&disk);
    create(&node, "letters", 1);
    // Space for the metadata, and for two logs.
    sim.set_capacity(Some(sim.used() + 3 * 8192 - 1000));
    let answer = node.create_topics(NOW, &topics_request("more", 3));
    let [refused] = answer.topics.as_slice() else { panic!("{answer:?}") };
    assert_eq!(refused.error_code, i16::from(ErrorCode::KafkaStorageError));
    let why = refused.error_message.as_deref().unwrap();
    assert!(why.contains("no space left") && why.contains("3 new partitions"), "{why}");
    assert!(node.image().topics.by_name("more").is_none());
    let (code, why) = more_partitions(&node, "letters", 4);
    assert_eq!(code, i16::from(ErrorCode::KafkaStorageError));
    assert!(why.unwrap().contains("no space left"));
    assert_eq!(node.image().topics.by_name("letters").unwrap().partitions.len(), 1);
    assert!(node.take_notices().is_empty());
    // What fits is made, and the rest when there is space.
    create(&node, "few", 1);
    append(&partition(&node, "few", 0), &["a"]).unwrap();
    sim.set_capacity(None);
    create(&node, "more", 3);
    assert_eq!(more_partitions(&node, "letters", 4), (0, None));
    append(&partition(&node, "letters", 3), &["a"]).unwrap();
}

#[test]
fn a_clean_stop_on_a_full_disk_loses_nothing_and_is_no_failure() {
    let (sim, disk) = sim(11);
    let node = open(&disk);
    create(&node, "letters", 1);
    append(&partition(&node, "letters", 0), &["a", "b"]).unwrap();
    sim.set_capacity(Some(sim.used()));
    node.shutdown(NOW).unwrap();
    let notices = node.take_notices();
    let said = |text: &str| notices.iter().any(|notice| notice.to_string().contains(text));
    assert!(said("1 logs, the first:") && said("Nothing is lost"), "{notices:?}");
    drop(node);
    sim.crash();
    sim.set_capacity(None);
    let node = open(&disk);
    assert_eq!(values(&partition(&node, "letters", 0)), ["a", "b"]);
}

#[test]
fn a_snapshot_waits_for_space_and_nothing_else_does() {
    let (sim, disk) = sim(12);
    let mut small = config(&["/data"]);
    small.metadata_snapshot_bytes = 1_000;
    let node = open_with(small, &disk, NOW);
    create(&node, "letters", 1);
    let newest = || {
        let names = disk.list(Path::new("/data/__cluster_metadata-0")).unwrap();
        names.into_iter().map(|entry| entry.name).rfind(|name| name.contains(".checkpoint"))
    };
    let before = newest();
    sim.inject(Fault {
        operation: Operation::Write,
        path_part: ".checkpoint".to_owned(),
        skip: 0,
        times: u64::MAX,
        kind: DiskErrorKind::NoSpace,
    });
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        create(&node, name, 1);
    }
    node.metadata_tick(NOW).unwrap();
    let writes = sim.calls();
    for second in 0..29 {
        node.metadata_tick(NOW + second * 1000).unwrap();
    }
    assert_eq!(sim.calls(), writes, "nothing is tried again each second");
    let notices = node.take_notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].to_string().contains("will be tried again"), "{notices:?}");
    assert_eq!(newest(), before);
    node.metadata_tick(NOW + 30_000).unwrap();
    assert!(sim.calls() > writes && newest() == before);
    sim.clear_faults();
    node.metadata_tick(NOW + 60_000).unwrap();
    assert!(newest() > before);
    assert!(node.take_notices().is_empty());
    drop(node);
    sim.crash();
    assert_eq!(open(&disk).image().topics.len(), 9);
}
