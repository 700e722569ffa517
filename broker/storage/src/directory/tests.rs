//! Whose a directory is, what a start finds in it, and going on when one disk fails.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wire::ids::{BrokerId, Offset, PartitionIndex, TopicId, Uuid};

use super::*;
use crate::config::LogConfig;
use crate::disk::sim::{Fault, SimDisk};
use crate::disk::{Access, Disk, DiskErrorKind, Operation};

const NODE: BrokerId = BrokerId(7);
const CLUSTER: &str = "4L6g3nShT-eMCtK--X86sw";

fn paths(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(|name| Path::new("/data").join(name)).collect()
}

fn partition(topic: &str, index: i32) -> TopicPartition {
    TopicPartition::new(topic, PartitionIndex(index)).unwrap()
}

fn topic_id(n: u8) -> TopicId {
    TopicId(Uuid([n; 16]))
}

fn open(disk: &SimDisk, names: &[&str]) -> Result<LogDirs, DirectoryError> {
    LogDirs::open(Arc::new(disk.clone()), &paths(names), NODE, Some(CLUSTER))
}

/// Opened and formatted, with ids 1, 2, ... from `first_id` on.
fn formatted(disk: &SimDisk, names: &[&str], first_id: u128) -> LogDirs {
    let dirs = open(disk, names).unwrap();
    let mut id = first_id;
    dirs.format(CLUSTER, &mut || {
        id += 1;
        id
    })
    .unwrap();
    dirs
}

fn load(dirs: &LogDirs, place: &Place<'_>) -> Result<Loaded, DirectoryError> {
    let mut id = 1000;
    dirs.load(LoadArgs {
        now_ms: 0,
        threads: 1,
        delete_delay_ms: 60,
        place,
        accept: &std::collections::BTreeSet::new(),
        random: &mut || {
            id += 1;
            id
        },
    })
}

fn load_all(dirs: &LogDirs) -> Loaded {
    load(dirs, &|_, _| Placement::Keep(Arc::new(LogConfig::default()))).unwrap()
}

fn names_in(disk: &SimDisk, dir: &str) -> Vec<String> {
    let entries = disk.list(&Path::new("/data").join(dir)).unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}

#[test]
fn a_directory_is_locked_and_formatted_once() {
    let disk = SimDisk::new(1);
    let dirs = formatted(&disk, &["a", "b"], 0);
    assert_eq!(dirs.cluster_id().as_deref(), Some(CLUSTER));
    let ids: Vec<_> = dirs.dirs().iter().map(|dir| dir.id().unwrap()).collect();
    assert_ne!(ids[0], ids[1]);
    let error = open(&disk, &["b"]).unwrap_err();
    assert_eq!(error.to_string(), "log directory /data/b is in use by another process");
    drop(dirs);
    disk.crash();
    let dirs = formatted(&disk, &["a", "b", "c"], 50);
    let again: Vec<_> = dirs.dirs().iter().map(|dir| dir.id().unwrap()).collect();
    assert_eq!(again[..2], ids, "the format is durable and not repeated");
    assert!(!ids.contains(&again[2]));
}

#[test]
fn the_disk_of_another_cluster_or_node_is_refused_by_name() {
    let disk = SimDisk::new(1);
    drop(formatted(&disk, &["a"], 0));
    let open = |node, cluster| {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        LogDirs::open(disk, &paths(&["a"]), node, cluster).map(|_| ()).map_err(|e| e.to_string())
    };
    assert_eq!(open(NODE, None), Ok(()));
    let text = "log directory /data/a belongs to cluster 4L6g3nShT-eMCtK--X86sw, this node to \
        cluster other";
    assert_eq!(open(NODE, Some("other")), Err(text.to_owned()));
    let text = "log directory /data/a belongs to node 7, this is node 8";
    assert_eq!(open(BrokerId(8), None), Err(text.to_owned()));
}

#[test]
fn a_newer_or_copied_directory_is_refused() {
    let disk = SimDisk::new(1);
    drop(formatted(&disk, &["a", "b"], 0));
    let a = Path::new("/data/a/meta.properties");
    let b = Path::new("/data/b/meta.properties");
    let bytes = crate::disk::read_file(&disk, a, 1000).unwrap();
    crate::disk::write_file_atomically(&disk, b, &bytes).unwrap();
    let error = open(&disk, &["a", "b"]).unwrap_err();
    assert!(matches!(error, DirectoryError::SameDirectoryId { .. }), "{error}");
    crate::disk::write_file_atomically(&disk, b, b"version=2\n").unwrap();
    let text = "/data/b/meta.properties has version 2, this program knows up to 1";
    assert_eq!(open(&disk, &["a", "b"]).unwrap_err().to_string(), text);
}

#[test]
fn a_disk_that_fails_at_the_start_is_offline_and_the_others_go_on() {
    let disk = SimDisk::new(1);
    drop(formatted(&disk, &["a", "b"], 0));
    disk.inject(Fault::always(Operation::Read, "/data/a/"));
    let dirs = open(&disk, &["a", "b"]).unwrap();
    assert!(dirs.dirs()[0].is_offline());
    assert!(!dirs.dirs()[1].is_offline());
    assert_eq!(dirs.all_offline(), None);
    drop(dirs);
    disk.inject(Fault::always(Operation::Read, "/data/b/"));
    let error = open(&disk, &["a", "b"]).unwrap_err();
    assert!(matches!(error, DirectoryError::AllOffline { .. }), "{error}");
    disk.clear_faults();
    assert!(!open(&disk, &["a", "b"]).unwrap().dirs()[0].is_offline());
}

#[test]
fn new_partitions_go_where_there_are_fewest() {
    let disk = SimDisk::new(1);
    let dirs = formatted(&disk, &["a", "b", "c"], 0);
    load_all(&dirs);
    let config = Arc::new(LogConfig::default());
    let place = |index| {
        let partition = partition("orders", index);
        let (_, dir) =
            dirs.create_partition(&partition, topic_id(1), Arc::clone(&config), 0).unwrap();
        dir.path().to_path_buf()
    };
    let places: Vec<PathBuf> = (0..5).map(place).collect();
    assert_eq!(places, paths(&["a", "b", "c", "a", "b"]));
    dirs.dirs()[2].mark_offline(&crate::disk::DiskError::new(
        DiskErrorKind::ReadOnly,
        Operation::Write,
        Path::new(""),
    ));
    assert_eq!(place(5), Path::new("/data/a"), "an offline directory gets none");
    let again = dirs.create_partition(&partition("orders", 0), topic_id(1), config, 0);
    assert!(matches!(again.unwrap_err(), DirectoryError::Exists { .. }));
    assert_eq!(
        dirs.partitions_in(&dirs.dirs()[1]),
        [partition("orders", 1), partition("orders", 4)]
    );
}

#[test]
fn a_deleted_partition_goes_after_its_delay_and_its_name_is_free_at_once() {
    let disk = SimDisk::new(1);
    let dirs = formatted(&disk, &["a"], 0);
    load_all(&dirs);
    let config = Arc::new(LogConfig::default());
    let orders = partition("orders", 0);
    dirs.create_partition(&orders, topic_id(1), Arc::clone(&config), 0).unwrap();
    let checkpoint = PartitionCheckpoint {
        partition: orders.clone(),
        recovery_point: Offset(5),
        log_start: Offset(2),
        high_watermark: Offset(5),
    };
    assert_eq!(dirs.write_checkpoints(&[checkpoint]), []);
    let kept = disk.open(Path::new("/data/a/orders-0/partition.metadata"), Access::Read).unwrap();
    dirs.delete_partition(&orders, Uuid([0xab; 16]), 1000, 60).unwrap();
    let retired = "orders-0.abababababababababababababababab-delete";
    assert!(names_in(&disk, "a").contains(&retired.to_owned()));
    dirs.create_partition(&orders, topic_id(2), config, 0).unwrap();
    let points = "/data/a/recovery-point-offset-checkpoint";
    assert_eq!(
        crate::disk::read_file(&disk, Path::new(points), 1000).unwrap(),
        b"0\n0\n",
        "a new log must not inherit the recovery point of a deleted one"
    );
    assert_eq!(dirs.remove_due(1059, 10), 0);
    assert_eq!(dirs.remove_due(1060, 10), 1);
    assert!(!names_in(&disk, "a").contains(&retired.to_owned()));
    assert!(!kept.is_empty().unwrap(), "a reader keeps its file");
}

#[test]
fn a_start_opens_assigned_logs_and_sets_others_aside() {
    let disk = SimDisk::new(1);
    let dirs = formatted(&disk, &["a", "b"], 0);
    load_all(&dirs);
    let config = Arc::new(LogConfig::default());
    for (n, topic) in (1..).zip(["kept", "recreated", "gone", "deleted"]) {
        let name = partition(topic, 0);
        dirs.create_partition(&name, topic_id(n), Arc::clone(&config), 0).unwrap();
    }
    dirs.delete_partition(&partition("deleted", 0), Uuid([1; 16]), 0, 60).unwrap();
    for other in ["a/lost+found", "a/__cluster_metadata-0", "b/old-0.00ff-stray", "b/x.y"] {
        disk.create_dir_all(&Path::new("/data").join(other)).unwrap();
    }
    drop(dirs);
    let dirs = formatted(&disk, &["a", "b"], 0);
    let loaded = load(&dirs, &|name, id| match name.topic.as_str() {
        "kept" => Placement::Keep(Arc::new(LogConfig::default())),
        "recreated" if id == Some(topic_id(9)) => panic!("that id is not on disk"),
        _ => Placement::Stray,
    })
    .unwrap();
    let names: Vec<_> = loaded.logs.iter().map(|log| log.partition.topic.as_str()).collect();
    assert_eq!(names, ["kept"]);
    assert_eq!(loaded.logs[0].topic_id, Some(topic_id(1)));
    assert_eq!(loaded.strays.len(), 2);
    assert!(loaded.strays.iter().all(|path| path.to_string_lossy().ends_with("-stray")));
    assert_eq!(loaded.unknown, [Path::new("/data/a/lost+found"), Path::new("/data/b/x.y")]);
    assert!(names_in(&disk, "a").contains(&"__cluster_metadata-0".to_owned()));
    assert!(names_in(&disk, "b").contains(&"old-0.00ff-stray".to_owned()));
    assert_eq!(dirs.remove_due(60, 10), 1, "an interrupted deletion goes on");
}

#[test]
fn one_partition_in_two_directories_stops_the_start() {
    let disk = SimDisk::new(1);
    drop(formatted(&disk, &["a", "b"], 0));
    for dir in ["a", "b"] {
        disk.create_dir_all(&Path::new("/data").join(dir).join("orders-0")).unwrap();
    }
    let dirs = formatted(&disk, &["a", "b"], 0);
    let keep: &Place<'_> = &|_, _| Placement::Keep(Arc::new(LogConfig::default()));
    let error = load(&dirs, keep).unwrap_err().to_string();
    assert_eq!(error, "orders-0 has a log in both /data/a and /data/b");
}

#[test]
fn the_clean_marker_is_used_once_and_carries_the_epoch() {
    let disk = SimDisk::new(1);
    let dirs = formatted(&disk, &["a", "b"], 0);
    assert_eq!(load_all(&dirs).broker_epoch, -1);
    assert_eq!(dirs.close_clean(&[], 42), []);
    drop(dirs);
    disk.crash();
    let dirs = formatted(&disk, &["a", "b"], 0);
    assert_eq!(dirs.clean_epoch(), 42);
    assert_eq!(dirs.dirs()[0].consume_clean_marker(), Ok(Some(42)));
    assert_eq!(dirs.clean_epoch(), 42, "what one was told, others may ask again");
    assert_eq!(load_all(&dirs).broker_epoch, 42);
    assert_eq!(dirs.clean_epoch(), 42);
    drop(dirs);
    // A crash at any time after the start began is no clean stop.
    disk.crash();
    let dirs = formatted(&disk, &["a", "b"], 0);
    assert_eq!(dirs.clean_epoch(), -1);
    assert_eq!(load_all(&dirs).broker_epoch, -1);
    dirs.dirs()[1].mark_offline(&crate::disk::DiskError::new(
        DiskErrorKind::ReadOnly,
        Operation::Write,
        Path::new(""),
    ));
    assert_eq!(dirs.close_clean(&[], 43), []);
    drop(dirs);
    let dirs = formatted(&disk, &["a", "b"], 0);
    assert_eq!(load_all(&dirs).broker_epoch, -1, "only one of two directories was closed");
}

#[test]
fn damaged_checkpoints_count_as_empty_and_newer_ones_are_refused() {
    let disk = SimDisk::new(1);
    drop(formatted(&disk, &["a"], 0));
    let file = Path::new("/data/a/recovery-point-offset-checkpoint");
    crate::disk::write_file_atomically(&disk, file, b"0\n5\n").unwrap();
    let dirs = formatted(&disk, &["a"], 0);
    assert_eq!(load_all(&dirs).damaged_checkpoints.len(), 1);
    drop(dirs);
    crate::disk::write_file_atomically(&disk, file, b"1\n0\n").unwrap();
    let dirs = formatted(&disk, &["a"], 0);
    let error = load(&dirs, &|_, _| Placement::Stray).unwrap_err().to_string();
    assert!(error.ends_with("has version 1, this program knows up to 0"), "{error}");
}

#[test]
fn a_failed_creation_leaves_nothing_and_a_full_disk_heals() {
    let disk = SimDisk::new(1);
    let dirs = formatted(&disk, &["a"], 0);
    load_all(&dirs);
    let orders = partition("orders", 0);
    let create = || dirs.create_partition(&orders, topic_id(1), Arc::new(LogConfig::default()), 0);
    disk.set_capacity(Some(disk.used() + 20));
    let error = create().unwrap_err();
    assert_eq!(error.disk_error().map(|error| error.kind), Some(DiskErrorKind::NoSpace));
    assert!(!names_in(&disk, "a").contains(&"orders-0".to_owned()));
    assert!(!dirs.dirs()[0].is_offline());
    disk.set_capacity(None);
    create().unwrap();
    dirs.delete_partition(&orders, Uuid([1; 16]), 0, 0).unwrap();
    disk.inject(Fault::nth(Operation::Sync, 1));
    create().unwrap_err();
    assert!(dirs.dirs()[0].is_offline(), "a failed sync takes the directory offline");
    assert!(matches!(create().unwrap_err(), DirectoryError::AllOffline { .. }));
}

#[test]
fn checkpoints_survive_and_a_failure_stays_in_its_directory() {
    let disk = SimDisk::new(1);
    let dirs = formatted(&disk, &["a", "b"], 0);
    load_all(&dirs);
    let config = Arc::new(LogConfig::default());
    let checkpoint = |index, point| PartitionCheckpoint {
        partition: partition("orders", index),
        recovery_point: Offset(0),
        log_start: Offset(0),
        high_watermark: Offset(point),
    };
    for index in 0..2 {
        let name = partition("orders", index);
        dirs.create_partition(&name, topic_id(1), Arc::clone(&config), 0).unwrap();
    }
    assert_eq!(dirs.write_checkpoints(&[checkpoint(0, 5), checkpoint(1, 6)]), []);
    disk.inject(Fault::always(Operation::Sync, "/data/a/"));
    assert_eq!(dirs.write_checkpoints(&[checkpoint(0, 7), checkpoint(1, 8)]).len(), 1);
    assert!(dirs.dirs()[0].is_offline());
    disk.clear_faults();
    drop(dirs);
    disk.crash();
    let dirs = formatted(&disk, &["a", "b"], 0);
    let loaded = load_all(&dirs);
    let points: Vec<_> = loaded.logs.iter().map(|log| log.high_watermark.0).collect();
    assert_eq!(points, [5, 8]);
}

#[test]
fn a_log_without_a_topic_id_is_adopted_only_when_it_is_empty() {
    let disk = SimDisk::new(1);
    let dirs = formatted(&disk, &["a"], 0);
    load_all(&dirs);
    for topic in ["empty", "full"] {
        let config = Arc::new(LogConfig::default());
        dirs.create_partition(&partition(topic, 0), topic_id(1), config, 0).unwrap();
        let file = format!("/data/a/{topic}-0/partition.metadata");
        // Torn, as by a crash before the first flush.
        disk.open(Path::new(&file), Access::ReadWrite).unwrap().truncate(5).unwrap();
    }
    drop(dirs);
    let log = Path::new("/data/a/full-0/00000000000000000000.log");
    disk.open(log, Access::ReadWrite).unwrap().truncate(100).unwrap();
    let dirs = formatted(&disk, &["a"], 0);
    let adopt: &Place<'_> = &|_, id| {
        assert_eq!(id, None);
        Placement::Adopt(Arc::new(LogConfig::default()), topic_id(2))
    };
    let loaded = load(&dirs, adopt).unwrap();
    let names: Vec<_> = loaded.logs.iter().map(|log| log.partition.topic.as_str()).collect();
    assert_eq!(names, ["empty"]);
    assert_eq!(loaded.logs[0].topic_id, Some(topic_id(2)));
    assert_eq!(loaded.strays.len(), 1, "its records may be another topic's");
    assert_eq!(loaded.damaged_checkpoints.len(), 2);
    let file = Path::new("/data/a/empty-0/partition.metadata");
    assert!(!disk.open(file, Access::Read).unwrap().is_empty().unwrap());
}

/// Makes `orders-0` with a record, stops clean and takes its folder away.
fn taken_away(disk: &SimDisk) {
    let dirs = formatted(disk, &["a"], 0);
    load_all(&dirs);
    let orders = partition("orders", 0);
    let (mut log, _) =
        dirs.create_partition(&orders, topic_id(1), Arc::new(LogConfig::default()), 0).unwrap();
    let mut builder = wire::records::BatchBuilder::new(wire::records::BatchOptions::default());
    builder.append(0, None, Some(b"x"), &[]);
    let epoch = wire::ids::LeaderEpoch(0);
    log.append(0, builder.build().unwrap(), crate::log::AppendOrigin::Client, epoch).unwrap();
    let end = log.close().unwrap();
    let (log_start, high_watermark) = (log.log_start_offset(), end);
    let point =
        PartitionCheckpoint { partition: orders, recovery_point: end, log_start, high_watermark };
    assert_eq!(dirs.close_clean(&[point], 5), []);
    disk.remove_dir_all(Path::new("/data/a/orders-0")).unwrap();
}

fn adopt(_: &TopicPartition, _: Option<TopicId>) -> Placement {
    Placement::Adopt(Arc::new(LogConfig::default()), topic_id(1))
}

#[test]
fn a_log_that_was_taken_away_is_not_made_anew_until_its_loss_is_accepted() {
    let disk = SimDisk::new(1);
    taken_away(&disk);
    let orders = partition("orders", 0);
    // However the node stops in between.
    for clean in [true, false, true] {
        let dirs = formatted(&disk, &["a"], 0);
        let loaded = load(&dirs, &adopt).unwrap();
        let [(name, DirectoryError::Lost { from, upto, .. })] = &loaded.failed[..] else {
            panic!("{loaded:?}")
        };
        assert_eq!((name, *from, *upto), (&orders, Offset(0), Offset(1)));
        let anew = dirs.create_partition(&orders, topic_id(1), Arc::default(), 0);
        assert!(matches!(anew, Err(DirectoryError::Exists { .. })));
        assert_eq!(dirs.write_checkpoints(&[]), []);
        if clean {
            assert_eq!(dirs.close_clean(&[], 5), []);
        }
    }
    let dirs = formatted(&disk, &["a"], 0);
    let accept = [(orders.clone(), Offset(0))].into();
    let args = LoadArgs {
        now_ms: 0,
        threads: 1,
        delete_delay_ms: 60,
        place: &adopt,
        accept: &accept,
        random: &mut || 1,
    };
    let loaded = dirs.load(args).unwrap();
    let log = &loaded.logs[0].log;
    assert_eq!((log.log_start_offset(), log.end_offset()), (Offset(1), Offset(1)));
    assert_eq!(loaded.logs[0].report.given_up[0].lost_upto, Some(Offset(1)));
    drop((loaded, dirs));
    disk.crash();
    let loaded = load(&formatted(&disk, &["a"], 0), &adopt).unwrap();
    assert_eq!(loaded.logs[0].log.end_offset(), Offset(1), "no offset comes twice");
}

#[test]
fn a_deleted_topic_is_not_missed() {
    let disk = SimDisk::new(1);
    taken_away(&disk);
    let dirs = formatted(&disk, &["a"], 0);
    // Its topic is gone from the metadata, or it was deleted after it was found to be lost.
    load(&dirs, &adopt).unwrap();
    dirs.delete_partition(&partition("orders", 0), Uuid([1; 16]), 0, 0).unwrap();
    assert!(!dirs.dirs()[0].is_offline());
    dirs.create_partition(&partition("orders", 0), topic_id(2), Arc::default(), 0).unwrap();
    drop(dirs);
    let disk = SimDisk::new(3);
    taken_away(&disk);
    // An older log of that name is on its way out: the crash came between two topics.
    let old = partition("orders", 0).retired_name(Uuid([1; 16]), Suffix::Delete);
    disk.create_dir_all(&Path::new("/data/a").join(old)).unwrap();
    let dirs = formatted(&disk, &["a"], 0);
    assert!(load(&dirs, &adopt).unwrap().failed.is_empty());
    dirs.create_partition(&partition("orders", 0), topic_id(2), Arc::default(), 0).unwrap();
}

#[test]
fn a_log_that_was_not_closed_leaves_no_clean_marker() {
    let disk = SimDisk::new(1);
    let dirs = formatted(&disk, &["a", "b"], 0);
    load_all(&dirs);
    for index in 0..2 {
        let name = partition("orders", index);
        dirs.create_partition(&name, topic_id(1), Arc::default(), 0).unwrap();
    }
    let closed = PartitionCheckpoint {
        partition: partition("orders", 0),
        recovery_point: Offset(0),
        log_start: Offset(0),
        high_watermark: Offset(0),
    };
    assert_eq!(dirs.close_clean(&[closed], 5), []);
    let marked = |dir: &str| names_in(&disk, dir).contains(&".kafka_cleanshutdown".to_owned());
    assert_eq!((marked("a"), marked("b")), (true, false));
}

#[test]
fn a_directory_that_was_left_unclean_has_no_marker() {
    let disk = SimDisk::new(1);
    let dirs = formatted(&disk, &["a", "b"], 0);
    load_all(&dirs);
    dirs.dirs()[1].leave_unclean();
    assert_eq!(dirs.close_clean(&[], 5), []);
    let marked = |dir: &str| names_in(&disk, dir).contains(&".kafka_cleanshutdown".to_owned());
    assert_eq!((marked("a"), marked("b")), (true, false));
}
