//! Learning the producers' state from batches that are in the log.

use bytes::Bytes;
use wire::records::{Batch, BatchHeader, ControlType};

use super::Producers;
use crate::disk::{DiskError, DiskFile};
use crate::walk::Found;

/// Markers are tiny; anything larger is no marker.
const MARKER_BYTES_MAX: usize = 4096;

/// A transaction that a marker has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Whose it was.
    pub(crate) producer_id: i64,
    /// Where its first record is.
    pub(crate) first_offset: i64,
    /// Where the marker is.
    pub(crate) marker_offset: i64,
    /// Whether its records do not count.
    pub(crate) is_aborted: bool,
}

impl Producers {
    /// Takes note of a batch of the log, whose bytes are in `file`; gives the transaction that it
    /// ends.
    pub(crate) fn replay(
        &mut self,
        now_ms: i64,
        file: &dyn DiskFile,
        found: &Found,
        producers_max: usize,
    ) -> Result<Option<Ended>, DiskError> {
        self.note(now_ms, &found.header, producers_max, || {
            let mut bytes = vec![0; found.header.size_in_bytes()];
            file.read_exact_at(&mut bytes, found.position)?;
            Ok(Bytes::from(bytes))
        })
    }

    /// Takes note of a batch of the log; its bytes are asked for when it may be a marker.
    pub(crate) fn note(
        &mut self,
        now_ms: i64,
        header: &BatchHeader,
        producers_max: usize,
        bytes: impl FnOnce() -> Result<Bytes, DiskError>,
    ) -> Result<Option<Ended>, DiskError> {
        if !header.has_producer_id() {
            return Ok(None);
        }
        if !header.attributes.is_control() {
            self.record(header, now_ms, producers_max);
        } else if header.size_in_bytes() <= MARKER_BYTES_MAX
            && let Some((kind, coordinator_epoch)) = marker(&bytes()?)
        {
            let first_offset = self.record_marker(header, coordinator_epoch, now_ms);
            return Ok(first_offset.map(|first_offset| Ended {
                producer_id: header.producer_id,
                first_offset,
                marker_offset: header.base_offset,
                is_aborted: kind == ControlType::Abort,
            }));
        }
        Ok(None)
    }
}

/// A commit or abort marker, and the coordinator's epoch in it: its value is a version and the
/// epoch.
fn marker(bytes: &Bytes) -> Option<(ControlType, i32)> {
    let batch = Batch::parse(bytes).ok()?;
    let set = batch.records(MARKER_BYTES_MAX).ok()?;
    let record = set.iter().next()?.ok()?;
    let kind = ControlType::of_key(record.key?)?;
    if !matches!(kind, ControlType::Abort | ControlType::Commit) {
        return None;
    }
    let epoch = record.value?.get(2..6)?;
    Some((kind, i32::from_be_bytes(*epoch.first_chunk()?)))
}
