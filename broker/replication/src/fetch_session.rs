//! Incremental fetch sessions (KIP-227): the broker remembers what a client fetches, the client
//! names only changes, the answer names only partitions that have something to say.
//!
//! A fetch handler calls [`SessionCache::begin`], reads what [`FetchContext::partitions`] lists
//! (again after each wake-up of a long poll), and calls [`SessionCache::finish`] once with what
//! it is about to answer. Sessions live in memory only and are evicted when the slots run out.

mod cache;
mod session;

use std::sync::{Arc, Mutex};

use wire::ErrorCode;
use wire::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId};

pub use cache::{SESSION_EVICTION_MS, SessionCache};
use session::Session;

/// The session id that stands for "no session".
pub const NO_SESSION: i32 = 0;
/// The epoch of a full fetch that wants a session.
pub const INITIAL_EPOCH: i32 = 0;
/// The epoch of a full fetch that wants no session, and ends the one it names.
pub const FINAL_EPOCH: i32 = -1;

/// A topic as the request named it: by name before version 13, by id since.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopicKey {
    /// By name.
    Name(Arc<str>),
    /// By id, which may be unknown here yet, or no more.
    Id(TopicId),
}

/// A partition as the request named it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchKey {
    /// Its topic.
    pub topic: TopicKey,
    /// Its index.
    pub index: PartitionIndex,
}

/// What is wanted of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchTarget {
    /// The first offset wanted.
    pub fetch_offset: Offset,
    /// The fetching follower's own log start; -1 from a consumer.
    pub log_start_offset: Offset,
    /// The most bytes wanted of this partition.
    pub max_bytes: i32,
    /// The leader epoch that the fetcher knows; -1 is none.
    pub current_leader_epoch: LeaderEpoch,
    /// The epoch of the last record that the fetcher has; -1 is none.
    pub last_fetched_epoch: LeaderEpoch,
}

/// The part of a Fetch request that sessions are about.
#[derive(Clone, Debug)]
pub struct SessionRequest {
    /// The session id, [`NO_SESSION`] for none.
    pub session_id: i32,
    /// The session epoch.
    pub session_epoch: i32,
    /// Whether the request names topics by id (version 13 and up).
    pub by_topic_id: bool,
    /// Whether a follower fetches: its sessions outrank those of consumers.
    pub from_follower: bool,
    /// The partitions that the request lists.
    pub partitions: Vec<(FetchKey, FetchTarget)>,
    /// The partitions that the request takes out of the session.
    pub forgotten: Vec<FetchKey>,
}

/// What the answer is about to say of one partition, as far as sessions care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether there are records in it.
    pub has_records: bool,
    /// The high watermark in it.
    pub high_watermark: Offset,
    /// The log start in it.
    pub log_start_offset: Offset,
    /// Whether it carries an error.
    pub is_error: bool,
    /// Whether it must be told for another reason: a preferred replica, a diverging epoch.
    pub is_redirect: bool,
}

/// What to put into the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionReply {
    /// The session id to answer with.
    pub session_id: i32,
    /// The error of the whole answer, `None` for none. With an error no partition is answered.
    pub error: ErrorCode,
    /// For each of [`FetchContext::partitions`], whether it belongs into the answer.
    pub include: Vec<bool>,
}

/// One fetch on its way.
#[derive(Debug)]
pub struct FetchContext {
    kind: ContextKind,
    partitions: Vec<(FetchKey, FetchTarget)>,
}

#[derive(Debug)]
enum ContextKind {
    /// Everything is answered, nothing remembered.
    Sessionless,
    /// Everything is answered, and remembered if there is a slot.
    Full { by_topic_id: bool, from_follower: bool },
    /// Only what changed is answered. The epoch is the one the session has moved on to.
    Incremental { session: Arc<Mutex<Session>>, session_id: i32, next_epoch: i32 },
}

impl FetchContext {
    /// The partitions to read, in the order in which to fill the answer.
    #[must_use]
    pub fn partitions(&self) -> &[(FetchKey, FetchTarget)] {
        &self.partitions
    }

    /// Whether the answer names only what changed.
    #[must_use]
    pub fn is_incremental(&self) -> bool {
        matches!(self.kind, ContextKind::Incremental { .. })
    }

    /// Whether an answer with this for a partition would name it: an incremental long poll ends
    /// at once when there is an error or a redirect to tell.
    #[must_use]
    pub fn ends_poll(outcome: &Outcome) -> bool {
        outcome.is_error || outcome.is_redirect
    }
}

fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests;
