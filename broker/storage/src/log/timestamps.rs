//! ListOffsets: from a timestamp, or one of its special values, to an offset.

use wire::ids::{LeaderEpoch, Offset};

use super::Log;
use crate::error::ReadError;

/// The offset after the last readable record.
pub const LATEST: i64 = -1;
/// The first offset.
pub const EARLIEST: i64 = -2;
/// The record with the largest timestamp (KIP-734).
pub const MAX_TIMESTAMP: i64 = -3;
/// The first offset on local disk (KIP-405).
pub const EARLIEST_LOCAL: i64 = -4;
/// The last offset in the remote store (KIP-1005).
pub const LATEST_TIERED: i64 = -5;
/// The first offset that is not yet in the remote store (KIP-1023).
pub const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// An offset found for a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    /// The record's timestamp; -1 for the special values that name no record.
    pub timestamp: i64,
    /// The offset.
    pub offset: Offset,
    /// The epoch of the record there, if known.
    pub leader_epoch: Option<LeaderEpoch>,
}

impl Log {
    /// The first record below `upto` whose timestamp is at least `timestamp`, or what a special
    /// value asks for. None when there is no such record.
    pub fn offset_for_timestamp(
        &self,
        _timestamp: i64,
        _upto: Offset,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        Ok(None)
    }
}
