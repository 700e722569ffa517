//! A broker without sockets: composes storage, replication, metadata, quorum and coordinator.
//!
//! ```text
//! server ── data plane ──> Partition (append, read, wait)          any thread, no waiting
//!        ── control ─────> Node::create_topics, ...                blocks on fsync, one at a time
//!        ── groups ──────> Node::group_request, reply by callback  any thread
//!        ── upkeep ──────> Node::run_retention, checkpoint, ...    a blocking thread, by timer
//! ```
//!
//! Times are arguments, randomness comes from the seed given to [`Node::open`]: the server and the
//! simulator drive this same crate.
#![forbid(unsafe_code)]

mod config;
mod configs;
mod control;
mod error;
mod group_drop;
mod group_load;
mod group_log;
mod group_stats;
mod group_upkeep;
mod groups;
mod health;
mod late_snapshot;
mod log_config;
mod log_dirs;
mod metadata_log;
mod node;
mod not_taken;
mod notice;
mod open;
mod open_logs;
mod partitions;
mod producer_ids;
mod quorum_state;
mod random;
mod reconcile;
mod register;
mod topics;
mod upkeep;

pub use config::{Endpoint, NodeConfig, QuorumConfig, Roles};
pub use control::{
    Applied, ApplyBatch, Asker, ControlEffect, ControlEvent, ControlRequest, ControlResponse,
    ControlStatus, ListenerKind, Token,
};
pub use error::Error;
pub use group_stats::CommittedOffset;
pub use groups::{ClientContext, GroupReply, GroupTicket, OFFSETS_TOPIC};
pub use log_config::LogLimits;
pub use log_dirs::LogDirState;
pub use node::Node;
pub use notice::Notice;
pub use partitions::TopicReplicas;
pub use quorum::{Bootstrap, Destination, Endpoint as ControllerEndpoint, Voter, Voters};
pub use quorum_state::{QuorumMarks, QuorumState, Role};
