//! Opening a log: what is trusted, what is read again, what is cut.
//!
//! After a clean stop nothing is read but the last segment's end. After an unclean one, every
//! segment that reaches past the recovery point is read batch by batch; the last one always. A bad
//! batch at or after the recovery point is the torn tail of a write that nobody was promised: it is
//! cut. Before it, or after a clean stop, it is corruption: nothing is cut, the bad batch is never
//! served, and the report says so.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;

use wire::ids::{LeaderEpoch, Offset};

use super::Log;
use super::retention::DELETED;
use super::unsynced::Changes;
use crate::checkpoints::leader_epochs;
use crate::config::LogConfig;
use crate::disk::{Access, Disk, DiskError, DiskFile};
use crate::epochs::LeaderEpochs;
use crate::error::{Corruption, LogError};
use crate::index::txn;
use crate::producers::{Producers, snapshot};
use crate::segment::{self, Indexes, Segment};
use crate::segments::Segments;
use crate::walk::{Found, Step, Walk};

/// Bytes compared or copied at once when a tail is cut.
const COPY_BYTES: usize = 1 << 20;

/// What is needed to open a log.
#[derive(Clone, Debug)]
pub struct OpenArgs {
    /// The disk that holds it.
    pub disk: Arc<dyn Disk>,
    /// Its directory, which exists.
    pub dir: PathBuf,
    /// Its configuration.
    pub config: Arc<LogConfig>,
    /// From the recovery-point checkpoint: below it everything had been synced. 0 when unknown.
    pub recovery_point: Offset,
    /// From the log-start checkpoint. 0 when unknown.
    pub log_start_offset: Offset,
    /// Whether the last stop was clean.
    pub clean: bool,
    /// The broker's time.
    pub now_ms: i64,
}

/// A torn tail that was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutTail {
    /// Base offset of the segment it was in.
    pub segment: Offset,
    /// Where in the segment's file it began.
    pub position: u64,
    /// How many bytes it had.
    pub bytes: u64,
    /// Where they were kept, unless all of them were zeros (or the disk is full).
    pub kept: Option<PathBuf>,
}

/// What opening a log found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Segments that were read again from end to end.
    pub segments_recovered: usize,
    /// Bytes of them.
    pub bytes_recovered: u64,
    /// Segments whose indexes were built anew.
    pub indexes_rebuilt: usize,
    /// What was cut off, oldest first.
    pub cut: Vec<CutTail>,
    /// Corruption where no crash can excuse it: the replica must be repaired.
    pub corruption: Option<Corruption>,
    /// Where the log ends now.
    pub end_offset: Option<Offset>,
}

impl Log {
    /// Opens a log, or makes an empty one where there is none.
    pub fn open(args: OpenArgs) -> Result<(Self, RecoveryReport), LogError> {
        let now_ms = args.now_ms;
        let clean = args.clean;
        let checkpointed_start = args.log_start_offset;
        let mut log = Self::load(args)?;
        let mut report = RecoveryReport::default();
        if log.segments.len() == 0 {
            log.begin_segment(now_ms, checkpointed_start.0)?;
        } else if clean {
            log.open_clean(now_ms)?;
        } else {
            log.touched = true;
            log.recover(now_ms, &mut report)?;
        }
        log.forget_stray_snapshots()?;
        log.epoch_changes.mark_if(log.epochs.truncate_end(Offset(log.end)));
        let first = log.segments.get(0).map_or(0, |segment| segment.base);
        log.start = first.max(checkpointed_start.0);
        if log.start > log.end {
            // What the crash took had been deleted by the user before.
            let start = Offset(log.start);
            log.restart_at(now_ms, start)?.map_or(Ok(()), |gone| gone.run(log.disk.as_ref()))?;
        }
        log.epoch_changes.mark_if(log.epochs.truncate_start(Offset(log.start)));
        log.producers.expire(now_ms, log.config.producer_expiration_ms);
        log.recovery_point = if clean { log.end } else { log.recovery_point.min(log.end) };
        log.flush_begun = log.recovery_point;
        if log.end > log.recovery_point {
            log.unflushed_since_ms = Some(now_ms);
        }
        report.corruption = log.corruption();
        report.end_offset = Some(log.end_offset());
        Ok((log, report))
    }

    /// Lists the directory, removes leftovers, reads the epochs. No batch is read yet.
    fn load(args: OpenArgs) -> Result<Self, LogError> {
        let OpenArgs { disk, dir, config, recovery_point, log_start_offset, now_ms, .. } = args;
        let names: Vec<String> = disk
            .list(&dir)?
            .into_iter()
            .filter(|entry| !entry.is_dir)
            .map(|entry| entry.name)
            .collect();
        let mut list = Vec::new();
        for name in &names {
            if let Some((base, segment::LOG)) = segment::parse_file_name(name) {
                let size = disk.open(&dir.join(name), Access::Read)?.len()?;
                list.push(Segment::found(base, size, now_ms));
            }
        }
        list.sort_by_key(|segment| segment.base);
        for name in &names {
            if is_leftover(name, &list) {
                disk.remove_file(&dir.join(name))?;
            }
        }
        let epochs = leader_epochs::read(disk.as_ref(), &dir.join(leader_epochs::FILE));
        let interval = config.index_interval_bytes;
        let segments = Segments::new(Arc::clone(&disk), dir.clone(), interval, list);
        Ok(Self {
            disk,
            dir,
            config,
            segments,
            start: log_start_offset.0,
            end: log_start_offset.0,
            recovery_point: recovery_point.0,
            flush_begun: recovery_point.0,
            unflushed_since_ms: None,
            name_changes: Changes::made(),
            producers: Producers::default(),
            // What cannot be read is written anew from the batches that recovery reads; epochs
            // before them are then unknown, which costs a follower a longer truncation only.
            epochs: LeaderEpochs::from_entries(epochs.ok().flatten().unwrap_or_default()),
            epoch_changes: Changes::default(),
            closed_indexes: BTreeMap::new(),
            truncations: 0,
            flush_gate: Arc::default(),
            touched: false,
            poisoned: false,
            corruption: None,
        })
    }

    /// After a clean stop: finds the end from the last index entry on.
    fn open_clean(&mut self, now_ms: i64) -> Result<(), LogError> {
        let at = self.segments.len().saturating_sub(1);
        let Some(segment) = self.segments.get(at) else { return Ok(()) };
        let (base, size) = (segment.base, segment.size);
        let loaded = self.segments.load_indexes(segment)?;
        self.touched = loaded.is_none();
        let mut indexes = loaded.unwrap_or_else(Indexes::empty);
        let from = indexes.offsets.last().map_or(0, |entry| u64::from(entry.position));
        let file = self.segments.file(at)?;
        let mut walk = Walk::headers(file.as_ref(), from, size).with_offset_min(base);
        loop {
            match walk.step()? {
                Step::Batch(found) => {
                    indexes.note(base, &found, self.config.index_interval_bytes);
                }
                Step::End => break,
                Step::Bad { position } => {
                    self.break_segment(at, position, walk.offset_min());
                    break;
                }
            }
        }
        self.end = walk.offset_min().max(base);
        if let Some(segment) = self.segments.get_mut(at) {
            segment.indexes = indexes.into();
        }
        self.producers = self.load_producers(now_ms, self.end)?;
        Ok(())
    }

    /// After an unclean stop: reads what lies past the recovery point.
    fn recover(&mut self, now_ms: i64, report: &mut RecoveryReport) -> Result<(), LogError> {
        let last = self.segments.len().saturating_sub(1);
        let from = (0..last)
            .find(|at| self.segments.next_base(*at).is_none_or(|next| next > self.recovery_point))
            .unwrap_or(last);
        let base = self.segments.get(from).map_or(0, |segment| segment.base);
        self.forget_snapshots_after(base)?;
        self.producers = self.load_producers(now_ms, base)?;
        self.epoch_changes.mark_if(self.epochs.truncate_end(Offset(base)));
        self.end = base;
        for at in from.. {
            let Some(segment) = self.segments.get(at) else { break };
            let (base, size) = (segment.base, segment.size);
            let mut torn = self.recover_segment(now_ms, at, report)?;
            if torn.is_none() && self.is_gap_behind(at) {
                // The kernel had written a later segment before this one's last bytes.
                if self.end >= self.recovery_point {
                    torn = Some(size);
                } else {
                    self.break_segment(at, size, self.end);
                }
            }
            if let Some(position) = torn {
                self.cut_tail(at, position, report)?;
            }
            self.write_recovered_indexes(at, base)?;
            if let Some(next) = self.segments.next_base(at) {
                self.end = self.end.max(next);
                self.write_snapshot(self.end)?;
            }
        }
        Ok(())
    }

    /// Whether the log goes on, but not where segment `at` ends. Compaction makes such gaps too.
    fn is_gap_behind(&self, at: usize) -> bool {
        let next = self.segments.next_base(at);
        !self.config.cleanup.compact && next.is_some_and(|next| next > self.end)
    }

    /// Replaces what a crash left of a segment's indexes. The active segment's may wait when the
    /// disk is full.
    fn write_recovered_indexes(&mut self, at: usize, base: i64) -> Result<(), LogError> {
        let is_active = at + 1 == self.segments.len();
        let Some(mut indexes) = self.segments.get_mut(at).and_then(|it| it.indexes.take()) else {
            return Ok(());
        };
        if !is_active {
            indexes.push_time(base);
            self.index_written(base);
        }
        let result = self.segments.write_indexes(base, &mut indexes);
        if let Some(segment) = self.segments.get_mut(at) {
            segment.indexes = indexes.into();
        }
        match result {
            Err(error) if !(is_active && error.heals()) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Reads a segment from end to end and rebuilds what follows from it. Returns where a torn
    /// tail begins, if there is one.
    fn recover_segment(
        &mut self,
        now_ms: i64,
        at: usize,
        report: &mut RecoveryReport,
    ) -> Result<Option<u64>, LogError> {
        let Some(segment) = self.segments.get(at) else { return Ok(None) };
        let (base, size) = (segment.base, segment.size);
        let file = self.segments.file(at)?;
        let mut walk = Walk::verifying(file.as_ref(), 0, size).with_offset_min(base);
        let mut indexes = Indexes::empty();
        let mut first_timestamp = None;
        let mut verified = crate::verified::Verified::from(size);
        let mut sound_from = 0;
        let mut torn = None;
        loop {
            match walk.step()? {
                Step::Batch(found) => {
                    first_timestamp.get_or_insert(found.header.max_timestamp);
                    indexes.note(base, &found, self.config.index_interval_bytes);
                    self.replay(now_ms, file.as_ref(), &found)?;
                }
                Step::End => {
                    verified.add(sound_from, size);
                    break;
                }
                Step::Bad { position } => {
                    let offset = walk.offset_min();
                    verified.add(sound_from, position);
                    if offset >= self.recovery_point {
                        torn = Some(position);
                        break;
                    }
                    self.corrupt(base, position, offset);
                    if !walk.skip_bad()? {
                        self.break_segment(at, position, offset);
                        break;
                    }
                    sound_from = walk.position();
                    self.end = walk.offset_min();
                }
            }
        }
        self.end = self.end.max(base);
        report.segments_recovered += 1;
        report.indexes_rebuilt += 1;
        report.bytes_recovered += size;
        if let Some(segment) = self.segments.get_mut(at) {
            segment.indexes = indexes.into();
            segment.first_timestamp = first_timestamp;
            segment.verified = verified.into();
        }
        Ok(torn)
    }

    /// Takes note of a batch that was found in the log.
    fn replay(&mut self, now_ms: i64, file: &dyn DiskFile, found: &Found) -> Result<(), LogError> {
        let header = &found.header;
        let epoch = LeaderEpoch(header.partition_leader_epoch);
        self.epoch_changes.mark_if(self.epochs.assign(epoch, Offset(header.base_offset)));
        self.end = header.next_offset();
        let max = self.config.producers_max;
        self.producers.replay(now_ms, file, found, max)?;
        Ok(())
    }

    /// The producers as of `upto`: the newest sound snapshot not after it, and the batches since.
    pub(super) fn load_producers(&self, now_ms: i64, upto: i64) -> Result<Producers, LogError> {
        let mut producers = Producers::default();
        let mut from = self.segments.get(0).map_or(0, |segment| segment.base);
        for offset in self.snapshot_offsets()?.into_iter().rev() {
            if offset > upto {
                continue;
            }
            let path = self.segments.path(offset, snapshot::EXTENSION);
            let bytes = crate::disk::read_file(self.segments.disk(), &path, snapshot::BYTES_MAX)?;
            if let Some(read) = snapshot::decode(&bytes, now_ms) {
                producers = read;
                from = offset;
                break;
            }
        }
        if from >= upto {
            return Ok(producers);
        }
        for at in self.segments.find(from)..self.segments.len() {
            let Some(segment) = self.segments.get(at).filter(|segment| segment.base < upto) else {
                break;
            };
            let start = match self.segments.locate(at, from) {
                Ok(Some(found)) => found.position,
                // Corruption is met, and told, where it is read.
                Ok(None) | Err(_) => continue,
            };
            let file = self.segments.file(at)?;
            let mut walk = Walk::headers(file.as_ref(), start, segment.size);
            while let Step::Batch(found) = walk.step()? {
                if found.header.base_offset >= upto {
                    break;
                }
                producers.replay(now_ms, file.as_ref(), &found, self.config.producers_max)?;
            }
        }
        Ok(producers)
    }

    /// The offsets of the producer snapshots, smallest first.
    pub(super) fn snapshot_offsets(&self) -> Result<Vec<i64>, DiskError> {
        let mut offsets: Vec<i64> = self
            .disk
            .list(&self.dir)?
            .iter()
            .filter_map(|entry| match segment::parse_file_name(&entry.name) {
                Some((offset, snapshot::EXTENSION)) => Some(offset),
                _ => None,
            })
            .collect();
        offsets.sort_unstable();
        Ok(offsets)
    }

    /// Removes snapshots that belong to no segment's beginning, but for the newest one.
    fn forget_stray_snapshots(&mut self) -> Result<(), LogError> {
        let mut offsets = self.snapshot_offsets()?;
        offsets.pop();
        for offset in offsets {
            let at = self.segments.find(offset);
            if self.segments.get(at).is_none_or(|segment| segment.base != offset) {
                self.disk.remove_file(&self.segments.path(offset, snapshot::EXTENSION))?;
            }
        }
        Ok(())
    }

    fn corrupt(&mut self, base: i64, position: u64, offset: i64) {
        let corruption = Corruption { segment: Offset(base), position, offset: Offset(offset) };
        self.corruption.get_or_insert(corruption);
    }

    /// From `position` on a segment cannot be made out: nothing there is served or overwritten.
    fn break_segment(&mut self, at: usize, position: u64, offset: i64) {
        let is_active = at + 1 == self.segments.len();
        let Some(segment) = self.segments.get_mut(at) else { return };
        segment.size = position;
        segment.broken_from = Some(offset);
        let base = segment.base;
        self.corrupt(base, position, offset);
        self.poisoned |= is_active;
    }

    /// Cuts a torn tail: the rest of this segment and all later ones.
    fn cut_tail(
        &mut self,
        at: usize,
        position: u64,
        report: &mut RecoveryReport,
    ) -> Result<(), LogError> {
        for later in self.segments.split_off(at + 1) {
            report.cut.extend(self.keep_tail(later.base, 0, later.size)?);
            for extension in [segment::LOG, segment::INDEX, segment::TIME_INDEX, txn::EXTENSION] {
                let path = self.segments.path(later.base, extension);
                if self.disk.exists(&path)? {
                    self.disk.remove_file(&path)?;
                }
            }
        }
        let Some(segment) = self.segments.get_mut(at) else { return Ok(()) };
        let (base, size) = (segment.base, segment.size);
        segment.size = position;
        report.cut.extend(self.keep_tail(base, position, size)?);
        // Later segments are gone: this one is active now and opened for writing.
        let file = self.segments.file(at)?;
        file.truncate(position)?;
        // What was cut must not come back behind records that are appended from now on.
        file.sync_data()?;
        self.disk.sync_dir(&self.dir)?;
        report.cut.sort_by_key(|cut| cut.segment);
        Ok(())
    }

    /// Copies what will be cut into `<base20>.log.corrupt`, unless it is all zeros.
    fn keep_tail(&self, base: i64, position: u64, size: u64) -> Result<Option<CutTail>, LogError> {
        if size <= position {
            return Ok(None);
        }
        let file = self.disk.open(&self.segments.path(base, segment::LOG), Access::Read)?;
        let mut kept = None;
        if !is_zero(file.as_ref(), position, size)? {
            let path = self.segments.path(base, "log.corrupt");
            match self.copy_tail(file.as_ref(), position, size, &path) {
                Ok(()) => kept = Some(path),
                Err(error) if error.heals() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(CutTail { segment: Offset(base), position, bytes: size - position, kept }))
    }

    fn copy_tail(
        &self,
        from: &dyn DiskFile,
        position: u64,
        size: u64,
        path: &std::path::Path,
    ) -> Result<(), DiskError> {
        let to = self.disk.open(path, Access::Create)?;
        // Tails of earlier crashes stay.
        let mut at = to.len()?;
        for_each_chunk(from, position, size, |bytes| {
            to.write_all_at(&[IoSlice::new(bytes)], at)?;
            at += bytes.len() as u64;
            Ok(true)
        })?;
        to.sync_data()
    }
}

/// Whether a file is no part of a log any more: waiting for removal, half written, or an index
/// without its records.
fn is_leftover(name: &str, segments: &[Segment]) -> bool {
    if name.ends_with(DELETED) || name.ends_with(".tmp") || name.ends_with(".cleaned") {
        return true;
    }
    match segment::parse_file_name(name) {
        Some((base, segment::INDEX | segment::TIME_INDEX | txn::EXTENSION)) => {
            segments.binary_search_by_key(&base, |segment| segment.base).is_err()
        }
        _ => false,
    }
}

fn is_zero(file: &dyn DiskFile, position: u64, size: u64) -> Result<bool, DiskError> {
    let mut zero = true;
    for_each_chunk(file, position, size, |bytes| {
        zero = bytes.iter().all(|byte| *byte == 0);
        Ok(zero)
    })?;
    Ok(zero)
}

/// Reads `position..size` piece by piece while `each` says so.
fn for_each_chunk(
    file: &dyn DiskFile,
    mut position: u64,
    size: u64,
    mut each: impl FnMut(&[u8]) -> Result<bool, DiskError>,
) -> Result<(), DiskError> {
    let mut buffer = vec![0; COPY_BYTES];
    while position < size {
        let want = usize::try_from(size - position).unwrap_or(COPY_BYTES).min(COPY_BYTES);
        let Some(bytes) = buffer.get_mut(..want) else { return Ok(()) };
        file.read_exact_at(bytes, position)?;
        if !each(bytes)? {
            return Ok(());
        }
        position += want as u64;
    }
    Ok(())
}
