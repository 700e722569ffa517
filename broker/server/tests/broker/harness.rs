//! The broker under test and a client that says exactly what it is told.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tidelog_server as server;

use server::RunningServer;
use server::config::{Layers, load};
use wire::frame::{decode_response, encode_request};
use wire::ids::Uuid;
use wire::message::Request;
use wire::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use wire::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use wire::messages::produce_response::PartitionProduceResponse;
use wire::records::{BatchBuilder, BatchIter, BatchOptions};
use wire::records_slot::concat;

/// Nothing in these tests takes longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A broker with a directory of its own.
pub(crate) struct TestBroker {
    server: Option<RunningServer>,
    pub(crate) dir: PathBuf,
    set: Vec<String>,
}

impl TestBroker {
    pub(crate) fn start(set: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidelog-server-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&dir);
        let set = set.iter().map(|set| (*set).to_owned()).collect();
        let mut broker = Self { server: None, dir, set };
        broker.restart();
        broker
    }

    /// Stops it cleanly if it runs, and starts it on the same directory.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let dev = vec![
            ("log.dirs", self.dir.display().to_string()),
            ("listeners", "PLAINTEXT://127.0.0.1:0".to_owned()),
            ("tidelog.admin.port", "0".to_owned()),
            ("tidelog.admin.host", "127.0.0.1".to_owned()),
            ("offsets.topic.replication.factor", "1".to_owned()),
            ("offsets.topic.num.partitions", "3".to_owned()),
            ("group.initial.rebalance.delay.ms", "0".to_owned()),
        ];
        let layers = Layers { dev, set: self.set.clone(), ..Layers::default() };
        let loaded = load(&layers).expect("the configuration of the test");
        self.server = Some(server::start(loaded.settings.serve_config()).expect("a broker"));
    }

    pub(crate) fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().expect("a clean stop");
        }
    }

    fn running(&self) -> &RunningServer {
        self.server.as_ref().unwrap()
    }

    pub(crate) fn connect(&self) -> Client {
        self.connect_to(0)
    }

    /// Connects to one of several listeners.
    pub(crate) fn connect_to(&self, listener: usize) -> Client {
        let stream = TcpStream::connect(self.running().listeners()[listener].1).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, next: 1 }
    }

    pub(crate) fn admin_get(&self, path: &str) -> String {
        self.admin(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"))
    }

    pub(crate) fn admin_connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.running().admin().unwrap()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// Sends these bytes to the admin endpoint; whatever it says until it closes.
    pub(crate) fn admin(&self, request: &str) -> String {
        let mut stream = self.admin_connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    next: i32,
}

impl Client {
    /// Sends a request and returns its number.
    pub(crate) fn send<Q: Request>(&mut self, version: i16, request: &Q) -> i32 {
        let number = self.next;
        self.next += 1;
        let pieces = encode_request(number, Some("test"), version, request).unwrap();
        self.stream.write_all(&concat(pieces)).unwrap();
        number
    }

    /// The next frame, without its length; `None` when the broker has closed the connection.
    pub(crate) fn frame(&mut self) -> Option<Bytes> {
        let mut length = [0; 4];
        match self.stream.read_exact(&mut length) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset
                ) =>
            {
                return None;
            }
            Err(error) => panic!("no answer: {error}"),
        }
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        self.stream.read_exact(&mut frame).unwrap();
        Some(frame.into())
    }

    pub(crate) fn receive<Q: Request>(&mut self, version: i16, number: i32) -> Q::Response {
        let frame = self.frame().expect("an answer, not a closed connection");
        decode_response::<Q>(frame, version, number).unwrap()
    }

    pub(crate) fn call<Q: Request>(&mut self, version: i16, request: &Q) -> Q::Response {
        let number = self.send(version, request);
        self.receive::<Q>(version, number)
    }

    /// Makes a topic and returns its id.
    pub(crate) fn create_topic(&mut self, name: &str, partitions: i32) -> Uuid {
        let topic = CreatableTopic {
            name: name.to_owned(),
            num_partitions: partitions,
            replication_factor: 1,
            ..CreatableTopic::default()
        };
        let topics = vec![topic];
        let request =
            CreateTopicsRequest { topics, timeout_ms: 10_000, ..CreateTopicsRequest::default() };
        let response = self.call(7, &request);
        assert_eq!(response.topics[0].error_code, 0, "{:?}", response.topics[0]);
        response.topics[0].topic_id
    }

    /// Produces to a topic by name and returns what became of it.
    pub(crate) fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        records: Bytes,
    ) -> PartitionProduceResponse {
        let request = produce_request(topic, partition, -1, records);
        let response = self.call(9, &request);
        response.responses[0].partition_responses[0].clone()
    }
}

pub(crate) fn produce_request(
    topic: &str,
    partition: i32,
    acks: i16,
    records: Bytes,
) -> ProduceRequest {
    let partition_data = vec![PartitionProduceData { index: partition, records: Some(records) }];
    let data = TopicProduceData { name: topic.to_owned(), topic_id: Uuid::ZERO, partition_data };
    ProduceRequest { acks, timeout_ms: 10_000, topic_data: vec![data], transactional_id: None }
}

/// One batch with these values.
pub(crate) fn batch<V: AsRef<[u8]>>(values: &[V]) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_millis()).unwrap();
    for value in values {
        builder.append(now, None, Some(value.as_ref()), &[]);
    }
    builder.build().unwrap()
}

/// The offsets and values in fetched bytes, every batch checked.
pub(crate) fn values(records: Bytes) -> Vec<(i64, Vec<u8>)> {
    let mut found = Vec::new();
    for batch in BatchIter::new(records) {
        let batch = batch.unwrap();
        batch.verify_crc().unwrap();
        for record in batch.records(1 << 30).unwrap().iter() {
            let record = record.unwrap();
            found.push((record.offset, record.value.unwrap_or_default().to_vec()));
        }
    }
    found
}

pub(crate) fn metadata_request(topic: &str) -> MetadataRequest {
    let topic = MetadataRequestTopic { name: Some(topic.to_owned()), topic_id: Uuid::ZERO };
    MetadataRequest { topics: Some(vec![topic]), ..MetadataRequest::default() }
}
