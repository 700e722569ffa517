//! Appending batches: validation, producer state, offsets and epochs, one vectored write.

use bytes::Bytes;
use wire::ids::{LeaderEpoch, Offset};

use super::Log;
use crate::error::AppendError;

/// Who made the batches, and so how far they are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A client: strict validation, sequences, no control batches, `max.message.bytes`.
    Client,
    /// A coordinator of this broker: control batches allowed, no sequences, only epochs.
    Coordinator,
    /// The metadata quorum: taken as it is.
    Raft,
}

/// What an append did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record; of a duplicate the original's.
    pub first_offset: Offset,
    /// Offset of the last record; of a duplicate the original's.
    pub last_offset: Offset,
    /// The broker's time, when the topic asks for it (of a duplicate the original's timestamp);
    /// else -1.
    pub log_append_time_ms: i64,
    /// The log's first offset.
    pub log_start_offset: Offset,
    /// Whether the batches had been in the log before: nothing was written.
    pub duplicate: bool,
    /// Whether `flush.messages` has been crossed: a flush is due before the answer.
    pub flush_due: bool,
}

impl Log {
    /// Appends batches as their leader, giving them the next offsets.
    pub fn append(
        &mut self,
        _now_ms: i64,
        _batches: Bytes,
        _origin: AppendOrigin,
        _leader_epoch: LeaderEpoch,
    ) -> Result<Appended, AppendError> {
        Err(AppendError::Poisoned)
    }

    /// Appends batches as they are, offsets and epochs included: what a follower does.
    pub fn append_verbatim(
        &mut self,
        _now_ms: i64,
        _batches: Bytes,
    ) -> Result<Appended, AppendError> {
        Err(AppendError::Poisoned)
    }
}
