//! Our keys against the facts of Apache Kafka 4.3.1: names, types, defaults, limits, and what can
//! change while a broker runs. The table was printed from Kafka's own classes by a small program.

use super::{Layers, TempDir, load, message};
use crate::config::{Def, Kind, Note, Role, Update, registry};

/// name, type, default, where it can change, `internal`, allowed values.
const FACTS: &str = include_str!("kafka-4.3.1.tsv");

/// Defaults that differ on purpose; each stands in broker/docs/configuration.md.
const OTHER_DEFAULTS: &[&str] = &[
    "broker.heartbeat.interval.ms",
    "broker.session.timeout.ms",
    "controller.listener.names",
    "controller.quorum.fetch.timeout.ms",
    "log.dir",
    "max.connections.per.ip",
    "node.id",
    "process.roles",
];

struct Fact {
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    update: &'static str,
    internal: bool,
    allowed: &'static str,
}

fn facts() -> Vec<Fact> {
    let fact = |line: &'static str| {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap();
        Fact {
            name: next(),
            kind: next(),
            default: next(),
            update: next(),
            internal: next() == "internal",
            allowed: next(),
        }
    };
    let facts: Vec<Fact> = FACTS.lines().map(fact).collect();
    assert_eq!(facts.len(), 360);
    facts
}

fn def(fact: &Fact) -> &'static Def {
    registry::find(fact.name).unwrap_or_else(|| panic!("{} is missing", fact.name))
}

#[test]
fn names_types_and_defaults_are_kafkas() {
    for fact in facts() {
        let def = def(&fact);
        let kind = match def.kind {
            Kind::Text => "STRING".to_owned(),
            kind => format!("{kind:?}").to_uppercase(),
        };
        assert_eq!(kind, fact.kind, "{}", fact.name);
        let update = match def.update {
            Update::ReadOnly => "read-only",
            Update::PerBroker => "per-broker",
            Update::ClusterWide => "cluster-wide",
        };
        assert_eq!((update, def.internal), (fact.update, fact.internal), "{}", fact.name);
        if OTHER_DEFAULTS.contains(&fact.name) {
            continue;
        }
        let value = def.default.map(|text| def.parse(text).unwrap().to_string());
        assert_eq!(value.as_deref().unwrap_or("null"), fact.default, "{}", fact.name);
    }
}

/// The numbers at the edges of `[low,...,high]`, and those just beyond.
fn edges(allowed: &str) -> Option<(Vec<String>, Vec<String>)> {
    let inner = allowed.strip_prefix('[')?.split(']').next()?;
    let (low, high) = inner.split_once(",...")?;
    let beyond = |text: &str, by: f64| (text.parse::<f64>().unwrap() + by).to_string();
    let (mut good, mut bad) = (vec![low.to_owned()], vec![beyond(low, -1.0)]);
    if let Some(high) = high.strip_prefix(',') {
        good.push(high.to_owned());
        bad.push(beyond(high, 1.0));
    }
    if allowed.ends_with("or -1") {
        good.push("-1".to_owned());
    }
    Some((good, bad))
}

#[test]
fn limits_are_kafkas() {
    let mut checked = 0;
    for fact in facts() {
        let def = def(&fact);
        if let Some((good, bad)) = edges(fact.allowed) {
            for value in good {
                assert!(def.parse(&value).is_ok(), "{}={value}", fact.name);
            }
            for value in bad {
                assert!(def.parse(&value).is_err(), "{}={value}", fact.name);
            }
            checked += 1;
        } else if let Some((_, list)) = fact.allowed.split_once('[') {
            for value in list.trim_end_matches(']').split(", ") {
                assert!(def.parse(value).is_ok(), "{}={value}", fact.name);
            }
            assert!(def.parse("no such choice").is_err(), "{}", fact.name);
            checked += 1;
        }
    }
    assert_eq!(checked, 194);
}

/// kind of resource, key, two values that it allows, and which of [`probes`] Kafka takes.
const TEXTS: &str = include_str!("kafka-4.3.1-texts.tsv");

/// Texts and lists: empty, of nothing but separators, with elements that are empty or come twice.
fn probes(a: &str, b: &str) -> [String; 11] {
    [
        String::new(),
        " ".to_owned(),
        ",".to_owned(),
        a.to_owned(),
        format!("{a},{a}"),
        format!("{a},"),
        format!(",{a}"),
        format!("{a},,{b}"),
        format!(" {a} , {b} "),
        format!("{a},{b}"),
        format!("{a}, {a}"),
    ]
}

/// Whether the key of a kind of resource takes a value.
fn takes(kind: &str, key: &str, value: &str) -> bool {
    let takes = |table: &'static [Def]| {
        let def = table.iter().find(|def| def.name == key);
        def.unwrap_or_else(|| panic!("{key} is missing")).parse(value).is_ok()
    };
    match kind {
        "broker" => registry::find(key).unwrap().parse(value).is_ok(),
        "topic" => metadata::topic_config::find(key).unwrap().parse(value).is_ok(),
        "group" => takes(metadata::group_config::GROUP),
        "metrics" => takes(metadata::group_config::CLIENT_METRICS),
        _ => panic!("{kind}"),
    }
}

#[test]
fn empty_texts_and_lists_are_taken_where_kafka_takes_them() {
    let mut wrong = Vec::new();
    for line in TEXTS.lines() {
        let [kind, key, a, b, taken] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        for (probe, taken) in probes(a, b).iter().zip(taken.chars()) {
            // The form of a voter is checked where voters are read.
            let voters = key.starts_with("controller.quorum.") && !probe.trim().is_empty();
            if !voters && takes(kind, key, probe) != (taken == '1') {
                wrong.push(format!("{kind} {key}={probe:?}: taken by Kafka: {taken}"));
            }
        }
    }
    assert_eq!(TEXTS.lines().count(), 42);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_key_of_kafka_at_its_default_starts_the_broker() {
    // A lone node cannot take over what Kafka says of others, nor what stands for no value.
    let facts = facts();
    let said: Vec<&Fact> = facts
        .iter()
        .filter(|fact| !matches!(fact.default, "null" | "") && fact.name != "broker.id")
        .collect();
    let text: String =
        said.iter().map(|fact| format!("{}={}\n", fact.name, fact.default)).collect();
    let dir = TempDir::new("every-key");
    let file = dir.file("server.properties", text + "process.roles=broker,controller\n");
    let loaded = load(&Layers { file: Some(file), ..Layers::default() }).unwrap();
    let unused = loaded.notes.iter().find_map(|note| match note {
        Note::NoMeaning(keys) => Some(keys.clone()),
        _ => None,
    });
    let accepted = said.iter().filter(|fact| def(fact).role == Role::Accepted);
    let mut accepted: Vec<&str> = accepted.map(|fact| fact.name).collect();
    accepted.sort_unstable();
    assert_eq!(unused.unwrap(), accepted);
}

#[test]
fn keys_of_zookeepers_time_are_named_with_what_replaces_them() {
    for (key, instead) in [
        ("zookeeper.connect", "controller.quorum.bootstrap.servers"),
        ("zookeeper.session.timeout.ms", "there is no ZooKeeper"),
        ("inter.broker.protocol.version", "metadata.version"),
        ("log.message.format.version", "format 2"),
        ("broker.id.generation.enable", "node.id"),
        ("advertised.host.name", "advertised.listeners"),
        ("control.plane.listener.name", "controller.listener.names"),
        ("offsets.commit.required.acks", "all replicas"),
    ] {
        let message = message(&[&format!("{key}=1")]);
        assert!(message.contains(&format!("{key} is gone since Kafka 4")), "{message}");
        assert!(message.contains(instead), "{message}");
    }
}
