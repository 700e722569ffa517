//! The node itself, its listeners and its connections.

use crate::config::def::{Check, Def, Kind, boolean, int, list, long, text, unset};

/// The keys of this area that the broker acts on.
pub(in crate::config) const KEYS: &[Def] = &[
    int("node.id", "0").min(0.0).doc("The id of this node in the cluster."),
    int("broker.id", "-1").doc("The old name of node.id; -1 leaves it to node.id."),
    list("process.roles", "broker,controller")
        .filled()
        .check(Check::OneOf(&["broker", "controller"]))
        .doc("What this process is: broker, controller, or both."),
    unset("broker.rack", Kind::Text).doc("The rack of this node, told to clients."),
    list("listeners", "PLAINTEXT://:9092")
        .filled()
        .doc("The addresses to listen on: NAME://HOST:PORT; an empty host is every address.")
        .per_broker(),
    unset("advertised.listeners", Kind::List)
        .filled()
        .doc("The addresses told to clients, when they differ from listeners."),
    text(
        "listener.security.protocol.map",
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
    )
    .doc("The security protocol of each listener name.")
    .per_broker(),
    unset("inter.broker.listener.name", Kind::Text)
        .doc("The listener of the brokers among themselves; max.connections leaves it room."),
    unset("controller.listener.names", Kind::List).filled().doc(
        "The listeners of the controller, for other controllers, brokers and tools; other nodes \
         are reached by the first.",
    ),
    int("socket.listen.backlog.size", "50")
        .min(1.0)
        .doc("Connections that the kernel keeps waiting for acceptance."),
    int("socket.send.buffer.bytes", "102400").doc("SO_SNDBUF; -1 leaves it to the kernel."),
    int("socket.receive.buffer.bytes", "102400").doc("SO_RCVBUF; -1 leaves it to the kernel."),
    int("socket.request.max.bytes", "104857600")
        .min(1.0)
        .doc("The largest request; a connection that announces more is closed."),
    long("queued.max.request.bytes", "-1").doc(
        "Memory for all requests being received or handled; -1 is a quarter of the memory \
         limit, at most 256 MiB.",
    ),
    int("max.connections", "2147483647")
        .min(0.0)
        .doc(
            "Connections in total, of a listener as listener.name.NAME.max.connections; the limit \
              of open files caps it further.",
        )
        .cluster_wide(),
    int("max.connection.creation.rate", "2147483647")
        .min(0.0)
        .doc("Connections in a second; those that come faster wait for their turn.")
        .cluster_wide(),
    int("quota.window.num", "11").min(1.0).doc("Windows over which a rate is taken."),
    int("quota.window.size.seconds", "1").min(1.0).doc("How long one of these windows is."),
    int("max.connections.per.ip", "1000")
        .min(0.0)
        .doc("Connections from one address.")
        .cluster_wide(),
    text("max.connections.per.ip.overrides", "")
        .check(Check::AddressCounts)
        .doc("Connections from single addresses: ADDRESS:COUNT, separated by commas.")
        .cluster_wide(),
    long("connections.max.idle.ms", "600000")
        .doc("A connection without a request for this long is closed."),
    int("max.incremental.fetch.session.cache.slots", "1000")
        .min(0.0)
        .doc("Incremental fetch sessions kept."),
    int("fetch.max.bytes", "57671680").min(1024.0).doc("The most bytes one fetch answers."),
    int("max.request.partition.size.limit", "2000")
        .min(1.0)
        .doc("The most partitions one DescribeTopicPartitions answers."),
    boolean("auto.create.topics.enable", "true")
        .doc("Whether asking for an unknown topic makes it."),
    boolean("delete.topic.enable", "true").doc("Whether topics can be deleted."),
    int("num.partitions", "1").min(1.0).doc("Partitions of a topic that does not say."),
    int("default.replication.factor", "1").doc("Replicas of a topic that does not say."),
];
