//! Draining, the admin endpoint.

use std::time::{Duration, Instant};

use wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};

use crate::harness::TestBroker;

#[test]
fn a_stop_answers_long_polls_and_closes() {
    let mut broker = TestBroker::start(&[]);
    let mut client = broker.connect();
    let topic_id = client.create_topic("t", 1);
    let partition = FetchPartition { partition_max_bytes: 1000, ..FetchPartition::default() };
    let topic = FetchTopic { topic_id, partitions: vec![partition], ..FetchTopic::default() };
    let request = FetchRequest {
        max_wait_ms: 60_000,
        min_bytes: 1,
        topics: vec![topic],
        ..FetchRequest::default()
    };
    let number = client.send(13, &request);
    // Another connection's round trip later the poll is parked, or about to be.
    broker.connect().create_topic("u", 1);
    let began = Instant::now();
    broker.stop();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let answer = client.receive::<FetchRequest>(13, number);
    assert_eq!(answer.responses[0].partitions[0].error_code, 0);
    assert!(client.frame().is_none());
}

#[test]
fn the_admin_endpoint_answers() {
    let broker = TestBroker::start(&[]);
    broker.connect().create_topic("t", 1);
    for path in ["/livez", "/readyz"] {
        let answer = broker.admin_get(path);
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
    let metrics = broker.admin_get("/metrics");
    assert!(
        metrics.contains("requests_total{request=\"CreateTopics\",version=\"7\"} 1"),
        "{metrics}"
    );
    assert!(broker.admin_get("/version").contains("\"tidelog\""));
    assert!(broker.admin_get("/nothing").starts_with("HTTP/1.1 404"));
}
