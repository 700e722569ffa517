//! A follower that needs what the leader's log has no more takes the leader's snapshot instead.

use bytes::Bytes;
use wire::ErrorCode;
use wire::ids::BrokerId;

use super::outbox::Asked;
use super::state::{Install, InstallStep, State};
use super::{Quorum, Stop};
use crate::loader::SnapshotFile;
use crate::voter_history::VoterHistory;
use crate::{
    Body, Effect, FetchSnapshotRequest, Given, Payload, Request, Response, Snapshot, SnapshotId,
};

/// The largest snapshot taken from a leader.
const SNAPSHOT_BYTES_MAX: u64 = 2 << 30;

impl Quorum {
    pub(super) fn ask_snapshot(&mut self, leader: BrokerId, install: Install) {
        let Install { id, position, .. } = install;
        let request = FetchSnapshotRequest {
            epoch: self.election.epoch,
            replica: self.config.key(),
            id,
            position,
            max_bytes: self.config.fetch_bytes,
        };
        let what = Asked::FetchSnapshot { id, position };
        self.send(Some(leader), what, Request::FetchSnapshot(request));
    }

    fn fetching(&mut self) -> Option<&mut Install> {
        match &mut self.state {
            State::Follower(follower) => follower.install.as_mut(),
            _ => None,
        }
    }

    /// Begins again with a fetch: the leader says what is to be done.
    fn drop_install(&mut self) {
        if let State::Follower(follower) = &mut self.state {
            follower.install = None;
        }
        self.back_off();
    }

    fn refuse_install(&mut self, id: SnapshotId, why: String) {
        if let Some(leader) = self.leader() {
            self.out.push(Effect::NotTaken { leader, given: Given::Snapshot(id), why });
        }
        self.drop_install();
    }

    pub(super) fn fetched_snapshot(&mut self, response: Response) {
        if response.error != ErrorCode::None || response.epoch != self.election.epoch {
            return self.drop_install();
        }
        let Body::FetchSnapshot(body) = response.body else { return self.drop_install() };
        let Payload::Bytes(bytes) = body.bytes else { return self.drop_install() };
        self.hear_leader();
        let Some(install) = self.fetching() else { return };
        let expected = (install.id, install.position, InstallStep::Fetching);
        if expected != (body.id, body.position, install.step) {
            return;
        }
        let next = body.position.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if body.size > SNAPSHOT_BYTES_MAX {
            let why = format!("{} bytes are more than the {SNAPSHOT_BYTES_MAX} allowed", body.size);
            return self.refuse_install(body.id, why);
        }
        if bytes.is_empty() || next > body.size {
            let why = format!("bytes up to {next} of {} make no piece", body.size);
            return self.refuse_install(body.id, why);
        }
        install.position = next;
        let whole = next == body.size;
        if whole {
            install.step = InstallStep::Reading;
        }
        let (id, position) = (body.id, body.position);
        self.out.push(Effect::WriteSnapshotPart { id, position, bytes });
        if whole {
            self.out.push(Effect::ReadSnapshotPart { id });
        }
    }

    pub(super) fn snapshot_part_read(&mut self, id: SnapshotId, file: Bytes) -> Result<(), Stop> {
        let wanted = self
            .fetching()
            .is_some_and(|install| install.id == id && install.step == InstallStep::Reading);
        if !wanted || self.installing.is_some() {
            return Ok(());
        }
        self.hear_leader();
        let bytes = u64::try_from(file.len()).unwrap_or(u64::MAX);
        let snapshot = match Snapshot::parse(id, file) {
            Ok(snapshot) if id.end_offset > self.high_watermark => snapshot,
            // Overtaken.
            Ok(_) => {
                self.drop_install();
                return Ok(());
            }
            // Cut short, or bent: on the leader's disk or on the way.
            Err(why) => {
                self.refuse_install(id, why.to_string());
                return Ok(());
            }
        };
        let base = self.log.voters.at(self.log.start());
        let voters = match snapshot.voters {
            Some(voters) => VoterHistory::new(snapshot.kraft_version, voters),
            None => VoterHistory::new(base.0, base.1.clone()),
        };
        self.log.restart(id, voters);
        let last_contained_ms = snapshot.last_contained_ms;
        self.installing = Some(SnapshotFile { id, bytes, last_contained_ms, log_bytes: 0 });
        let records = snapshot.records;
        self.out.push(Effect::InstallSnapshot { id, name: id.file_name(), records });
        self.last_committed_ms = last_contained_ms;
        self.bytes_since_snapshot = 0;
        self.commit(id.end_offset);
        Ok(())
    }

    pub(super) fn snapshot_installed(&mut self, id: SnapshotId) -> Result<(), Stop> {
        let Some(file) = self.installing.take().filter(|file| file.id == id) else {
            return Err(Stop::Unexpected("SnapshotInstalled"));
        };
        self.log.installed();
        for old in self.snapshots.drain(..) {
            let name = old.id.file_name();
            self.out.push(Effect::RemoveSnapshot { id: old.id, name });
        }
        self.snapshots.push(file);
        if let State::Follower(follower) = &mut self.state {
            follower.install = None;
        }
        Ok(())
    }
}
