//! Learning the producers' state from batches that are in the log.

use bytes::Bytes;
use wire::records::{Batch, BatchHeader, ControlType};

use super::Producers;
use crate::disk::{DiskError, DiskFile};
use crate::walk::Found;

/// Markers are tiny; anything larger is no marker.
const MARKER_BYTES_MAX: usize = 4096;

impl Producers {
    /// Takes note of a batch of the log, whose bytes are in `file`.
    pub(crate) fn replay(
        &mut self,
        now_ms: i64,
        file: &dyn DiskFile,
        found: &Found,
        producers_max: usize,
    ) -> Result<(), DiskError> {
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
    ) -> Result<(), DiskError> {
        if !header.has_producer_id() {
            return Ok(());
        }
        if !header.attributes.is_control() {
            self.record(header, now_ms, producers_max);
        } else if header.size_in_bytes() <= MARKER_BYTES_MAX
            && let Some(coordinator_epoch) = marker_epoch(&bytes()?)
        {
            self.record_marker(header, coordinator_epoch, now_ms);
        }
        Ok(())
    }
}

/// The coordinator's epoch in a commit or abort marker: its value is a version and the epoch.
fn marker_epoch(bytes: &Bytes) -> Option<i32> {
    let batch = Batch::parse(bytes).ok()?;
    let set = batch.records(MARKER_BYTES_MAX).ok()?;
    let record = set.iter().next()?.ok()?;
    match ControlType::of_key(record.key?)? {
        ControlType::Abort | ControlType::Commit => {}
        _ => return None,
    }
    let epoch = record.value?.get(2..6)?;
    Some(i32::from_be_bytes(*epoch.first_chunk()?))
}
