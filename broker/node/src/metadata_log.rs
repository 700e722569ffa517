//! The metadata log on this node's disk: carries out what the quorum asks for, in its order.
//!
//! Everything blocks until it is done, so one call appends, flushes and commits. The caller holds
//! the controller's lock. When the disk refuses, the quorum stops; a full disk heals, so the
//! quorum may be loaded again from what is on disk.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use metadata::{Delta, Image, MetadataRecord};
use quorum::{Effect, Event, Loader, Quorum, SnapshotId};
use storage::LogConfig;
use storage::checkpoints::partition_metadata;
use storage::config::CleanupPolicy;
use storage::directory::LogDir;
use storage::disk::{
    Disk, DiskErrorKind, read_file, write_file_atomically, write_file_in_any_case,
};
use storage::error::{AppendError, LogError, ReadError};
use storage::log::{AppendOrigin, Log, OpenArgs, RecoveryReport};
use wire::ids::{Offset, TopicId, Uuid};
use wire::metadata_frame;
use wire::records::BatchIter;

use crate::error::Error;
use crate::late_snapshot::{LateSnapshot, Snapshot};

/// The directory of the metadata log in its log directory.
pub(crate) const DIRECTORY: &str = "__cluster_metadata-0";
/// The quorum's own file.
const QUORUM_STATE: &str = "quorum-state";
/// A `quorum-state` above this is not ours.
const QUORUM_STATE_BYTES_MAX: u64 = 1 << 20;
/// The largest snapshot read.
const SNAPSHOT_BYTES_MAX: u64 = 2 << 30;
/// How much of the log one read takes at the start.
const READ_BYTES: u32 = 4 << 20;
/// `metadata.log.segment.bytes`
const SEGMENT_BYTES: u32 = 1 << 30;
/// Space kept for the log on its disk: a node starts, and topics are deleted, on a full disk too.
const RESERVED_BYTES: u64 = 1 << 20;
/// The largest batch: the quorum's own limit rules.
const BATCH_BYTES_MAX: u32 = 64 << 20;

/// The log, its directory, and the quorum over it.
pub(crate) struct MetadataLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    log: Log,
    config: quorum::Config,
    quorum: Quorum,
    pub(crate) late: LateSnapshot,
    next_token: u64,
}

/// What happened to one proposal.
#[derive(Default)]
struct Progress {
    accepted_upto: Option<Offset>,
    refused: Option<quorum::Refusal>,
    committed_upto: Option<Offset>,
    fatal: Option<String>,
    error: Option<Error>,
}

impl MetadataLog {
    /// Opens or makes the log in `log_dir`, leads it, and gives the image it tells.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        log_dir: &LogDir,
        config: quorum::Config,
        now_ms: i64,
    ) -> Result<(Self, Image, RecoveryReport), Error> {
        let dir = log_dir.path().join(DIRECTORY);
        if !disk.exists(&dir)? {
            disk.create_dir_all(&dir)?;
            disk.sync_dir(log_dir.path())?;
        }
        let identity = dir.join(partition_metadata::FILE);
        if !disk.exists(&identity)? {
            partition_metadata::write(&*disk, &identity, TopicId(Uuid::METADATA_TOPIC))?;
        }
        // What a snapshot contains was durable before the snapshot was written.
        let mut recovery_point =
            newest_snapshot(&*disk, &dir)?.map_or(Offset(0), |id| id.end_offset);
        if log_dir.was_closed_clean()? {
            recovery_point = Offset(i64::MAX);
        }
        let (mut log, report) = Log::open(OpenArgs {
            disk: Arc::clone(&disk),
            dir: dir.clone(),
            config: Arc::new(log_config()),
            recovery_point,
            // Every commit is synced before the next is written: only the last can be torn.
            intact_below: Offset(i64::MAX),
            log_start_offset: Offset(0),
            clean: false,
            was_compacted: false,
            accept: Vec::new(),
            now_ms,
        })?;
        if let Some(corruption) = report.corruption {
            return Err(Error::MetadataCorrupt { dir, corruption });
        }
        let (quorum, image) = match load(&*disk, &dir, &log, config.clone()) {
            Err(Error::MetadataRead(ReadError::Corrupt(corruption))) => {
                return Err(Error::MetadataCorrupt { dir, corruption });
            }
            loaded => loaded?,
        };
        // What is appended from now on may be torn by the next crash.
        log_dir.consume_clean_marker()?;
        log.reserve(RESERVED_BYTES);
        let late = LateSnapshot::default();
        let mut opened = Self { disk, dir, log, config, quorum, late, next_token: 0 };
        opened.start(now_ms, &image)?;
        Ok((opened, image, report))
    }

    /// The offset that the next record gets.
    pub(crate) fn end_offset(&self) -> Offset {
        self.quorum.log_end()
    }

    /// The quorum that the log is of.
    pub(crate) fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// Appends and commits records that lead from `image` to what is returned. After an error
    /// nothing is known of the records' fate, and nothing may be appended before [`Self::heal`].
    pub(crate) fn commit(
        &mut self,
        now_ms: i64,
        image: &Image,
        records: &[MetadataRecord],
    ) -> Result<(Image, Delta), Error> {
        // Records that do not follow from the image never reach the log.
        let (next, delta) = image.apply(records)?;
        let encoded: Result<Vec<Bytes>, _> = records.iter().map(metadata_frame::encode).collect();
        self.next_token += 1;
        let proposal = Event::Propose { token: self.next_token, records: encoded? };
        let mut progress = self.drive(now_ms, proposal, &next);
        if let Some(why) = progress.refused {
            return Err(Error::ProposalRefused(why));
        }
        progress.check()?;
        match (progress.accepted_upto, progress.committed_upto) {
            (Some(accepted), Some(committed)) if accepted <= committed => Ok((next, delta)),
            _ => Err(Error::ControllerStopped),
        }
    }

    /// Lets the quorum do what time asks for: snapshots. One that the disk had no space for is
    /// tried again when its time has come.
    pub(crate) fn tick(&mut self, now_ms: i64, image: &Image) -> Result<(), Error> {
        let event = match self.late.due(now_ms) {
            None => Event::Tick,
            Some(snapshot) => match self.write_snapshot(now_ms, snapshot)? {
                None => return Ok(()),
                Some(written) => written,
            },
        };
        self.drive(now_ms, event, image).check()
    }

    /// Writes a snapshot; says so unless it has to wait for space.
    fn write_snapshot(&mut self, now_ms: i64, snapshot: Snapshot) -> Result<Option<Event>, Error> {
        let Snapshot { id, name, file } = &snapshot;
        let id = *id;
        match write_file_atomically(&*self.disk, &self.dir.join(name), file) {
            // Nothing rests on it: the log has every record of it. But the first one, with which a
            // cluster begins.
            Err(error) if error.heals() && id.end_offset > Offset(0) => {
                self.late.wait(now_ms, snapshot, error);
                return Ok(None);
            }
            written => written?,
        }
        self.late.written();
        // Whole segments are given up, so that the next snapshot can free this one.
        match self.log.roll(now_ms) {
            Err(LogError::Disk(error)) if error.heals() => {}
            rolled => drop(rolled?),
        }
        self.log.reserve(RESERVED_BYTES);
        Ok(Some(Event::SnapshotWritten { id }))
    }

    /// Loads the quorum again from the disk after a failure that heals. Gives the image that the
    /// log tells, which is what is committed whatever the failed call was told.
    pub(crate) fn heal(&mut self, now_ms: i64) -> Result<Image, Error> {
        if self.log.is_poisoned() {
            return Err(Error::ControllerStopped);
        }
        let (quorum, image) = load(&*self.disk, &self.dir, &self.log, self.config.clone())?;
        self.quorum = quorum;
        self.late = LateSnapshot::default();
        self.start(now_ms, &image)?;
        Ok(image)
    }

    /// Clean stop. A full disk is none to this log: every record was synced when it was committed,
    /// and a start reads all of them and makes their indexes anew.
    pub(crate) fn close(&mut self) -> Result<(), Error> {
        match self.log.close() {
            Err(LogError::Disk(error)) if error.heals() => Ok(()),
            closed => closed.map(|_end| ()).map_err(Error::from),
        }
    }

    fn start(&mut self, now_ms: i64, image: &Image) -> Result<(), Error> {
        let mut progress = self.drive(now_ms, Event::Start, image);
        progress.check()?;
        match progress.committed_upto {
            Some(committed) if committed == self.quorum.log_end() => Ok(()),
            _ => Err(Error::ControllerStopped),
        }
    }

    /// Steps the quorum until it asks for nothing more.
    fn drive(&mut self, now_ms: i64, event: Event, image: &Image) -> Progress {
        let mut progress = Progress::default();
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for effect in self.quorum.step(now_ms, event) {
                if progress.error.is_some() {
                    // The quorum is about to hear of the failure; what it asked for before is void.
                    break;
                }
                match self.carry_out(now_ms, effect, image, &mut progress) {
                    Ok(completion) => events.extend(completion),
                    Err(error) => {
                        progress.error = Some(error);
                        events.clear();
                        events.push_back(Event::DiskFailed);
                    }
                }
            }
        }
        progress
    }

    fn carry_out(
        &mut self,
        now_ms: i64,
        effect: Effect,
        image: &Image,
        progress: &mut Progress,
    ) -> Result<Option<Event>, Error> {
        match effect {
            Effect::PersistState { file } => {
                write_file_in_any_case(&*self.disk, &self.dir.join(QUORUM_STATE), &file)?;
                return Ok(Some(Event::StatePersisted));
            }
            Effect::Append { batch, first, epoch, .. } => {
                let appended = self.log.append(now_ms, batch, AppendOrigin::Raft, epoch)?;
                if appended.first_offset != first {
                    return Err(AppendError::OffsetMismatch {
                        got: first,
                        end: appended.first_offset,
                    }
                    .into());
                }
                self.log.reserve(RESERVED_BYTES);
            }
            Effect::Flush { upto } => {
                self.log.flush()?;
                return Ok(Some(Event::Flushed { upto }));
            }
            Effect::Accepted { last, .. } => progress.accepted_upto = Some(last.plus(1)),
            Effect::Refused { why, .. } => progress.refused = Some(why),
            Effect::Committed { upto } => progress.committed_upto = Some(upto),
            Effect::TakeSnapshot { id } => {
                let records = image.to_records();
                let encoded: Result<Vec<Bytes>, _> =
                    records.iter().map(metadata_frame::encode).collect();
                return Ok(Some(Event::SnapshotRecords { id, records: encoded? }));
            }
            Effect::WriteSnapshot { id, name, file } => {
                return self.write_snapshot(now_ms, Snapshot { id, name, file });
            }
            Effect::TrimLog { start } => self.trim(now_ms, start)?,
            Effect::RemoveSnapshot { name, .. } => {
                match self.disk.remove_file(&self.dir.join(name)) {
                    Err(error) if error.kind != DiskErrorKind::NotFound => {
                        return Err(error.into());
                    }
                    _ => {}
                }
            }
            Effect::Fatal { why } => progress.fatal = Some(why),
            Effect::Elected { .. } | Effect::Deposed { .. } => {}
            // A quorum of one asks nobody, is asked by nobody, and has nobody to differ from.
            Effect::Truncate { .. }
            | Effect::Send { .. }
            | Effect::Respond { .. }
            | Effect::WriteSnapshotPart { .. }
            | Effect::ReadSnapshotPart { .. }
            | Effect::InstallSnapshot { .. } => {}
        }
        Ok(None)
    }

    fn trim(&mut self, now_ms: i64, start: Offset) -> Result<(), Error> {
        let high_watermark = self.quorum.high_watermark();
        self.log.delete_records(start, high_watermark)?;
        let retired = self.log.apply_retention(now_ms, high_watermark)?;
        if let Some(deletion) = retired.deletion {
            // Nobody reads the metadata log but this node, which is not reading.
            deletion.run(&*self.disk)?;
        }
        Ok(())
    }
}

impl Progress {
    /// What went wrong, if anything did.
    fn check(&mut self) -> Result<(), Error> {
        match (self.error.take(), self.fatal.take()) {
            (Some(error), _) => Err(error),
            (None, Some(why)) => Err(Error::QuorumStopped(why)),
            (None, None) => Ok(()),
        }
    }
}

/// Reads `quorum-state`, the newest snapshot and the log: the quorum, and the image they tell.
fn load(
    disk: &dyn Disk,
    dir: &Path,
    log: &Log,
    config: quorum::Config,
) -> Result<(Quorum, Image), Error> {
    let mut loader = Loader::new(config);
    let state = dir.join(QUORUM_STATE);
    if disk.exists(&state)? {
        loader.quorum_state(&read_file(disk, &state, QUORUM_STATE_BYTES_MAX)?)?;
    }
    let mut image = Image::default();
    let mut snapshots = snapshots(disk, dir)?;
    if let Some(newest) = snapshots.pop() {
        for id in snapshots {
            let file = disk.open(&dir.join(id.file_name()), storage::disk::Access::Read)?;
            loader.older_snapshot(id, file.len()?);
        }
        let file = read_file(disk, &dir.join(newest.file_name()), SNAPSHOT_BYTES_MAX)?;
        let records = loader.newest_snapshot(newest, Bytes::from(file))?;
        image = replay(&image, records)?;
    }
    let end = log.end_offset();
    let mut next = log.log_start_offset();
    while next < end {
        let slice = log.read(next, READ_BYTES, end, true)?;
        let Some(range) = slice.range else { break };
        let mut records = Vec::new();
        for batch in BatchIter::new(Bytes::from(range.read()?)) {
            let found = loader.batch(&batch.map_err(quorum::Error::from)?)?;
            records.extend(found.into_iter().map(|(_, value)| value));
        }
        image = replay(&image, records)?;
        next = slice.next_offset;
    }
    Ok((loader.finish(log.log_start_offset(), end)?, image))
}

fn replay(image: &Image, values: Vec<Bytes>) -> Result<Image, Error> {
    let records: Result<Vec<MetadataRecord>, _> =
        values.into_iter().map(metadata_frame::decode).collect();
    Ok(image.apply(&records?)?.0)
}

/// The whole snapshots on disk, the oldest first.
fn snapshots(disk: &dyn Disk, dir: &Path) -> Result<Vec<SnapshotId>, Error> {
    let mut found: Vec<SnapshotId> =
        disk.list(dir)?.iter().filter_map(|entry| SnapshotId::parse(&entry.name)).collect();
    found.sort_unstable();
    Ok(found)
}

fn newest_snapshot(disk: &dyn Disk, dir: &Path) -> Result<Option<SnapshotId>, Error> {
    Ok(snapshots(disk, dir)?.pop())
}

/// Nothing but snapshots bounds the metadata log.
fn log_config() -> LogConfig {
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
