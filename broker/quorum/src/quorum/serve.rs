//! Requests as they come in: whose they are, and what a leader gives to those who fetch.

use wire::ErrorCode;
use wire::ids::{LeaderEpoch, Offset};

use super::state::{Looked, Parked, Progress, State};
use super::{Quorum, Stop};
use crate::clock::Ms;
use crate::log_view::Position;
use crate::{
    Body, FetchBody, FetchRequest, FetchSnapshotBody, FetchSnapshotRequest, Payload, ReplicaKey,
    Request,
};

/// The most replicas that a leader remembers; of the others it forgets who was silent longest.
const REPLICAS_MAX: usize = 2048;
/// The longest that a fetch waits.
const WAIT_MS_MAX: i64 = 30_000;

impl Quorum {
    pub(super) fn request(
        &mut self,
        token: u64,
        cluster_id: Option<&str>,
        request: Request,
    ) -> Result<(), Stop> {
        if self.is_strange(cluster_id, &request) {
            self.refuse(token, ErrorCode::InconsistentClusterId);
            return Ok(());
        }
        match request {
            Request::Vote(request) => self.vote(token, &request),
            Request::BeginEpoch(request) => self.begin_epoch(token, &request),
            Request::EndEpoch(request) => self.end_epoch(token, &request),
            Request::Fetch(request) => self.fetch(token, &request)?,
            Request::FetchSnapshot(request) => self.fetch_snapshot(token, &request),
            Request::AddVoter(request) => self.add_voter(token, request)?,
            Request::RemoveVoter(voter) => self.remove_voter(token, voter)?,
            Request::UpdateVoter(request) => self.update_voter(token, request)?,
        }
        Ok(())
    }

    /// Whether a request is of another cluster. Who does not know its cluster may learn it; but it
    /// elects and leads nobody who does.
    fn is_strange(&self, theirs: Option<&str>, request: &Request) -> bool {
        match (theirs, &self.config.cluster_id) {
            (Some(theirs), Some(ours)) => theirs != ours,
            (None, Some(_)) => {
                matches!(request, Request::Vote(_) | Request::BeginEpoch(_) | Request::EndEpoch(_))
            }
            (_, None) => false,
        }
    }

    /// What only the leader of the epoch answers.
    pub(super) fn check_leader(&self, epoch: LeaderEpoch) -> Result<(), ErrorCode> {
        if epoch < self.election.epoch {
            Err(ErrorCode::FencedLeaderEpoch)
        } else if epoch > self.election.epoch {
            Err(ErrorCode::UnknownLeaderEpoch)
        } else if !matches!(self.state, State::Leader(_)) {
            Err(ErrorCode::NotLeaderOrFollower)
        } else {
            Ok(())
        }
    }

    fn fetch(&mut self, token: u64, request: &FetchRequest) -> Result<(), Stop> {
        if let Err(error) = self.check_leader(request.epoch) {
            self.refuse(token, error);
            return Ok(());
        }
        if request.replica.id == self.config.node || request.offset < Offset(0) {
            self.refuse(token, ErrorCode::InvalidRequest);
            return Ok(());
        }
        let position = self.log.position(request.offset, request.last_epoch);
        let valid = position == Position::Prefix;
        self.note_fetch(request.replica, valid.then_some(request.offset));
        let (diverging, snapshot) = match position {
            Position::Prefix => (None, None),
            Position::Diverging(epoch, end) => (Some((epoch, end)), None),
            Position::BeforeStart => (None, self.latest_snapshot()),
        };
        if !valid {
            let records = Payload::Empty;
            let body = self.fetch_body(diverging, snapshot, records);
            self.respond(token, ErrorCode::None, body);
            return Ok(());
        }
        self.advance_high_watermark()?;
        if !matches!(self.state, State::Leader(_)) {
            self.refuse(token, ErrorCode::NotLeaderOrFollower);
            return Ok(());
        }
        let parked = Parked {
            token,
            offset: request.offset,
            high_watermark: request.high_watermark,
            max_bytes: request.max_bytes,
            until: self.after(request.max_wait_ms.clamp(0, WAIT_MS_MAX)),
        };
        self.park(&request.replica, parked);
        Ok(())
    }

    /// Lets a fetch wait, if there is nothing new for it.
    fn park(&mut self, replica: &ReplicaKey, parked: Parked) {
        let due = parked.is_due(self.now(), self.log.end(), self.high_watermark);
        let State::Leader(leader) = &mut self.state else { return };
        let Some(replica) = leader.replicas.get_mut(replica) else { return };
        // One fetch of a replica at a time: who asks again has given up on the answer.
        let before = std::mem::replace(&mut replica.parked, (!due).then_some(parked));
        if !due {
            leader.looked.until = leader.looked.until.min(parked.until);
        }
        before.into_iter().for_each(|before| self.answer_fetch(before));
        if due {
            self.answer_fetch(parked);
        }
    }

    /// A replica is alive, and has all below `end` on its disk.
    fn note_fetch(&mut self, key: ReplicaKey, end: Option<Offset>) {
        let (now, log_end) = (self.now(), self.log.end());
        let by_id_alone = self.kraft_version() == 0;
        let voters = self.log.voters.latest();
        let mut forgotten = None;
        let State::Leader(leader) = &mut self.state else { return };
        if by_id_alone {
            // Of the disks of one node the one that speaks is the one that counts.
            leader.replicas.retain(|other, _| other.id != key.id || *other == key);
        }
        if !leader.replicas.contains_key(&key) && leader.replicas.len() >= REPLICAS_MAX {
            let others = leader.replicas.iter().filter(|(other, _)| voters.find(other).is_none());
            let silent = others.min_by_key(|(_, progress)| progress.fetched_at);
            let silent = silent.map(|(key, _)| *key);
            forgotten = silent.and_then(|silent| leader.replicas.remove(&silent));
        }
        let unknown =
            Progress { end: Offset(0), fetched_at: now, caught_up_at: None, parked: None };
        let progress = leader.replicas.entry(key).or_insert(unknown);
        progress.fetched_at = now;
        if let Some(end) = end {
            // Requests may overtake each other; what is on disk stays there.
            progress.end = progress.end.max(end);
            if end >= log_end {
                progress.caught_up_at = Some(now);
            }
        }
        if let Some(parked) = forgotten.and_then(|progress: Progress| progress.parked) {
            self.answer_fetch(parked);
        }
    }

    /// Answers the fetches for which there is something new, or whose time is over.
    pub(super) fn answer_parked(&mut self) {
        let (now, end, committed) = (self.now(), self.log.end(), self.high_watermark);
        let State::Leader(leader) = &mut self.state else { return };
        let looked = leader.looked;
        if (looked.end, looked.high_watermark) == (end, committed) && now < looked.until {
            return;
        }
        let mut ready = Vec::new();
        let mut until = Ms::MAX;
        for replica in leader.replicas.values_mut() {
            ready.extend(replica.parked.take_if(|parked| parked.is_due(now, end, committed)));
            until = replica.parked.map_or(until, |parked| until.min(parked.until));
        }
        leader.looked = Looked { end, high_watermark: committed, until };
        ready.into_iter().for_each(|parked| self.answer_fetch(parked));
    }

    fn answer_fetch(&mut self, parked: Parked) {
        let (from, upto) = (parked.offset, self.log.end());
        let records = if from < self.log.start() || from >= upto {
            Payload::Empty
        } else {
            Payload::Log { from, upto, max_bytes: parked.max_bytes }
        };
        let body = self.fetch_body(None, None, records);
        self.respond(parked.token, ErrorCode::None, body);
    }

    fn fetch_body(
        &self,
        diverging: Option<(LeaderEpoch, Offset)>,
        snapshot: Option<crate::SnapshotId>,
        records: Payload,
    ) -> Body {
        Body::Fetch(FetchBody {
            high_watermark: self.high_watermark,
            log_start: self.log.start(),
            diverging,
            snapshot,
            records,
        })
    }

    fn fetch_snapshot(&mut self, token: u64, request: &FetchSnapshotRequest) {
        if let Err(error) = self.check_leader(request.epoch) {
            return self.refuse(token, error);
        }
        if request.replica.id == self.config.node {
            return self.refuse(token, ErrorCode::InvalidRequest);
        }
        self.note_fetch(request.replica, None);
        let (id, position) = (request.id, request.position);
        let Some(found) = self.snapshots.iter().find(|snapshot| snapshot.id == id) else {
            return self.refuse(token, ErrorCode::SnapshotNotFound);
        };
        let size = found.bytes;
        if position >= size {
            return self.refuse(token, ErrorCode::PositionOutOfRange);
        }
        let bytes = Payload::Snapshot { id, position, max_bytes: request.max_bytes };
        let body = FetchSnapshotBody { id, size, position, bytes };
        self.respond(token, ErrorCode::None, Body::FetchSnapshot(body));
    }
}
