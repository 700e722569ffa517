//! What a metadata log of Apache Kafka may hold and ours does not.

use std::path::Path;
use std::sync::Arc;

use metadata::MetadataRecord;
use storage::LogConfig;
use storage::disk::Disk;
use storage::disk::sim::SimDisk;
use storage::log::{AppendOrigin, Log, OpenArgs};
use tidelog_node::{Error, Node};
use wire::ids::{Offset, Uuid};
use wire::messages::metadata_records::{
    AccessControlEntryRecord, BeginTransactionRecord, ClientQuotaRecord, TopicRecord,
};
use wire::metadata_frame;
use wire::records::{BatchBuilder, BatchOptions};

use crate::common::{NOW, config, create, open, partition};

/// A disk with a node's directory, cleanly stopped, whose metadata log goes on like this.
fn left_behind(records: &[MetadataRecord]) -> Arc<dyn Disk> {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(5));
    let node = open(&disk);
    create(&node, "before", 1);
    node.shutdown(NOW).unwrap();
    drop(node);
    let (mut log, _) = Log::open(OpenArgs {
        disk: Arc::clone(&disk),
        dir: Path::new("/data/__cluster_metadata-0").to_path_buf(),
        config: Arc::new(LogConfig::default()),
        recovery_point: Offset(i64::MAX),
        intact_below: Offset(0),
        log_start_offset: Offset(0),
        was_compacted: false,
        accept: Vec::new(),
        clean: false,
        now_ms: NOW,
    })
    .unwrap();
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for record in records {
        builder.append(NOW, None, Some(&metadata_frame::encode(record).unwrap()), &[]);
    }
    let epoch = log.epochs().latest().unwrap();
    log.append(NOW, builder.build().unwrap(), AppendOrigin::Raft, epoch).unwrap();
    log.close().unwrap();
    disk
}

fn notices(node: &Node) -> Vec<String> {
    node.take_notices().iter().map(ToString::to_string).collect()
}

#[test]
fn access_control_that_nothing_would_enforce_stops_the_start() {
    let disk = left_behind(&[AccessControlEntryRecord::default().into()]);
    let error = Node::open(config(&["/data"]), disk, NOW, 7).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::AccessControl(1)), "{error}");
}

#[test]
fn quotas_are_kept_and_said() {
    let quota = ClientQuotaRecord { key: "producer_byte_rate".to_owned(), ..Default::default() };
    let disk = left_behind(&[quota.into()]);
    let node = open(&disk);
    assert_eq!(notices(&node).iter().filter(|said| said.contains("1 client quotas")).count(), 1);
    assert_eq!(node.image().kept.quotas(), 1);
}

#[test]
fn a_transaction_that_its_leader_left_open_is_given_up() {
    let topic = TopicRecord { name: "half".to_owned(), topic_id: Uuid([9; 16]) };
    let disk = left_behind(&[BeginTransactionRecord { name: None }.into(), topic.into()]);
    let node = open(&disk);
    assert!(node.image().topics.by_name("half").is_none());
    create(&node, "half", 1);
    node.shutdown(NOW).unwrap();
    drop(node);
    let node = open(&disk);
    partition(&node, "before", 0);
    partition(&node, "half", 0);
    assert!(notices(&node).is_empty());
}
