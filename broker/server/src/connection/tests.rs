//! Tests of the connection on real sockets, with a handler of their own.
//!
//! A frame is one letter and an argument: `e` echoes, `p<n>` parks until the test releases slot n,
//! `s<n>` the same but serial, `f` answers with a file, `m` in many
//! pieces, `x` closes, `!` panics.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use storage::disk::{Access, Disk, os::OsDisk};
use tokio::sync::{oneshot, watch};

use super::{Chunk, Close, FrameHandler, Outcome, Peer, Response};
use crate::metrics::{Metrics, Text};
use crate::serve_config::{ListenerConfig, SocketConfig};
use crate::sockets::{BoundSockets, Serving, ServingSockets};

const DEADLINE: Duration = Duration::from_secs(10);
const FILE_BYTES: usize = 3 * 1024 * 1024 + 17;

#[derive(Default)]
struct Script {
    parked: Mutex<Vec<(u8, oneshot::Sender<()>)>>,
    begun: Mutex<Vec<Vec<u8>>>,
    file: Mutex<Option<Arc<dyn storage::disk::DiskFile>>>,
}

fn framed(body: &[u8]) -> Response {
    let mut bytes = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    vec![Chunk::Bytes(Bytes::from(bytes))]
}

impl FrameHandler for Script {
    fn handle(&self, _peer: &Peer, frame: Bytes) -> Outcome {
        self.begun.lock().unwrap().push(frame.to_vec());
        match frame.first().copied() {
            Some(b'e') => Outcome::Reply(framed(&frame)),
            Some(b'n') => Outcome::Reply(Vec::new()),
            Some(kind @ (b'p' | b's')) => {
                let (release, released) = oneshot::channel();
                self.parked.lock().unwrap().push((frame[1], release));
                let parked = Box::pin(async move {
                    released.await.map_err(|_| Close::Internal("gone".to_owned()))?;
                    Ok(framed(&frame))
                });
                if kind == b's' { Outcome::Serial(parked) } else { Outcome::Later(parked) }
            }
            Some(b'f') => {
                let file = self.file.lock().unwrap().clone().unwrap();
                let len = FILE_BYTES as u64;
                let announced = u32::try_from(2 * FILE_BYTES + 2).unwrap();
                Outcome::Reply(vec![
                    Chunk::Bytes(Bytes::copy_from_slice(&announced.to_be_bytes())),
                    Chunk::File { file: Arc::clone(&file), position: 0, len },
                    Chunk::Bytes(Bytes::from_static(b"ab")),
                    // A small range first, then a large one.
                    Chunk::File { file: Arc::clone(&file), position: 0, len: 1000 },
                    Chunk::File { file, position: 1000, len: len - 1000 },
                ])
            }
            Some(b'm') => {
                let mut response = framed(&[b'm'; 200]);
                let Some(Chunk::Bytes(bytes)) = response.pop() else { panic!("one piece") };
                Outcome::Reply((0..204).map(|at| Chunk::Bytes(bytes.slice(at..=at))).collect())
            }
            Some(b'!') => panic!("the handler fails on purpose"),
            _ => Outcome::Close(Close::BadRequest("not a script".to_owned())),
        }
    }
}

struct Bench {
    data: tokio::runtime::Runtime,
    sockets: Option<ServingSockets>,
    address: std::net::SocketAddr,
    script: Arc<Script>,
    metrics: Arc<Metrics>,
}

impl Bench {
    fn start(config: SocketConfig) -> Self {
        let data = crate::runtime::data(2).unwrap();
        let listener = ListenerConfig {
            name: "PLAINTEXT".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 0,
            advertised_host: String::new(),
            advertised_port: 0,
        };
        let bound = BoundSockets::bind(&data, &[listener], &config).unwrap();
        let address = bound.addresses()[0];
        let script = Arc::new(Script::default());
        let metrics = Arc::new(Metrics::new(&["PLAINTEXT".to_owned()]).unwrap());
        let handler = Arc::clone(&script);
        let serving = Serving {
            sockets: &config,
            drain_timeout: Duration::from_secs(5),
            metrics: Arc::clone(&metrics),
            open: watch::channel(true).1,
        };
        let (sockets, ()) = bound.serve(&data, serving, |_, _| (handler, ()));
        Self { data, sockets: Some(sockets), address, script, metrics }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    fn release(&self, slot: u8) {
        until("the request is parked", || {
            let mut parked = self.script.parked.lock().unwrap();
            let Some(at) = parked.iter().position(|(name, _)| *name == slot) else { return false };
            let _ = parked.remove(at).1.send(());
            true
        });
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        std::thread::yield_now();
    }
}

fn send(stream: &mut TcpStream, bodies: &[&[u8]]) {
    let mut bytes = Vec::new();
    for body in bodies {
        bytes.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(body);
    }
    stream.write_all(&bytes).unwrap();
}

fn receive(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut body).unwrap();
    body
}

/// The connection is closed by the broker, by FIN or by RST.
fn assert_closed(stream: &mut TcpStream) {
    match stream.read(&mut [0; 16]) {
        Ok(0) => {}
        Ok(count) => panic!("{count} bytes instead of a closed connection"),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
}

#[test]
fn answers_leave_in_the_order_of_the_requests() {
    let bench = Bench::start(SocketConfig::default());
    let mut client = bench.connect();
    send(&mut client, &[b"e1", b"pA", b"e2", b"pB", b"n", b"e3"]);
    assert_eq!(receive(&mut client), b"e1");
    // All have begun although the second is not answered.
    until("all requests begin", || bench.script.begun.lock().unwrap().len() == 6);
    bench.release(b'B');
    bench.release(b'A');
    for expected in [&b"pA"[..], b"e2", b"pB", b"e3"] {
        assert_eq!(receive(&mut client), expected);
    }
}

#[test]
fn a_serial_request_holds_the_next_one_back() {
    let bench = Bench::start(SocketConfig::default());
    let mut client = bench.connect();
    send(&mut client, &[b"sA", b"e1"]);
    until("the first begins", || bench.script.begun.lock().unwrap().len() == 1);
    // Another connection's whole round trip gives the broker time to do it wrong.
    let mut other = bench.connect();
    send(&mut other, &[b"e"]);
    receive(&mut other);
    assert_eq!(bench.script.begun.lock().unwrap().len(), 2);
    bench.release(b'A');
    assert_eq!(receive(&mut client), b"sA");
    assert_eq!(receive(&mut client), b"e1");
}

#[test]
fn requests_in_flight_are_bounded() {
    let bench = Bench::start(SocketConfig { in_flight_max: 2, ..SocketConfig::default() });
    let mut client = bench.connect();
    send(&mut client, &[b"pA", b"pB", b"e1"]);
    until("two begin", || bench.script.parked.lock().unwrap().len() == 2);
    let mut other = bench.connect();
    send(&mut other, &[b"e"]);
    receive(&mut other);
    assert_eq!(bench.script.begun.lock().unwrap().len(), 3, "the third began");
    bench.release(b'A');
    bench.release(b'B');
    for expected in [&b"pA"[..], b"pB", b"e1"] {
        assert_eq!(receive(&mut client), expected);
    }
}

#[test]
fn a_pause_ends_with_what_caused_it() {
    let bench = Bench::start(SocketConfig::default());
    let mut client = bench.connect();
    let began = Instant::now();
    // Each answer has so many pieces that the next request waits until they are sent.
    send(&mut client, &[&b"m"[..]; 6]);
    for _ in 0..6 {
        assert_eq!(receive(&mut client), [b'm'; 200]);
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn files_are_sent_whole() {
    let bench = Bench::start(SocketConfig::default());
    let name = format!("tidelog-server-{}-files", std::process::id());
    let path = std::env::temp_dir().join(name);
    let content: Vec<u8> = (0..FILE_BYTES).map(|at| (at % 251) as u8).collect();
    std::fs::write(&path, &content).unwrap();
    // Out of the page cache, where the file system has one: it is read in on the way.
    let plain = std::fs::File::open(&path).unwrap();
    plain.sync_all().unwrap();
    rustix::fs::fadvise(&plain, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let file = OsDisk.open(Path::new(&path), Access::Read).unwrap();
    std::fs::remove_file(&path).unwrap();
    *bench.script.file.lock().unwrap() = Some(file);
    let mut client = bench.connect();
    send(&mut client, &[b"f", b"e1", b"f"]);
    let mut expected = content.clone();
    expected.extend_from_slice(b"ab");
    expected.extend_from_slice(&content);
    assert!(receive(&mut client) == expected);
    assert_eq!(receive(&mut client), b"e1");
    assert!(receive(&mut client) == expected);
}

#[test]
fn bad_lengths_close_the_connection_and_no_other() {
    let bench = Bench::start(SocketConfig { request_bytes_max: 1000, ..SocketConfig::default() });
    let mut good = bench.connect();
    for bytes in [&[0xff; 4][..], &[0x80, 0, 0, 0], &[0, 0, 3, 0xe9], &[0, 0, 0, 0]] {
        let mut client = bench.connect();
        // What came before the bad frame is answered.
        send(&mut client, &[b"e1"]);
        client.write_all(bytes).unwrap();
        assert_eq!(receive(&mut client), b"e1");
        assert_closed(&mut client);
    }
    send(&mut good, &[b"e2"]);
    assert_eq!(receive(&mut good), b"e2");
}

#[test]
fn a_panic_closes_one_connection() {
    let bench = Bench::start(SocketConfig::default());
    let (mut good, mut bad) = (bench.connect(), bench.connect());
    send(&mut bad, &[b"!"]);
    assert_closed(&mut bad);
    send(&mut good, &[b"e"]);
    assert_eq!(receive(&mut good), b"e");
    until("the place is free", || open_connections(&bench) == 1);
}

fn open_connections(bench: &Bench) -> u64 {
    let name = "kafka_server_socket_server_metrics_connection_count{";
    let mut text = Text::default();
    bench.metrics.write(&mut text);
    let text = text.finish();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn half_a_frame_is_waited_for_but_not_for_ever() {
    let config =
        SocketConfig { slow_read_max: Duration::from_millis(300), ..SocketConfig::default() };
    let bench = Bench::start(config);
    let mut client = bench.connect();
    for byte in [0u8, 0, 0, 2, b'e'] {
        client.write_all(&[byte]).unwrap();
    }
    client.write_all(b"1").unwrap();
    assert_eq!(receive(&mut client), b"e1");
    client.write_all(&[0, 0, 0, 2, b'e']).unwrap();
    assert_closed(&mut client);
}

#[test]
fn idle_connections_are_closed() {
    let config = SocketConfig { idle_max: Duration::from_millis(200), ..SocketConfig::default() };
    let bench = Bench::start(config);
    let mut client = bench.connect();
    assert_closed(&mut client);
    // A request that waits for its answer is not idle.
    let mut client = bench.connect();
    send(&mut client, &[b"pA"]);
    let mut idle = bench.connect();
    assert_closed(&mut idle);
    bench.release(b'A');
    assert_eq!(receive(&mut client), b"pA");
}

#[test]
fn a_peer_that_does_not_read_is_cut_off() {
    let config =
        SocketConfig { slow_write_max: Duration::from_millis(300), ..SocketConfig::default() };
    let bench = Bench::start(config);
    let mut client = bench.connect();
    let body = [b'e'; 64 * 1024];
    client.set_write_timeout(Some(DEADLINE)).unwrap();
    let mut failed = false;
    for _ in 0..1000 {
        let mut bytes = (body.len() as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(&body);
        if client.write_all(&bytes).is_err() {
            failed = true;
            break;
        }
    }
    assert!(failed, "64 MiB of requests were taken without one answer being read");
    until("the place is free", || open_connections(&bench) == 0);
}

#[test]
fn connections_per_address_are_bounded() {
    let config = SocketConfig { connections_per_ip_max: 2, ..SocketConfig::default() };
    let bench = Bench::start(config);
    let (mut first, mut second) = (bench.connect(), bench.connect());
    for client in [&mut first, &mut second] {
        send(client, &[b"e"]);
        receive(client);
    }
    assert_closed(&mut bench.connect());
    drop(first);
    until("a place is free", || open_connections(&bench) == 1);
    let mut third = bench.connect();
    send(&mut third, &[b"e"]);
    assert_eq!(receive(&mut third), b"e");
}

#[test]
fn connections_in_total_are_bounded() {
    let bench = Bench::start(SocketConfig { connections_max: 1, ..SocketConfig::default() });
    let mut first = bench.connect();
    send(&mut first, &[b"e"]);
    receive(&mut first);
    // The system completes the handshake; the broker accepts when the first has gone.
    let mut second = bench.connect();
    send(&mut second, &[b"e"]);
    second.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(second.read(&mut [0; 1]).is_err());
    drop(first);
    second.set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(receive(&mut second), b"e");
}

#[test]
fn draining_finishes_what_is_in_flight() {
    let mut bench = Bench::start(SocketConfig::default());
    let mut client = bench.connect();
    send(&mut client, &[b"pA"]);
    until("it is parked", || bench.script.parked.lock().unwrap().len() == 1);
    let mut idle = bench.connect();
    send(&mut idle, &[b"e"]);
    receive(&mut idle);
    let sockets = bench.sockets.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| sockets.drain(&bench.data));
        assert_closed(&mut idle);
        bench.release(b'A');
        assert_eq!(receive(&mut client), b"pA");
        assert_closed(&mut client);
    });
    assert!(TcpStream::connect(bench.address).is_err());
}

#[test]
fn requests_sent_before_the_peer_closed_its_side_begin() {
    let bench = Bench::start(SocketConfig::default());
    let mut client = bench.connect();
    send(&mut client, &[b"n1", b"n2", b"e3"]);
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive(&mut client), b"e3");
    assert_closed(&mut client);
    assert_eq!(bench.script.begun.lock().unwrap().len(), 3);
}

#[test]
fn memory_for_requests_is_bounded_and_nobody_starves() {
    let config =
        SocketConfig { request_memory_bytes: Some(1024 * 1024), ..SocketConfig::default() };
    let bench = Bench::start(config);
    let body = vec![b'n'; 3 * 1024 * 1024];
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = bench.connect();
                for _ in 0..3 {
                    send(&mut client, &[&body, b"e"]);
                    assert_eq!(receive(&mut client), b"e");
                }
            });
        }
    });
}
