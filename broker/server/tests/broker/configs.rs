//! Configuration changed while the broker runs holds at once, and after a restart.

use std::time::{Duration, Instant};

use wire::ErrorCode;
use wire::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use wire::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use wire::messages::describe_configs_response::DescribeConfigsResourceResult;
use wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use crate::harness::{Client, DEADLINE, TestBroker, batch, metadata_request};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const LOGGER: i8 = 8;

/// Sets a key, or deletes it; the error of the answer.
fn alter(client: &mut Client, kind: i8, name: &str, key: &str, value: Option<&str>) -> ErrorCode {
    let config = AlterableConfig {
        name: key.to_owned(),
        config_operation: i8::from(value.is_none()),
        value: value.map(str::to_owned),
    };
    let resource = AlterConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
        configs: vec![config],
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let answer = client.call(1, &request);
    ErrorCode::from_i16(answer.responses[0].error_code).unwrap()
}

fn describe(client: &mut Client, kind: i8, name: &str, key: &str) -> DescribeConfigsResourceResult {
    let resource = DescribeConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
        configuration_keys: Some(vec![key.to_owned()]),
    };
    let resources = vec![resource];
    let request =
        DescribeConfigsRequest { resources, include_synonyms: true, ..Default::default() };
    client.call(4, &request).results.remove(0).configs.remove(0)
}

fn produced(client: &mut Client, topic: &str, bytes: usize) -> ErrorCode {
    let records = batch(&[vec![b'x'; bytes]]);
    ErrorCode::from_i16(client.produce(topic, 0, records).error_code).unwrap()
}

#[test]
fn limits_of_topics_and_brokers_hold_at_once() {
    let mut broker = TestBroker::start(&[]);
    let mut client = broker.connect();
    client.create_topic("own", 1);
    client.create_topic("other", 1);
    let (good, large) = (ErrorCode::None, ErrorCode::MessageTooLarge);
    assert_eq!(alter(&mut client, TOPIC, "own", "max.message.bytes", Some("200")), good);
    assert_eq!(produced(&mut client, "own", 500), large);
    assert_eq!(produced(&mut client, "other", 500), good);
    // For all brokers: a topic without a limit of its own follows, the other does not.
    assert_eq!(alter(&mut client, BROKER, "", "message.max.bytes", Some("1000")), good);
    assert_eq!(produced(&mut client, "other", 2000), large);
    assert_eq!(produced(&mut client, "own", 50), good);
    // One broker's own is stronger than that of all.
    let id = "0";
    assert_eq!(alter(&mut client, BROKER, id, "message.max.bytes", Some("4000")), good);
    assert_eq!(produced(&mut client, "other", 2000), good);
    assert_eq!(produced(&mut client, "other", 5000), large);
    let refused = alter(&mut client, BROKER, "7", "message.max.bytes", Some("9000"));
    assert_eq!(refused, ErrorCode::InvalidRequest);
    let refused = alter(&mut client, BROKER, id, "message.max.bytes", Some("many"));
    assert_eq!(refused, ErrorCode::InvalidRequest);
    drop(client);
    broker.restart();
    let mut client = broker.connect();
    assert_eq!(produced(&mut client, "own", 500), large);
    assert_eq!(produced(&mut client, "other", 2000), good);
    assert_eq!(produced(&mut client, "other", 5000), large);
    let told = describe(&mut client, TOPIC, "other", "max.message.bytes");
    assert_eq!((told.value.as_deref(), told.config_source), (Some("4000"), 2));
    client.create_topic("new", 1);
    assert_eq!(produced(&mut client, "new", 5000), large);
    // What is taken away falls back layer by layer.
    assert_eq!(alter(&mut client, BROKER, id, "message.max.bytes", None), good);
    assert_eq!(produced(&mut client, "other", 2000), large);
    assert_eq!(alter(&mut client, BROKER, "", "message.max.bytes", None), good);
    assert_eq!(produced(&mut client, "other", 5000), good);
    assert_eq!(alter(&mut client, TOPIC, "own", "max.message.bytes", None), good);
    assert_eq!(produced(&mut client, "own", 5000), good);
}

#[test]
fn new_partitions_are_served_at_once_and_after_a_restart() {
    let mut broker = TestBroker::start(&["auto.create.topics.enable=false"]);
    let mut client = broker.connect();
    client.create_topic("t", 1);
    assert_eq!(client.produce("t", 0, batch(&["old"])).error_code, 0);
    let missing = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(client.produce("t", 3, batch(&["x"])).error_code, missing);
    let topic = CreatePartitionsTopic { name: "t".to_owned(), count: 4, assignments: None };
    let topics = vec![topic];
    let request = CreatePartitionsRequest { topics, timeout_ms: 5000, validate_only: false };
    assert_eq!(client.call(3, &request).results[0].error_code, 0);
    for _ in 0..2 {
        let answer = client.call(9, &metadata_request("t"));
        assert_eq!(answer.topics[0].partitions.len(), 4);
        assert!(answer.topics[0].partitions.iter().all(|p| p.error_code == 0));
        let at = client.produce("t", 3, batch(&["x"]));
        assert_eq!(at.error_code, 0);
        assert_eq!(client.produce("t", 4, batch(&["x"])).error_code, missing);
        drop(client);
        broker.restart();
        client = broker.connect();
    }
    assert_eq!(client.produce("t", 0, batch(&["new"])).base_offset, 1);
    assert_eq!(client.produce("t", 3, batch(&["x"])).base_offset, 2);
}

#[test]
fn limits_of_connections_hold_at_once_and_after_a_restart() {
    let mut broker = TestBroker::start(&[]);
    let mut client = broker.connect();
    let (good, id) = (ErrorCode::None, "0");
    let per_ip = "max.connections.per.ip";
    assert_eq!(alter(&mut client, BROKER, id, per_ip, Some("1")), good);
    assert!(broker.connect().frame().is_none(), "a second connection");
    let overrides = "max.connections.per.ip.overrides";
    let bad = alter(&mut client, BROKER, "", overrides, Some("127.0.0.1"));
    assert_eq!(bad, ErrorCode::InvalidRequest);
    assert_eq!(alter(&mut client, BROKER, "", overrides, Some("127.0.0.1:2")), good);
    let mut second = broker.connect();
    assert_eq!(second.call(9, &metadata_request("t")).brokers.len(), 1);
    drop(second);
    assert_eq!(alter(&mut client, BROKER, "", overrides, None), good);
    drop(client);
    broker.restart();
    let mut client = broker.connect();
    assert_eq!(describe(&mut client, BROKER, id, per_ip).value.as_deref(), Some("1"));
    assert!(broker.connect().frame().is_none(), "a second connection");
    assert_eq!(alter(&mut client, BROKER, id, per_ip, None), good);
    assert_eq!(broker.connect().call(9, &metadata_request("t")).brokers.len(), 1);
}

/// What a scrape says of a metric.
fn metric(broker: &TestBroker, name: &str) -> f64 {
    let scrape = broker.admin_get("/metrics");
    let line = scrape.lines().find(|line| line.starts_with(&format!("{name} ")));
    line.and_then(|line| line.rsplit(' ').next()).expect("the metric").parse().unwrap()
}

/// Whether a request is answered as long as nothing else happens.
fn is_served(client: &mut Client) -> bool {
    client.send(9, &metadata_request("t"));
    client.stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let served = client.stream.peek(&mut [0]).is_ok();
    client.stream.set_read_timeout(Some(DEADLINE)).unwrap();
    served
}

#[test]
fn limits_of_a_listener_are_its_own() {
    let mut broker = TestBroker::start(&[
        "listeners=PLAINTEXT://127.0.0.1:0,OTHER://127.0.0.1:0",
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT",
        "listener.name.other.max.connections=1",
    ]);
    let (good, id) = (ErrorCode::None, "0");
    let key = "listener.name.other.max.connections";
    for round in 0..2 {
        let mut client = broker.connect();
        let told = describe(&mut client, BROKER, id, key);
        let source = [4, 2][round];
        assert_eq!((told.value.as_deref(), told.config_source), (Some("1"), source));
        assert!(told.read_only && told.config_type == 3, "{told:?}");
        let names: Vec<&str> = told.synonyms.iter().map(|one| one.name.as_str()).collect();
        assert_eq!((names[0], *names.last().unwrap()), (key, "max.connections"));
        let mut first = broker.connect_to(1);
        assert!(is_served(&mut first));
        let mut second = broker.connect_to(1);
        assert!(!is_served(&mut second), "a second connection to a listener with room for one");
        assert!(is_served(&mut broker.connect()), "the other listener");
        for name in [key, "max.connections"] {
            let refused = alter(&mut client, BROKER, id, name, Some("0"));
            // The other listener has none of its own.
            assert_eq!(refused, ErrorCode::InvalidRequest, "{name}");
        }
        assert_eq!(alter(&mut client, BROKER, id, key, Some("2")), good);
        assert!(second.frame().is_some(), "room for two, at once");
        // Nothing but its name is the listener's.
        let stranger = "listener.name.nobody.max.connections";
        assert_eq!(alter(&mut client, BROKER, id, stranger, Some("0")), good);
        assert_eq!(alter(&mut client, BROKER, id, stranger, None), good);
        assert_eq!(alter(&mut client, BROKER, "", key, Some("1")), good);
        assert_eq!(alter(&mut client, BROKER, id, key, None), good);
        drop((client, first, second));
        assert_eq!(alter(&mut broker.connect(), BROKER, id, key, Some("1")), good);
        broker.restart();
    }
}

#[test]
fn connections_that_come_too_fast_wait() {
    let broker = TestBroker::start(&["quota.window.num=1", "max.connection.creation.rate=1"]);
    let delayed = "tidelog_connections_delayed_total";
    let began = Instant::now();
    let mut client = broker.connect();
    assert_eq!(client.call(9, &metadata_request("t")).brokers.len(), 1);
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    assert_eq!(metric(&broker, delayed), 1.0);
    let (key, own) = ("max.connection.creation.rate", "listener.name.plaintext.max.connection");
    let (good, own) = (ErrorCode::None, format!("{own}.creation.rate"));
    assert_eq!(alter(&mut client, BROKER, "0", key, Some("0")), ErrorCode::InvalidRequest);
    assert_eq!(alter(&mut client, BROKER, "0", key, Some("1000000")), good);
    for _ in 0..20 {
        assert_eq!(broker.connect().call(9, &metadata_request("t")).brokers.len(), 1);
    }
    assert_eq!(metric(&broker, delayed), 1.0);
    assert_eq!(alter(&mut client, BROKER, "", &own, Some("1")), good);
    assert_eq!(broker.connect().call(9, &metadata_request("t")).brokers.len(), 1);
    assert_eq!(metric(&broker, delayed), 2.0);
}

#[test]
fn loggers_change_while_the_broker_runs() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.connect();
    let logger = "tidelog_server.admin_http";
    let (good, id) = (ErrorCode::None, "0");
    assert_eq!(alter(&mut client, LOGGER, id, logger, Some("TRACE")), good);
    let told = describe(&mut client, LOGGER, id, logger);
    assert_eq!((told.value.as_deref(), told.config_source), (Some("TRACE"), 6));
    let refused = alter(&mut client, LOGGER, id, logger, Some("loud"));
    assert_eq!(refused, ErrorCode::InvalidConfig);
    assert_eq!(alter(&mut client, LOGGER, "9", logger, Some("INFO")), ErrorCode::InvalidRequest);
    assert_eq!(alter(&mut client, LOGGER, id, logger, None), good);
    assert_ne!(describe(&mut client, LOGGER, id, logger).value.as_deref(), Some("TRACE"));
}
