//! Topics come, are described, and go.

use wire::ErrorCode;
use wire::ids::Uuid;
use wire::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use wire::messages::describe_cluster_request::DescribeClusterRequest;
use wire::messages::describe_topic_partitions_request::{
    Cursor, DescribeTopicPartitionsRequest, TopicRequest,
};
use wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};

use crate::harness::{TestBroker, batch, metadata_request};

#[test]
fn a_deleted_topic_is_gone() {
    let mut broker = TestBroker::start(&["auto.create.topics.enable=false"]);
    let mut client = broker.connect();
    let id = client.create_topic("gone", 2);
    client.create_topic("stays", 1);
    let state = DeleteTopicState { name: None, topic_id: id };
    let request = DeleteTopicsRequest { topics: vec![state], ..DeleteTopicsRequest::default() };
    assert_eq!(client.call(6, &request).responses[0].error_code, 0);
    let missing = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(client.call(9, &metadata_request("gone")).topics[0].error_code, missing);
    drop(client);
    broker.restart();
    let mut client = broker.connect();
    assert_eq!(client.call(9, &metadata_request("gone")).topics[0].error_code, missing);
    assert_eq!(client.call(9, &metadata_request("stays")).topics[0].error_code, 0);
}

#[test]
fn metadata_finds_topics_by_id() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.connect();
    let id = client.create_topic("t", 1);
    let by_id = |topic_id| {
        let topics = Some(vec![MetadataRequestTopic { name: None, topic_id }]);
        MetadataRequest { topics, ..MetadataRequest::default() }
    };
    let answer = client.call(12, &by_id(id));
    assert_eq!(answer.topics[0].name.as_deref(), Some("t"));
    let answer = client.call(12, &by_id(Uuid([3; 16])));
    assert_eq!(answer.topics[0].error_code, ErrorCode::UnknownTopicId.code());
    let all = MetadataRequest { topics: None, ..MetadataRequest::default() };
    assert_eq!(client.call(12, &all).topics.len(), 1);
    let none = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
    assert_eq!(client.call(12, &none).topics.len(), 0);
    assert_eq!(client.call(0, &none).topics.len(), 1);
}

#[test]
fn partitions_are_described_page_by_page() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.connect();
    for (name, partitions) in [("a", 3), ("b", 1), ("c", 2)] {
        client.create_topic(name, partitions);
    }
    let mut request = DescribeTopicPartitionsRequest {
        response_partition_limit: 2,
        ..DescribeTopicPartitionsRequest::default()
    };
    let mut seen = Vec::new();
    loop {
        let answer = client.call(0, &request);
        for topic in &answer.topics {
            let name = topic.name.clone().unwrap();
            seen.extend(topic.partitions.iter().map(|p| (name.clone(), p.partition_index)));
        }
        let Some(next) = answer.next_cursor else { break };
        request.cursor =
            Some(Cursor { topic_name: next.topic_name, partition_index: next.partition_index });
    }
    let seen: Vec<(&str, i32)> = seen.iter().map(|(name, at)| (name.as_str(), *at)).collect();
    assert_eq!(seen, [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("c", 0), ("c", 1)]);
    let named = DescribeTopicPartitionsRequest {
        topics: ["c", "x"].map(|name| TopicRequest { name: name.to_owned() }).to_vec(),
        ..DescribeTopicPartitionsRequest::default()
    };
    let answer = client.call(0, &named);
    let codes: Vec<i16> = answer.topics.iter().map(|topic| topic.error_code).collect();
    assert_eq!(codes, [0, ErrorCode::UnknownTopicOrPartition.code()]);
}

#[test]
fn deleted_records_are_out_of_range() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.connect();
    client.create_topic("t", 1);
    for _ in 0..3 {
        assert_eq!(client.produce("t", 0, batch(&["x"])).error_code, 0);
    }
    let mut delete = |offset| {
        let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset }];
        let topics = vec![DeleteRecordsTopic { name: "t".to_owned(), partitions }];
        let answer = client.call(2, &DeleteRecordsRequest { topics, timeout_ms: 1000 });
        let partition = &answer.topics[0].partitions[0];
        (partition.error_code, partition.low_watermark)
    };
    assert_eq!(delete(2), (0, 2));
    assert_eq!(delete(1), (0, 2));
    assert_eq!(delete(4), (ErrorCode::OffsetOutOfRange.code(), -1));
    assert_eq!(delete(-1), (0, 3));
}

#[test]
fn the_cluster_describes_itself() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.connect();
    let answer = client.call(1, &DescribeClusterRequest::default());
    assert_eq!((answer.error_code, answer.brokers.len()), (0, 1));
    let port = client.stream.peer_addr().unwrap().port();
    assert_eq!(answer.brokers[0].port, i32::from(port));
    let controllers = DescribeClusterRequest { endpoint_type: 2, ..Default::default() };
    let refused = client.call(1, &controllers);
    assert_eq!(refused.error_code, ErrorCode::MismatchedEndpointType.code());
}
