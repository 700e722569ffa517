//! Every refusal in its words: where, what, and what to do.

use std::os::unix::ffi::OsStringExt;

use super::{Layers, load, message, with};
use crate::config::Note;

#[test]
fn refusals_of_keys_and_values() {
    let cases: &[(&[&str], &str)] = &[
        (&["x"], "--set x: expected KEY=VALUE"),
        (&["=x"], "--set =x: expected KEY=VALUE"),
        (
            &["log.segments.byte=1"],
            "--set: unknown key log.segments.byte; did you mean log.segment.bytes?",
        ),
        (
            &["LOG_SEGMENT_BYTES=1"],
            "--set: unknown key LOG_SEGMENT_BYTES; did you mean log.segment.bytes?",
        ),
        (&["no.such.thing.at.all=1"], "--set: unknown key no.such.thing.at.all"),
        (
            &["retention.ms=1"],
            "--set: retention.ms is a key of topics; the broker's default for it is \
             log.retention.ms",
        ),
        (
            &["host.name=a"],
            "--set: host.name is gone since Kafka 4: use listeners=PLAINTEXT://HOST:PORT",
        ),
        (
            &["log.segment.bytes=1048575"],
            "--set: log.segment.bytes=1048575: expected a whole number of 32 bits, at least \
             1048576",
        ),
        (
            &["log.segment.bytes=2147483648"],
            "--set: log.segment.bytes=2147483648: expected a whole number of 32 bits, at least \
             1048576",
        ),
        (
            &["auto.create.topics.enable=yes"],
            "--set: auto.create.topics.enable=yes: expected true or false",
        ),
        (
            &["compression.type=brotli"],
            "--set: compression.type=brotli: expected uncompressed | zstd | lz4 | snappy | gzip \
             | producer",
        ),
        (
            &["log.cleanup.policy=delete,shred"],
            "--set: log.cleanup.policy=delete,shred: expected a list of compact | delete, \
             separated by commas",
        ),
        (
            &["compression.gzip.level=0"],
            "--set: compression.gzip.level=0: expected a whole number of 32 bits, -1 or from 1 \
             to 9",
        ),
        (
            &["log.cleaner.io.buffer.load.factor=NaN"],
            "--set: log.cleaner.io.buffer.load.factor=NaN: expected a number",
        ),
    ];
    for (set, expected) in cases {
        assert_eq!(message(set), *expected);
    }
}

#[test]
fn refusals_by_meaning() {
    let cases: &[(&[&str], &str)] = &[
        (
            &["node.id=1", "broker.id=2"],
            "node.id=1 (--set) and broker.id=2 (--set) contradict each other: they are two names \
             of one thing, keep node.id",
        ),
        (
            &["log.flush.interval.ms=-1"],
            "--set: log.flush.interval.ms=-1: expected Value must be at least 0",
        ),
        (&["broker.id=-2"], "--set: broker.id=-2: expected -1, or a number not below 0"),
        (
            &["log.dirs=/a,"],
            "--set: log.dirs=/a,: expected a list separated by commas that is not empty, without \
             empty elements",
        ),
        (&["log.retention.ms=0"], "--set: log.retention.ms=0: expected -1 for ever, or at least 1"),
        (
            &["socket.send.buffer.bytes=0"],
            "--set: socket.send.buffer.bytes=0: expected -1, or at least 1",
        ),
        (
            &["queued.max.request.bytes=5"],
            "--set: queued.max.request.bytes=5: expected -1, or at least \
             socket.request.max.bytes",
        ),
        (
            &["max.connections.per.ip.overrides=here:1"],
            "--set: max.connections.per.ip.overrides=here:1: expected ADDRESS:COUNT, separated \
             by commas",
        ),
        (
            &["tidelog.admin.host=no.such.host.invalid"],
            "--set: tidelog.admin.host=no.such.host.invalid: expected a name or address of this \
             machine",
        ),
    ];
    for (set, expected) in cases {
        assert_eq!(message(set), *expected);
    }
}

#[test]
fn refusals_of_listeners() {
    let form = "expected NAME://HOST:PORT, as in PLAINTEXT://127.0.0.1:9092";
    for text in ["9092", "PLAINTEXT://a", "://:1", "PLAINTEXT://:70000", "PLAINTEXT://::1:9092"] {
        let expected = format!("--set: listeners={text}: {form}");
        assert_eq!(message(&[&format!("listeners={text}")]), expected);
    }
    let cases: &[(&[&str], &str)] = &[
        (
            &["listeners=SASL_SSL://:9092"],
            "--set: listeners=SASL_SSL://:9092: TLS and SASL are not built yet, and the \
             listener is not opened without them",
        ),
        (
            &["listeners=INSIDE://:9092"],
            "default: listener.security.protocol.map=SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,\
             SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT: expected a protocol for the listener INSIDE, \
             or its name in controller.listener.names if it is for controllers",
        ),
        (
            &["listeners=PLAINTEXT://:1,PLAINTEXT://:2"],
            "--set: listeners=PLAINTEXT://:1,PLAINTEXT://:2: expected each name once; PLAINTEXT \
             comes twice",
        ),
        (
            &["listeners=PLAINTEXT://:1,B://:1", "listener.security.protocol.map=B:PLAINTEXT"],
            "--set: listeners=PLAINTEXT://:1,B://:1: expected each address once; port 1 comes \
             twice",
        ),
        (
            &["listeners=C://:1", "controller.listener.names=C"],
            "--set: listeners=C://:1: expected at least one listener that is not the controller's, \
             as process.roles=broker,controller (default) says",
        ),
        (
            &["advertised.listeners=PLAINTEXT://0.0.0.0:9092"],
            "--set: advertised.listeners=PLAINTEXT://0.0.0.0:9092: expected a host that clients \
             can reach; 0.0.0.0 is none",
        ),
        (
            &["advertised.listeners=OTHER://a:9092"],
            "--set: advertised.listeners=OTHER://a:9092: expected names of listeners only; \
             OTHER is none",
        ),
        (
            &["inter.broker.listener.name=OTHER"],
            "--set: inter.broker.listener.name=OTHER: expected the name of one of the listeners",
        ),
        (
            &["controller.listener.names="],
            "--set: controller.listener.names=: expected a list separated by commas that is not \
             empty",
        ),
    ];
    for (set, expected) in cases {
        assert_eq!(message(set), *expected);
    }
}

#[test]
fn zookeeper_is_named_with_what_replaces_it() {
    for key in ["zookeeper.connect", "zookeeper.ssl.client.enable"] {
        let message = message(&[&format!("{key}=zk:2181")]);
        assert!(message.starts_with(&format!("--set: {key} is gone since Kafka 4: ")));
        assert!(message.contains("controller.quorum.bootstrap.servers"), "{message}");
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let text = message(&["x", "num.partitions=0", "zookeeper.connect=a"]);
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[test]
fn passwords_are_never_shown() {
    // No check fails for a password, so the only way to print one is a conflict of types.
    let loaded = with(&["ssl.key.password=secret"]).unwrap();
    let notes: String = loaded.notes.iter().map(ToString::to_string).collect();
    assert!(notes.contains("ssl.key.password") && !notes.contains("secret"), "{notes}");
}

#[test]
fn keys_of_listeners_and_plugins_are_accepted() {
    let loaded = with(&[
        "listener.name.external.ssl.keystore.location=/a",
        "listener.name.external.scram-sha-256.sasl.jaas.config=x",
        "rsm.config.anything=1",
        "rlmm.config.x=1",
    ])
    .unwrap();
    let Some(Note::NoMeaning(keys)) = loaded.notes.first() else {
        panic!("{:?}", loaded.notes);
    };
    assert_eq!(keys.len(), 4);
    let text = message(&["listener.name.external.no.such.key=1"]);
    assert_eq!(text, "--set: unknown key listener.name.external.no.such.key");
}

#[test]
fn limits_of_listeners_are_checked_and_those_of_none_are_noted() {
    let text = message(&["listener.name.plaintext.max.connections=many"]);
    let expected = "--set: listener.name.plaintext.max.connections=many: expected a whole number";
    assert!(text.starts_with(expected), "{text}");
    let key = "max.connection.creation.rate";
    let [mine, other] =
        ["plaintext", "PLAINTEXT"].map(|name| format!("listener.name.{name}.{key}=1"));
    let noted = |set: &str| {
        let notes = with(&[set]).unwrap().notes.into_iter();
        notes.map(|note| note.to_string()).find(|note| note.contains(key))
    };
    assert_eq!(noted(&mine), None);
    assert!(noted(&other).is_some_and(|note| note.contains("is of no listener")));
}

#[test]
fn deprecated_keys_say_what_to_use() {
    let loaded = with(&["remote.log.manager.thread.pool.size=3"]).unwrap();
    let instead = "remote.log.manager.follower.thread.pool.size";
    let note = Note::Deprecated("remote.log.manager.thread.pool.size".to_owned(), instead);
    assert!(loaded.notes.contains(&note));
    assert_eq!(
        note.to_string(),
        format!("remote.log.manager.thread.pool.size is deprecated: use {instead}")
    );
}

#[test]
fn what_is_not_built_is_said() {
    let notes = |set: &str| {
        let notes = with(&[set]).unwrap().notes;
        notes.iter().map(|note| format!("{note}\n")).collect::<String>()
    };
    let text = notes("tidelog.remote.url=file:///a");
    assert!(text.contains("tiering is not built yet"), "{text}");
    let text = notes("offsets.topic.replication.factor=3");
    assert!(text.contains("replication is not built yet"), "{text}");
}

#[test]
fn environment_that_is_not_text_is_refused() {
    let name = "TIDELOG_CFG_BROKER_RACK";
    let value = std::ffi::OsString::from_vec(vec![0xff]);
    let layers = Layers { environment: vec![(name.into(), value)], ..Layers::default() };
    let text = load(&layers).unwrap_err().to_string();
    assert_eq!(text, format!("environment variable {name} is not UTF-8"));
}
