//! The tables themselves: complete, without contradictions.

use std::collections::BTreeSet;

use crate::config::{Role, load, registry};

#[test]
fn names_are_unique_and_every_default_is_allowed() {
    let mut names = BTreeSet::new();
    for def in registry::all() {
        assert!(names.insert(def.name), "{} twice", def.name);
        if let Some(text) = def.default {
            assert!(def.parse(text).is_ok(), "{}={text}", def.name);
        }
    }
}

#[test]
fn every_key_of_kafka_is_there() {
    // Kafka 4.3.1 defines 360 keys; printed from its own class by a small program.
    let of_kafka = registry::all().filter(|def| !def.name.starts_with("tidelog.")).count();
    assert_eq!(of_kafka, 360);
}

#[test]
fn a_key_acts_exactly_when_it_is_documented() {
    for def in registry::all() {
        assert_eq!(def.role == Role::Applied, !def.doc.is_empty(), "{}", def.name);
    }
}

#[test]
fn every_topic_key_has_one_broker_key() {
    let mut topics = BTreeSet::new();
    for topic in registry::all().filter_map(|def| def.topic) {
        assert!(topics.insert(topic), "{topic} twice");
    }
    // As many as Kafka 4.3.1 has synonyms.
    assert_eq!(topics.len(), 28, "{topics:?}");
}

#[test]
fn the_defaults_are_a_configuration_of_kafkas_values() {
    let log = load(&Default::default()).unwrap().settings.log;
    assert_eq!(log.segment_bytes, 1 << 30);
    assert_eq!(log.segment_index_bytes, 10 << 20);
    assert_eq!(log.index_interval_bytes, 4_096);
    assert_eq!(log.max_message_bytes, 1_048_588);
    assert_eq!(log.retention_bytes, -1);
    assert_eq!(log.timestamp_after_max_ms, 3_600_000);
    assert_eq!(log.timestamp_before_max_ms, i64::MAX);
    assert_eq!(log.file_delete_delay_ms, 60_000);
    assert_eq!(log.flush_messages, i64::MAX);
    assert!(log.cleanup_delete && !log.cleanup_compact && !log.relaxed_validation);
}
