//! Giving up what is bad or missing, because an operator says so (decision 004).
//!
//! Sound batches stay. What is bad goes to `<base20>.log.corrupt`; in its place, and where records
//! are missing, an empty batch takes their offsets, as compaction leaves them too. So the log is
//! whole again, no offset is ever given to another record, and readers pass over the loss.

use std::io::IoSlice;

use wire::ids::Offset;
use wire::records::empty_batch;

use super::tail::is_zero;
use super::{CutTail, Log, OpenArgs};
use crate::disk::{Access, DiskFile};
use crate::error::LogError;
use crate::segment;
use crate::walk::{Step, Walk};

/// Bytes copied at once.
const COPY_BYTES: usize = 1 << 20;

/// Bytes of a segment's file that hold nothing sound, and the offsets that are lost with them.
struct Hole {
    position: u64,
    end: u64,
    offset: i64,
    upto: i64,
    /// Of the batch before.
    leader_epoch: i32,
}

impl Log {
    /// Gives up what the operator has named: damage that begins at exactly such an offset, and all
    /// that lies behind it. Returns where the log starts then, and what is lost; None when nothing
    /// that was named is bad.
    pub(super) fn give_up(
        &mut self,
        args: &OpenArgs,
    ) -> Result<Option<(Offset, Vec<CutTail>)>, LogError> {
        if args.accept.is_empty() {
            return Ok(None);
        }
        let log_end = self.end.max(args.recovery_point.0).max(args.intact_below.0);
        let mut start = args.log_start_offset;
        let mut lost = Vec::new();
        if let Some(head) = self.missing_head.filter(|head| args.accept.contains(&head.offset)) {
            start = head.segment;
            lost.push(missing(head.segment, head.offset, head.segment));
        }
        let mut from = usize::MAX;
        for offset in &args.accept {
            let at = self.segments.find(offset.0);
            if self.holes(at, log_end)?.first().is_some_and(|hole| hole.offset == offset.0) {
                from = from.min(at);
            }
        }
        for at in from..self.segments.len() {
            let holes = self.holes(at, log_end)?;
            if !holes.is_empty() {
                lost.extend(self.fill(at, &holes)?);
            }
        }
        Ok((!lost.is_empty()).then_some((start, lost)))
    }

    /// What of a segment is bad or missing.
    fn holes(&self, at: usize, log_end: i64) -> Result<Vec<Hole>, LogError> {
        let Some(segment) = self.segments.get(at) else { return Ok(Vec::new()) };
        let base = segment.base;
        let file = self.disk.open(&self.segments.path(base, segment::LOG), Access::Read)?;
        let size = file.len()?;
        let next = self.segments.next_base(at);
        let mut walk = Walk::verifying(file.as_ref(), 0, size).with_offset_min(base);
        let mut leader_epoch = self.epochs.epoch_of(Offset(base)).map_or(0, |epoch| epoch.0);
        let mut holes = Vec::new();
        loop {
            let offset = walk.offset_min();
            let position = walk.position();
            match walk.step()? {
                Step::Batch(found) => leader_epoch = found.header.partition_leader_epoch,
                Step::End => {
                    let upto = next.unwrap_or(log_end);
                    let sparse = self.may_be_sparse && next.is_some();
                    if offset < upto && !sparse {
                        holes.push(Hole { position, end: size, offset, upto, leader_epoch });
                    }
                    return Ok(holes);
                }
                Step::Bad { .. } => {
                    let Some(found) = walk.resync()? else {
                        let upto = next.unwrap_or(log_end).max(offset);
                        holes.push(Hole { position, end: size, offset, upto, leader_epoch });
                        return Ok(holes);
                    };
                    let (end, upto) = (found.position, found.header.base_offset);
                    holes.push(Hole { position, end, offset, upto, leader_epoch });
                    leader_epoch = found.header.partition_leader_epoch;
                }
            }
        }
    }

    /// Keeps the bad bytes aside and puts empty batches in their place.
    fn fill(&self, at: usize, holes: &[Hole]) -> Result<Vec<CutTail>, LogError> {
        let Some(segment) = self.segments.get(at) else { return Ok(Vec::new()) };
        let base = segment.base;
        let path = self.segments.path(base, segment::LOG);
        let file = self.disk.open(&path, Access::ReadWrite)?;
        let size = file.len()?;
        let mut lost = Vec::new();
        let mut fillers = Vec::new();
        for hole in holes {
            lost.push(self.keep_bad(base, file.as_ref(), hole)?);
            let filler = match hole.upto - hole.offset {
                0 => Vec::new(),
                // The offsets of a segment are 31 bits apart.
                _ if i32::try_from(hole.upto - base).is_err() => {
                    let why = "more offsets are missing than a segment can hold";
                    let name = segment::file_name(base, segment::LOG);
                    return Err(LogError::BadFile { name, problem: why });
                }
                _ => empty_batch(hole.offset, hole.upto, hole.leader_epoch),
            };
            fillers.push((hole, filler));
        }
        // The indexes speak of other positions from here on; a start builds them again.
        for extension in [segment::INDEX, segment::TIME_INDEX] {
            let index = self.segments.path(base, extension);
            if self.disk.exists(&index)? {
                self.disk.remove_file(&index)?;
            }
        }
        self.disk.sync_dir(&self.dir)?;
        if let [(hole, filler)] = fillers.as_slice()
            && hole.end == size
        {
            file.truncate(hole.position)?;
            file.write_all_at(&[IoSlice::new(filler)], hole.position)?;
            file.sync_all()?;
            return Ok(lost);
        }
        let tmp = self.segments.path(base, "log.tmp");
        let new = self.disk.open(&tmp, Access::CreateTruncate)?;
        let (mut from, mut to) = (0, 0);
        for (hole, filler) in &fillers {
            to = copy(file.as_ref(), from, hole.position, new.as_ref(), to)?;
            new.write_all_at(&[IoSlice::new(filler)], to)?;
            to += filler.len() as u64;
            from = hole.end;
        }
        copy(file.as_ref(), from, size, new.as_ref(), to)?;
        new.sync_all()?;
        self.disk.rename(&tmp, &path)?;
        self.disk.sync_dir(&self.dir)?;
        Ok(lost)
    }

    fn keep_bad(&self, base: i64, file: &dyn DiskFile, hole: &Hole) -> Result<CutTail, LogError> {
        let mut lost = missing(Offset(base), Offset(hole.offset), Offset(hole.upto));
        lost.position = hole.position;
        lost.bytes = hole.end - hole.position;
        if !is_zero(file, hole.position, hole.end)? {
            let path = self.segments.path(base, "log.corrupt");
            self.copy_tail(file, hole.position, hole.end, &path)?;
            lost.kept = Some(path);
        }
        Ok(lost)
    }
}

/// Records that are lost without a byte of theirs being there.
fn missing(segment: Offset, from: Offset, upto: Offset) -> CutTail {
    CutTail { segment, position: 0, lost_from: from, lost_upto: Some(upto), bytes: 0, kept: None }
}

/// Copies `from..end` to position `to` of another file; gives the position behind.
fn copy(
    file: &dyn DiskFile,
    mut from: u64,
    end: u64,
    new: &dyn DiskFile,
    mut to: u64,
) -> Result<u64, LogError> {
    let mut buffer = vec![0; COPY_BYTES];
    while from < end {
        let want = usize::try_from(end - from).unwrap_or(COPY_BYTES).min(COPY_BYTES);
        let Some(bytes) = buffer.get_mut(..want) else { break };
        file.read_exact_at(bytes, from)?;
        new.write_all_at(&[IoSlice::new(bytes)], to)?;
        from += want as u64;
        to += want as u64;
    }
    Ok(to)
}
