//! What can keep the server from starting or make it stop. Per-request errors never come here: they
//! become Kafka error codes in `dispatch`.

use std::io;

/// Why the server cannot start or had to stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A listener's name does not resolve or its port is taken.
    #[error("listener {listener}: cannot listen on {address}: {source}")]
    Bind {
        /// The listener's name, as in `listeners`.
        listener: String,
        /// Host and port, as configured.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// A thread or runtime could not be made.
    #[error("cannot start the {part}: {source}")]
    Runtime {
        /// Which part of the process.
        part: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The node cannot open or close.
    #[error(transparent)]
    Node(#[from] node::Error),
    /// The node cannot go on: every log directory is lost, for instance.
    #[error("{0}")]
    NodeFailed(String),
    /// Metrics cannot be set up.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The log filter cannot be read.
    #[error("tidelog.log.level {filter:?}: {why}")]
    LogFilter {
        /// As configured.
        filter: String,
        /// What is wrong with it.
        why: String,
    },
}
