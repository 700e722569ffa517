//! Bytes that no client sends: the connection closes or an error comes, nothing else happens.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use wire::frame::encode_request;
use wire::message::Request;
use wire::messages::fetch_request::FetchRequest;
use wire::messages::join_group_request::JoinGroupRequest;
use wire::records_slot::concat;

use crate::harness::{Client, DEADLINE, TestBroker, batch, metadata_request, produce_request};

/// The broker still serves, quickly.
fn assert_serves(broker: &TestBroker) {
    let began = Instant::now();
    let mut client = broker.connect();
    assert_eq!(client.call(9, &metadata_request("alive")).topics[0].error_code, 0);
    assert_eq!(client.produce("alive", 0, batch(&["x"])).error_code, 0);
    assert!(began.elapsed() < DEADLINE / 2, "{:?}", began.elapsed());
}

fn send_and_wait_for_the_end(mut client: Client, bytes: &[u8]) {
    // The broker may close before all is sent.
    let _ = client.stream.write_all(bytes);
    let _ = client.stream.shutdown(std::net::Shutdown::Write);
    let _ = client.stream.read_to_end(&mut Vec::new());
}

#[test]
fn frames_of_no_kind_close_the_connection() {
    let broker = TestBroker::start(&[]);
    let frames: &[&[u8]] = &[
        &[0, 0, 0, 0],
        &[255, 255, 255, 255],
        &[127, 255, 255, 255],
        &[0, 0, 0, 1, 0],
        // Unknown key, removed key, unknown version, header that ends too soon.
        &[0, 0, 0, 10, 3, 231, 0, 0, 0, 0, 0, 1, 255, 255],
        &[0, 0, 0, 10, 0, 4, 0, 0, 0, 0, 0, 1, 255, 255],
        &[0, 0, 0, 10, 0, 3, 0, 99, 0, 0, 0, 1, 255, 255],
        &[0, 0, 0, 8, 0, 3, 0, 1, 0, 0, 0, 1],
        // The eight bytes that make others allocate gigabytes: Metadata with 2^31-1 topics.
        &[0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 255, 255, 127, 255, 255, 255],
        b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
        &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3],
    ];
    for frame in frames {
        let mut client = broker.connect();
        let _ = client.stream.write_all(frame);
        if frame.starts_with(&[22]) {
            // A TLS handshake announces 369 MB, more than a request may have.
            assert!(client.frame().is_none());
            continue;
        }
        assert!(client.frame().is_none(), "{frame:?} was answered");
    }
    assert_serves(&broker);
}

#[test]
fn announced_bytes_that_never_come_cost_nothing() {
    let broker = TestBroker::start(&[]);
    assert_serves(&broker);
    let before = resident_bytes();
    let mut silent = Vec::new();
    for _ in 0..300 {
        let mut client = broker.connect();
        client.stream.write_all(&(100i32 << 20).to_be_bytes()).unwrap();
        client.stream.write_all(&[0; 1000]).unwrap();
        silent.push(client);
    }
    assert_serves(&broker);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "300 silent connections took {} MiB", grown >> 20);
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// A small generator, so that a failure can be run again from its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

fn encoded<Q: Request>(version: i16, request: &Q) -> Vec<u8> {
    concat(encode_request(1, Some("hostile"), version, request).unwrap()).to_vec()
}

/// Good requests, to be bent.
fn good_frames() -> Vec<Vec<u8>> {
    vec![
        encoded(9, &produce_request("alive", 0, -1, batch(&["one", "two"]))),
        encoded(3, &produce_request("alive", 0, 1, batch(&["three"]))),
        encoded(12, &metadata_request("alive")),
        encoded(1, &metadata_request("alive")),
        encoded(12, &FetchRequest::default()),
        encoded(4, &FetchRequest::default()),
        encoded(9, &JoinGroupRequest { group_id: "g".to_owned(), ..Default::default() }),
    ]
}

#[test]
fn bent_and_random_frames_harm_nobody() {
    let seed = std::env::var("TIDELOG_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::try_from(now.as_nanos() & u128::from(u64::MAX)).unwrap() | 1
    });
    println!("TIDELOG_TEST_SEED={seed}");
    let mut random = Random(seed);
    let broker = TestBroker::start(&[]);
    assert_serves(&broker);
    let before = resident_bytes();
    let good = good_frames();
    let until = Instant::now() + Duration::from_secs(3);
    let mut rounds = 0;
    while Instant::now() < until {
        rounds += 1;
        let frame = match random.below(3) {
            0 => {
                let count = random.below(200);
                let body = random.bytes(count);
                let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
                frame.extend(body);
                frame
            }
            1 => {
                // A known key and version, then noise.
                let key = u8::try_from(random.below(95)).unwrap();
                let version = u8::try_from(random.below(14)).unwrap();
                let mut body = vec![0, key, 0, version, 0, 0, 0, 1, 255, 255];
                let count = random.below(120);
                body.extend(random.bytes(count));
                let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
                frame.extend(body);
                frame
            }
            _ => {
                let mut frame = good[random.below(good.len())].clone();
                for _ in 0..=random.below(4) {
                    let at = 4 + random.below(frame.len() - 4);
                    frame[at] = random.next().to_le_bytes()[0];
                }
                frame
            }
        };
        send_and_wait_for_the_end(broker.connect(), &frame);
    }
    assert_serves(&broker);
    let grown = resident_bytes().saturating_sub(before);
    println!("{rounds} frames, {} MiB grown", grown >> 20);
    assert!(rounds > 20, "only {rounds} frames in three seconds");
    assert!(grown < 128 << 20, "{} MiB grown over {rounds} frames", grown >> 20);
}
