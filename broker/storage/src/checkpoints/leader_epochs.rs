//! `leader-epoch-checkpoint` of a partition: which leader epoch began at which offset.

use std::io::IoSlice;
use std::path::Path;

use wire::ids::{LeaderEpoch, Offset};

use super::{CHECKPOINT_BYTES_MAX, CheckpointError, decode_counted, encode_counted, load};
use crate::disk::{Access, Disk, DiskError, write_file_atomically};

/// The file's name in a partition's directory.
pub const FILE: &str = "leader-epoch-checkpoint";
/// In the place of the version's one digit while the file is being written over.
const INCOMPLETE: &[u8] = b"-";

/// The file's bytes; entries are oldest first.
pub fn encode(entries: &[(LeaderEpoch, Offset)]) -> Vec<u8> {
    encode_counted(entries.iter().map(|(epoch, start)| format!("{epoch} {start}")))
}

/// Reads the file's bytes; `file` is for the messages. Epochs and offsets must grow.
pub fn decode(file: &Path, bytes: &[u8]) -> Result<Vec<(LeaderEpoch, Offset)>, CheckpointError> {
    let mut entries: Vec<(LeaderEpoch, Offset)> = Vec::new();
    decode_counted(file, bytes, |lines, line| {
        let Some((epoch, start)) = line.split_once(' ') else {
            return Err(lines.bad("expected epoch and start offset"));
        };
        let entry = (LeaderEpoch(lines.number(epoch)?), Offset(lines.number(start)?));
        if entries.last().is_some_and(|last| entry.0 <= last.0 || entry.1 < last.1) {
            return Err(lines.bad("epochs must grow, and offsets must not shrink"));
        }
        entries.push(entry);
        Ok(())
    })?;
    Ok(entries)
}

/// Reads the file of a partition; None when there is none.
pub fn read(
    disk: &dyn Disk,
    file: &Path,
) -> Result<Option<Vec<(LeaderEpoch, Offset)>>, CheckpointError> {
    match load(disk, file, CHECKPOINT_BYTES_MAX)? {
        Some(bytes) => decode(file, &bytes).map(Some),
        None => Ok(None),
    }
}

/// Replaces the file. A metadata log begins an epoch with each start, so this works on a full disk
/// too: then the file is written in its place, and not a file of its kind until that is complete.
/// After a crash before the end the epochs are read from the batches again.
pub fn write(
    disk: &dyn Disk,
    file: &Path,
    entries: &[(LeaderEpoch, Offset)],
) -> Result<(), DiskError> {
    let bytes = encode(entries);
    match write_file_atomically(disk, file, &bytes) {
        Err(error) if error.heals() && disk.exists(file)? => {}
        done => return done,
    }
    let (Some(first), Some(rest)) = (bytes.get(..1), bytes.get(1..)) else { return Ok(()) };
    let file = disk.open(file, Access::ReadWrite)?;
    file.write_all_at(&[IoSlice::new(INCOMPLETE)], 0)?;
    file.sync_all()?;
    file.write_all_at(&[IoSlice::new(rest)], 1)?;
    file.truncate(bytes.len() as u64)?;
    file.sync_all()?;
    file.write_all_at(&[IoSlice::new(first)], 0)?;
    file.sync_all()
}
