//! Many partitions: made, found and opened again in time that grows with their number only.

use std::sync::Arc;

use storage::disk::Disk;
use storage::disk::os::OsDisk;
use wire::ids::PartitionIndex;

use crate::common::{NOW, config, create, open_with};

#[test]
fn hundreds_of_partitions_are_made_and_opened_again() {
    const PARTITIONS: i32 = 300;
    let root = std::env::temp_dir().join(format!("tidelog-node-scale-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&root);
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let node = open_with(config(&[root.to_str().unwrap()]), &disk, NOW);
    create(&node, "wide", PARTITIONS);
    for n in 0..50 {
        create(&node, &format!("narrow-{n}"), 1);
    }
    for index in 0..PARTITIONS {
        node.partition_by_name("wide", PartitionIndex(index)).unwrap();
    }
    node.shutdown(NOW).unwrap();
    drop(node);
    let node = open_with(config(&[root.to_str().unwrap()]), &disk, NOW);
    assert!(node.take_notices().is_empty());
    node.partition_by_name("wide", PartitionIndex(PARTITIONS - 1)).unwrap();
    node.partition_by_name("narrow-49", PartitionIndex(0)).unwrap();
    std::fs::remove_dir_all(&root).unwrap();
}
