//! `recovery-point-offset-checkpoint`, `log-start-offset-checkpoint` and
//! `replication-offset-checkpoint`: one offset per partition of a log directory.

use std::collections::BTreeMap;
use std::path::Path;

use wire::ids::{Offset, PartitionIndex};

use super::{CHECKPOINT_BYTES_MAX, CheckpointError, decode_counted, encode_counted, load};
use crate::directory::TopicPartition;
use crate::disk::{Disk, DiskError, write_file_atomically};

/// Up to where each log is durable; what lies above is re-read after an unclean stop.
pub const RECOVERY_POINT_FILE: &str = "recovery-point-offset-checkpoint";
/// Where each log starts for readers, when that is not where its first segment starts.
pub const LOG_START_FILE: &str = "log-start-offset-checkpoint";
/// Up to where the log cleaner has compacted each log: the logs that may have gaps.
pub const CLEANER_FILE: &str = "cleaner-offset-checkpoint";
/// Each partition's high watermark.
pub const HIGH_WATERMARK_FILE: &str = "replication-offset-checkpoint";

/// An offset for each partition.
pub type Offsets = BTreeMap<TopicPartition, Offset>;

/// The file's bytes.
pub fn encode(offsets: &Offsets) -> Vec<u8> {
    encode_counted(offsets.iter().map(|(partition, offset)| {
        format!("{} {} {}", partition.topic, partition.partition, offset)
    }))
}

/// Reads the file's bytes; `file` is for the messages.
pub fn decode(file: &Path, bytes: &[u8]) -> Result<Offsets, CheckpointError> {
    let mut offsets = Offsets::new();
    decode_counted(file, bytes, |lines, line| {
        let mut parts = line.split(' ');
        let (Some(topic), Some(partition), Some(offset), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(lines.bad("expected topic, partition, offset"));
        };
        let partition = PartitionIndex(lines.number(partition)?);
        let Some(partition) = TopicPartition::new(topic, partition) else {
            return Err(lines.bad("not a topic's name"));
        };
        let offset = Offset(lines.number(offset)?);
        match offsets.insert(partition, offset) {
            None => Ok(()),
            Some(_) => Err(lines.bad("the partition is listed twice")),
        }
    })?;
    Ok(offsets)
}

/// Reads one of the files of a log directory; one that does not exist says nothing of any log.
pub fn read(disk: &dyn Disk, file: &Path) -> Result<Offsets, CheckpointError> {
    match load(disk, file, CHECKPOINT_BYTES_MAX)? {
        // Kafka makes the file first and writes to it later; so it reads an empty one as well.
        Some(bytes) if !bytes.is_empty() => decode(file, &bytes),
        _ => Ok(Offsets::new()),
    }
}

/// Replaces one of the files.
pub fn write(disk: &dyn Disk, file: &Path, offsets: &Offsets) -> Result<(), DiskError> {
    write_file_atomically(disk, file, &encode(offsets))
}
