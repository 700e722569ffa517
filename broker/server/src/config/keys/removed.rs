//! Keys that Kafka 4 no longer has, each with what takes its place.

/// A key that was: its name, or the beginning of its name when it ends in a dot.
pub(in crate::config) struct Removed {
    /// The name or beginning.
    pub(in crate::config) name: &'static str,
    /// What takes its place, as a sentence of advice.
    pub(in crate::config) instead: &'static str,
}

const NO_ZOOKEEPER: &str = "there is no ZooKeeper; the metadata lies in the node's own quorum \
    (controller.quorum.bootstrap.servers), remove the key";
const VERSION: &str = "the feature metadata.version takes its place, remove the key";
const LISTENERS: &str = "use listeners=PLAINTEXT://HOST:PORT";
const ADVERTISED: &str = "use advertised.listeners=PLAINTEXT://HOST:PORT";
const NODE_ID: &str = "set node.id, which is never made up, and remove the key";
const NO_SHUTDOWN_RETRY: &str = "the shutdown is agreed with the controller, remove the key";

const fn gone(name: &'static str, instead: &'static str) -> Removed {
    Removed { name, instead }
}

/// The keys of Kafka before 4.0 that are no more.
pub(in crate::config) const REMOVED: &[Removed] = &[
    gone("zookeeper.metadata.migration.enable", NO_ZOOKEEPER),
    gone("zookeeper.", NO_ZOOKEEPER),
    gone("host.name", LISTENERS),
    gone("port", LISTENERS),
    gone("advertised.host.name", ADVERTISED),
    gone("advertised.port", ADVERTISED),
    gone("broker.id.generation.enable", NODE_ID),
    gone("reserved.broker.max.id", NODE_ID),
    gone("control.plane.listener.name", "use controller.listener.names"),
    gone("inter.broker.protocol.version", VERSION),
    gone("log.message.format.version", "records are of format 2 only, remove the key"),
    gone("log.message.downconversion.enable", "records are of format 2 only, remove the key"),
    gone(
        "log.message.timestamp.difference.max.ms",
        "use log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms",
    ),
    gone("password.encoder.", "passwords are not kept in metadata, remove the key"),
    gone("delegation.token.master.key", "use delegation.token.secret.key"),
    gone("controlled.shutdown.max.retries", NO_SHUTDOWN_RETRY),
    gone("controlled.shutdown.retry.backoff.ms", NO_SHUTDOWN_RETRY),
    gone("leader.imbalance.per.broker.percentage", "any imbalance is put right, remove the key"),
    gone("offsets.commit.required.acks", "commits wait for all replicas, remove the key"),
    gone("auto.include.jmx.reporter", "metrics are served at /metrics, remove the key"),
    gone("group.coordinator.new.enable", "there is one coordinator only, remove the key"),
    gone("quota.producer.default", "set the quota producer_byte_rate by kafka-configs"),
    gone("quota.consumer.default", "set the quota consumer_byte_rate by kafka-configs"),
];

impl Removed {
    /// Whether `name` is this key or begins as this entry says.
    pub(in crate::config) fn is(&self, name: &str) -> bool {
        name == self.name || (self.name.ends_with('.') && name.starts_with(self.name))
    }
}
