//! `.kafka_cleanshutdown`: its presence says that every log of the directory was closed whole.
//! It carries the broker epoch of that run, which the next registration names.

use std::path::Path;

use super::load;
use crate::disk::{Disk, DiskError, write_file_atomically};

/// The file's name in a log directory.
pub const FILE: &str = ".kafka_cleanshutdown";
/// The broker epoch where none is known.
pub const EPOCH_UNKNOWN: i64 = -1;
const BYTES_MAX: u64 = 4096;

/// The file's bytes.
pub fn encode(broker_epoch: i64) -> Vec<u8> {
    format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}").into_bytes()
}

/// The broker epoch in the file's bytes. The file counts by being there, so one without a
/// readable epoch (Kafka before 3.8 left it empty) is as good, only without the epoch.
pub fn decode(bytes: &[u8]) -> i64 {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let after = |(_, rest): (&str, &str)| -> Option<i64> {
        let value = rest.trim_start().strip_prefix(':')?.trim_start();
        let end = value.find(|c: char| c != '-' && !c.is_ascii_digit()).unwrap_or(value.len());
        value.get(..end)?.parse().ok()
    };
    text.split_once("\"brokerEpoch\"").and_then(after).unwrap_or(EPOCH_UNKNOWN)
}

/// Reads the marker of a log directory: Some(broker epoch) after a clean stop.
pub fn read(disk: &dyn Disk, file: &Path) -> Result<Option<i64>, DiskError> {
    Ok(load(disk, file, BYTES_MAX)?.map(|bytes| decode(&bytes)))
}

/// Writes the marker.
pub fn write(disk: &dyn Disk, file: &Path, broker_epoch: i64) -> Result<(), DiskError> {
    write_file_atomically(disk, file, &encode(broker_epoch))
}
