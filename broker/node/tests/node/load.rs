//! Groups are loaded as the last of many records left them.

use std::sync::Arc;
use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};
use coordinator::{Request, Response, partition_for};
use storage::disk::Disk;
use storage::disk::os::OsDisk;
use storage::disk::sim::SimDisk;
use tidelog_node::{ClientContext, Node};
use wire::ids::PartitionIndex;
use wire::message::{Message, TypedRecord, to_bytes};
use wire::messages::group_metadata_key::GroupMetadataKey;
use wire::messages::offset_commit_key::OffsetCommitKey;
use wire::messages::offset_commit_value::OffsetCommitValue;
use wire::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use wire::messages::offset_fetch_response::OffsetFetchResponseGroup;
use wire::records::{BatchBuilder, BatchOptions, ControlType, control_batch};
use wire::records_slot::NoRange;

use crate::common::{NOW, config, open_with};

const OFFSETS: &str = "__consumer_offsets";
/// Each group commits this many partitions this often.
const PARTITIONS: i32 = 100;
const COMMITS: i64 = 10;

fn prefixed<M: Message<Range = NoRange>>(number: i16, message: &M, version: i16) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(number);
    bytes.extend_from_slice(&to_bytes(message, version).unwrap());
    bytes.freeze()
}

/// What a group of the number commits in one round, and that it goes at the end of every seventh.
fn append_round(node: &Node, number: usize, round: i64) {
    let group = format!("group-{number}");
    let index = PartitionIndex(partition_for(&group, 3));
    let partition = node.partition_by_name(OFFSETS, index).unwrap();
    let mut batch = BatchBuilder::new(BatchOptions::default());
    let gone = number.is_multiple_of(7) && round + 1 == COMMITS;
    for partition in 0..PARTITIONS {
        let (group, topic) = (group.clone(), "a-topic-with-a-name".to_owned());
        let key = OffsetCommitKey { group, topic, partition };
        let value = OffsetCommitValue {
            offset: round * 1_000 + i64::from(partition),
            commit_timestamp: NOW,
            ..Default::default()
        };
        let key = prefixed(OffsetCommitKey::TYPE, &key, 0);
        let value = (!gone).then(|| prefixed(4, &value, 4));
        batch.append(NOW, Some(&key), value.as_deref(), &[]);
    }
    if gone {
        let key = prefixed(GroupMetadataKey::TYPE, &GroupMetadataKey { group }, 0);
        batch.append(NOW, Some(&key), None, &[]);
    }
    partition.append_as_coordinator(NOW, batch.build().unwrap()).unwrap();
}

fn fetch(node: &Node, number: usize) -> OffsetFetchResponseGroup {
    let request = Request::OffsetFetch(OffsetFetchRequestGroup {
        group_id: format!("group-{number}"),
        topics: Some(vec![OffsetFetchRequestTopics {
            name: "a-topic-with-a-name".to_owned(),
            partition_indexes: (0..PARTITIONS).collect(),
            ..Default::default()
        }]),
        ..Default::default()
    });
    let (into, from) = std::sync::mpsc::channel();
    let client = ClientContext { version: 8, client_id: "", client_host: "" };
    node.group_request(NOW, &client, &request, Box::new(move |r| into.send(r).unwrap()));
    match from.recv().unwrap() {
        Response::OffsetFetch(found) => found,
        other => panic!("{other:?}"),
    }
}

#[test]
fn offsets_of_a_transaction_count_from_its_commit_on() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let node = open_with(config(&["/data"]), &disk, NOW);
    node.prepare_groups(NOW).unwrap();
    let group = "group-1";
    let index = PartitionIndex(partition_for(group, 3));
    let log = node.partition_by_name(OFFSETS, index).unwrap();
    let write = |producer_id: i64, partition: i32, offset: i64| {
        let (group, topic) = (group.to_owned(), "a-topic-with-a-name".to_owned());
        let key = OffsetCommitKey { group, topic, partition };
        let value = OffsetCommitValue { offset, ..Default::default() };
        let (key, value) = (prefixed(OffsetCommitKey::TYPE, &key, 0), prefixed(4, &value, 4));
        let transactional = producer_id >= 0;
        let epoch = if transactional { 0 } else { -1 };
        let options = BatchOptions {
            producer_id,
            producer_epoch: epoch,
            transactional,
            ..Default::default()
        };
        let mut batch = BatchBuilder::new(options);
        batch.append(NOW, Some(&key), Some(&value), &[]);
        log.append_as_coordinator(NOW, batch.build().unwrap()).unwrap();
    };
    let end = |producer_id: i64, how: ControlType| {
        let options = BatchOptions {
            producer_id,
            producer_epoch: 0,
            transactional: true,
            ..Default::default()
        };
        // Version 0, then the epoch of the transaction's coordinator.
        let marker = Bytes::from_static(&[0, 0, 0, 0, 0, 0]);
        let batch = control_batch(options, NOW, &[(how, marker)]).unwrap();
        log.append_as_coordinator(NOW, batch).unwrap();
    };
    write(7, 0, 70);
    write(8, 1, 80);
    write(7, 2, 72);
    write(-1, 2, 5);
    write(9, 3, 90);
    write(-1, 1, 4);
    end(8, ControlType::Abort);
    end(7, ControlType::Commit);
    node.shutdown(NOW).unwrap();
    drop(node);
    let node = open_with(config(&["/data"]), &disk, NOW);
    node.load_groups(NOW);
    let found = fetch(&node, 1);
    let offsets: Vec<i64> =
        found.topics[0].partitions.iter().take(4).map(|p| p.committed_offset).collect();
    // Committed; aborted; overtaken by a plain commit; never ended.
    assert_eq!(offsets, [70, 4, 5, -1]);
}

/// How long this thread has run, as far as the system says so.
fn cpu_ms() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds: u64 = text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    nanoseconds / 1_000_000
}

/// With `TIDELOG_LOAD_GROUPS=1000`, `--profile ci` and `-- --nocapture` it tells how long a million
/// records take.
#[expect(clippy::disallowed_methods, reason = "the size is named from outside, the time is told")]
#[test]
fn the_last_of_many_commits_is_what_is_loaded() {
    let groups = std::env::var("TIDELOG_LOAD_GROUPS").map_or(20, |text| text.parse().unwrap());
    let root = std::env::temp_dir().join(format!("tidelog-node-load-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&root);
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let node = open_with(config(&[root.to_str().unwrap()]), &disk, NOW);
    node.prepare_groups(NOW).unwrap();
    for round in 0..COMMITS {
        (0..groups).for_each(|number| append_round(&node, number, round));
    }
    node.shutdown(NOW).unwrap();
    drop(node);
    let node = open_with(config(&[root.to_str().unwrap()]), &disk, NOW);
    let (started, cpu) = (Instant::now(), cpu_ms());
    node.load_groups(NOW);
    let (took, cpu) = (started.elapsed().as_millis(), cpu_ms() - cpu);
    let records = groups * usize::try_from(PARTITIONS).unwrap() * 10;
    println!("{records} records of {groups} groups loaded in {took} ms, {cpu} ms of them on a CPU");
    assert!(node.take_notices().is_empty(), "all of them can be read");
    for number in 0..groups {
        let found = fetch(&node, number);
        let offsets: Vec<i64> =
            found.topics[0].partitions.iter().map(|p| p.committed_offset).collect();
        let expected: Vec<i64> = match number.is_multiple_of(7) {
            true => vec![-1; 100],
            false => (0..100).map(|p| (COMMITS - 1) * 1_000 + p).collect(),
        };
        assert_eq!(offsets, expected, "group-{number}");
    }
    let listed = node.list_groups(&[], &[]).unwrap().len();
    assert_eq!(listed, groups - groups.div_ceil(7));
    std::fs::remove_dir_all(&root).unwrap();
}
