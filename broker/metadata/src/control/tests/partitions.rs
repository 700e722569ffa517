//! Topics that get more partitions.

use wire::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};

use super::*;
use crate::control::topics::create_partitions;

fn wanted(name: &str, count: i32, assignments: Option<&[&[i32]]>) -> CreatePartitionsTopic {
    let assignments = assignments.map(|all| {
        all.iter().map(|ids| CreatePartitionsAssignment { broker_ids: ids.to_vec() }).collect()
    });
    CreatePartitionsTopic { name: name.to_owned(), count, assignments }
}

fn add(h: &mut Harness, validate_only: bool, topics: Vec<CreatePartitionsTopic>) -> Vec<ErrorCode> {
    let request = CreatePartitionsRequest { topics, timeout_ms: 0, validate_only };
    let decision = h.decide(|ctx| create_partitions(ctx, &request));
    h.apply(&decision.records);
    let results = decision.response.results.iter();
    results.map(|result| ErrorCode::from_i16(result.error_code).unwrap()).collect()
}

fn partitions(h: &Harness, name: &str) -> usize {
    h.image.topics.by_name(name).unwrap().partitions.len()
}

#[test]
fn partitions_are_added_and_never_taken_away() {
    let mut h = Harness::with_brokers(&[1, 2, 3]);
    h.create_one(topic("t", 2, 1));
    assert_eq!(add(&mut h, true, vec![wanted("t", 5, None)]), [ErrorCode::None]);
    assert_eq!(partitions(&h, "t"), 2);
    assert_eq!(add(&mut h, false, vec![wanted("t", 5, None)]), [ErrorCode::None]);
    assert_eq!(partitions(&h, "t"), 5);
    let made = h.image.topics.by_name("t").unwrap();
    assert!(made.partitions.values().all(|p| p.replicas.len() == 1 && p.isr.len() == 1));
    let assigned = wanted("t", 7, Some(&[&[3], &[2]]));
    assert_eq!(add(&mut h, false, vec![assigned]), [ErrorCode::None]);
    let last = h.image.topics.by_name("t").unwrap().partition(PartitionIndex(5)).unwrap();
    assert_eq!((last.leader, last.replicas.clone()), (BrokerId(3), vec![BrokerId(3)]));
    h.create_one(topic("__consumer_offsets", 3, 1));
    let before = h.image.clone();
    for (name, count, assignments, expected) in [
        ("__consumer_offsets", 9, None, ErrorCode::InvalidRequest),
        ("nope", 9, None, ErrorCode::UnknownTopicOrPartition),
        ("t", 7, None, ErrorCode::InvalidPartitions),
        ("t", 6, None, ErrorCode::InvalidPartitions),
        ("t", 0, None, ErrorCode::InvalidPartitions),
        ("t", -1, None, ErrorCode::InvalidPartitions),
        ("t", i32::MAX, None, ErrorCode::PolicyViolation),
        ("t", i32::MAX, Some(&[&[1][..]][..]), ErrorCode::InvalidReplicaAssignment),
        ("t", 8, Some(&[][..]), ErrorCode::InvalidReplicaAssignment),
        ("t", 8, Some(&[&[1, 2][..]][..]), ErrorCode::InvalidReplicaAssignment),
        ("t", 8, Some(&[&[1, 1][..]][..]), ErrorCode::InvalidReplicaAssignment),
        ("t", 8, Some(&[&[9][..]][..]), ErrorCode::InvalidReplicaAssignment),
        ("t", 8, Some(&[&[][..]][..]), ErrorCode::InvalidReplicaAssignment),
        ("t", 8, Some(&[&[-2][..]][..]), ErrorCode::InvalidReplicaAssignment),
    ] {
        let codes = add(&mut h, false, vec![wanted(name, count, assignments)]);
        assert_eq!(codes, [expected], "{name} {count} {assignments:?}");
    }
    assert_eq!(h.image, before);
}

#[test]
fn topics_of_a_partitions_request_stand_for_themselves() {
    let mut h = Harness::with_brokers(&[1]);
    h.create_one(topic("t", 1, 1));
    h.create_one(topic("u", 1, 1));
    let twice = vec![wanted("t", 2, None), wanted("u", 1, None), wanted("t", 3, None)];
    let codes = add(&mut h, false, twice);
    assert_eq!(codes, [ErrorCode::InvalidRequest, ErrorCode::InvalidPartitions]);
    assert_eq!((partitions(&h, "t"), partitions(&h, "u")), (1, 1));
    // All topics together stay within the limit of one request.
    let many = vec![wanted("t", 9_000, None), wanted("u", 9_000, None)];
    assert_eq!(add(&mut h, false, many), [ErrorCode::None, ErrorCode::PolicyViolation]);
    assert_eq!((partitions(&h, "t"), partitions(&h, "u")), (9_000, 1));
}

#[test]
fn partitions_whose_files_could_not_be_opened_are_refused() {
    let mut h = Harness::with_brokers(&[1]);
    h.settings.partitions_max = 5;
    let codes = |results: Vec<CreatableTopicResult>| -> Vec<ErrorCode> {
        results.iter().map(|it| ErrorCode::from_i16(it.error_code).unwrap()).collect()
    };
    let request =
        |topics: Vec<CreatableTopic>| CreateTopicsRequest { topics, ..Default::default() };
    let made = h.create(&request(vec![topic("t", 3, 1), topic("u", 3, 1), topic("v", 2, 1)]));
    assert!(made[1].error_message.as_ref().unwrap().contains("ulimit -n"));
    assert_eq!(codes(made), [ErrorCode::None, ErrorCode::PolicyViolation, ErrorCode::None]);
    assert_eq!(add(&mut h, false, vec![wanted("t", 4, None)]), [ErrorCode::PolicyViolation]);
    // The brokers' own topics take from the reserve; brokers that share the load are not judged.
    h.settings.offsets_topic_replication_factor = 1;
    let names = ["__consumer_offsets"];
    let decision = h.decide(|ctx| auto_create(ctx, &names));
    assert_eq!(codes(decision.response.topics), [ErrorCode::None]);
    h.register(2);
    assert_eq!(codes(h.create(&request(vec![topic("w", 9, 1)]))), [ErrorCode::None]);
}
