//! The tables of all keys: what the broker acts on, what it accepts, what Kafka dropped.

pub(super) mod accepted_cluster;
pub(super) mod accepted_groups;
pub(super) mod accepted_runtime;
pub(super) mod accepted_security;
pub(super) mod coordinator;
pub(super) mod log;
pub(super) mod node;
pub(super) mod quorum;
pub(super) mod removed;
pub(super) mod tidelog;
