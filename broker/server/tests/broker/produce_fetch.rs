//! Records in and out.

use std::time::{Duration, Instant};

use wire::ErrorCode;
use wire::ids::Uuid;
use wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use wire::messages::fetch_response::FetchResponse;

use crate::harness::{DEADLINE, TestBroker, batch, metadata_request, produce_request, values};

/// A fetch of one partition by id.
fn fetch(topic: Uuid, offset: i64, max_bytes: i32) -> FetchRequest {
    let partition = FetchPartition {
        fetch_offset: offset,
        partition_max_bytes: max_bytes,
        ..FetchPartition::default()
    };
    let topic =
        FetchTopic { topic_id: topic, partitions: vec![partition], ..FetchTopic::default() };
    FetchRequest { topics: vec![topic], max_bytes, min_bytes: 1, ..FetchRequest::default() }
}

fn fetched(response: &FetchResponse) -> Vec<(i64, Vec<u8>)> {
    let records = response.responses[0].partitions[0].records.clone().unwrap();
    values(records.into_bytes())
}

#[test]
fn what_is_produced_is_fetched_also_after_a_restart() {
    let mut broker = TestBroker::start(&[]);
    let mut client = broker.connect();
    let id = client.create_topic("t", 1);
    let first = client.produce("t", 0, batch(&["a", "b"]));
    assert_eq!((first.error_code, first.base_offset, first.log_append_time_ms), (0, 0, -1));
    assert_eq!(client.produce("t", 0, batch(&["c"])).base_offset, 2);
    let expected = [(0, b"a".to_vec()), (1, b"b".to_vec()), (2, b"c".to_vec())];
    assert_eq!(fetched(&client.call(13, &fetch(id, 0, 1 << 20))), expected);
    drop(client);
    broker.restart();
    let mut client = broker.connect();
    assert_eq!(fetched(&client.call(13, &fetch(id, 0, 1 << 20))), expected);
    assert_eq!(client.produce("t", 0, batch(&["d"])).base_offset, 3);
}

#[test]
fn large_fetches_are_whole() {
    let broker = TestBroker::start(&["log.segment.bytes=2097152"]);
    let mut client = broker.connect();
    let id = client.create_topic("t", 1);
    let mut expected = Vec::new();
    for round in 0..12u8 {
        let records: Vec<Vec<u8>> =
            (0..100u8).map(|at| vec![round ^ at; 5000 + usize::from(at)]).collect();
        let answer = client.produce("t", 0, batch(&records));
        assert_eq!(answer.error_code, 0);
        expected.extend(records);
    }
    let mut found = Vec::new();
    while found.len() < expected.len() {
        let offset = i64::try_from(found.len()).unwrap();
        let some = fetched(&client.call(13, &fetch(id, offset, 8 << 20)));
        assert!(!some.is_empty());
        // A batch may begin before the offset asked for.
        found.extend(some.into_iter().filter(|(at, _)| *at >= offset).map(|(_, value)| value));
    }
    assert!(found == expected);
}

#[test]
fn the_first_batch_comes_whatever_its_size() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.connect();
    let id = client.create_topic("t", 1);
    client.produce("t", 0, batch(&[vec![1; 100_000]]));
    client.produce("t", 0, batch(&[vec![2; 100_000]]));
    assert_eq!(fetched(&client.call(13, &fetch(id, 0, 10))).len(), 1);
    assert_eq!(fetched(&client.call(13, &fetch(id, 0, 150_000))).len(), 1);
    assert_eq!(fetched(&client.call(13, &fetch(id, 0, 250_000))).len(), 2);
}

#[test]
fn a_long_poll_ends_with_the_produce_it_waits_for() {
    let broker = TestBroker::start(&[]);
    let (mut consumer, mut producer) = (broker.connect(), broker.connect());
    let id = producer.create_topic("t", 1);
    let mut request = fetch(id, 0, 1 << 20);
    request.max_wait_ms = 15_000;
    let number = consumer.send(13, &request);
    // Requests behind the poll are begun: this produce is by the same connection.
    producer.create_topic("other", 1);
    consumer.send(9, &produce_request("other", 0, 0, batch(&["x"])));
    let began = Instant::now();
    assert_eq!(producer.produce("t", 0, batch(&["now"])).error_code, 0);
    let answer = consumer.receive::<FetchRequest>(13, number);
    assert_eq!(fetched(&answer), [(0, b"now".to_vec())]);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_long_poll_waits_for_enough_or_for_its_time() {
    let broker = TestBroker::start(&[]);
    let (mut consumer, mut producer) = (broker.connect(), broker.connect());
    let id = producer.create_topic("t", 1);
    let mut request = fetch(id, 0, 1 << 20);
    (request.max_wait_ms, request.min_bytes) = (15_000, 3000);
    let number = consumer.send(13, &request);
    for _ in 0..3 {
        assert_eq!(producer.produce("t", 0, batch(&[[7; 1000]])).error_code, 0);
    }
    assert_eq!(fetched(&consumer.receive::<FetchRequest>(13, number)).len(), 3);
    (request.max_wait_ms, request.min_bytes) = (300, 1 << 20);
    let began = Instant::now();
    assert_eq!(fetched(&consumer.call(13, &request)).len(), 3);
    assert!(began.elapsed() >= Duration::from_millis(290), "{:?}", began.elapsed());
}

#[test]
fn nothing_answers_a_produce_without_acks() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.connect();
    let id = client.create_topic("t", 1);
    client.send(9, &produce_request("t", 0, 0, batch(&["x"])));
    // The next answer on the connection is the next request's.
    assert_eq!(fetched(&client.call(13, &fetch(id, 0, 1000))).len(), 1);
    client.send(9, &produce_request("nowhere", 0, 0, batch(&["x"])));
    assert!(client.frame().is_none(), "only a closed connection tells of the error");
}

#[test]
fn produce_errors_are_told_by_partition() {
    let broker = TestBroker::start(&["message.max.bytes=20000"]);
    let mut client = broker.connect();
    client.create_topic("t", 1);
    let code = |answer: &wire::messages::produce_response::PartitionProduceResponse| {
        ErrorCode::from_i16(answer.error_code).unwrap()
    };
    let good = batch(&["x"]);
    let missing = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(code(&client.produce("t", 1, good.clone())), missing);
    assert_eq!(code(&client.produce("t", -1, good.clone())), missing);
    assert_eq!(code(&client.produce("u", 0, good.clone())), missing);
    let mut flipped = good.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(code(&client.produce("t", 0, flipped.into())), ErrorCode::CorruptMessage);
    let cut = good.slice(..good.len() - 1);
    assert_eq!(code(&client.produce("t", 0, cut)), ErrorCode::CorruptMessage);
    let none = bytes::Bytes::new();
    assert_eq!(code(&client.produce("t", 0, none)), ErrorCode::InvalidRecord);
    let large = batch(&[vec![0; 20_001]]);
    assert_eq!(code(&client.produce("t", 0, large)), ErrorCode::MessageTooLarge);
    let bad_acks = client.call(9, &produce_request("t", 0, 2, good.clone()));
    let refused = &bad_acks.responses[0].partition_responses[0];
    assert_eq!(code(refused), ErrorCode::InvalidRequiredAcks);
    let answer = client.produce("t", 0, good);
    assert_eq!((answer.error_code, answer.base_offset), (0, 0), "nothing bad was stored");
}

#[test]
fn flush_messages_is_honoured() {
    let broker = TestBroker::start(&["log.flush.interval.messages=1"]);
    let mut client = broker.connect();
    client.create_topic("t", 1);
    for offset in 0..5 {
        let answer = client.produce("t", 0, batch(&["x"]));
        assert_eq!((answer.error_code, answer.base_offset), (0, offset));
    }
}

#[test]
fn fetch_errors_are_told_by_partition() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.connect();
    let id = client.create_topic("t", 1);
    client.produce("t", 0, batch(&["x"]));
    let mut code = |request: &FetchRequest| {
        let answer = client.call(13, request);
        ErrorCode::from_i16(answer.responses[0].partitions[0].error_code).unwrap()
    };
    assert_eq!(code(&fetch(id, 0, 1000)), ErrorCode::None);
    assert_eq!(code(&fetch(id, 1, 1000)), ErrorCode::None);
    assert_eq!(code(&fetch(id, 2, 1000)), ErrorCode::OffsetOutOfRange);
    assert_eq!(code(&fetch(id, -1, 1000)), ErrorCode::OffsetOutOfRange);
    assert_eq!(code(&fetch(Uuid([9; 16]), 0, 1000)), ErrorCode::UnknownTopicId);
    let mut epoch = fetch(id, 0, 1000);
    epoch.topics[0].partitions[0].current_leader_epoch = 1000;
    assert_eq!(code(&epoch), ErrorCode::UnknownLeaderEpoch);
    // An error ends a long poll at once.
    let began = Instant::now();
    let mut long = fetch(id, 99, 1000);
    long.max_wait_ms = 15_000;
    assert_eq!(code(&long), ErrorCode::OffsetOutOfRange);
    assert!(began.elapsed() < DEADLINE / 4);
}

#[test]
fn incremental_sessions_tell_only_what_changed() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.connect();
    let id = client.create_topic("t", 3);
    let mut full = fetch(id, 0, 1 << 20);
    full.session_epoch = 0;
    let template = full.topics[0].partitions[0].clone();
    full.topics[0].partitions =
        (0..3).map(|partition| FetchPartition { partition, ..template.clone() }).collect();
    let answer = client.call(13, &full);
    assert!(answer.session_id != 0);
    assert_eq!(answer.responses[0].partitions.len(), 3);
    client.produce("t", 1, batch(&["x"]));
    let next = |session_epoch| FetchRequest {
        session_id: answer.session_id,
        session_epoch,
        topics: Vec::new(),
        ..full.clone()
    };
    let changed = client.call(13, &next(1));
    assert_eq!(changed.session_id, answer.session_id);
    let told: Vec<i32> =
        changed.responses[0].partitions.iter().map(|p| p.partition_index).collect();
    assert_eq!(told, [1]);
    let wrong = client.call(13, &next(7));
    assert_eq!(wrong.error_code, ErrorCode::InvalidFetchSessionEpoch.code());
    let gone = FetchRequest { session_id: 12345, ..next(1) };
    let gone = client.call(13, &gone);
    assert_eq!(gone.error_code, ErrorCode::FetchSessionIdNotFound.code());
}

#[test]
fn topics_are_made_on_first_use() {
    let broker = TestBroker::start(&["num.partitions=4"]);
    let mut client = broker.connect();
    let mut request = metadata_request("fresh");
    request.allow_auto_topic_creation = false;
    let answer = client.call(9, &request);
    assert_eq!(answer.topics[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
    request.allow_auto_topic_creation = true;
    let answer = client.call(9, &request);
    assert_eq!((answer.topics[0].error_code, answer.topics[0].partitions.len()), (0, 4));
    let bad = client.call(9, &metadata_request("no such/topic"));
    assert_eq!(bad.topics[0].error_code, ErrorCode::InvalidTopicException.code());
}
