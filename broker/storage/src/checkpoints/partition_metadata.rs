//! `partition.metadata`: the id of the topic that a partition's directory belongs to.

use std::io::IoSlice;
use std::path::Path;

use wire::ids::{TopicId, Uuid};

use super::{CheckpointError, Lines, VERSION, load};
use crate::disk::{Access, Disk, DiskError};

/// The file's name in a partition's directory.
pub const FILE: &str = "partition.metadata";
const BYTES_MAX: u64 = 4096;

/// The file's bytes.
pub fn encode(topic_id: TopicId) -> Vec<u8> {
    format!("version: {VERSION}\ntopic_id: {topic_id}").into_bytes()
}

/// Reads the file's bytes; `file` is for the messages.
pub fn decode(file: &Path, bytes: &[u8]) -> Result<TopicId, CheckpointError> {
    let mut lines = Lines::new(file, bytes)?;
    let Some(version) = lines.next().and_then(|line| line.strip_prefix("version: ")) else {
        return Err(lines.bad("expected version"));
    };
    lines.check_version(version, VERSION)?;
    let Some(id) = lines.next().and_then(|line| line.strip_prefix("topic_id: ")) else {
        return Err(lines.bad("expected topic_id"));
    };
    match id.parse::<Uuid>() {
        Ok(id) if !id.is_zero() && lines.next().is_none() => Ok(TopicId(id)),
        _ => Err(lines.bad("expected a topic id and nothing after it")),
    }
}

/// Reads the file of a partition; None when there is none.
pub fn read(disk: &dyn Disk, file: &Path) -> Result<Option<TopicId>, CheckpointError> {
    match load(disk, file, BYTES_MAX)? {
        Some(bytes) => decode(file, &bytes).map(Some),
        None => Ok(None),
    }
}

/// Writes the file, without a sync: a topic of many partitions is made at once. The log's first
/// flush syncs it, so a file that is missing or torn after a crash belongs to a log of which
/// nothing was promised to be durable.
pub fn write(disk: &dyn Disk, file: &Path, topic_id: TopicId) -> Result<(), DiskError> {
    let open = disk.open(file, Access::CreateTruncate)?;
    open.write_all_at(&[IoSlice::new(&encode(topic_id))], 0)
}
