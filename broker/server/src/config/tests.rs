//! Tests of the configuration as a whole: layers, messages, typed values, the tables themselves.

mod files;
mod kafka;
mod messages;
mod properties;
mod quorum;
mod tables;

use super::*;

/// What one `--set` each makes of the defaults.
fn with(set: &[&str]) -> Result<Loaded, ConfigErrors> {
    load(&Layers { set: set.iter().map(|text| (*text).to_owned()).collect(), ..Layers::default() })
}

fn settings(set: &[&str]) -> Settings {
    with(set).unwrap().settings
}

/// The number that a topic without settings of its own gets.
fn topic(settings: &Settings, key: &str) -> i64 {
    settings.topic_defaults.resolve([]).long(key, -77)
}

fn message(set: &[&str]) -> String {
    with(set).unwrap_err().to_string()
}

#[test]
fn later_layers_win() {
    let dir = TempDir::new("layers");
    let file = dir.file("a.properties", "num.partitions=2\nlog.segment.bytes=2000000\nbroker.id=5");
    let environment = [
        ("TIDELOG_CFG_NUM_PARTITIONS", "3"),
        ("TIDELOG_CFG_LOG_RETENTION_MS", "77"),
        ("TIDELOG_HOME", "no.such.key"),
        ("PATH", "/bin"),
    ];
    let layers = Layers {
        dev: vec![("num.partitions", "9".to_owned()), ("fetch.max.bytes", "4096".to_owned())],
        file: Some(file),
        environment: environment.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        set: vec!["num.partitions=4".to_owned()],
    };
    let without = |set: bool, environment: bool, file: bool| {
        let mut layers = layers.clone();
        if !set {
            layers.set.clear();
        }
        if !environment {
            layers.environment.clear();
        }
        if !file {
            layers.file = None;
        }
        load(&layers).unwrap().settings
    };
    assert_eq!(without(true, true, true).topics.partitions, 4);
    assert_eq!(without(false, true, true).topics.partitions, 3);
    assert_eq!(without(false, false, true).topics.partitions, 2);
    assert_eq!(without(false, false, false).topics.partitions, 9);
    let all = without(true, true, true);
    assert_eq!(topic(&all, "segment.bytes"), 2_000_000);
    assert_eq!(topic(&all, "retention.ms"), 77);
    assert_eq!(all.fetch.bytes_max, 4_096);
    assert_eq!(all.node.node_id, 5);
}

#[test]
fn two_underscores_are_one() {
    let layers = Layers {
        environment: vec![("TIDELOG_CFG_RSM_CONFIG_MY__KEY".into(), "x".into())],
        ..Layers::default()
    };
    let notes = load(&layers).unwrap().notes;
    assert!(notes.contains(&Note::NoMeaning(vec!["rsm.config.my_key".to_owned()])), "{notes:?}");
}

#[test]
fn larger_units_give_way_to_smaller_ones() {
    const HOUR: i64 = 3_600_000;
    let cases: &[(&[&str], i64)] = &[
        (&[], 168 * HOUR),
        (&["log.retention.hours=2"], 2 * HOUR),
        (&["log.retention.hours=2", "log.retention.minutes=3"], 180_000),
        (&["log.retention.minutes=3", "log.retention.ms=4"], 4),
        (&["log.retention.ms=4", "log.retention.hours=2"], 4),
        (&["log.retention.ms=-1"], -1),
        (&["log.retention.hours=-1"], -1),
    ];
    for (set, expected) in cases {
        assert_eq!(topic(&settings(set), "retention.ms"), *expected, "{set:?}");
    }
    assert_eq!(topic(&settings(&[]), "segment.ms"), 168 * HOUR);
    assert_eq!(topic(&settings(&["log.roll.hours=1"]), "segment.ms"), HOUR);
    assert_eq!(topic(&settings(&["log.roll.hours=1", "log.roll.ms=5"]), "segment.ms"), 5);
    assert_eq!(topic(&settings(&["log.roll.jitter.hours=1"]), "segment.jitter.ms"), HOUR);
    assert_eq!(topic(&settings(&[]), "flush.ms"), i64::MAX);
    assert_eq!(topic(&settings(&["log.flush.scheduler.interval.ms=9"]), "flush.ms"), 9);
    let both = ["log.flush.scheduler.interval.ms=9", "log.flush.interval.ms=8"];
    assert_eq!(topic(&settings(&both), "flush.ms"), 8);
}

#[test]
fn node_id_and_its_old_name() {
    assert_eq!(settings(&[]).node.node_id, 0);
    assert_eq!(settings(&["node.id=3"]).node.node_id, 3);
    assert_eq!(settings(&["broker.id=3"]).node.node_id, 3);
    assert_eq!(settings(&["broker.id=3", "node.id=3"]).node.node_id, 3);
    assert_eq!(settings(&["broker.id=-1", "node.id=3"]).node.node_id, 3);
}

#[test]
fn listeners_and_what_clients_are_told() {
    let settings = settings(&[
        "listeners=PLAINTEXT://127.0.0.1:9092,out://[::1]:0,CONTROLLER://:9093",
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT, OUT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "advertised.listeners=OUT://kafka.example:19092,CONTROLLER://localhost:9093",
        "controller.listener.names=CONTROLLER",
    ]);
    let shown: Vec<_> = settings
        .listeners
        .iter()
        .map(|one| {
            let told = (one.advertised_host.as_str(), one.advertised_port);
            (one.name.as_str(), one.host.as_str(), one.port, told)
        })
        .collect();
    assert_eq!(
        shown,
        [("PLAINTEXT", "127.0.0.1", 9092, ("", 0)), ("OUT", "::1", 0, ("kafka.example", 19092)),]
    );
}

#[test]
fn directories() {
    let dirs = |set: &[&str]| {
        let settings = settings(set);
        let dirs: Vec<_> = settings.log_dirs.iter().map(|dir| dir.display().to_string()).collect();
        (dirs.join(" "), settings.metadata_log_dir.display().to_string())
    };
    let plain = ["log.dir=/a", "log.dirs=/b, /c"];
    assert_eq!(dirs(&plain), ("/b /c".to_owned(), "/b".to_owned()));
    assert_eq!(dirs(&["log.dir=/a"]), ("/a".to_owned(), "/a".to_owned()));
    let apart = ["log.dir=/a", "metadata.log.dir=/m"];
    assert_eq!(dirs(&apart), ("/a".to_owned(), "/m".to_owned()));
}

#[test]
fn admin_listener_forms() {
    let admin = |host: &str, port: &str| {
        let host = format!("tidelog.admin.host={host}");
        settings(&[&host, &format!("tidelog.admin.port={port}")]).admin.map(|all| all.to_string())
    };
    assert_eq!(admin("", "-1"), None);
    assert_eq!(admin("", "1").as_deref(), Some("0.0.0.0:1"));
    assert_eq!(admin("127.0.0.1", "0").as_deref(), Some("127.0.0.1:0"));
    assert_eq!(admin("[::1]", "1").as_deref(), Some("[::1]:1"));
}

#[test]
fn the_node_gets_what_was_configured() {
    let settings = settings(&["node.id=4", "broker.rack=r", "log.dir=/a", "num.partitions=6"]);
    let node = settings.node_config(Vec::new());
    assert_eq!(node.node_id.0, 4);
    assert_eq!(node.rack.as_deref(), Some("r"));
    assert_eq!(node.log_dirs, [std::path::PathBuf::from("/a")]);
    assert_eq!(node.settings.num_partitions, 6);
    assert_eq!(node.settings.offsets_topic_num_partitions, 50);
    assert_eq!(node.log_limits.producer_expiration_ms, 86_400_000);
    assert_eq!(node.fetch_session_slots, 1_000);
    assert_eq!(node.metadata_snapshot_interval_ms, 3_600_000);
}

#[test]
fn limits_of_addresses() {
    let set = "max.connections.per.ip.overrides=10.0.0.1:5, [::1]:6";
    let overrides = settings(&[set]).connections_per_ip_overrides;
    let expected = [("10.0.0.1".parse().unwrap(), 5), ("::1".parse().unwrap(), 6)];
    assert_eq!(overrides, expected);
}

/// A directory of the test's own, removed at its end.
struct TempDir(std::path::PathBuf);

impl TempDir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tidelog-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> std::path::PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
