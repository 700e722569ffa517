//! Configuration files, whole.

use super::{Layers, Loaded, TempDir, load};
use crate::config::{ConfigErrors, Formation, Note};

fn read(name: &str, text: impl AsRef<[u8]>) -> Result<Loaded, ConfigErrors> {
    let dir = TempDir::new(&format!("files-{:?}", std::thread::current().id()));
    load(&Layers { file: Some(dir.file(name, text)), ..Layers::default() })
}

/// The message, without the directory.
fn refused(name: &str, text: impl AsRef<[u8]>) -> String {
    let message = read(name, text).unwrap_err().to_string();
    let start = message.find(name).unwrap_or_else(|| panic!("no {name} in {message}"));
    message[start..].to_owned()
}

/// The keys and values of Kafka 4.3's own sample for one node.
const USUAL: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,\
SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/some-logs
num.partitions=1
num.recovery.threads.per.data.dir=2
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
";

#[test]
fn a_usual_file_of_kafka_starts_the_broker() {
    let loaded = read("server.properties", USUAL).unwrap();
    assert_eq!(loaded.settings.node.node_id, 1);
    assert_eq!(loaded.settings.listeners.len(), 1);
    let unused = [
        "num.io.threads",
        "num.network.threads",
        "share.coordinator.state.topic.min.isr",
        "share.coordinator.state.topic.replication.factor",
        "transaction.state.log.min.isr",
        "transaction.state.log.replication.factor",
    ];
    let unused = Note::NoMeaning(unused.map(str::to_owned).to_vec());
    assert_eq!(loaded.notes, [unused]);
    // Its one bootstrap server is the node itself.
    assert_eq!(loaded.settings.quorum.formation, Formation::Voters);
    assert_eq!(loaded.settings.quorum.voters.len(), 1);
    assert_eq!(loaded.settings.controller_listeners.len(), 1);
}

#[test]
fn yaml_is_one_flat_map() {
    let text = "# comment\nnode.id: 7\nlog.dirs: [/a, /b]\nauto.create.topics.enable: false\n\
                broker.rack: \"r1\"\nlog.retention.ms: -1\nbroker.id:\n";
    let settings = read("a.yaml", text).unwrap().settings;
    assert_eq!(settings.node.node_id, 7);
    assert_eq!(settings.log_dirs.len(), 2);
    assert!(!settings.topics.auto_create);
    assert_eq!(settings.node.rack.as_deref(), Some("r1"));
    assert_eq!(super::topic(&settings, "retention.ms"), -1);
    assert_eq!(read("empty.yml", "").unwrap().settings.node.node_id, 0);
    assert_eq!(read("comment.yaml", "# nothing\n").unwrap().settings.node.node_id, 0);
}

#[test]
fn refusals_name_the_line() {
    let cases = [
        ("a.properties", "node.id=1\n\nnum.partition=2", "a.properties:3: unknown key"),
        ("a.yaml", "node.id: 1\nnum.partition: 2", "a.yaml:2: unknown key num.partition"),
        ("a.yaml", "node.id: 1\nnum.partitions: two", "a.yaml:2: num.partitions=two: expected"),
        ("a.yaml", "log:\n  dirs: /a", "a.yaml:2: log holds a map"),
        (
            "a.yaml",
            "node.id: 1\n\nnode.id: 2",
            "a.yaml:3: node.id stands on line 1 already; leave one of them",
        ),
        ("a.yaml", "- node.id\n- 1", "a.yaml: "),
        ("a.properties", "a=\\u12", "a.properties:1: \\u must be followed by four"),
        ("a.toml", "", "a.toml: the name of a configuration file ends in .yaml"),
    ];
    for (name, text, expected) in cases {
        let message = refused(name, text);
        assert!(message.starts_with(expected), "{message:?} is not {expected:?}");
    }
    for text in ["node.id: 1\nnode.id: 2", "a: {b: 1, b: 2}", "- node.id"] {
        let message = refused("a.yaml", text);
        assert!(!message.contains("Policy"), "a word of the library's: {message}");
    }
    let message = refused("a.properties", [b'a', b'=', 0xff]);
    assert_eq!(message, "a.properties: the file is not UTF-8");
}

#[test]
fn a_missing_file_is_named() {
    let layers = Layers { file: Some("/nowhere/a.yaml".into()), ..Layers::default() };
    let message = load(&layers).unwrap_err().to_string();
    assert!(message.starts_with("cannot read the configuration file /nowhere/a.yaml: No such"));
}

#[test]
fn a_key_twice_is_noted_and_the_last_holds() {
    let loaded = read("a.properties", "node.id=1\nnode.id=2").unwrap();
    assert_eq!(loaded.settings.node.node_id, 2);
    assert!(loaded.notes.contains(&Note::Repeated("node.id".to_owned())));
}
