//! Looking at a running broker: log directories and producers.

use wire::ErrorCode;
use wire::messages::describe_log_dirs_request::{DescribableLogDirTopic, DescribeLogDirsRequest};
use wire::messages::describe_log_dirs_response::DescribeLogDirsResult;
use wire::messages::describe_producers_request::{DescribeProducersRequest, TopicRequest};
use wire::messages::describe_producers_response::PartitionResponse;
use wire::records::{BatchBuilder, BatchOptions};

use crate::harness::{Client, TestBroker, batch};

fn dirs(
    client: &mut Client,
    version: i16,
    topics: Option<Vec<(&str, Vec<i32>)>>,
) -> Vec<DescribeLogDirsResult> {
    let topic = |(topic, partitions): (&str, Vec<i32>)| DescribableLogDirTopic {
        topic: topic.to_owned(),
        partitions,
    };
    let topics = topics.map(|topics| topics.into_iter().map(topic).collect());
    let answer = client.call(version, &DescribeLogDirsRequest { topics });
    assert_eq!(answer.error_code, 0);
    answer.results
}

/// (topic, partition, size) of every partition told.
fn sizes(dir: &DescribeLogDirsResult) -> Vec<(&str, i32, i64)> {
    let of_topic = dir.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|p| (topic.name.as_str(), p.partition_index, p.partition_size))
    });
    of_topic.collect()
}

#[test]
fn a_lost_log_directory_is_described_as_such() {
    let base = std::env::temp_dir().join(format!("tidelog-lost-dir-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&base);
    let [good, bad] = ["good", "bad"].map(|name| base.join(name).display().to_string());
    let mut broker = TestBroker::start(&[&format!("log.dirs={good},{bad}")]);
    broker.connect().create_topic("t", 4);
    let found = dirs(&mut broker.connect(), 4, None);
    assert!(found.iter().all(|dir| dir.error_code == 0 && !sizes(dir).is_empty()), "{found:?}");
    broker.stop();
    std::fs::rename(&bad, format!("{bad}-away")).unwrap();
    std::fs::write(&bad, "not a directory").unwrap();
    broker.restart();
    let client = &mut broker.connect();
    for topics in [None, Some(vec![("t", vec![0, 1, 2, 3])])] {
        let found = dirs(client, 4, topics);
        let told = |path: &str| found.iter().find(|dir| dir.log_dir == path).unwrap();
        let lost = told(&bad);
        assert_eq!(lost.error_code, ErrorCode::KafkaStorageError.code());
        assert_eq!((lost.total_bytes, lost.usable_bytes), (-1, -1));
        assert!(lost.topics.is_empty(), "{lost:?}");
        assert_eq!(told(&good).error_code, 0);
        assert!(!sizes(told(&good)).is_empty());
    }
    drop(broker);
    std::fs::remove_dir_all(&base).unwrap();
}

#[test]
fn log_directories_are_described() {
    let broker = TestBroker::start(&[]);
    let client = &mut broker.connect();
    client.create_topic("a", 2);
    client.create_topic("b", 1);
    let records = batch(&["one", "two"]);
    let length = i64::try_from(records.len()).unwrap();
    assert_eq!(client.produce("a", 1, records).error_code, 0);
    let all = dirs(client, 5, None);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(sizes(&all[0]), [("a", 0, 0), ("a", 1, length), ("b", 0, 0)]);
    assert_eq!(all[0].log_dir, broker.dir.display().to_string());
    assert!(all[0].total_bytes >= all[0].usable_bytes && all[0].usable_bytes > 0, "{all:?}");
    assert!(!all[0].is_cordoned && all[0].error_code == 0);
    // Only what is asked for and there; a directory is told with nothing in it too.
    let some = vec![("a", vec![1, 7]), ("nothing", vec![0])];
    assert_eq!(sizes(&dirs(client, 4, Some(some))[0]), [("a", 1, length)]);
    assert_eq!(sizes(&dirs(client, 1, Some(Vec::new()))[0]), []);
}

fn producers(client: &mut Client, topic: &str, indexes: &[i32]) -> Vec<PartitionResponse> {
    let name = topic.to_owned();
    let topics = vec![TopicRequest { name, partition_indexes: indexes.to_vec() }];
    let mut answer = client.call(0, &DescribeProducersRequest { topics });
    answer.topics.remove(0).partitions
}

#[test]
fn producers_are_described() {
    let broker = TestBroker::start(&[]);
    let client = &mut broker.connect();
    client.create_topic("a", 2);
    let produce = |client: &mut Client, epoch, sequence| {
        let options = BatchOptions {
            producer_id: 4711,
            producer_epoch: epoch,
            base_sequence: sequence,
            ..BatchOptions::default()
        };
        let mut builder = BatchBuilder::new(options);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = i64::try_from(now.as_millis()).unwrap();
        for value in ["x", "y", "z"] {
            builder.append(now, None, Some(value.as_bytes()), &[]);
        }
        assert_eq!(client.produce("a", 0, builder.build().unwrap()).error_code, 0);
        now
    };
    produce(client, 2, 0);
    let last = produce(client, 2, 3);
    // Records without a producer leave nothing to describe.
    client.produce("a", 1, batch(&["x"]));
    let found = producers(client, "a", &[0, 1, 2]);
    let one = &found[0].active_producers;
    assert_eq!(one.len(), 1, "{found:?}");
    assert_eq!((one[0].producer_id, one[0].producer_epoch, one[0].last_sequence), (4711, 2, 5));
    assert_eq!((one[0].last_timestamp, one[0].coordinator_epoch), (last, -1));
    assert_eq!(one[0].current_txn_start_offset, -1);
    assert_eq!((found[1].error_code, found[1].active_producers.len()), (0, 0));
    assert_eq!(found[2].error_code, ErrorCode::UnknownTopicOrPartition.code());
    let missing = producers(client, "missing", &[0]);
    assert_eq!(missing[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
}
