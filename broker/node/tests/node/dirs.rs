//! Log directories that come and go.

use std::sync::Arc;

use storage::disk::Disk;
use storage::disk::sim::SimDisk;
use tidelog_node::{Error, Node};
use wire::ids::{PartitionIndex, Uuid};

use crate::common::{NOW, config, create_code, open_with};

fn formed() -> Arc<dyn Disk> {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(3));
    let node = open_with(config(&["/a", "/b"]), &disk, NOW);
    create_code(&node, "t", 4, &[]);
    node.shutdown(NOW).unwrap();
    disk
}

fn refusal(dirs: &[&str], disk: &Arc<dyn Disk>) -> Error {
    Node::open(config(dirs), Arc::clone(disk), NOW, 8).err().unwrap()
}

fn missing(error: Error) -> Vec<Uuid> {
    match error {
        Error::LogDirsMissing(ids) => ids,
        other => panic!("{other}"),
    }
}

#[test]
fn a_missing_directory_stops_the_start_until_it_is_abandoned() {
    let disk = formed();
    for dirs in [&["/a"][..], &["/a", "/fresh"], &["/a", "/fresh"]] {
        assert_eq!(missing(refusal(dirs, &disk)).len(), 1, "{dirs:?}");
    }
    open_with(config(&["/a", "/b"]), &disk, NOW).shutdown(NOW).unwrap();
    let missing = missing(refusal(&["/a", "/fresh"], &disk));
    let mut given_up = config(&["/a", "/fresh"]);
    given_up.abandoned_log_dirs = missing;
    let node = open_with(given_up, &disk, NOW);
    let image = node.image();
    let topic = image.topics.by_name("t").unwrap();
    for index in 0..4 {
        node.partition(topic.id, PartitionIndex(index)).unwrap();
    }
}

#[test]
fn an_empty_metadata_directory_beside_full_ones_stops_the_start() {
    let disk = formed();
    let error = refusal(&["/fresh", "/b"], &disk);
    assert!(matches!(error, Error::MetadataDirEmpty { .. }), "{error}");
    // It was not formatted: a second try says the same.
    let error = refusal(&["/fresh", "/b"], &disk);
    assert!(matches!(error, Error::MetadataDirEmpty { .. }), "{error}");
}

#[test]
fn partitions_without_a_metadata_log_stop_the_start() {
    let disk = formed();
    let swapped = refusal(&["/b", "/a"], &disk);
    assert!(matches!(swapped, Error::MetadataLogMissing { .. }), "{swapped}");
    for file in disk.list("/a/__cluster_metadata-0".as_ref()).unwrap() {
        let path = std::path::Path::new("/a/__cluster_metadata-0").join(file.name);
        disk.remove_file(&path).unwrap();
    }
    let emptied = refusal(&["/a", "/b"], &disk);
    assert!(matches!(emptied, Error::MetadataLogMissing { .. }), "{emptied}");
}
