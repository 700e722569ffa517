//! The tables themselves: complete, without contradictions.

use std::collections::BTreeSet;

use crate::config::{Role, load, reference, registry};

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
    // Kafka 4.3.1 defines 360 keys and 3 of running brokers; printed from its own classes by a
    // small program.
    let of_kafka = registry::all().filter(|def| !def.name.starts_with("tidelog.")).count();
    assert_eq!(of_kafka, 363);
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
fn topics_get_kafkas_defaults() {
    let settings = load(&Default::default()).unwrap().settings;
    let number = |key: &str| super::topic(&settings, key);
    assert_eq!(number("segment.bytes"), 1 << 30);
    assert_eq!(number("segment.index.bytes"), 10 << 20);
    assert_eq!(number("max.message.bytes"), 1_048_588);
    assert_eq!(number("retention.ms"), 7 * 24 * 3_600_000);
    assert_eq!(number("message.timestamp.after.max.ms"), 3_600_000);
    assert_eq!(number("flush.ms"), i64::MAX);
    assert!(!settings.relaxed_validation);
}

#[test]
fn the_topic_keys_of_the_table_are_those_of_metadata() {
    for def in registry::all() {
        if let Some(topic) = def.topic {
            let known = metadata::topic_config::find(topic).unwrap_or_else(|| panic!("{topic}"));
            assert!(known.synonyms.iter().any(|one| one.name == def.name), "{}", def.name);
        }
    }
}

#[test]
fn the_reference_tells_every_key_once() {
    let text = reference::markdown();
    let told = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
    for def in registry::all() {
        // Topics share a few names with the broker.
        let topics = usize::from(metadata::topic_config::find(def.name).is_some());
        assert_eq!(told(&format!("| `{}` |", def.name)), 1 + topics, "{}", def.name);
    }
    for def in metadata::topic_config::TABLE {
        assert!(told(&format!("| `{}` |", def.name)) > 0, "{}", def.name);
    }
    for def in metadata::group_config::GROUP {
        assert_eq!(told(&format!("| `{}` |", def.name)), 1, "{}", def.name);
    }
    assert!(text.contains("| `zookeeper.*` |"));
}

#[test]
fn the_documentation_holds_the_same_table() {
    const MARKS: (&str, &str) = ("<!-- keys: begin -->\n", "<!-- keys: end -->");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (head, rest) = text.split_once(MARKS.0).unwrap();
    let (table, tail) = rest.split_once(MARKS.1).unwrap();
    let expected = reference::applied() + "\n";
    // To renew it: TIDELOG_RENEW_DOCS=1 cargo test -p tidelog-server documentation
    if std::env::var_os("TIDELOG_RENEW_DOCS").is_some() {
        let renewed = [head, MARKS.0, &expected, MARKS.1, tail].concat();
        std::fs::write(path, renewed).unwrap();
        return;
    }
    assert!(table == expected, "{path} is stale: TIDELOG_RENEW_DOCS=1 renews it");
}
