//! Opening a log: what is on the disk, what of it is trusted, where it ends.
//!
//! After a clean stop nothing is read but the last segment's end; after an unclean one `recovery`
//! reads what lies past the recovery point.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wire::ids::Offset;

use super::retention::DELETED;
use super::unsynced::Changes;
use super::{Aborted, Log, RecoveryReport};
use crate::checkpoints::leader_epochs;
use crate::config::LogConfig;
use crate::disk::{Access, Disk, DiskError, write_file_atomically};
use crate::epochs::LeaderEpochs;
use crate::error::{Corruption, LogError};
use crate::index::txn;
use crate::producers::{Producers, snapshot};
use crate::segment::{self, Indexes, Segment};
use crate::segments::Segments;
use crate::walk::{Step, Walk};

/// Lies in the directory of a log that a start has closed for writing.
const QUARANTINE: &str = "quarantine";
/// The bytes up to the number of the format, which every format has in the same place.
const OLD_HEAD_BYTES: usize = 17;
/// The least that a message of format 0 announces.
const OLD_MESSAGE_BYTES_MIN: u64 = 14;

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
    /// Up to here nothing is lost but the last write, as far as is known without a recovery point:
    /// a bad batch below it that a sound one follows is corruption, no torn tail. 0 when unknown.
    pub intact_below: Offset,
    /// From the log-start checkpoint. 0 when unknown.
    pub log_start_offset: Offset,
    /// Whether the last stop was clean.
    pub clean: bool,
    /// Whether compaction may have left gaps between segments, whatever the configuration says now.
    pub was_compacted: bool,
    /// Where the operator gives up what is bad or missing (`tidelog.log.corrupt.accept`).
    pub accept: Vec<Offset>,
    /// The broker's time.
    pub now_ms: i64,
}

impl Log {
    /// Opens a log, or makes an empty one where there is none.
    pub fn open(args: OpenArgs) -> Result<(Self, RecoveryReport), LogError> {
        let (mut log, mut report) = Self::examine(&args)?;
        if let Some((start, given_up)) = log.give_up(&args)? {
            // The files have changed: everything is looked at again.
            let again = OpenArgs { log_start_offset: start, accept: Vec::new(), ..args.clone() };
            let cut = report.cut;
            (log, report) = Self::examine(&again)?;
            report.cut.extend(cut);
            report.given_up = given_up;
        }
        log.make_ready(&args)?;
        report.corruption = log.corruption();
        report.is_quarantined = log.quarantine.is_some();
        report.end_offset = Some(log.end_offset());
        Ok((log, report))
    }

    /// Finds out what is there: where the log begins and ends, and what of it is bad.
    fn examine(args: &OpenArgs) -> Result<(Self, RecoveryReport), LogError> {
        let now_ms = args.now_ms;
        let checkpointed_start = args.log_start_offset.0;
        let (mut log, epochs_lost) = Self::load(args)?;
        let mut report = RecoveryReport { dir: log.dir.clone(), ..RecoveryReport::default() };
        if log.segments.len() == 0 {
            log.begin_segment(now_ms, checkpointed_start)?;
        } else if args.clean {
            log.open_clean(now_ms)?;
            if epochs_lost {
                log.read_epochs_again(log.segments.len())?;
            }
        } else {
            log.touched = true;
            let from = log.recover_from();
            if epochs_lost {
                log.read_epochs_again(from)?;
            }
            log.recover(now_ms, from, args.intact_below, &mut report)?;
        }
        if args.clean || log.was_quarantined {
            log.check_whole(checkpointed_start)?;
        }
        let first = log.segments.get(0).map_or(0, |segment| segment.base);
        let first = log.missing_head.map_or(first, |missing| missing.offset.0);
        log.start = first.max(checkpointed_start);
        Ok((log, report))
    }

    /// Settles what follows from it.
    fn make_ready(&mut self, args: &OpenArgs) -> Result<(), LogError> {
        let now_ms = args.now_ms;
        self.forget_stray_snapshots()?;
        self.epoch_changes.mark_if(self.epochs.truncate_end(Offset(self.end)));
        if self.start > self.end {
            if let Some(corruption) = self.corruption {
                return Err(corruption.into());
            }
            // What the crash took had been deleted by the user before.
            let start = Offset(self.start);
            self.restart_at(now_ms, start)?.map_or(Ok(()), |gone| gone.run(self.disk.as_ref()))?;
        }
        self.epoch_changes.mark_if(self.epochs.truncate_start(Offset(self.start)));
        self.producers.expire(now_ms, self.config.producer_expiration_ms);
        // Of a log without records everything is synced.
        let whole = args.clean || self.start == self.end;
        self.recovery_point = if whole { self.end } else { self.recovery_point.min(self.end) };
        match self.quarantine {
            Some(corruption) => {
                self.keep_quarantine(&corruption)?;
                // Nor may a later start take the bad batch for a torn tail.
                let known = args.recovery_point.0.max(corruption.offset.0 + 1);
                self.recovery_point = self.end.max(known);
            }
            None if self.was_quarantined => self.end_quarantine()?,
            None => {}
        }
        self.flush_begun = self.recovery_point;
        if self.end > self.recovery_point {
            self.unflushed_since_ms = Some(now_ms);
        }
        if self.corruption.is_some() && !self.poisoned {
            // With the recovery point at the end, no later start takes the bad batch for a torn
            // tail.
            self.flush()?;
        }
        Ok(())
    }

    /// Notes it in the directory: the next start has to look as closely, after a clean stop or not.
    fn keep_quarantine(&mut self, corruption: &Corruption) -> Result<(), LogError> {
        let text = format!("{corruption}\n");
        let noted = match self.was_quarantined {
            true => Ok(()),
            false => {
                write_file_atomically(&*self.disk, &self.dir.join(QUARANTINE), text.as_bytes())
            }
        };
        if let Err(error) = noted.and_then(|()| self.disk.sync_dir(&self.dir))
            && !error.heals()
        {
            return Err(error.into());
        }
        for base in std::mem::take(&mut self.closed_indexes).into_keys() {
            self.segments.sync_indexes(base)?;
        }
        Ok(())
    }

    fn end_quarantine(&mut self) -> Result<(), LogError> {
        self.disk.remove_file(&self.dir.join(QUARANTINE))?;
        self.disk.sync_dir(&self.dir)?;
        Ok(())
    }

    /// Lists the directory, removes leftovers, reads the epochs, and says whether these are lost.
    /// No batch is read yet.
    fn load(args: &OpenArgs) -> Result<(Self, bool), LogError> {
        let OpenArgs { disk, dir, config, recovery_point, log_start_offset, now_ms, .. } =
            args.clone();
        let may_be_sparse = config.cleanup.compact || args.was_compacted;
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
        if let Some(oldest) = list.first() {
            refuse_old_format(disk.as_ref(), &dir, oldest)?;
        }
        let mut aborted = Vec::new();
        for name in &names {
            if let Some((base, txn::EXTENSION)) = segment::parse_file_name(name)
                && list.binary_search_by_key(&base, |segment| segment.base).is_ok()
            {
                let file = crate::disk::read_file(disk.as_ref(), &dir.join(name), txn::BYTES_MAX)?;
                aborted.extend(txn::decode(&file));
            }
        }
        aborted.sort_by_key(|it: &Aborted| it.last_offset);
        let epochs = leader_epochs::read(disk.as_ref(), &dir.join(leader_epochs::FILE));
        let epochs = epochs.ok().flatten();
        let epochs_lost = epochs.is_none();
        let interval = config.index_interval_bytes;
        let segments = Segments::new(Arc::clone(&disk), dir.clone(), interval, list);
        let log = Self {
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
            aborted,
            epochs: LeaderEpochs::from_entries(epochs.into_iter().flatten()),
            epoch_changes: Changes::default(),
            closed_indexes: BTreeMap::new(),
            truncations: 0,
            reserved: (-1, 0),
            flush_gate: Arc::default(),
            touched: false,
            poisoned: false,
            corruption: None,
            quarantine: None,
            was_quarantined: names.iter().any(|name| name == QUARANTINE),
            missing_head: None,
            may_be_sparse,
        };
        Ok((log, epochs_lost))
    }

    /// After a clean stop: finds the end from the last index entry on.
    fn open_clean(&mut self, now_ms: i64) -> Result<(), LogError> {
        let at = self.segments.len().saturating_sub(1);
        let Some(segment) = self.segments.get(at) else { return Ok(()) };
        let (base, size) = (segment.base, segment.size);
        let loaded = self.segments.load_indexes(segment)?;
        self.touched = loaded.is_none();
        let mut indexes = loaded.unwrap_or_else(Indexes::empty);
        let mut from = indexes.offsets.last().map_or(0, |entry| u64::from(entry.position));
        let file = self.segments.file(at)?;
        let interval = self.config.index_interval_bytes;
        let mut walk = Walk::verifying(file.as_ref(), from, size).with_offset_min(base);
        loop {
            match walk.step()? {
                Step::Batch(found) => indexes.note(base, &found, interval),
                Step::End => break,
                Step::Bad { position } if position == from && from > 0 => {
                    // The batch that the index names is bad: the last good one is before it.
                    from = 0;
                    indexes = Indexes::empty();
                    walk = Walk::verifying(file.as_ref(), 0, size).with_offset_min(base);
                }
                Step::Bad { position } => {
                    let offset = walk.offset_min();
                    let Some(found) = walk.resync()? else {
                        self.break_segment(at, position, offset);
                        break;
                    };
                    self.damaged(Corruption::bad_bytes(base, position, offset));
                    indexes.note(base, &found, interval);
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

    /// The producers as of `upto`: the newest sound snapshot not after it, and the batches since.
    pub(super) fn load_producers(&self, now_ms: i64, upto: i64) -> Result<Producers, LogError> {
        let mut producers = Producers::default();
        let first = self.segments.get(0).map_or(0, |segment| segment.base);
        let mut from = first;
        for offset in self.snapshot_offsets()?.into_iter().rev() {
            // One from before the log's first batch lacks what retention has taken since: a
            // producer that is not known may go on, one with an old sequence could not.
            if offset > upto || offset < first {
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
}

/// Messages of before Kafka 0.11 have another form, which nothing here reads: a log that holds them
/// must not be taken for a torn one. A log's format only ever went up, so its oldest segment tells.
/// Zeros, which a crash may leave, announce no message.
fn refuse_old_format(disk: &dyn Disk, dir: &Path, oldest: &Segment) -> Result<(), LogError> {
    let mut head = [0; OLD_HEAD_BYTES];
    if oldest.size < head.len() as u64 {
        return Ok(());
    }
    let name = segment::file_name(oldest.base, segment::LOG);
    disk.open(&dir.join(&name), Access::Read)?.read_exact_at(&mut head, 0)?;
    // Offset, size, CRC, format.
    let [.., a, b, c, d, _, _, _, _, magic] = head;
    let announced = u64::from(u32::from_be_bytes([a, b, c, d]));
    if magic > 1 || announced < OLD_MESSAGE_BYTES_MIN || announced > oldest.size {
        return Ok(());
    }
    Err(LogError::OldFormat { file: dir.join(name), magic })
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
