//! What a process is in its quorum: roles, controllers' addresses, listeners of the controller.

use std::time::Duration;

use super::{message, settings, with};
use crate::config::Formation;

const NAMES: &str = "controller.listener.names=CONTROLLER";
const BOTH: &str = "listeners=PLAINTEXT://:9092,CONTROLLER://:9093";
const THREE: &str = "controller.quorum.voters=1@a:9093,2@b:9093,3@[::1]:9093";

fn formation(set: &[&str]) -> Formation {
    settings(set).quorum.formation
}

#[test]
fn how_a_node_begins() {
    assert_eq!(formation(&[]), Formation::Alone);
    assert_eq!(formation(&["node.id=2", THREE, BOTH, NAMES]), Formation::Voters);
    let one = "controller.quorum.voters=2@b:9093";
    assert_eq!(formation(&["node.id=2", one]), Formation::Alone, "nobody reaches it");
    assert_eq!(formation(&["node.id=2", one, BOTH, NAMES]), Formation::Voters);
    for here in ["localhost:9093", "127.0.0.1:9093"] {
        let servers = format!("controller.quorum.bootstrap.servers={here}");
        let quorum = settings(&["node.id=2", &servers, BOTH, NAMES]).quorum;
        assert_eq!(quorum.formation, Formation::Voters, "{here}");
        assert_eq!((quorum.voters.len(), quorum.voters[0].id), (1, 2), "itself");
    }
    for there in ["localhost:9094", "a:9093", "localhost:9093,a:9093"] {
        let servers = format!("controller.quorum.bootstrap.servers={there}");
        assert_eq!(formation(&[&servers, BOTH, NAMES]), Formation::Join, "{there}");
    }
    let broker = ["process.roles=broker", "node.id=9", THREE, NAMES];
    assert_eq!(formation(&broker), Formation::Join);
}

#[test]
fn a_controller_alone_has_no_listener_for_clients() {
    let controller = "process.roles=controller";
    let listeners = "listeners=CONTROLLER://:9093";
    let settings = settings(&[controller, "node.id=2", THREE, listeners, NAMES]);
    assert!(settings.listeners.is_empty());
    assert_eq!(settings.controller_listeners.len(), 1);
    let roles = settings.quorum.roles;
    assert!(roles.controller && !roles.broker);
    let voters: Vec<_> = settings.quorum.voters.iter().map(|one| one.id).collect();
    assert_eq!(voters, [1, 2, 3]);
    assert_eq!(settings.quorum.voters[2].address.host, "::1");
}

#[test]
fn an_own_entry_where_nobody_listens_is_told() {
    let told = |listeners: &str| {
        let set = ["process.roles=controller", "node.id=2", THREE, listeners, NAMES];
        let notes = with(&set).unwrap().notes.into_iter();
        notes.map(|note| note.to_string()).any(|note| note.contains("this node is at b:9093"))
    };
    assert!(told("listeners=CONTROLLER://:9999"));
    assert!(!told("listeners=CONTROLLER://:9093"));
}

#[test]
fn times_are_kafkas_or_stand_in_the_table() {
    let quorum = settings(&[]).quorum;
    let ms = Duration::from_millis;
    assert_eq!(quorum.election_timeout, ms(1000));
    assert_eq!(quorum.election_backoff_max, ms(1000));
    assert_eq!(quorum.fetch_timeout, ms(1000));
    assert_eq!(quorum.request_timeout, ms(2000));
    assert_eq!(quorum.retry_backoff, ms(20));
    assert_eq!((quorum.session_timeout, quorum.heartbeat_interval), (ms(1500), ms(300)));
    let quorum = settings(&["broker.session.timeout.ms=9000"]).quorum;
    assert_eq!(quorum.session_timeout, ms(9000));
}

#[test]
fn what_contradicts_itself_is_refused() {
    let ids = "controller.quorum.voters=1@a:9093,2@b:9093,3@[::1]:9093";
    let listed =
        |why: &str| format!("node.id=0 (default) and {ids} (--set) contradict each other: {why}");
    let role = |text: &str| format!("process.roles={text}");
    let cases: &[(&[&str], String)] = &[
        (
            &["process.roles=broker"],
            "--set: process.roles=broker: expected broker,controller, or \
             controller.quorum.voters or controller.quorum.bootstrap.servers with it"
                .to_owned(),
        ),
        (&[THREE, BOTH, NAMES], listed("a controller is one of the voters")),
        (
            &[&role("broker"), "node.id=1", THREE, NAMES],
            format!(
                "node.id=1 (--set) and {ids} (--set) with process.roles=broker (--set) contradict \
                 each other: a voter is a controller, too"
            ),
        ),
        (
            &[&role("broker"), THREE],
            "default: controller.listener.names=: expected the name that the controllers' \
             listener has on their side, as process.roles=broker (--set) says"
                .to_owned(),
        ),
        (
            &[&role("broker"), THREE, BOTH, NAMES],
            "--set: listeners=PLAINTEXT://:9092,CONTROLLER://:9093: expected no listener of the \
             controller, as process.roles=broker (--set) says"
                .to_owned(),
        ),
        (
            &[&role("controller"), "node.id=1", THREE, BOTH, NAMES],
            "--set: listeners=PLAINTEXT://:9092,CONTROLLER://:9093: expected listeners of \
             controller.listener.names only, as process.roles=controller (--set) says"
                .to_owned(),
        ),
        (
            &[NAMES],
            "--set: controller.listener.names=CONTROLLER: expected names that listeners has as \
             well, as process.roles=broker,controller (default) says"
                .to_owned(),
        ),
        (
            &["node.id=1", THREE],
            format!(
                "default: controller.listener.names=: expected the name of one of the listeners: \
                 by {ids} (--set) there are other nodes, which reach the controller by it"
            ),
        ),
        (
            &[&role("broker"), THREE, NAMES, "controller.quorum.auto.join.enable=true"],
            "controller.quorum.auto.join.enable=true (--set) and process.roles=broker (--set) \
             contradict each other: only a controller votes"
                .to_owned(),
        ),
        (
            &["broker.heartbeat.interval.ms=0"],
            "--set: broker.heartbeat.interval.ms=0: expected at least 1".to_owned(),
        ),
    ];
    for (set, expected) in cases {
        assert_eq!(message(set), *expected);
    }
}

#[test]
fn addresses_are_read_whole_or_refused() {
    for bad in ["1@a", "a:1", "-1@a:1", "1@:1", "1@a:0", "1@0.0.0.0:1", "1@::1:2", "x@a:1"] {
        let message = message(&[&format!("controller.quorum.voters={bad}")]);
        assert!(message.contains("expected ID@HOST:PORT"), "{bad}: {message}");
    }
    for twice in ["1@a:1,1@b:1", "1@a:1,2@a:1"] {
        let message = message(&[&format!("controller.quorum.voters={twice}")]);
        assert!(message.contains("expected each id and each address once"), "{message}");
    }
    for bad in ["a", ":1", "a:70000"] {
        let message = message(&[&format!("controller.quorum.bootstrap.servers={bad}")]);
        assert!(message.contains("expected HOST:PORT"), "{bad}: {message}");
    }
}

#[test]
fn heartbeats_that_come_too_seldom_are_told() {
    let told = |interval: &str| {
        let session = "broker.session.timeout.ms=1000";
        let notes = with(&[session, interval]).unwrap().notes;
        notes.iter().any(|note| note.to_string().contains("fenced between its heartbeats"))
    };
    assert!(told("broker.heartbeat.interval.ms=501"));
    assert!(!told("broker.heartbeat.interval.ms=500"));
}

#[test]
fn one_replica_of_the_offsets_is_asked_of_a_broker_alone() {
    let told = |set: &[&str]| {
        let notes = with(set).unwrap().notes;
        notes.iter().any(|note| note.to_string().contains("offsets.topic.replication.factor=3"))
    };
    assert!(told(&[]));
    assert!(!told(&["node.id=2", THREE, BOTH, NAMES]), "several make it with one replica");
}
