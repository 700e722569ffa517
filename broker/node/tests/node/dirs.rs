//! Log directories that come and go.

use std::sync::Arc;

use storage::disk::Disk;
use storage::disk::sim::SimDisk;
use tidelog_node::{Error, Node};
use wire::ids::{PartitionIndex, Uuid};
use wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

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

/// Sets `cordoned.log.dirs` on a node's broker.
pub(crate) fn cordon_request(broker: i32, dirs: &str) -> IncrementalAlterConfigsRequest {
    const BROKER: i8 = 4;
    let config = AlterableConfig {
        name: "cordoned.log.dirs".to_owned(),
        config_operation: 0,
        value: Some(dirs.to_owned()),
    };
    let resource = AlterConfigsResource {
        resource_type: BROKER,
        resource_name: broker.to_string(),
        configs: vec![config],
    };
    IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false }
}

#[test]
fn a_cordoned_directory_takes_no_new_partitions() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(4));
    let node = open_with(config(&["/a", "/b"]), &disk, NOW);
    let set = |dirs: &str| {
        let request = cordon_request(node.node_id().0, dirs);
        let answer = node.incremental_alter_configs(NOW, &request);
        assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
    };
    let shown = || node.describe_log_dirs().iter().map(|dir| dir.cordoned).collect::<Vec<_>>();
    let held = || node.describe_log_dirs().iter().map(|d| d.partitions.len()).collect::<Vec<_>>();
    set("/a");
    assert_eq!(shown(), [true, false]);
    create_code(&node, "t", 4, &[]);
    assert_eq!(held(), [0, 4]);
    set("*");
    assert_eq!(shown(), [true, true]);
    let refused = create_code(&node, "u", 1, &[]);
    assert_eq!(refused, wire::ErrorCode::InvalidReplicationFactor, "nobody takes it");
    set("");
    assert_eq!(shown(), [false, false]);
    create_code(&node, "v", 2, &[]);
    assert_eq!(held(), [2, 4], "the emptier one");
    // What was set holds after a restart.
    set("/b");
    node.shutdown(NOW).unwrap();
    drop(node);
    let node = open_with(config(&["/a", "/b"]), &disk, NOW);
    node.metadata_tick(NOW).unwrap();
    let shown: Vec<bool> = node.describe_log_dirs().iter().map(|dir| dir.cordoned).collect();
    assert_eq!(shown, [false, true]);
}
