//! The admin endpoint, and its bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use wire::messages::delete_topics_request::DeleteTopicsRequest;
use wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use wire::messages::find_coordinator_request::FindCoordinatorRequest;
use wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};

use crate::harness::{DEADLINE, TestBroker, batch};

/// Status and body.
fn ask(broker: &TestBroker, method: &str, path: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let answer = broker.admin(&format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"
    ));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn ask_json(broker: &TestBroker, path: &str) -> (u16, Value) {
    let (status, body) = ask(broker, "GET", path, "");
    (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("{status} {body}")))
}

#[test]
fn health_is_told() {
    let broker = TestBroker::start(&[]);
    broker.connect().create_topic("t", 3);
    assert_eq!(ask(&broker, "GET", "/livez", ""), (200, "ok\n".to_owned()));
    assert_eq!(ask(&broker, "GET", "/readyz", ""), (200, "ready\n".to_owned()));
    let (status, health) = ask_json(&broker, "/v1/cluster/health");
    assert_eq!((status, &health["healthy"]), (200, &json!(true)), "{health}");
    assert_eq!(health["partitions"]["all"], 3, "{health}");
    assert_eq!(health["brokers"], json!([{ "id": 0, "fenced": false, "shutting_down": false }]));
    let safe = json!({ "safe": true, "reasons": [] });
    assert_eq!(ask_json(&broker, "/v1/brokers/0/pre-restart"), (200, safe.clone()));
    assert_eq!(ask_json(&broker, "/v1/brokers/0/post-restart"), (200, safe));
    assert_eq!(ask_json(&broker, "/v1/brokers/7/pre-restart").0, 404);
    // Draining is not built yet.
    assert_eq!(ask(&broker, "GET", "/v1/brokers/0/drain", "").0, 404);
    assert_eq!(ask(&broker, "POST", "/v1/brokers/0/pre-restart", "").0, 405);
}

#[test]
fn a_bad_log_level_changes_nothing() {
    let broker = TestBroker::start(&[]);
    let (_, before) = ask(&broker, "GET", "/v1/log-level", "");
    let (status, why) = ask(&broker, "PUT", "/v1/log-level", "loud");
    assert_eq!(status, 400, "{why}");
    assert!(why.contains("loud"), "{why}");
    assert_eq!(ask(&broker, "PUT", "/v1/log-level", &"x".repeat(5000)).0, 413);
    assert_eq!(ask(&broker, "GET", "/v1/log-level", ""), (200, before));
}

#[test]
fn heads_are_bounded() {
    let broker = TestBroker::start(&[]);
    let many: String = (0..100).map(|at| format!("x-{at}: y\r\n")).collect();
    let long = format!("x: {}\r\n", "y".repeat(20_000));
    for headers in [many, long] {
        let answer = broker.admin(&format!("GET /livez HTTP/1.1\r\nhost: x\r\n{headers}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer:?}");
    }
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    let broker = TestBroker::start(&[]);
    let began = Instant::now();
    // More than there are places: those who say nothing must not keep others out for long.
    let mut silent: Vec<TcpStream> = (0..70).map(|_| broker.admin_connect()).collect();
    silent[0].write_all(b"GET /livez HT").unwrap();
    assert_eq!(ask(&broker, "GET", "/livez", "").0, 200);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let mut rest = Vec::new();
    silent[0].set_read_timeout(Some(DEADLINE)).unwrap();
    // Closed, with or without a word.
    let _ = silent[0].read_to_end(&mut rest);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

/// What a page or a scrape says of a metric: its type and the labels of its series.
type Told = BTreeMap<String, (String, BTreeSet<String>)>;

/// The tables of broker/docs/metrics.md.
fn page() -> Told {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let page = std::fs::read_to_string(path).unwrap();
    let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, kind, labels, ..] = cells[..] else { return None };
        let kinds = ["counter", "gauge", "summary"];
        let name = name.trim_matches('`').to_owned();
        kinds.contains(&kind).then(|| (name, (kind.to_owned(), words(labels))))
    };
    page.lines().filter_map(row).collect()
}

fn scraped(text: &str) -> Told {
    let mut told = Told::new();
    let mut name = "";
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            let (of, kind) = head.split_once(' ').unwrap();
            name = of;
            let before = told.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
            assert!(before.is_none(), "{name} has two heads");
        } else if !line.starts_with('#') {
            assert!(line.starts_with(name), "{line} stands under {name}");
            let labels =
                line.split_once('{').map_or("", |(_, rest)| rest.split_once('}').unwrap().0);
            let known = &mut told.get_mut(name).unwrap().1;
            // No value of a label in this test has a quote in it.
            known.extend(
                labels.split("\",").filter_map(|one| Some(one.split_once('=')?.0.to_owned())),
            );
            known.remove("quantile");
        }
    }
    told
}

fn value(scrape: &str, series: &str) -> f64 {
    let line = scrape.lines().find(|line| line.starts_with(&format!("{series} ")));
    let line = line.unwrap_or_else(|| panic!("no {series} in {scrape}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Produces three records to `t`-1, of which a group has read one.
fn make_busy(broker: &TestBroker) {
    let client = &mut broker.connect();
    client.create_topic("t", 2);
    client.produce("t", 1, batch(&["one", "two", "three"]));
    let partition =
        FetchPartition { partition: 1, partition_max_bytes: 1000, ..FetchPartition::default() };
    let topic =
        FetchTopic { topic: "t".to_owned(), partitions: vec![partition], ..Default::default() };
    client.call(12, &FetchRequest { topics: vec![topic], max_bytes: 1000, ..Default::default() });
    let found = FindCoordinatorRequest { key: "g".to_owned(), ..FindCoordinatorRequest::default() };
    assert_eq!(client.call(2, &found).error_code, 0);
    let committed = OffsetCommitRequestPartition {
        partition_index: 1,
        committed_offset: 1,
        ..OffsetCommitRequestPartition::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: "t".to_owned(),
        partitions: vec![committed],
        ..OffsetCommitRequestTopic::default()
    };
    let commit = OffsetCommitRequest {
        group_id: "g".to_owned(),
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    };
    let answer = client.call(8, &commit);
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);
}

#[test]
fn a_scrape_holds_what_the_page_lists() {
    let broker = TestBroker::start(&["tidelog.metrics.partition.level=partition"]);
    make_busy(&broker);
    let (status, text) = ask(&broker, "GET", "/metrics", "");
    assert_eq!(status, 200);
    let (page, scraped) = (page(), scraped(&text));
    for (name, told) in &page {
        assert_eq!(scraped.get(name), Some(told), "{name} is on the page");
    }
    for name in scraped.keys() {
        assert!(page.contains_key(name), "{name} is not on the page");
    }
    let of = |topic: &str| format!("{{topic=\"{topic}\",partition=\"1\"}}");
    assert_eq!(value(&text, &format!("kafka_log_log_logendoffset{}", of("t"))), 3.0);
    let lag = "kafka_consumergroup_lag{consumergroup=\"g\",topic=\"t\",partition=\"1\"}";
    assert_eq!(value(&text, lag), 2.0);
    let traffic = "kafka_server_brokertopicmetrics";
    assert_eq!(value(&text, &format!("{traffic}_messagesin_total{{topic=\"t\"}}")), 3.0);
    let bytes = value(&text, &format!("{traffic}_bytesin_total{{topic=\"t\"}}"));
    assert_eq!(value(&text, &format!("kafka_log_log_size{}", of("t"))), bytes);
    assert_eq!(value(&text, &format!("{traffic}_bytesout_total{{topic=\"t\"}}")), bytes);
    assert_eq!(value(&text, &format!("{traffic}_totalfetchrequests_total{{topic=\"t\"}}")), 1.0);
    assert_eq!(value(&text, "kafka_server_replicamanager_partitioncount"), 5.0);
    assert_eq!(value(&text, "tidelog_groups{state=\"Empty\"}"), 1.0);
    let quorum = |name: &str| value(&text, &format!("kafka_server_raftmetrics_{name}"));
    assert_eq!(quorum("current_state{current_state=\"leader\"}"), 1.0);
    assert_eq!((quorum("current_leader"), quorum("number_of_voters")), (0.0, 1.0));
    // A lone voter has committed what it has written: two topics with their partitions, at least.
    assert!(quorum("log_end_offset") > 7.0);
    assert_eq!(quorum("high_watermark"), quorum("log_end_offset"));
    assert_eq!(value(&text, "kafka_controller_kafkacontroller_activecontrollercount"), 1.0);
}

#[test]
fn the_level_decides_how_fine_series_are() {
    let scrape = |level: &str| {
        let broker = TestBroker::start(&[&format!("tidelog.metrics.partition.level={level}")]);
        make_busy(&broker);
        ask(&broker, "GET", "/metrics", "").1
    };
    let topic = scrape("topic");
    assert_eq!(value(&topic, "kafka_log_log_logendoffset{topic=\"t\"}"), 3.0);
    assert_eq!(value(&topic, "kafka_consumergroup_lag{consumergroup=\"g\",topic=\"t\"}"), 2.0);
    assert!(!topic.contains("partition=\""), "{topic}");
    let none = scrape("none");
    assert!(!none.contains("topic=\"") && !none.contains("consumergroup=\""), "{none}");
    let records = "kafka_server_brokertopicmetrics_messagesin_total";
    assert_eq!(value(&none, records), value(&topic, records));
}

#[test]
fn totals_outlive_their_topics() {
    let broker = TestBroker::start(&[]);
    make_busy(&broker);
    let records = || {
        let text = ask(&broker, "GET", "/metrics", "").1;
        value(&text, "kafka_server_brokertopicmetrics_messagesin_total")
    };
    let before = records();
    let topic_names = vec!["t".to_owned()];
    let request = DeleteTopicsRequest { topic_names, timeout_ms: 10_000, ..Default::default() };
    assert_eq!(broker.connect().call(5, &request).responses[0].error_code, 0);
    // Forgetting the group's offset is a record too.
    assert!(records() >= before && before > 3.0, "{before}");
}
