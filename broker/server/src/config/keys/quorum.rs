//! The quorum of the controllers, and how brokers keep in touch with it.

use crate::config::def::{Def, boolean, int, list};

/// The keys of this area that the broker acts on.
pub(in crate::config) const KEYS: &[Def] = &[
    list("controller.quorum.voters", "").doc(
        "The controllers that form the quorum: ID@HOST:PORT, the same list on every node. A node \
         with neither this nor controller.quorum.bootstrap.servers is a cluster of its own.",
    ),
    list("controller.quorum.bootstrap.servers", "").doc(
        "HOST:PORT of controllers where a node asks for the quorum that it is to follow; a \
         controller that finds only itself there is the first of its quorum.",
    ),
    boolean("controller.quorum.auto.join.enable", "false").doc(
        "Whether a controller that does not vote asks to become a voter, in the place of its own \
         lost disk, for instance.",
    ),
    int("controller.quorum.election.backoff.max.ms", "1000")
        .min(0.0)
        .doc("The longest pause, beside a voter's turn, after an election that nobody won."),
    int("controller.quorum.election.timeout.ms", "1000")
        .min(0.0)
        .doc("How long a candidate waits for votes before it asks again."),
    int("controller.quorum.fetch.timeout.ms", "1000")
        .min(0.0)
        .doc("After this long without the leader a voter asks for an election."),
    int("controller.quorum.request.timeout.ms", "2000")
        .min(0.0)
        .doc("How long a node of the quorum waits for another's answer."),
    int("controller.quorum.retry.backoff.ms", "20")
        .min(0.0)
        .doc("The pause before a request among the nodes of the quorum is made again."),
    int("controller.quorum.fetch.max.bytes", "1048576")
        .min(1.0)
        .doc("The most bytes of the metadata log that one fetch asks for."),
    int("broker.session.timeout.ms", "1500")
        .doc("A broker that the controller has not heard of for this long leads nothing."),
    int("broker.heartbeat.interval.ms", "300")
        .doc("How often a broker tells the controller that it lives."),
];
