//! Our client against our broker, in one process: topics, every codec and acks, offsets, a broker
//! that goes away in the middle, a group whose members come and go.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where something is not as expected"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::{
    Acks, Assignment, Client, ClientConfig, ConfigChange, ConfigResource, ConfigSource, Consumer,
    ConsumerConfig, Error, Member, MemberConfig, NewTopic, OffsetSpec, Producer, ProducerConfig,
    Record,
};
use server::RunningServer;
use server::config::{Layers, load};
use tokio::time::Instant;
use wire::ErrorCode;
use wire::compression::Codec;

const PATIENCE: Duration = Duration::from_secs(60);

/// A broker with a directory of its own.
struct Broker {
    running: Option<RunningServer>,
    dir: PathBuf,
    port: u16,
}

impl Broker {
    fn start(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("tidelog-{name}-{}", std::process::id()));
        let mut broker = Self { running: None, dir, port: 0 };
        broker.run(&[]);
        broker
    }

    /// Starts it; `more` has the last word.
    fn run(&mut self, more: &[&str]) {
        let mut set = vec![
            format!("log.dirs={}", self.dir.display()),
            format!("listeners=PLAINTEXT://127.0.0.1:{}", self.port),
            "tidelog.admin.port=-1".to_owned(),
            "offsets.topic.replication.factor=1".to_owned(),
            "offsets.topic.num.partitions=2".to_owned(),
            "group.initial.rebalance.delay.ms=0".to_owned(),
        ];
        set.extend(more.iter().map(|one| (*one).to_owned()));
        let loaded = load(&Layers { set, ..Layers::default() }).unwrap();
        let running = server::start(loaded.settings.serve_config()).unwrap();
        self.port = running.listeners()[0].1.port();
        self.running = Some(running);
    }

    fn stop(&mut self) {
        self.running.take().unwrap().stop().unwrap();
    }

    fn client(&self) -> Client {
        let bootstrap = format!("127.0.0.1:{}", self.port);
        Client::new(ClientConfig { bootstrap, timeout: PATIENCE, ..ClientConfig::default() })
            .unwrap()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.stop();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
}

fn record(topic: &str, key: Option<&str>, value: String) -> Record {
    Record {
        topic: topic.into(),
        key: key.map(|key| Bytes::copy_from_slice(key.as_bytes())),
        value: Some(value.into()),
        ..Record::default()
    }
}

/// The values of a partition from `from` on, until its end as it is now.
async fn read(client: &Client, topic: &str, partition: i32, from: i64) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    let latest = OffsetSpec::Latest;
    let end = client.list_offsets(topic, &[partition], latest, deadline).await.unwrap();
    let end = end[&partition].unwrap();
    let mut consumer = Consumer::new(client, ConsumerConfig::default());
    consumer.assign([Assignment { topic: topic.into(), partition, offset: from }]);
    let mut values = Vec::new();
    while consumer.positions().any(|(_, _, offset)| offset < end) {
        assert!(Instant::now() < deadline, "no end of {topic}");
        for fetched in consumer.poll(deadline).await.unwrap() {
            for batch in &fetched.batches {
                for one in batch.records() {
                    let one = one.unwrap();
                    assert_eq!(one.offset, from + i64::try_from(values.len()).unwrap());
                    values.push(String::from_utf8(one.value.unwrap().to_vec()).unwrap());
                }
            }
        }
    }
    values
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("value {number}")).collect()
}

/// One of three, and the others are not there.
#[test]
fn a_command_ends_in_its_time_where_no_cluster_has_formed() {
    let dir = std::env::temp_dir().join(format!("tidelog-unformed-{}", std::process::id()));
    let mut broker = Broker { running: None, dir, port: 0 };
    broker.run(&[
        "node.id=1",
        "listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0",
        "controller.listener.names=CONTROLLER",
        "controller.quorum.voters=1@127.0.0.1:1,2@127.0.0.1:2,3@127.0.0.1:3",
    ]);
    let timeout = Duration::from_secs(2);
    let asked = |port: u16| {
        let config =
            ClientConfig { bootstrap: format!("127.0.0.1:{port}"), timeout, ..Default::default() };
        let client = Client::new(config).unwrap();
        let began = Instant::now();
        let error = block_on(client.describe_quorum()).unwrap_err().to_string();
        assert!(began.elapsed() < 2 * timeout, "{:?}", began.elapsed());
        assert!(error.starts_with("the metadata quorum: no success within 2s"), "{error}");
        error
    };
    let error = asked(broker.port);
    assert!(error.contains("answers nothing") && error.contains("/readyz"), "{error}");
    let controller = broker.running.as_ref().unwrap().listeners();
    let controller = controller.iter().find(|(name, _)| name == "CONTROLLER").unwrap();
    let error = asked(controller.1.port());
    assert!(error.contains("knows nobody who does"), "{error}");
    assert!(error.contains("the voters 1, 2, 3 must be up"), "{error}");
}

#[test]
fn topics_are_made_shown_and_deleted() {
    let broker = Broker::start("topics");
    let client = broker.client();
    block_on(async {
        let configs = BTreeMap::from([("retention.ms".to_owned(), "12345".to_owned())]);
        let topic =
            NewTopic { name: "a".into(), partitions: Some(3), configs, ..NewTopic::default() };
        client.create_topic(&topic).await.unwrap();
        let again = client.create_topic(&topic).await.unwrap_err();
        assert_eq!(again.code(), Some(ErrorCode::TopicAlreadyExists));
        let wrong = NewTopic { name: "b c".into(), ..NewTopic::default() };
        let wrong = client.create_topic(&wrong).await.unwrap_err();
        assert_eq!(wrong.code(), Some(ErrorCode::InvalidTopicException));
        let shown = client.describe_topic("a").await.unwrap();
        assert_eq!(shown.partitions.len(), 3);
        assert_eq!(client.list_topics().await.unwrap().len(), 1);
        client.delete_topic("a").await.unwrap();
        assert!(client.list_topics().await.unwrap().is_empty());
        assert!(matches!(client.delete_topic("a").await, Err(Error::NoTopic { .. })));
        assert!(matches!(client.describe_topic("a").await, Err(Error::NoTopic { .. })));
    });
}

#[test]
fn topics_grow_are_configured_and_lose_their_oldest_records() {
    let broker = Broker::start("admin");
    let client = broker.client();
    block_on(async {
        let topic = NewTopic { name: "t".into(), partitions: Some(1), ..NewTopic::default() };
        assert_eq!(client.validate_topic(&topic).await.unwrap().partitions, Some(1));
        assert!(client.list_topics().await.unwrap().is_empty());
        client.create_topic(&topic).await.unwrap();
        client.grow_topic("t", 3, true).await.unwrap();
        assert_eq!(client.describe_topic("t").await.unwrap().partitions.len(), 1);
        client.grow_topic("t", 3, false).await.unwrap();
        assert_eq!(client.describe_topic("t").await.unwrap().partitions.len(), 3);
        let fewer = client.grow_topic("t", 2, false).await.unwrap_err();
        assert_eq!(fewer.code(), Some(ErrorCode::InvalidPartitions));
        assert!(matches!(client.grow_topic("u", 2, false).await, Err(Error::NoTopic { .. })));

        let resource = ConfigResource::Topic("t".into());
        let set = ConfigChange::Set("retention.ms".into(), "777".into());
        client.alter_configs(&resource, std::slice::from_ref(&set), true).await.unwrap();
        assert_eq!(client.describe_topic("t").await.unwrap().configs, []);
        client.alter_configs(&resource, &[set], false).await.unwrap();
        let own = client.describe_topic("t").await.unwrap().configs;
        assert_eq!((own.len(), own[0].value.as_deref()), (1, Some("777")));
        let unset = ConfigChange::Unset("retention.ms".into());
        client.alter_configs(&resource, &[unset], false).await.unwrap();
        let keys = Some(vec!["retention.ms".to_owned()]);
        let all = client.describe_configs(&resource, keys).await.unwrap();
        assert_eq!((all.len(), all[0].source), (1, ConfigSource::Default));

        let producer = Producer::open(&client, ProducerConfig::default()).await.unwrap();
        for value in numbers(0..10) {
            let record = Record { partition: Some(2), ..record("t", None, value) };
            drop(producer.send(record).await.unwrap());
        }
        producer.flush().await.unwrap();
        let left = client.delete_records("t", &BTreeMap::from([(0, -1), (2, 4)])).await.unwrap();
        assert_eq!(left, BTreeMap::from([(0, 0), (2, 4)]));
        assert_eq!(read(&client, "t", 2, 4).await, numbers(4..10));
        let beyond = client.delete_records("t", &BTreeMap::from([(2, 11)])).await.unwrap_err();
        assert_eq!(beyond.code(), Some(ErrorCode::OffsetOutOfRange));
    });
}

#[test]
fn a_groups_offsets_are_laid_down_moved_and_deleted_from_outside() {
    let broker = Broker::start("groups");
    let client = broker.client();
    block_on(async {
        let topic = NewTopic { name: "t".into(), partitions: Some(2), ..NewTopic::default() };
        client.create_topic(&topic).await.unwrap();
        assert!(matches!(client.describe_group("g").await, Err(Error::NoGroup { .. })));
        assert!(matches!(client.delete_group("g").await, Err(Error::NoGroup { .. })));
        let place = |partition| (Arc::<str>::from("t"), partition);
        let offsets = BTreeMap::from([(place(0), 5), (place(1), 7)]);
        client.set_group_offsets("g", &offsets).await.unwrap();
        let described = client.describe_group("g").await.unwrap();
        assert_eq!((described.state.as_str(), described.members.len()), ("Empty", 0));
        assert_eq!(client.list_groups().await.unwrap().len(), 1);
        let committed = client.group_offsets("g", None).await.unwrap();
        let committed: BTreeMap<_, _> =
            committed.into_iter().map(|(place, one)| (place, one.offset)).collect();
        assert_eq!(committed, offsets);
        let some = BTreeMap::from([("t".to_owned(), vec![0])]);
        client.delete_group_offsets("g", &some).await.unwrap();
        let left = client.group_offsets("g", None).await.unwrap();
        assert_eq!(left.keys().cloned().collect::<Vec<_>>(), [place(1)]);
        client.delete_group("g").await.unwrap();
        assert!(client.group_offsets("g", None).await.unwrap().is_empty());
    });
}

#[test]
fn every_codec_and_acks_arrives_in_order() {
    let broker = Broker::start("codecs");
    let client = broker.client();
    block_on(async {
        for acks in [Acks::None, Acks::Leader, Acks::All] {
            for codec in Codec::ALL {
                let topic = format!("t-{}-{acks:?}", codec.name());
                let config =
                    ProducerConfig { acks, codec, batch_bytes: 4_000, ..Default::default() };
                let producer = Producer::open(&client, config).await.unwrap();
                for value in numbers(0..1_000) {
                    drop(producer.send(record(&topic, None, value)).await.unwrap());
                }
                producer.flush().await.unwrap();
                assert_eq!(producer.delivered(), 1_000);
                assert_eq!(read(&client, &topic, 0, 0).await, numbers(0..1_000), "{topic}");
                assert_eq!(read(&client, &topic, 0, 990).await, numbers(990..1_000), "{topic}");
            }
        }
    });
}

#[test]
fn records_are_told_where_they_are_and_found_by_time() {
    let broker = Broker::start("offsets");
    let client = broker.client();
    block_on(async {
        let topic = NewTopic { name: "t".into(), partitions: Some(4), ..NewTopic::default() };
        client.create_topic(&topic).await.unwrap();
        let producer = Producer::open(&client, ProducerConfig::default()).await.unwrap();
        let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
        for number in 0..5 {
            let record =
                Record { timestamp: Some(now + number), ..record("t", Some("key-1"), "v".into()) };
            let told = producer.send(record).await.unwrap();
            producer.flush().await.unwrap();
            let told = told.wait().await.unwrap();
            // Kafka's own hash puts key-1 there.
            assert_eq!(
                (told.partition, told.offset),
                (client::murmur2(b"key-1") & 3, Some(number))
            );
        }
        let partition = client::murmur2(b"key-1") & 3;
        let deadline = Instant::now() + PATIENCE;
        let ask = async |spec| {
            client.list_offsets("t", &[partition], spec, deadline).await.unwrap()[&partition]
        };
        assert_eq!(ask(OffsetSpec::Earliest).await, Some(0));
        assert_eq!(ask(OffsetSpec::Latest).await, Some(5));
        assert_eq!(ask(OffsetSpec::At(now + 3)).await, Some(3));
        assert_eq!(ask(OffsetSpec::At(now + 9)).await, None);
        let none = Record { partition: Some(9), ..record("t", None, "v".into()) };
        assert!(matches!(producer.send(none).await, Err(Error::NoPartition { count: 4, .. })));
    });
}

#[test]
fn a_broker_that_goes_away_and_comes_back_leaves_no_gap_and_no_double() {
    let mut broker = Broker::start("restart");
    let client = broker.client();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let producer = runtime.block_on(async {
        let config = ProducerConfig { batch_bytes: 500, ..ProducerConfig::default() };
        Arc::new(Producer::open(&client, config).await.unwrap())
    });
    let sending = {
        let producer = Arc::clone(&producer);
        runtime.spawn(async move {
            for value in numbers(0..30_000) {
                drop(producer.send(record("t", None, value)).await.unwrap());
            }
            producer.flush().await
        })
    };
    let deadline = Instant::now() + PATIENCE;
    for delivered in [3_000, 12_000] {
        while producer.delivered() < delivered {
            assert!(Instant::now() < deadline, "nothing is delivered");
            std::thread::yield_now();
        }
        broker.stop();
        broker.run(&[]);
    }
    runtime.block_on(sending).unwrap().unwrap();
    let values = runtime.block_on(read(&client, "t", 0, 0));
    assert_eq!(values, numbers(0..30_000));
}

#[test]
fn members_share_a_topic_and_go_on_where_the_group_was() {
    let broker = Broker::start("group");
    let client = broker.client();
    block_on(async {
        let topic = NewTopic { name: "t".into(), partitions: Some(4), ..NewTopic::default() };
        client.create_topic(&topic).await.unwrap();
        let config = MemberConfig {
            group: "g".into(),
            topics: vec!["t".into()],
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: Duration::from_secs(10),
        };
        let mut first = Member::new(&client, config.clone());
        let all = first.join().await.unwrap();
        assert_eq!(all.partitions["t"], [0, 1, 2, 3]);
        assert!(first.committed(&all.partitions).await.unwrap().is_empty());
        let offsets = BTreeMap::from([((Arc::from("t"), 2), 17)]);
        first.commit(&offsets).await.unwrap();

        let mut second = Member::new(&client, config.clone());
        let (second, share) = {
            let joining = tokio::spawn(async move {
                let share = second.join().await.unwrap();
                (second, share)
            });
            let deadline = Instant::now() + PATIENCE;
            while first.heartbeat().await.unwrap() {
                assert!(Instant::now() < deadline, "the group does not gather anew");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let rest = first.join().await.unwrap();
            let (second, share) = joining.await.unwrap();
            let both: BTreeSet<i32> =
                rest.partitions["t"].iter().chain(&share.partitions["t"]).copied().collect();
            assert_eq!(both, BTreeSet::from([0, 1, 2, 3]));
            assert_eq!(rest.partitions["t"].len(), 2);
            assert_eq!(rest.generation, share.generation);
            (second, share)
        };
        assert_eq!(share.partitions["t"].len(), 2);
        drop(second);
        first.leave().await.unwrap();

        let mut third = Member::new(&client, MemberConfig { group: "g".into(), ..config });
        let committed = third.committed(&all.partitions).await.unwrap();
        assert_eq!(committed, offsets);
        third.leave().await.unwrap();
    });
}

#[test]
fn without_a_coordinator_a_member_gives_up_in_the_time_asked_for() {
    let mut broker = Broker::start("no-coordinator");
    broker.stop();
    // Groups would need more brokers than there are, so none keeps them.
    broker.run(&["offsets.topic.replication.factor=3"]);
    block_on(async {
        let timeout = Duration::from_millis(1_500);
        let client = Client::new(ClientConfig {
            bootstrap: format!("127.0.0.1:{}", broker.port),
            timeout,
            ..ClientConfig::default()
        });
        let config = MemberConfig {
            group: "nobody".into(),
            topics: vec!["t".into()],
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: Duration::from_secs(60),
        };
        let mut member = Member::new(&client.unwrap(), config);
        let started = Instant::now();
        let error = member.join().await.unwrap_err().to_string();
        assert!(started.elapsed() < timeout * 4, "took {:?}", started.elapsed());
        assert!(error.contains("no success within 1.5s"), "{error}");
        assert!(error.contains("COORDINATOR_NOT_AVAILABLE"), "{error}");
    });
}
