//! The metadata quorum (KRaft) as a pure state machine.
//!
//! ```text
//! disk -> Loader -> Quorum --step(now, Event)--> effects: persist, append, flush, snapshot
//!                      ^                             |
//!                      +------- completions ---------+
//! ```
//!
//! The quorum knows nothing of topics: a record is bytes. It orders records, has a majority of the
//! voters make them durable and says when they are committed; whoever drives it carries out the
//! effects in their order and returns each completion as an event. It holds no log, no socket and
//! no clock: requests and answers of other nodes are events and effects like the disk's.
//!
//! Followers fetch (KIP-595), snapshots replace a log's beginning (KIP-630), voters join and leave
//! one at a time (KIP-853), and nobody is disturbed by a node that could not win (KIP-996).
#![forbid(unsafe_code)]

mod batches;
mod clock;
mod config;
mod epochs;
mod error;
mod event;
mod loader;
mod log_view;
mod quorum;
mod random;
mod rpc;
mod snapshot;
mod state_file;
mod voter_history;
mod voters;

pub use batches::{BATCH_BYTES_MAX, LogEntry, entries};
pub use clock::Clock;
pub use config::{Bootstrap, Config};
pub use error::Error;
pub use event::{Destination, Effect, Event, Given, Refusal};
pub use loader::{Loader, SNAPSHOT_HEAD_BYTES};
pub use quorum::{Description, Quorum, ReplicaStatus, Role};
pub use rpc::{
    AddVoterRequest, BeginEpochRequest, Body, EndEpochRequest, FetchBody, FetchRequest,
    FetchSnapshotBody, FetchSnapshotRequest, Payload, Request, Response, UpdateVoterRequest,
    VoteRequest,
};
pub use snapshot::{Snapshot, SnapshotId};
pub use state_file::ElectionState;
pub use voters::{Endpoint, ReplicaKey, Voter, Voters};
