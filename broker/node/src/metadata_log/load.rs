//! From the files of the metadata directory to a quorum that can start.

use std::collections::VecDeque;
use std::path::Path;

use bytes::Bytes;
use metadata::{Image, MetadataRecord};
use quorum::{Bootstrap, Loader, Quorum, SNAPSHOT_HEAD_BYTES, SnapshotId};
use storage::LogConfig;
use storage::config::CleanupPolicy;
use storage::disk::{Access, Disk, read_file};
use storage::log::Log;
use wire::ids::Offset;
use wire::metadata_frame;
use wire::records::BatchIter;

use super::{PART_SUFFIX, QUORUM_STATE, SNAPSHOT_BYTES_MAX, Tail};
use crate::error::Error;

/// A `quorum-state` above this is not ours.
const QUORUM_STATE_BYTES_MAX: u64 = 1 << 20;
/// How much of the log one read takes at the start.
const READ_BYTES: u32 = 4 << 20;
/// `metadata.log.segment.bytes`
const SEGMENT_BYTES: u32 = 1 << 30;
/// The largest batch: the quorum's own limit rules.
const BATCH_BYTES_MAX: u32 = 64 << 20;

/// What the files say.
pub(super) struct LoadedQuorum {
    pub(super) quorum: Quorum,
    /// The newest snapshot's state, which is committed, and the offset at which it ends.
    pub(super) image: Image,
    pub(super) image_end: Offset,
    /// What the log holds beyond.
    pub(super) tail: VecDeque<Tail>,
}

/// Reads `quorum-state`, the newest snapshot and the log.
pub(super) fn load(
    disk: &dyn Disk,
    dir: &Path,
    log: &Log,
    config: quorum::Config,
) -> Result<LoadedQuorum, Error> {
    let alone = config.bootstrap == Bootstrap::Alone;
    let mut loader = Loader::new(config);
    let state = dir.join(QUORUM_STATE);
    if !disk.exists(&state)? {
        if !alone && log.end_offset() > Offset(0) {
            return Err(Error::QuorumStateMissing(state));
        }
    } else {
        let content = read_file(disk, &state, QUORUM_STATE_BYTES_MAX)?;
        let read = loader.quorum_state(&content);
        read.map_err(|why| Error::QuorumStateUnreadable { file: state, why })?;
    }
    let mut image = Image::default();
    let mut image_end = Offset(0);
    let mut snapshots = snapshots(disk, dir)?;
    if let Some(newest) = snapshots.pop() {
        for id in snapshots {
            let path = dir.join(id.file_name());
            let file = disk.open(&path, Access::Read)?;
            let bytes = file.len()?;
            let head = usize::try_from(bytes.min(SNAPSHOT_HEAD_BYTES)).unwrap_or_default();
            let mut head = vec![0; head];
            file.read_exact_at(&mut head, 0).map_err(|error| error.at(&path))?;
            loader.older_snapshot(id, bytes, head.into());
        }
        let path = dir.join(newest.file_name());
        let file = read_file(disk, &path, SNAPSHOT_BYTES_MAX)?;
        let read = loader.newest_snapshot(newest, Bytes::from(file));
        let records = read.map_err(|why| Error::MetadataSnapshot { file: path.clone(), why })?;
        image = state_of(records).map_err(|why| why.of_metadata_at(&path))?;
        image_end = newest.end_offset;
    }
    let tail = tail(log, &mut loader, image_end).map_err(|why| why.of_metadata_at(dir))?;
    let quorum = loader.finish(log.log_start_offset(), log.end_offset());
    let quorum = quorum.map_err(|why| Error::from(why).of_metadata_at(dir))?;
    Ok(LoadedQuorum { quorum, image, image_end, tail })
}

/// Shows the log to the loader. Gives what lies beyond the newest snapshot.
fn tail(log: &Log, loader: &mut Loader, image_end: Offset) -> Result<VecDeque<Tail>, Error> {
    let end = log.end_offset();
    let mut next = log.log_start_offset();
    let mut tail = VecDeque::new();
    while next < end {
        let slice = log.read(next, READ_BYTES, end, true)?;
        let Some(range) = slice.range else { break };
        for batch in BatchIter::new(Bytes::from(range.read()?)) {
            let batch = batch.map_err(quorum::Error::from)?;
            let found = loader.batch(&batch)?;
            let last = Offset(batch.header().last_offset());
            if last >= image_end {
                let values = found.into_iter().map(|(_, value)| value).collect();
                tail.push_back(Tail { last, records: decode(values)? });
            }
        }
        next = slice.next_offset;
    }
    Ok(tail)
}

fn state_of(records: Vec<Bytes>) -> Result<Image, Error> {
    Ok(Image::default().apply(&decode(records)?)?.0)
}

pub(super) fn decode(values: Vec<Bytes>) -> Result<Vec<MetadataRecord>, Error> {
    let records: Result<Vec<MetadataRecord>, _> =
        values.into_iter().map(metadata_frame::decode).collect();
    Ok(records?)
}

/// The whole snapshots on disk, the oldest first.
pub(super) fn snapshots(disk: &dyn Disk, dir: &Path) -> Result<Vec<SnapshotId>, Error> {
    let mut found: Vec<SnapshotId> =
        disk.list(dir)?.iter().filter_map(|entry| SnapshotId::parse(&entry.name)).collect();
    found.sort_unstable();
    Ok(found)
}

/// Removes what a crash left of a leader's snapshot that was not whole.
pub(super) fn remove_parts(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    for entry in disk.list(dir)?.iter().filter(|entry| entry.name.ends_with(PART_SUFFIX)) {
        disk.remove_file(&dir.join(&entry.name))?;
    }
    Ok(())
}

/// Nothing but snapshots bounds the metadata log.
pub(super) fn log_config() -> LogConfig {
    LogConfig {
        segment_bytes: SEGMENT_BYTES,
        segment_ms: i64::MAX,
        retention_bytes: -1,
        retention_ms: -1,
        cleanup: CleanupPolicy { delete: true, compact: false },
        max_message_bytes: BATCH_BYTES_MAX,
        file_delete_delay_ms: 0,
        ..LogConfig::default()
    }
}
