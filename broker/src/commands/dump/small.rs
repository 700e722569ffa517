//! The small files beside the logs: producers, epochs, checkpoints, whose partition it is.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::json;
use storage::checkpoints::{leader_epochs, offsets, partition_metadata};
use storage::producers::snapshot;

use super::out::Out;
use crate::commands::failure::Failure;

/// The largest such file that is read.
const BYTES_MAX: u64 = 256 << 20;

/// A file's bytes.
pub(super) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let failed = |source| Failure::Path { path: path.to_path_buf(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > bytes_max {
        let what = format!("more than the {bytes_max} bytes that such a file may have");
        return Err(Failure::Input { place: path.display().to_string(), what });
    }
    Ok(bytes)
}

/// `.snapshot`
pub(super) fn producers(path: &Path, out: &mut Out) -> Result<(), Failure> {
    let entries = match snapshot::entries(&read(path, BYTES_MAX)?) {
        Ok(entries) => entries,
        Err(what) => return out.problem(0, what),
    };
    for entry in entries {
        let batch = entry.batch;
        let line = vec![
            ("producer_id", json!(entry.producer_id)),
            ("producer_epoch", json!(entry.epoch)),
            ("last_sequence", json!(batch.last_sequence)),
            ("last_offset", json!(batch.last_offset)),
            ("offset_delta", json!(batch.offset_delta)),
            ("last_timestamp", json!(batch.timestamp)),
            ("coordinator_epoch", json!(entry.coordinator_epoch)),
            ("transaction_start", json!(Some(entry.transaction_start).filter(|start| *start >= 0))),
        ];
        out.line("producer", line)?;
    }
    Ok(())
}

/// `leader-epoch-checkpoint`
pub(super) fn epochs(path: &Path, out: &mut Out) -> Result<(), Failure> {
    match leader_epochs::decode(path, &read(path, BYTES_MAX)?) {
        Ok(entries) => entries.into_iter().try_for_each(|(epoch, start)| {
            out.line("epoch", vec![("epoch", json!(epoch.0)), ("start_offset", json!(start.0))])
        }),
        Err(error) => out.problem(0, &error.to_string()),
    }
}

/// `recovery-point-offset-checkpoint` and its like.
pub(super) fn checkpoint(path: &Path, out: &mut Out) -> Result<(), Failure> {
    let bytes = read(path, BYTES_MAX)?;
    if bytes.is_empty() {
        // Kafka makes some of them so, and reads them as none.
        return Ok(());
    }
    match offsets::decode(path, &bytes) {
        Ok(entries) => entries.into_iter().try_for_each(|(place, offset)| {
            let line = vec![
                ("topic", json!(place.topic)),
                ("partition", json!(place.partition.0)),
                ("offset", json!(offset.0)),
            ];
            out.line("entry", line)
        }),
        Err(error) => out.problem(0, &error.to_string()),
    }
}

/// `partition.metadata`
pub(super) fn partition(path: &Path, out: &mut Out) -> Result<(), Failure> {
    match partition_metadata::decode(path, &read(path, BYTES_MAX)?) {
        Ok(id) => out.line("partition", vec![("topic_id", json!(id.to_string()))]),
        Err(error) => out.problem(0, &error.to_string()),
    }
}
