//! What the control plane decides, request by request.

use wire::ids::{BrokerId, PartitionIndex, ProducerId, Uuid};
use wire::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use wire::messages::create_topics_response::CreatableTopicResult;
use wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};

use wire::messages::partition_change_record::PartitionChangeRecord;

use super::brokers::{Registration, register_broker, unfence_broker};
use super::features::bootstrap;
use super::producer_ids::allocate_producer_ids;
use super::topics::{auto_create, create_topics, delete_topics};
use super::*;

mod brokers;
mod configs;
mod features;
mod partitions;

/// A control plane with an image of its own.
struct Harness {
    image: Image,
    settings: Settings,
    random: u128,
    runs: u8,
}

impl Harness {
    /// With these brokers, all serving, in racks a, b, a, b...
    fn with_brokers(ids: &[i32]) -> Self {
        let defaults = topic_config::Defaults::from_broker(|_| None).unwrap();
        let image = Image::default();
        let image = image.apply(&bootstrap(&image, "cluster")).unwrap().0;
        let mut harness = Self { image, settings: Settings::new(defaults), random: 0, runs: 0 };
        for id in ids {
            harness.register(*id);
            harness.unfence(*id);
        }
        harness
    }

    /// Registers a new run of the broker.
    fn register(&mut self, id: i32) -> i64 {
        self.runs += 1;
        let registration = Registration {
            id: BrokerId(id),
            incarnation: Uuid([self.runs; 16]),
            cluster_id: Some("cluster".to_owned()),
            endpoints: Vec::new(),
            rack: Some(if id % 2 == 0 { "b" } else { "a" }.to_owned()),
            log_dirs: vec![Uuid([100 + id as u8; 16])],
            features: Registration::own_features(),
            previous_epoch: -1,
        };
        let decision = register_broker(&self.image, &registration, 10 + i64::from(id), false);
        self.apply(&decision.records);
        decision.response.unwrap()
    }

    fn unfence(&mut self, id: i32) -> usize {
        let epoch = self.image.brokers.get(BrokerId(id)).unwrap().epoch;
        let decision = unfence_broker(&self.image, BrokerId(id), epoch);
        decision.response.unwrap();
        self.apply(&decision.records);
        decision.records.len()
    }

    fn apply(&mut self, records: &[MetadataRecord]) {
        self.image = self.image.apply(records).unwrap().0;
    }

    fn decide<T>(&mut self, decide: impl FnOnce(&mut Context<'_>) -> T) -> T {
        let random = &mut self.random;
        let mut next = || {
            *random += 0x1234_5678_9abc_def1_1234_5678_9abc_def1;
            *random
        };
        let (image, settings) = (&self.image, &self.settings);
        decide(&mut Context { image, settings, random: &mut next })
    }

    fn create(&mut self, request: &CreateTopicsRequest) -> Vec<CreatableTopicResult> {
        let decision = self.decide(|ctx| create_topics(ctx, request));
        self.apply(&decision.records);
        decision.response.topics
    }

    fn create_one(&mut self, topic: CreatableTopic) -> CreatableTopicResult {
        self.create(&request(vec![topic])).remove(0)
    }

    fn replicas(&self, topic: &str) -> Vec<Vec<i32>> {
        let topic = self.image.topics.by_name(topic).unwrap();
        topic.partitions.values().map(|p| p.replicas.iter().map(|b| b.0).collect()).collect()
    }
}

fn request(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest { topics, ..Default::default() }
}

fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    let name = name.to_owned();
    CreatableTopic { name, num_partitions, replication_factor, ..Default::default() }
}

fn configured(name: &str, key: &str, value: Option<&str>) -> CreatableTopic {
    let value = value.map(str::to_owned);
    let configs = vec![CreatableTopicConfig { name: key.to_owned(), value }];
    CreatableTopic { configs, ..topic(name, 1, 1) }
}

fn assigned(name: &str, assignments: &[(i32, &[i32])]) -> CreatableTopic {
    let assignments = assignments
        .iter()
        .map(|(partition_index, ids)| CreatableReplicaAssignment {
            partition_index: *partition_index,
            broker_ids: ids.to_vec(),
        })
        .collect();
    CreatableTopic { assignments, ..topic(name, -1, -1) }
}

fn code(result: &CreatableTopicResult) -> ErrorCode {
    ErrorCode::from_i16(result.error_code).unwrap()
}

#[test]
fn a_topic_is_made_with_its_partitions_and_answered_with_its_configs() {
    let mut h = Harness::with_brokers(&[1]);
    let result = h.create_one(configured("t", "retention.ms", Some("5")));
    assert_eq!(code(&result), ErrorCode::None);
    assert_eq!((result.num_partitions, result.replication_factor), (1, 1));
    let made = h.image.topics.by_name("t").unwrap().clone();
    assert_eq!(made.id.0, result.topic_id);
    let partition = made.partition(PartitionIndex(0)).unwrap();
    assert_eq!((partition.leader, &partition.isr[..]), (BrokerId(1), &[BrokerId(1)][..]));
    assert_eq!((partition.leader_epoch.0, partition.partition_epoch), (0, 0));
    assert_eq!(partition.directories, [Uuid([101; 16])], "its only directory");
    let configs = result.configs.unwrap();
    assert_eq!(configs.len(), topic_config::TABLE.len());
    let retention = configs.iter().find(|c| c.name == "retention.ms").unwrap();
    assert_eq!((retention.value.as_deref(), retention.config_source), (Some("5"), 1));
    let segment = configs.iter().find(|c| c.name == "segment.ms").unwrap();
    assert_eq!((segment.value.as_deref(), segment.config_source), (Some("604800000"), 5));
    assert_eq!(h.image.configs.of_topic("t").collect::<Vec<_>>(), [("retention.ms", "5")]);
}

#[test]
fn every_refusal_has_its_code() {
    let mut h = Harness::with_brokers(&[1]);
    h.create_one(topic("a.b", 1, 1));
    let long = "x".repeat(250);
    for (topic, expected) in [
        (topic("a.b", 1, 1), ErrorCode::TopicAlreadyExists),
        (topic("a_b", 1, 1), ErrorCode::InvalidTopicException),
        (topic("", 1, 1), ErrorCode::InvalidTopicException),
        (topic("..", 1, 1), ErrorCode::InvalidTopicException),
        (topic("a/b", 1, 1), ErrorCode::InvalidTopicException),
        (topic(&long, 1, 1), ErrorCode::InvalidTopicException),
        (topic("__cluster_metadata", 1, 1), ErrorCode::InvalidRequest),
        (topic("t", 0, 1), ErrorCode::InvalidPartitions),
        (topic("t", -2, 1), ErrorCode::InvalidPartitions),
        (topic("t", 1, 0), ErrorCode::InvalidReplicationFactor),
        (topic("t", 1, -2), ErrorCode::InvalidReplicationFactor),
        (topic("t", 1, 2), ErrorCode::InvalidReplicationFactor),
        (topic("t", 10_001, 1), ErrorCode::PolicyViolation),
        (configured("t", "no.such", Some("1")), ErrorCode::InvalidConfig),
        (configured("t", "retention.ms", Some("x")), ErrorCode::InvalidConfig),
        (configured("t", "retention.ms", None), ErrorCode::InvalidConfig),
        (
            CreatableTopic { num_partitions: 1, ..assigned("t", &[(0, &[1])]) },
            ErrorCode::InvalidRequest,
        ),
        (
            CreatableTopic { replication_factor: 1, ..assigned("t", &[(0, &[1])]) },
            ErrorCode::InvalidRequest,
        ),
        (assigned("t", &[(0, &[])]), ErrorCode::InvalidReplicaAssignment),
        (assigned("t", &[(0, &[7])]), ErrorCode::InvalidReplicaAssignment),
        (assigned("t", &[(0, &[-1])]), ErrorCode::InvalidReplicaAssignment),
        (assigned("t", &[(0, &[1, 1])]), ErrorCode::InvalidReplicaAssignment),
        (assigned("t", &[(1, &[1])]), ErrorCode::InvalidReplicaAssignment),
        (assigned("t", &[(-1, &[1]), (0, &[1])]), ErrorCode::InvalidReplicaAssignment),
        (assigned("t", &[(0, &[1]), (0, &[1])]), ErrorCode::InvalidReplicaAssignment),
    ] {
        let name = topic.name.clone();
        let result = h.create_one(topic);
        assert_eq!(code(&result), expected, "{name}: {:?}", result.error_message);
        assert!(result.error_message.is_some());
    }
    assert_eq!(h.image.topics.len(), 1);
}

#[test]
fn topics_of_one_request_stand_for_themselves() {
    let mut h = Harness::with_brokers(&[1]);
    let results = h.create(&request(vec![
        topic("good", 2, 1),
        topic("twice", 1, 1),
        topic("bad", 1, 9),
        topic("twice", 1, 1),
        topic("x.y", 1, 1),
        topic("x_y", 1, 1),
    ]));
    let codes: Vec<(&str, ErrorCode)> =
        results.iter().map(|r| (r.name.as_str(), code(r))).collect();
    assert_eq!(
        codes,
        [
            ("good", ErrorCode::None),
            ("twice", ErrorCode::InvalidRequest),
            ("bad", ErrorCode::InvalidReplicationFactor),
            ("x.y", ErrorCode::None),
            ("x_y", ErrorCode::InvalidTopicException),
        ]
    );
    assert_eq!(h.image.topics.len(), 2);
}

#[test]
fn validate_only_writes_nothing() {
    let mut h = Harness::with_brokers(&[1]);
    let request = CreateTopicsRequest { validate_only: true, ..request(vec![topic("t", 3, 1)]) };
    let result = h.create(&request).remove(0);
    assert_eq!((code(&result), result.num_partitions), (ErrorCode::None, 3));
    assert!(h.image.topics.is_empty());
}

#[test]
fn defaults_come_from_the_broker() {
    let mut h = Harness::with_brokers(&[1, 2]);
    h.settings.num_partitions = 4;
    let result = h.create_one(topic("t", -1, -1));
    assert_eq!((result.num_partitions, result.replication_factor), (4, 1));
    h.settings.default_replication_factor = 2;
    let result = h.create_one(topic("u", -1, -1));
    assert_eq!(code(&result), ErrorCode::InvalidReplicationFactor);
}

#[test]
fn replicas_spread_over_brokers_and_racks() {
    let h = Harness::with_brokers(&[1, 2, 3, 4]);
    let placed = placement::place(&h.image, 8, 2, 7).unwrap();
    let replicas: Vec<Vec<i32>> =
        placed.iter().map(|ids| ids.iter().map(|id| id.0).collect()).collect();
    for broker in 1..=4 {
        assert_eq!(replicas.iter().filter(|r| r[0] == broker).count(), 2, "{replicas:?}");
    }
    for pair in &replicas {
        assert_ne!(pair[0] % 2, pair[1] % 2, "two racks: {replicas:?}");
    }
    let distinct: std::collections::BTreeSet<_> = replicas.iter().collect();
    assert!(distinct.len() > 4, "not always the same pairs: {replicas:?}");
}

#[test]
fn fenced_brokers_are_the_last_resort_and_not_in_sync() {
    let mut h = Harness::with_brokers(&[1]);
    h.register(2);
    h.create_one(topic("one", 4, 1));
    assert!(h.replicas("one").iter().all(|r| r == &[1]));
    let both = placement::place(&h.image, 1, 2, 0).unwrap().remove(0);
    assert_eq!(both, [BrokerId(1), BrokerId(2)]);
    assert_eq!(super::topics::new_partition(&h.image, &both).isr, [BrokerId(1)]);
    let alone = h.create_one(assigned("alone", &[(0, &[2])]));
    assert_eq!(code(&alone), ErrorCode::InvalidReplicaAssignment);
    let mut empty = Harness::with_brokers(&[]);
    empty.register(1);
    let result = empty.create_one(topic("t", 1, 1));
    assert_eq!(code(&result), ErrorCode::InvalidReplicationFactor);
    assert_eq!(result.error_message.as_deref(), Some("All brokers are currently fenced."));
}

#[test]
fn the_offsets_topic_has_settings_of_its_own() {
    let mut h = Harness::with_brokers(&[1]);
    h.settings.offsets_topic_replication_factor = 1;
    let names = [crate::topic_name::GROUP_METADATA_TOPIC, "plain"];
    let decision = h.decide(|ctx| auto_create(ctx, &names));
    h.apply(&decision.records);
    let topics = &h.image.topics;
    assert_eq!(topics.by_name(names[0]).unwrap().partitions.len(), 50);
    assert_eq!(topics.by_name("plain").unwrap().partitions.len(), 1);
    let configs: Vec<_> = h.image.configs.of_topic(names[0]).collect();
    assert_eq!(
        configs,
        [
            ("cleanup.policy", "compact"),
            ("compression.type", "producer"),
            ("segment.bytes", "104857600"),
        ]
    );
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    let mut h = Harness::with_brokers(&[1]);
    let ids: Vec<Uuid> =
        ["a", "b", "c"].iter().map(|name| h.create_one(topic(name, 1, 1)).topic_id).collect();
    let named = |name: &str| DeleteTopicState { name: Some(name.to_owned()), topic_id: Uuid::ZERO };
    let by_id = |topic_id| DeleteTopicState { name: None, topic_id };
    let request = DeleteTopicsRequest {
        topics: vec![
            named("a"),
            by_id(ids[1]),
            named("b"),
            named("nope"),
            by_id(Uuid([9; 16])),
            named("a"),
            by_id(Uuid::ZERO),
            DeleteTopicState { name: Some("c".to_owned()), topic_id: ids[2] },
        ],
        ..Default::default()
    };
    let decision = h.decide(|ctx| delete_topics(ctx, &request, 6));
    let codes: Vec<ErrorCode> = decision
        .response
        .responses
        .iter()
        .map(|r| ErrorCode::from_i16(r.error_code).unwrap())
        .collect();
    assert_eq!(
        codes,
        [
            // It comes twice: refused, and told once.
            ErrorCode::InvalidRequest,
            ErrorCode::None,
            ErrorCode::InvalidRequest,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicId,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
        ]
    );
    assert_eq!(decision.response.responses[1].name.as_deref(), Some("b"));
    h.apply(&decision.records);
    assert_eq!(h.image.topics.iter().map(|t| t.name.to_string()).collect::<Vec<_>>(), ["a", "c"]);
    h.settings.delete_topic_enable = false;
    let request = DeleteTopicsRequest { topic_names: vec!["c".to_owned()], ..Default::default() };
    for (version, expected) in
        [(2, ErrorCode::InvalidRequest), (5, ErrorCode::TopicDeletionDisabled)]
    {
        let decision = h.decide(|ctx| delete_topics(ctx, &request, version));
        assert_eq!(decision.response.responses[0].error_code, expected.code());
        assert!(decision.records.is_empty());
    }
}

#[test]
fn internal_topics_are_not_deleted() {
    let mut h = Harness::with_brokers(&[1]);
    let topic_id = h.create_one(topic("__consumer_offsets", 1, 1)).topic_id;
    let by_name = Some("__consumer_offsets".to_owned());
    for (name, topic_id) in [(by_name, Uuid::ZERO), (None, topic_id)] {
        let topics = vec![DeleteTopicState { name, topic_id }];
        let request = DeleteTopicsRequest { topics, ..Default::default() };
        let decision = h.decide(|ctx| delete_topics(ctx, &request, 6));
        let code = decision.response.responses[0].error_code;
        assert_eq!(code, ErrorCode::InvalidRequest.code());
        assert!(decision.records.is_empty());
    }
}

#[test]
fn a_last_replica_that_kafka_moved_aside_leads_again() {
    let mut h = Harness::with_brokers(&[1]);
    h.create_one(topic("t", 4, 1));
    let id = h.image.topics.id_of("t").unwrap();
    let moved = |index, isr: &[i32], eligible: &[i32], last: &[i32]| {
        MetadataRecord::PartitionChange(PartitionChangeRecord {
            partition_id: index,
            topic_id: id.0,
            leader: -1,
            leader_recovery_state: -1,
            isr: Some(isr.to_vec()),
            eligible_leader_replicas: Some(eligible.to_vec()),
            last_known_elr: Some(last.to_vec()),
            ..Default::default()
        })
    };
    h.apply(&[
        moved(0, &[1], &[], &[]),
        moved(1, &[], &[1, 2], &[1]),
        moved(2, &[], &[], &[1]),
        moved(3, &[2], &[1], &[1]),
    ]);
    h.register(1);
    assert_eq!(h.unfence(1), 4, "itself and three partitions");
    let after = h.image.topics.by_id(id).unwrap().clone();
    let of = |index| {
        let p = after.partition(PartitionIndex(index)).unwrap();
        (p.leader.0, p.isr.clone(), p.eligible_leader_replicas.clone(), p.last_known_leader.len())
    };
    assert_eq!(of(0), (1, vec![BrokerId(1)], vec![], 0));
    assert_eq!(of(1), (1, vec![BrokerId(1)], vec![BrokerId(2)], 0));
    assert_eq!(of(2), (1, vec![BrokerId(1)], vec![], 0));
    assert_eq!(of(3).0, -1, "another one is in sync");
}

#[test]
fn a_restarted_broker_leads_again_in_new_epochs() {
    let mut h = Harness::with_brokers(&[1]);
    h.create_one(topic("t", 3, 1));
    let first = h.image.brokers.get(BrokerId(1)).unwrap().epoch;
    h.register(1);
    assert!(h.image.brokers.get(BrokerId(1)).unwrap().fenced);
    assert_eq!(h.unfence(1), 4, "itself and three partitions");
    assert_eq!(h.unfence(1), 0);
    let topic = h.image.topics.by_name("t").unwrap();
    for partition in topic.partitions.values() {
        assert_eq!((partition.leader, partition.leader_epoch.0), (BrokerId(1), 1));
    }
    let stale = unfence_broker(&h.image, BrokerId(1), first + 99).response.unwrap_err();
    assert_eq!(stale.code, ErrorCode::StaleBrokerEpoch);
    let unknown = unfence_broker(&h.image, BrokerId(5), 0).response.unwrap_err();
    assert_eq!(unknown.code, ErrorCode::BrokerIdNotRegistered);
}

#[test]
fn registrations_of_others_are_refused() {
    let h = Harness::with_brokers(&[1]);
    let registration = |incarnation, cluster: &str| Registration {
        id: BrokerId(1),
        incarnation: Uuid([incarnation; 16]),
        cluster_id: Some(cluster.to_owned()),
        endpoints: Vec::new(),
        rack: None,
        log_dirs: vec![Uuid([101; 16])],
        features: Registration::own_features(),
        previous_epoch: -1,
    };
    let decide = |r: &Registration, alive| {
        register_broker(&h.image, r, 99, alive).response.map_err(|refusal| refusal.code)
    };
    let other = registration(1, "other");
    assert_eq!(decide(&other, false), Err(ErrorCode::InconsistentClusterId));
    let second = registration(9, "cluster");
    assert_eq!(decide(&second, true), Err(ErrorCode::DuplicateBrokerRegistration));
    assert_eq!(decide(&second, false), Ok(99));
    let epoch = h.image.brokers.get(BrokerId(1)).unwrap().epoch;
    assert_eq!(decide(&registration(1, "cluster"), true), Ok(epoch), "the same run");
}

#[test]
fn producer_ids_come_in_blocks_of_a_thousand() {
    let mut h = Harness::with_brokers(&[1]);
    let epoch = h.image.brokers.get(BrokerId(1)).unwrap().epoch;
    for n in 0..3 {
        let decision = allocate_producer_ids(&h.image, BrokerId(1), epoch);
        assert_eq!(decision.response.unwrap().first, ProducerId(n * 1000));
        h.apply(&decision.records);
    }
    let stale = allocate_producer_ids(&h.image, BrokerId(1), epoch + 1);
    assert_eq!(stale.response.unwrap_err().code, ErrorCode::StaleBrokerEpoch);
    assert!(stale.records.is_empty());
}

#[test]
fn bootstrap_says_only_what_is_missing() {
    let h = Harness::with_brokers(&[]);
    assert_eq!(h.image.cluster_id(), Some("cluster"));
    assert_eq!(h.image.features.metadata_version(), crate::features::METADATA_VERSION);
    assert_eq!(h.image.features.level("group.version"), 0);
    assert!(bootstrap(&h.image, "another").is_empty());
}
