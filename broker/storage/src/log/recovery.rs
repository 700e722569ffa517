//! Reading a log again after an unclean stop.
//!
//! Every segment that reaches past the recovery point is read batch by batch; the last one always.
//! A bad batch at or after the recovery point is the torn tail of a write that nobody was promised:
//! it is cut. Before it, or after a clean stop, it is corruption: nothing is cut, the bad batch is
//! never served, and the report says so. Where the recovery point is not known or every append was
//! synced (`OpenArgs::intact_below`), a sound batch behind the bad one tells corruption too. What a
//! sound batch follows harms nobody else: the log goes on behind its end. Where that end is not
//! known, or records are missing, nothing is appended (decision 003).

use std::path::PathBuf;

use wire::ids::{LeaderEpoch, Offset};

use super::{Aborted, CutTail, Log};
use crate::disk::{DiskError, DiskFile, write_file_atomically};
use crate::error::{Corruption, LogError};
use crate::index::txn;
use crate::producers::snapshot;
use crate::segment::Indexes;
use crate::walk::{Found, Step, Walk, sound_upto};

/// What opening a log found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The log's directory.
    pub dir: PathBuf,
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
    /// Whether the corruption closed the log for writing.
    pub is_quarantined: bool,
    /// What was given up because the operator said so (`OpenArgs::accept`).
    pub given_up: Vec<CutTail>,
    /// Where the log ends now.
    pub end_offset: Option<Offset>,
}

impl Log {
    /// The first segment that reaches past the recovery point.
    pub(super) fn recover_from(&self) -> usize {
        let last = self.segments.len().saturating_sub(1);
        (0..last)
            .find(|at| self.segments.next_base(*at).is_none_or(|next| next > self.recovery_point))
            .unwrap_or(last)
    }

    /// After an unclean stop: reads what lies past the recovery point, from a segment on.
    pub(super) fn recover(
        &mut self,
        now_ms: i64,
        from: usize,
        intact_below: Offset,
        report: &mut RecoveryReport,
    ) -> Result<(), LogError> {
        let base = self.segments.get(from).map_or(0, |segment| segment.base);
        self.forget_snapshots_after(base)?;
        self.producers = self.load_producers(now_ms, base)?;
        self.aborted.retain(|it| it.last_offset.0 < base);
        self.epoch_changes.mark_if(self.epochs.truncate_end(Offset(base)));
        self.end = base;
        for at in from.. {
            let Some(segment) = self.segments.get(at) else { break };
            let (base, size) = (segment.base, segment.size);
            let mut torn = self.recover_segment(now_ms, at, intact_below, report)?;
            if torn.is_none() && self.is_gap_behind(at) {
                // The kernel had written a later segment before this one's last bytes.
                if self.is_torn(at, size, self.end, intact_below)? {
                    torn = Some(size);
                } else {
                    self.break_segment(at, size, self.end);
                }
            }
            if let Some(position) = torn {
                self.cut_tail(at, position, report)?;
            }
            self.write_recovered_indexes(at, base)?;
            self.write_aborted(at)?;
            if let Some(next) = self.segments.next_base(at) {
                self.end = self.end.max(next);
                match self.write_snapshot(self.end) {
                    // No space: the producers' state is in the batches too.
                    Err(error) if error.heals() => {
                        let _ = self
                            .disk
                            .remove_file(&self.segments.path(self.end, snapshot::EXTENSION));
                    }
                    written => written?,
                }
            }
        }
        Ok(())
    }

    /// Whether what lies at `position` of segment `at`, at `offset`, is what a crash may leave.
    fn is_torn(
        &self,
        at: usize,
        position: u64,
        offset: i64,
        intact_below: Offset,
    ) -> Result<bool, LogError> {
        if offset < self.recovery_point {
            return Ok(false);
        }
        if offset >= intact_below.0 {
            return Ok(true);
        }
        let size = self.segments.get(at).map_or(0, |segment| segment.size);
        if sound_upto(self.segments.file(at)?.as_ref(), position, size, offset)?.is_some() {
            return Ok(false);
        }
        for later in at + 1..self.segments.len() {
            let Some(segment) = self.segments.get(later) else { break };
            let file = self.segments.file(later)?;
            let walk = Walk::verifying(file.as_ref(), 0, segment.size);
            if let Step::Batch(_) = walk.with_offset_min(segment.base).step()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the log goes on, but not where segment `at` ends. Compaction makes such gaps too.
    fn is_gap_behind(&self, at: usize) -> bool {
        let next = self.segments.next_base(at);
        !self.may_be_sparse && next.is_some_and(|next| next > self.end)
    }

    /// Replaces what a crash left of a segment's indexes. When the disk is full they serve from
    /// memory, and are built anew when they are next wanted.
    fn write_recovered_indexes(&mut self, at: usize, base: i64) -> Result<(), LogError> {
        let is_active = at + 1 == self.segments.len();
        let Some(mut indexes) = self.segments.get_mut(at).and_then(|it| it.indexes.take()) else {
            return Ok(());
        };
        let written = if is_active {
            match self.segments.write_indexes(base, &mut indexes) {
                Err(error) if !error.heals() => Err(error),
                _ => Ok(indexes),
            }
        } else {
            indexes.push_time(base);
            self.index_written(base);
            let write = |indexes: &mut Indexes| self.segments.write_indexes(base, indexes);
            self.segments.write_or_keep(base, indexes, write)
        };
        let indexes = written?;
        if let Some(segment) = self.segments.get_mut(at) {
            segment.indexes = indexes.into();
        }
        Ok(())
    }

    /// Replaces what a segment's `.txnindex` says by what is known of its aborted transactions.
    pub(super) fn write_aborted(&self, at: usize) -> Result<(), DiskError> {
        let Some(segment) = self.segments.get(at) else { return Ok(()) };
        let within = segment.base..self.segments.next_base(at).unwrap_or(i64::MAX);
        let of_segment = self.aborted.iter().filter(|it| within.contains(&it.last_offset.0));
        let bytes = txn::encode(of_segment);
        let path = self.segments.path(segment.base, txn::EXTENSION);
        if !bytes.is_empty() {
            return write_file_atomically(self.disk.as_ref(), &path, &bytes);
        }
        if self.disk.exists(&path)? {
            self.disk.remove_file(&path)?;
        }
        Ok(())
    }

    /// Reads a segment from end to end and rebuilds what follows from it. Returns where a torn
    /// tail begins, if there is one.
    fn recover_segment(
        &mut self,
        now_ms: i64,
        at: usize,
        intact_below: Offset,
        report: &mut RecoveryReport,
    ) -> Result<Option<u64>, LogError> {
        let Some(segment) = self.segments.get(at) else { return Ok(None) };
        let (base, size) = (segment.base, segment.size);
        let is_active = at + 1 == self.segments.len();
        let file = self.segments.file(at)?;
        let mut walk = Walk::verifying(file.as_ref(), 0, size).with_offset_min(base);
        let mut indexes = Indexes::empty();
        let mut first_timestamp = None;
        let mut verified = crate::verified::Verified::from(size);
        let mut sound_from = 0;
        let mut torn = None;
        // The last bad batch, when nothing sound has followed it yet.
        let mut unsure = None;
        loop {
            match walk.step()? {
                Step::Batch(found) => {
                    unsure = None;
                    first_timestamp.get_or_insert(found.header.max_timestamp);
                    indexes.note(base, &found, self.config.index_interval_bytes);
                    self.replay(now_ms, file.as_ref(), &found)?;
                }
                Step::End => {
                    verified.add(sound_from, size);
                    if let Some((position, offset)) = unsure.filter(|_| is_active) {
                        // Only the bad batch itself says how far it goes.
                        self.break_segment(at, position, offset);
                        self.end = offset;
                    }
                    break;
                }
                Step::Bad { position } => {
                    let offset = walk.offset_min();
                    verified.add(sound_from, position);
                    if self.is_torn(at, position, offset, intact_below)? {
                        torn = Some(position);
                        break;
                    }
                    let (from, since) = *unsure.get_or_insert((position, offset));
                    if !walk.skip_bad()? {
                        let Some(found) = walk.resync()? else {
                            self.break_segment(at, from, since);
                            self.end = since;
                            break;
                        };
                        unsure = None;
                        indexes.note(base, &found, self.config.index_interval_bytes);
                        self.replay(now_ms, file.as_ref(), &found)?;
                    }
                    self.damaged(Corruption::bad_bytes(base, position, offset));
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
        let ended = self.producers.replay(now_ms, file, found, max)?;
        if let Some(ended) = ended.filter(|ended| ended.is_aborted) {
            let behind = ended.marker_offset + 1;
            self.aborted.push(Aborted {
                producer_id: ended.producer_id,
                first_offset: Offset(ended.first_offset),
                last_offset: Offset(ended.marker_offset),
                last_stable_offset: Offset(self.producers.first_ongoing_offset().unwrap_or(behind)),
            });
        }
        Ok(())
    }

    /// Keeps the first corruption of the log.
    pub(super) fn damaged(&mut self, corruption: Corruption) {
        let first = self.corruption.filter(|known| known.offset <= corruption.offset);
        self.corruption = first.or(Some(corruption));
    }

    /// Nothing may be appended behind this.
    pub(super) fn quarantined(&mut self, corruption: Corruption) {
        self.damaged(corruption);
        let first = self.quarantine.filter(|known| known.offset <= corruption.offset);
        self.quarantine = first.or(Some(corruption));
        self.poisoned = true;
    }

    /// From `position` on a segment cannot be made out, or records are missing behind it: nothing
    /// there is served or overwritten.
    pub(super) fn break_segment(&mut self, at: usize, position: u64, offset: i64) {
        let upto = self.segments.next_base(at).unwrap_or(self.recovery_point);
        let Some(segment) = self.segments.get_mut(at) else { return };
        let mut broken = Corruption::bad_bytes(segment.base, position, offset);
        if position >= segment.size && (offset..i64::MAX).contains(&upto) {
            broken.missing_upto = Some(Offset(upto));
        }
        segment.size = position;
        let broken = *segment.broken.get_or_insert(broken);
        self.quarantined(broken);
    }
}
