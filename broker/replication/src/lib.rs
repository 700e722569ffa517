//! One partition's replica: the leader's append and read under the partition's own short lock, the
//! high watermark, those who wait for it, and the fetch sessions that keep a fetch small.
//!
//! Nothing here knows a socket, a clock or the coordinator: times are arguments, and whoever has
//! to wait leaves a [`purgatory::Wake`]. Called on the server's data workers; only
//! [`partition::Partition::flush`] may block for long and belongs on a blocking thread.
#![forbid(unsafe_code)]

mod append;
mod error;
pub mod fetch_session;
pub mod high_watermark;
mod leader;
pub mod partition;
pub mod purgatory;
mod read;
mod stats;
mod upkeep;

pub use append::{Acks, Produced};
pub use error::Error;
pub use partition::Partition;
pub use read::{Fetched, Isolation, OffsetAt, ReadRequest};
pub use stats::{PartitionStats, TrafficCounts};
pub use upkeep::Checkpointed;
