//! The metadata quorum (KRaft) as a pure state machine.
//!
//! ```text
//! disk -> Loader -> Quorum --step(now, Event)--> effects: persist, append, flush, snapshot
//!                      ^                             |
//!                      +------- completions ---------+
//! ```
//!
//! The quorum knows nothing of topics: a record is bytes. It orders records, makes them durable
//! and says when they are committed; whoever drives it carries out the effects in their order and
//! returns each completion as an event. One voter leads without an election; the roles, the voter
//! set and the epochs are those of a quorum of several.
#![forbid(unsafe_code)]

mod batches;
mod error;
mod event;
mod loader;
mod quorum;
mod snapshot;
mod state_file;
mod voters;

pub use batches::{BATCH_BYTES_MAX, LogEntry, entries};
pub use error::Error;
pub use event::{Effect, Event, Refusal};
pub use loader::Loader;
pub use quorum::{Config, Quorum, Role};
pub use snapshot::{Snapshot, SnapshotId};
pub use state_file::ElectionState;
pub use voters::{Endpoint, Voter, Voters};
