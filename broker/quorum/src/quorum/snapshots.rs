//! When a snapshot is taken, and which ones are kept.

use bytes::Bytes;
use wire::ids::{LeaderEpoch, Offset};

use super::{Quorum, Role, Stop};
use crate::loader::SnapshotFile;
use crate::{Effect, Error, Snapshot, SnapshotId};

/// The snapshot under way.
#[derive(Debug, Clone, Copy)]
pub(super) enum Work {
    Idle,
    /// The records were asked for.
    Asked(SnapshotFile),
    /// The file is being written.
    Writing(SnapshotFile),
}

impl Quorum {
    /// The voters exist before the first epoch: in a snapshot of nothing.
    pub(super) fn form(&mut self) -> Result<(), Stop> {
        if !matches!(self.work, Work::Idle) {
            return Err(Stop::Unexpected("Start"));
        }
        let id = SnapshotId { end_offset: Offset(0), epoch: LeaderEpoch(0) };
        // There is no last record: retention counts from now.
        let file = self.snapshot_file(id, self.wall_ms, Vec::new())?;
        self.write_snapshot(new_file(id, self.wall_ms), file);
        Ok(())
    }

    /// Asks for a snapshot when enough was written since the last one, or enough time has passed
    /// since and anything was written at all.
    pub(super) fn consider_snapshot(&mut self) {
        let end_offset = self.high_watermark;
        let newest = self.latest_snapshot().map_or(Offset(0), |id| id.end_offset);
        // A leader's first batch alone is no reason to write the whole state again.
        let stopped = self.role() == Role::Stopped || self.installing.is_some();
        // And what is committed on others' disks is not yet on a leader's own.
        let durable = end_offset <= self.log.durable();
        let idle = matches!(self.work, Work::Idle) && !stopped && durable;
        if !idle || end_offset.0 <= newest.0.saturating_add(1) {
            return;
        }
        let age = self.wall_ms.saturating_sub(self.snapshot_at_ms);
        let interval = self.config.snapshot_interval_ms;
        let due = interval > 0 && age >= interval;
        if self.bytes_since_snapshot < self.config.snapshot_bytes && !due {
            return;
        }
        let id = self.log.snapshot_at(end_offset);
        let log_bytes = std::mem::take(&mut self.bytes_since_snapshot);
        self.snapshot_at_ms = self.wall_ms;
        self.work = Work::Asked(SnapshotFile { log_bytes, ..new_file(id, self.last_committed_ms) });
        self.out.push(Effect::TakeSnapshot { id });
    }

    pub(super) fn snapshot_records(
        &mut self,
        id: SnapshotId,
        records: Vec<Bytes>,
    ) -> Result<(), Stop> {
        match self.work {
            Work::Asked(file) if file.id == id => {
                if self.is_overtaken(id) {
                    self.work = Work::Idle;
                    return Ok(());
                }
                let bytes = self.snapshot_file(id, file.last_contained_ms, records)?;
                self.write_snapshot(file, bytes);
                Ok(())
            }
            _ => Err(Stop::Unexpected("SnapshotRecords")),
        }
    }

    /// Whether the leader's snapshot has come in the way of this node's own.
    fn is_overtaken(&self, id: SnapshotId) -> bool {
        self.installing.is_some() || self.log.start() > id.end_offset
    }

    fn snapshot_file(
        &self,
        id: SnapshotId,
        last_contained_ms: i64,
        records: Vec<Bytes>,
    ) -> Result<Bytes, Error> {
        let (kraft_version, voters) = self.log.voters.at(id.end_offset);
        let voters = (kraft_version > 0).then(|| voters.clone());
        let snapshot = Snapshot { id, last_contained_ms, kraft_version, voters, records };
        snapshot.to_bytes(self.wall_ms)
    }

    fn write_snapshot(&mut self, file: SnapshotFile, content: Bytes) {
        let bytes = u64::try_from(content.len()).unwrap_or(u64::MAX);
        self.work = Work::Writing(SnapshotFile { bytes, ..file });
        let name = file.id.file_name();
        self.out.push(Effect::WriteSnapshot { id: file.id, name, file: content });
    }

    pub(super) fn snapshot_written(&mut self, id: SnapshotId) -> Result<(), Stop> {
        let file = match std::mem::replace(&mut self.work, Work::Idle) {
            Work::Writing(file) if file.id == id => file,
            _ => return Err(Stop::Unexpected("SnapshotWritten")),
        };
        if self.is_overtaken(id) {
            let name = id.file_name();
            self.out.push(Effect::RemoveSnapshot { id, name });
            return Ok(());
        }
        self.snapshots.push(file);
        if self.forms {
            self.forms = false;
            self.begin();
        } else {
            self.retain();
        }
        Ok(())
    }

    /// Drops the oldest snapshots that retention does not want, never the newest; the log then
    /// begins where the oldest one left ends.
    fn retain(&mut self) {
        let mut dropped = false;
        while self.snapshots.len() > 1 {
            let bytes = |s: &SnapshotFile| s.bytes.saturating_add(s.log_bytes);
            let total = self.snapshots.iter().map(bytes).fold(0, u64::saturating_add);
            let too_big =
                u64::try_from(self.config.retention_bytes).is_ok_and(|limit| total > limit);
            let Some(oldest) = self.snapshots.first().copied() else { break };
            let age = self.wall_ms.saturating_sub(oldest.last_contained_ms);
            let too_old = self.config.retention_ms >= 0 && age > self.config.retention_ms;
            if !too_big && !too_old {
                break;
            }
            self.snapshots.remove(0);
            dropped = true;
            let name = oldest.id.file_name();
            self.out.push(Effect::RemoveSnapshot { id: oldest.id, name });
        }
        if let Some(oldest) = self.snapshots.first().filter(|_| dropped) {
            self.log.trim(oldest.id);
            self.out.push(Effect::TrimLog { start: oldest.id.end_offset });
        }
    }
}

fn new_file(id: SnapshotId, last_contained_ms: i64) -> SnapshotFile {
    SnapshotFile { id, bytes: 0, last_contained_ms, log_bytes: 0 }
}
