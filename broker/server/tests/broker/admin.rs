//! The admin endpoint, and its bounds.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{DEADLINE, TestBroker};

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
