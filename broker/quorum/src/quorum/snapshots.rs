//! When a snapshot is taken, and which ones are kept.

use bytes::Bytes;
use wire::ids::{LeaderEpoch, Offset};

use super::{Quorum, Role, Stop, Work};
use crate::loader::SnapshotFile;
use crate::{Effect, Error, Snapshot, SnapshotId};

impl Quorum {
    /// The voters exist before the first epoch: in a snapshot of nothing.
    pub(super) fn form(&mut self, now_ms: i64, effects: &mut Vec<Effect>) -> Result<(), Stop> {
        let id = SnapshotId { end_offset: Offset(0), epoch: LeaderEpoch(0) };
        let file = self.snapshot_file(id, 0, Vec::new(), now_ms)?;
        self.write_snapshot(new_file(id, 0), file, effects);
        Ok(())
    }

    /// Asks for a snapshot when enough was written since the last one, or enough time has passed
    /// since and anything was written at all.
    pub(super) fn consider_snapshot(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        let end_offset = self.high_watermark;
        let newest = self.latest_snapshot().map_or(Offset(0), |id| id.end_offset);
        // Until the leader's own first batch commits, the high watermark stands at the newest
        // snapshot, so the last record contained is always of this epoch. That batch alone is no
        // reason to write the whole state again.
        let idle = matches!(self.work, Work::Idle) && self.role == Role::Leader;
        if !idle || end_offset.0 <= newest.0.saturating_add(1) {
            return;
        }
        let age = now_ms.saturating_sub(self.snapshot_at_ms.unwrap_or(now_ms));
        let interval = self.config.snapshot_interval_ms;
        let due = interval > 0 && age >= interval;
        if self.bytes_since_snapshot < self.config.snapshot_bytes && !due {
            return;
        }
        let id = SnapshotId { end_offset, epoch: self.epoch };
        let log_bytes = std::mem::take(&mut self.bytes_since_snapshot);
        self.snapshot_at_ms = Some(now_ms);
        self.work = Work::Asked(SnapshotFile { log_bytes, ..new_file(id, self.last_committed_ms) });
        effects.push(Effect::TakeSnapshot { id });
    }

    pub(super) fn snapshot_records(
        &mut self,
        now_ms: i64,
        id: SnapshotId,
        records: Vec<Bytes>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Stop> {
        match self.work {
            Work::Asked(file) if file.id == id => {
                let bytes = self.snapshot_file(id, file.last_contained_ms, records, now_ms)?;
                self.write_snapshot(file, bytes, effects);
                Ok(())
            }
            _ => Err(Stop::Unexpected("SnapshotRecords")),
        }
    }

    fn snapshot_file(
        &self,
        id: SnapshotId,
        last_contained_ms: i64,
        records: Vec<Bytes>,
        now_ms: i64,
    ) -> Result<Bytes, Error> {
        let kraft_version = self.kraft_version;
        let voters = Some(self.voters.clone()).filter(|_| kraft_version > 0);
        let snapshot = Snapshot { id, last_contained_ms, kraft_version, voters, records };
        snapshot.to_bytes(now_ms)
    }

    fn write_snapshot(&mut self, file: SnapshotFile, content: Bytes, effects: &mut Vec<Effect>) {
        let bytes = u64::try_from(content.len()).unwrap_or(u64::MAX);
        self.work = Work::Writing(SnapshotFile { bytes, ..file });
        let name = file.id.file_name();
        effects.push(Effect::WriteSnapshot { id: file.id, name, file: content });
    }

    pub(super) fn snapshot_written(
        &mut self,
        now_ms: i64,
        id: SnapshotId,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Stop> {
        let Work::Writing(file) = self.work else {
            return Err(Stop::Unexpected("SnapshotWritten"));
        };
        if file.id != id {
            return Err(Stop::Unexpected("SnapshotWritten"));
        }
        self.work = Work::Idle;
        self.snapshots.push(file);
        if self.fresh {
            self.fresh = false;
            self.campaign(effects);
        } else {
            self.retain(now_ms, effects);
        }
        Ok(())
    }

    /// Drops the oldest snapshots that retention does not want, never the newest; the log then
    /// begins where the oldest one left ends.
    fn retain(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        let mut dropped = false;
        while self.snapshots.len() > 1 {
            let bytes = |s: &SnapshotFile| s.bytes.saturating_add(s.log_bytes);
            let total = self.snapshots.iter().map(bytes).fold(0, u64::saturating_add);
            let too_big =
                u64::try_from(self.config.retention_bytes).is_ok_and(|limit| total > limit);
            let Some(oldest) = self.snapshots.first().copied() else { break };
            let age = now_ms.saturating_sub(oldest.last_contained_ms);
            let too_old = self.config.retention_ms >= 0 && age > self.config.retention_ms;
            if !too_big && !too_old {
                break;
            }
            self.snapshots.remove(0);
            dropped = true;
            let name = oldest.id.file_name();
            effects.push(Effect::RemoveSnapshot { id: oldest.id, name });
        }
        if let Some(oldest) = self.snapshots.first().filter(|_| dropped) {
            effects.push(Effect::TrimLog { start: oldest.id.end_offset });
        }
    }
}

fn new_file(id: SnapshotId, last_contained_ms: i64) -> SnapshotFile {
    SnapshotFile { id, bytes: 0, last_contained_ms, log_bytes: 0 }
}
