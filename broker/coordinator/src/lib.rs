//! The group coordinator as a pure shard over one partition of `__consumer_offsets`.
//!
//! ```text
//! request -> Shard::handle -> Decision { records, replies }
//!                                 |
//!      append the records -> Shard::replay each -> release the replies when committed
//! ```
//!
//! Hard state (what survives) changes only in [`Shard::replay`]. Soft state (who waits for a join
//! or a sync, deadlines, sessions) lives in the groups, is never written, and is lost when the
//! shard moves. A request that must wait gets no reply yet: its token comes out of a later
//! decision, of another request or of [`Shard::tick`].
//!
//! Whoever drives a shard holds one lock around `handle`, the append and `replay`; releases the
//! replies of a decision when the high watermark has passed everything appended so far; and, when
//! an append is refused, replays nothing and answers with [`Decision::refused`].
#![forbid(unsafe_code)]

mod config;
mod describe;
mod error;
mod group;
mod message;
mod offsets;
mod partitioner;
mod records;
mod shard;
mod stats;

pub use config::Config;
pub use error::Error;
pub use message::{Decision, Reply, Request, Response, Token};
pub use offsets::{fetch_groups, fetch_refused, fetch_response};
pub use partitioner::partition_for;
pub use records::Record;
pub use shard::{Context, Shard};
pub use stats::GroupCounts;
