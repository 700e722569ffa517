//! The quorum's effects on the disk.

use std::io::IoSlice;
use std::path::PathBuf;

use bytes::Bytes;
use metadata::{Delta, Image};
use quorum::{Body, Effect, Event, FetchSnapshotBody, LogEntry, Payload, Response, SnapshotId};
use storage::disk::{
    Access, DiskError, DiskErrorKind, read_file, write_file_atomically, write_file_in_any_case,
};
use storage::error::{AppendError, LogError};
use storage::log::{AppendOrigin, Deletion};
use wire::ErrorCode;
use wire::ids::Offset;
use wire::metadata_frame;
use wire::records::BatchIter;

use super::load::decode;
use super::{
    MetadataLog, Outcome, PART_SUFFIX, QUORUM_STATE, RESERVED_BYTES, SNAPSHOT_BYTES_MAX, Tail,
};
use crate::error::Error;
use crate::late_snapshot::Snapshot;

impl MetadataLog {
    pub(super) fn carry_out(
        &mut self,
        now_ms: i64,
        effect: Effect,
        out: &mut Vec<Outcome>,
    ) -> Result<Option<Event>, Error> {
        if changes_the_log(&effect) {
            self.served = None;
        }
        match effect {
            Effect::PersistState { file } => {
                write_file_in_any_case(&*self.disk, &self.dir.join(QUORUM_STATE), &file)?;
                return Ok(Some(Event::StatePersisted));
            }
            Effect::Append { batch, first, last, epoch } => {
                let records = records_of(&batch)?;
                let appended = self.log.append(now_ms, batch, AppendOrigin::Raft, epoch)?;
                if appended.first_offset != first {
                    let end = appended.first_offset;
                    return Err(AppendError::OffsetMismatch { got: first, end }.into());
                }
                self.tail.push_back(Tail { last, records: decode(records)? });
                self.log.reserve(RESERVED_BYTES);
            }
            Effect::Flush { upto } => {
                self.log.flush()?;
                self.durable.reached(upto.min(self.log.end_offset()))?;
                return Ok(Some(Event::Flushed { upto }));
            }
            Effect::Truncate { end } => {
                self.durable.lower(end)?;
                let deletion = self.log.truncate(now_ms, end)?;
                self.run(deletion)?;
                while self.tail.pop_back_if(|batch| batch.last >= end).is_some() {}
                self.log.reserve(RESERVED_BYTES);
            }
            Effect::Send { id, to, request } => out.push(Outcome::Send { id, to, request }),
            Effect::Respond { token, response } => {
                let response = self.fill(response)?;
                out.push(Outcome::Respond { token, response });
            }
            Effect::Accepted { token, last, .. } => out.push(Outcome::Accepted { token, last }),
            Effect::Refused { token, why } => out.push(Outcome::Refused { token, why }),
            Effect::Committed { upto } => self.commit(upto, out)?,
            Effect::Elected { epoch, start } => out.push(Outcome::Elected { epoch, start }),
            Effect::Deposed { .. } => out.push(Outcome::Deposed),
            Effect::NotTaken { leader, given, why } => {
                self.not_taken.note(now_ms, leader, given, why);
            }
            Effect::Fatal { why } => return Err(Error::QuorumStopped(why)),
            snapshot => return self.snapshot(now_ms, snapshot, out),
        }
        Ok(None)
    }

    /// The effects that concern snapshots.
    fn snapshot(
        &mut self,
        now_ms: i64,
        effect: Effect,
        out: &mut Vec<Outcome>,
    ) -> Result<Option<Event>, Error> {
        match effect {
            Effect::TakeSnapshot { id } => {
                // Asked for at the high watermark, which the state has reached.
                let records = self.image.to_records();
                let encoded: Result<Vec<Bytes>, _> =
                    records.iter().map(metadata_frame::encode).collect();
                return Ok(Some(Event::SnapshotRecords { id, records: encoded? }));
            }
            Effect::WriteSnapshot { id, name, file } => {
                return self.write_snapshot(now_ms, Snapshot { id, name, file });
            }
            Effect::WriteSnapshotPart { id, position, bytes } => {
                let access = if position == 0 { Access::CreateTruncate } else { Access::ReadWrite };
                let file = self.disk.open(&self.part(id), access)?;
                file.write_all_at(&[IoSlice::new(&bytes)], position)?;
            }
            Effect::ReadSnapshotPart { id } => {
                let file = read_file(&*self.disk, &self.part(id), SNAPSHOT_BYTES_MAX)?;
                return Ok(Some(Event::SnapshotPartRead { id, file: Bytes::from(file) }));
            }
            Effect::InstallSnapshot { id, name, records } => {
                self.install(now_ms, id, &name, records, out)?;
                return Ok(Some(Event::SnapshotInstalled { id }));
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
            _ => {}
        }
        Ok(None)
    }

    /// Writes a snapshot; says so unless it has to wait for space.
    pub(super) fn write_snapshot(
        &mut self,
        now_ms: i64,
        snapshot: Snapshot,
    ) -> Result<Option<Event>, Error> {
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

    fn part(&self, id: SnapshotId) -> PathBuf {
        self.dir.join(format!("{id}{PART_SUFFIX}"))
    }

    /// Makes the leader's snapshot this node's own, in the place of its log.
    fn install(
        &mut self,
        now_ms: i64,
        id: SnapshotId,
        name: &str,
        records: Vec<Bytes>,
        out: &mut Vec<Outcome>,
    ) -> Result<(), Error> {
        // What does not make a state must not become the only thing on this disk.
        let image = Image::default().apply(&decode(records)?)?.0;
        let part = self.part(id);
        self.disk.open(&part, Access::ReadWrite)?.sync_all()?;
        self.disk.rename(&part, &self.dir.join(name))?;
        self.disk.sync_dir(&self.dir)?;
        self.durable.lower(Offset(0))?;
        let deletion = self.log.restart_at(now_ms, id.end_offset)?;
        self.run(deletion)?;
        self.log.reserve(RESERVED_BYTES);
        self.tail.clear();
        let delta = Delta::between(&self.image, &image);
        self.image = image.clone();
        self.image_end = id.end_offset;
        out.push(Outcome::Committed { upto: id.end_offset, image, delta });
        Ok(())
    }

    fn trim(&mut self, now_ms: i64, start: Offset) -> Result<(), Error> {
        let high_watermark = self.quorum.high_watermark();
        self.log.delete_records(start, high_watermark)?;
        let retired = self.log.apply_retention(now_ms, high_watermark)?;
        self.run(retired.deletion)
    }

    /// Nobody reads the metadata log but this node, which is not reading.
    fn run(&self, deletion: Option<Deletion>) -> Result<(), Error> {
        match deletion {
            Some(deletion) => Ok(deletion.run(&*self.disk)?),
            None => Ok(()),
        }
    }

    /// Puts the bytes into an answer that promises some.
    fn fill(&mut self, mut response: Response) -> Result<Response, Error> {
        match &mut response.body {
            Body::Fetch(body) => {
                if let Payload::Log { from, upto, max_bytes } = body.records {
                    body.records = Payload::Bytes(self.slice(from, upto, max_bytes)?);
                }
            }
            Body::FetchSnapshot(body) => {
                if let Payload::Snapshot { id, position, max_bytes } = body.bytes {
                    match self.piece(id, position, max_bytes, body)? {
                        Ok(bytes) => body.bytes = Payload::Bytes(bytes),
                        Err(error) => {
                            response.error = error;
                            response.body = Body::Empty;
                        }
                    }
                }
            }
            Body::Empty | Body::Vote { .. } => {}
        }
        Ok(response)
    }

    /// Bytes of the log; what is committed a thousand brokers fetch one after another.
    fn slice(&mut self, from: Offset, upto: Offset, max_bytes: u32) -> Result<Bytes, Error> {
        let asked = (from, upto, max_bytes);
        if let Some((_, bytes)) = self.served.as_ref().filter(|(served, _)| *served == asked) {
            return Ok(bytes.clone());
        }
        let slice = self.log.read(from, max_bytes, upto, true)?;
        let bytes = slice.range.map(|range| range.read()).transpose()?;
        let bytes = bytes.map(Bytes::from).unwrap_or_default();
        self.served = Some((asked, bytes.clone()));
        Ok(bytes)
    }

    fn piece(
        &self,
        id: SnapshotId,
        position: u64,
        max_bytes: u32,
        body: &mut FetchSnapshotBody,
    ) -> Result<Result<Bytes, ErrorCode>, DiskError> {
        let file = match self.disk.open(&self.dir.join(id.file_name()), Access::Read) {
            Err(error) if error.kind == DiskErrorKind::NotFound => {
                return Ok(Err(ErrorCode::SnapshotNotFound));
            }
            opened => opened?,
        };
        let size = file.len()?;
        if position >= size {
            return Ok(Err(ErrorCode::PositionOutOfRange));
        }
        let len = (size - position).min(u64::from(max_bytes));
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        file.read_exact_at(&mut bytes, position)?;
        body.size = size;
        Ok(Ok(Bytes::from(bytes)))
    }
}

/// Whether what was read of the log before may not be in it any more.
fn changes_the_log(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Append { .. }
            | Effect::Truncate { .. }
            | Effect::TrimLog { .. }
            | Effect::InstallSnapshot { .. }
    )
}

/// The records of a batch that the state is made of.
fn records_of(batch: &Bytes) -> Result<Vec<Bytes>, quorum::Error> {
    let mut records = Vec::new();
    for batch in BatchIter::new(batch.clone()) {
        for entry in quorum::entries(&batch?)? {
            if let LogEntry::Data { value, .. } = entry {
                records.push(value);
            }
        }
    }
    Ok(records)
}
