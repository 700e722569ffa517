//! A node on a disk of the test's choice, and what tests do with its partitions.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use metadata::control::Settings;
use metadata::topic_config::Defaults;
use replication::{Acks, Isolation, Partition, Produced, ReadRequest};
use storage::disk::Disk;
use tidelog_node::{Endpoint, LogLimits, Node, NodeConfig};
use wire::ErrorCode;
use wire::ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex};
use wire::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use wire::records::{BatchBuilder, BatchIter, BatchOptions};

/// The time at which tests begin.
pub(crate) const NOW: i64 = 1_700_000_000_000;

pub(crate) fn config(dirs: &[&str]) -> NodeConfig {
    let mut settings = Settings::new(Defaults::from_broker(|_| None).unwrap());
    settings.offsets_topic_num_partitions = 3;
    settings.offsets_topic_replication_factor = 1;
    NodeConfig {
        node_id: BrokerId(1),
        rack: None,
        log_dirs: dirs.iter().map(PathBuf::from).collect(),
        abandoned_log_dirs: Vec::new(),
        accepted_losses: BTreeSet::new(),
        metadata_log_dir: None,
        cluster_id: None,
        quorum: tidelog_node::QuorumConfig::alone(),
        endpoints: vec![Endpoint {
            listener: "PLAINTEXT".to_owned(),
            host: "localhost".to_owned(),
            port: 9092,
            security_protocol: 0,
        }],
        settings,
        log_limits: LogLimits::default(),
        groups: coordinator::Config { initial_rebalance_delay_ms: 0, ..Default::default() },
        fetch_session_slots: 100,
        recovery_threads: 1,
        delete_delay_ms: 60_000,
        metadata_snapshot_bytes: 20 << 20,
        metadata_snapshot_interval_ms: 0,
    }
}

pub(crate) fn open(disk: &Arc<dyn Disk>) -> Node {
    open_with(config(&["/data"]), disk, NOW)
}

pub(crate) fn open_with(config: NodeConfig, disk: &Arc<dyn Disk>, now_ms: i64) -> Node {
    Node::open(config, Arc::clone(disk), now_ms, 7).unwrap()
}

pub(crate) fn create_code(
    node: &Node,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> ErrorCode {
    let topic = CreatableTopic {
        name: name.to_owned(),
        num_partitions: partitions,
        replication_factor: 1,
        configs: configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig {
                name: (*name).to_owned(),
                value: Some((*value).to_owned()),
            })
            .collect(),
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    let response = node.create_topics(NOW, &request);
    ErrorCode::from_i16(response.topics[0].error_code).unwrap()
}

pub(crate) fn create(node: &Node, name: &str, partitions: i32) {
    assert_eq!(create_code(node, name, partitions, &[]), ErrorCode::None);
}

pub(crate) fn delete(node: &Node, name: &str) -> ErrorCode {
    let state = DeleteTopicState { name: Some(name.to_owned()), ..Default::default() };
    let request = DeleteTopicsRequest { topics: vec![state], ..Default::default() };
    let response = node.delete_topics(NOW, &request, 6);
    ErrorCode::from_i16(response.responses[0].error_code).unwrap()
}

pub(crate) fn partition(node: &Node, name: &str, index: i32) -> Arc<Partition> {
    node.partition_by_name(name, PartitionIndex(index)).unwrap()
}

/// A batch of these values; `producer` is (id, epoch, first sequence).
pub(crate) fn batch(values: &[&str], producer: Option<(i64, i16, i32)>) -> Bytes {
    let mut options = BatchOptions::default();
    if let Some((id, epoch, sequence)) = producer {
        options.producer_id = id;
        options.producer_epoch = epoch;
        options.base_sequence = sequence;
    }
    let mut builder = BatchBuilder::new(options);
    for value in values {
        builder.append(NOW, None, Some(value.as_bytes()), &[]);
    }
    builder.build().unwrap()
}

pub(crate) fn append(
    partition: &Partition,
    values: &[&str],
) -> Result<Produced, replication::Error> {
    partition.append(NOW, batch(values, None), Acks::All, LeaderEpoch::UNKNOWN)
}

pub(crate) fn append_as(
    partition: &Partition,
    producer: (i64, i16, i32),
    values: &[&str],
) -> Result<Produced, replication::Error> {
    partition.append(NOW, batch(values, Some(producer)), Acks::All, LeaderEpoch::UNKNOWN)
}

/// Every value of the partition, from its log start.
pub(crate) fn values(partition: &Partition) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = partition.log_start_offset();
    loop {
        let fetched = partition.read(read_request(at)).unwrap();
        let Some(range) = fetched.range else { return found };
        for batch in BatchIter::new(Bytes::from(range.read().unwrap())) {
            let set = batch.unwrap().records(1 << 20).unwrap();
            for record in set.iter() {
                let record = record.unwrap();
                if record.offset >= at.0 {
                    found.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
                }
            }
        }
        at = fetched.next_offset;
    }
}

pub(crate) fn read_request(fetch_offset: Offset) -> ReadRequest {
    ReadRequest {
        fetch_offset,
        max_bytes: 1 << 20,
        min_one: true,
        isolation: Isolation::HighWatermark,
        current_leader_epoch: LeaderEpoch::UNKNOWN,
    }
}
