//! Voters that come and go, one at a time (KIP-853).

use wire::ErrorCode;
use wire::ids::Offset;

use super::state::{ChangeStep, State, VoterChange};
use super::{Quorum, Stop};
use crate::batches::voters_batch;
use crate::{AddVoterRequest, Bootstrap, ReplicaKey, UpdateVoterRequest, Voter, Voters};

/// The most voters.
const VOTERS_MAX: usize = 64;
/// The most endpoints of one voter.
const ENDPOINTS_MAX: usize = 16;
/// The longest name of a listener or a host.
const NAME_BYTES_MAX: usize = 255;
/// The longest that a new voter may take to catch up.
const CATCH_UP_MS_MAX: i64 = 600_000;

impl Quorum {
    /// Whether the voters may be changed now. Without a committed record of this epoch the leader
    /// does not know whether the voters that it sees are the last ones; and two changes at once
    /// could make two majorities that do not meet.
    fn check_change(&self) -> Result<(), ErrorCode> {
        let State::Leader(leader) = &self.state else {
            return Err(ErrorCode::NotLeaderOrFollower);
        };
        if self.kraft_version() == 0 {
            return Err(ErrorCode::UnsupportedVersion);
        }
        let settled =
            self.high_watermark > leader.start && self.log.voters.latest_at() < self.high_watermark;
        if !settled || leader.change.is_some() {
            return Err(ErrorCode::RequestTimedOut);
        }
        Ok(())
    }

    pub(super) fn add_voter(&mut self, token: u64, request: AddVoterRequest) -> Result<(), Stop> {
        let who = request.voter.key();
        let checked = self.check_change().and_then(|()| {
            if self.voters().by_id(who.id).is_some() {
                Err(ErrorCode::DuplicateVoter)
            } else if !is_sound(&request.voter) || self.voters().len() >= VOTERS_MAX {
                Err(ErrorCode::InvalidRequest)
            } else {
                Ok(())
            }
        });
        if let Err(error) = checked {
            self.refuse(token, error);
            return Ok(());
        }
        let voters = self.voters().with(request.voter);
        let upto = self.log.end();
        let until = self.after(request.timeout_ms.clamp(0, CATCH_UP_MS_MAX));
        let ack_when_committed = request.ack_when_committed;
        let step = ChangeStep::CatchUp { who, upto, until, ack_when_committed };
        self.begin_change(VoterChange { token: Some(token), voters, step });
        self.continue_change()
    }

    pub(super) fn remove_voter(&mut self, token: u64, voter: ReplicaKey) -> Result<(), Stop> {
        let voters = self.voters().without(voter.id);
        let checked = self.check_change().and_then(|()| {
            if !self.voters().contains(voter.id, voter.directory) || voters.is_empty() {
                Err(ErrorCode::VoterNotFound)
            } else if !self.is_followed_by_majority(&voters) {
                Err(ErrorCode::RequestTimedOut)
            } else {
                Ok(())
            }
        });
        if let Err(error) = checked {
            self.refuse(token, error);
            return Ok(());
        }
        self.append_voters(Some(token), None, voters)
    }

    pub(super) fn update_voter(
        &mut self,
        token: u64,
        request: UpdateVoterRequest,
    ) -> Result<(), Stop> {
        let voter = request.voter;
        let checked = self.check_leader(request.epoch).and_then(|()| self.check_change());
        let checked = checked.and_then(|()| {
            if !self.voters().contains(voter.id, voter.directory) {
                Err(ErrorCode::VoterNotFound)
            } else if !is_sound(&voter) {
                Err(ErrorCode::InvalidRequest)
            } else {
                Ok(())
            }
        });
        if let Err(error) = checked {
            self.refuse(token, error);
            return Ok(());
        }
        if self.voters().by_id(voter.id) == Some(&voter) {
            self.refuse(token, ErrorCode::None);
            return Ok(());
        }
        let voters = self.voters().with(voter);
        self.append_voters(Some(token), None, voters)
    }

    /// Whether these voters could commit their own coming into force: a change that they cannot
    /// commit is in force all the same, and nobody could lead to undo it.
    fn is_followed_by_majority(&self, voters: &Voters) -> bool {
        let State::Leader(leader) = &self.state else { return false };
        let oldest = self.now().saturating_sub(self.config.fetch_timeout_ms);
        let own = self.config.key();
        let follows = |voter: &&Voter| {
            let key = voter.key();
            key.may_be(&own) || leader.fetched_at(&key).is_some_and(|at| at > oldest)
        };
        voters.iter().filter(follows).count() >= voters.majority()
    }

    fn begin_change(&mut self, change: VoterChange) {
        if let State::Leader(leader) = &mut self.state {
            leader.change = Some(change);
        }
    }

    /// Writes the voters down; they count from now on.
    fn append_voters(
        &mut self,
        token: Option<u64>,
        kraft_version: Option<i16>,
        voters: Voters,
    ) -> Result<(), Stop> {
        let (first, epoch) = (self.log.end(), self.election.epoch);
        let batch = voters_batch(first, epoch, self.wall_ms, kraft_version, &voters)?;
        let count = 1 + i64::from(kraft_version.is_some());
        self.append(batch, count, epoch, self.wall_ms);
        if let Some(kraft_version) = kraft_version {
            self.log.voters.set_kraft_version(first, kraft_version);
        }
        let at = self.log.end().plus(-1);
        self.log.voters.set_voters(at, voters.clone());
        self.begin_change(VoterChange { token, voters, step: ChangeStep::Appended { at } });
        self.flush();
        Ok(())
    }

    /// A new voter that has caught up goes into the log: before that it could only hold up
    /// commits.
    pub(super) fn continue_change(&mut self) -> Result<(), Stop> {
        let now = self.now();
        let State::Leader(leader) = &mut self.state else { return Ok(()) };
        let Some(change) = &leader.change else { return Ok(()) };
        let ChangeStep::CatchUp { who, upto, until, ack_when_committed } = change.step else {
            return Ok(());
        };
        let caught_up = leader.replicas.get(&who).is_some_and(|replica| {
            replica.end >= upto && now - replica.fetched_at < self.config.fetch_timeout_ms
        });
        if !caught_up && now < until {
            return Ok(());
        }
        let Some(change) = leader.change.take() else { return Ok(()) };
        if caught_up {
            let waits = change.token.filter(|_| ack_when_committed);
            self.append_voters(waits, None, change.voters)?;
            if let Some(token) = change.token.filter(|_| !ack_when_committed) {
                self.refuse(token, ErrorCode::None);
            }
            return Ok(());
        }
        if let Some(token) = change.token {
            self.refuse(token, ErrorCode::RequestTimedOut);
        }
        Ok(())
    }

    /// After the high watermark has moved: is a change done? A leader that is no voter any more
    /// has led until here, and now leaves it to the others.
    pub(super) fn voters_committed(&mut self) -> Result<(), Stop> {
        let committed = self.high_watermark;
        let State::Leader(leader) = &mut self.state else { return Ok(()) };
        let done = |change: &mut VoterChange| match change.step {
            ChangeStep::Appended { at } => at < committed,
            ChangeStep::CatchUp { .. } => false,
        };
        let token = leader.change.take_if(done).and_then(|change| change.token);
        if let Some(token) = token {
            self.refuse(token, ErrorCode::None);
        }
        if !self.is_voter() && self.log.voters.latest_at() < committed {
            self.answer_parked();
            self.resign();
        }
        Ok(())
    }

    fn has_company(&self) -> bool {
        let State::Leader(leader) = &self.state else { return false };
        self.voters().len() > 1 || !leader.replicas.is_empty()
    }

    /// From ids alone to directories: once all static voters have been met with their disks, they
    /// are written down.
    pub(super) fn upgrade(&mut self) -> Result<(), Stop> {
        let State::Leader(leader) = &self.state else { return Ok(()) };
        let settled = self.high_watermark > leader.start && leader.change.is_none();
        let known = self.log.voters.latest_at() >= Offset(0) || self.log.start() > Offset(0);
        if self.kraft_version() > 0 && settled && !known && self.has_company() {
            // The voters stand only in the snapshot with which they were formed, and nobody
            // fetches that: others learn them from the log.
            let (version, voters) = (self.kraft_version(), self.voters().clone());
            return self.append_voters(None, Some(version), voters);
        }
        // A quorum that Kafka formed stays as it is, so that Kafka can take it back.
        let formed_here = matches!(self.config.bootstrap, Bootstrap::Static(_));
        let due = self.kraft_version() == 0 && formed_here && settled;
        if !due {
            return if known { self.correct_itself() } else { Ok(()) };
        }
        match self.voters_met() {
            Some(voters) => self.append_voters(None, Some(1), voters),
            None => Ok(()),
        }
    }

    /// A leader that is reached elsewhere than the voters say writes that down: who loses it looks
    /// for it there.
    fn correct_itself(&mut self) -> Result<(), Stop> {
        match self.own_correction() {
            Some(voter) if self.check_change().is_ok() => {
                let voters = self.voters().with(voter);
                self.append_voters(None, None, voters)
            }
            _ => Ok(()),
        }
    }

    /// This node as the voters should have it, if they have it and, committed, say that it is
    /// reached elsewhere. Who tells nobody where it is reached changes nothing.
    pub(super) fn own_correction(&self) -> Option<Voter> {
        let now = &self.config.endpoints;
        let written = self.voters().by_id(self.config.node)?;
        let same = written.endpoints.len() == now.len()
            && now.iter().all(|endpoint| written.endpoints.contains(endpoint));
        let committed = self.log.voters.latest_at() < self.high_watermark;
        if same || now.is_empty() || !committed || written.directory != self.config.directory {
            return None;
        }
        Some(self.config.voter()).filter(is_sound)
    }

    /// Whether `kraft.version` can be raised now: this node leads, no change of the voters is under
    /// way, and every voter has been met with its disk.
    pub fn may_upgrade(&self) -> bool {
        let State::Leader(leader) = &self.state else { return false };
        let settled = self.high_watermark > leader.start && leader.change.is_none();
        settled && self.kraft_version() == 0 && self.voters_met().is_some()
    }

    pub(super) fn upgrade_as_told(&mut self) -> Result<(), Stop> {
        match self.voters_met() {
            Some(voters) if self.may_upgrade() => self.append_voters(None, Some(1), voters),
            _ => Ok(()),
        }
    }

    /// The static voters with their disks, if all of them have been met lately.
    fn voters_met(&self) -> Option<Voters> {
        let State::Leader(leader) = &self.state else { return None };
        let own = self.config.key();
        if own.directory.is_zero() {
            return None;
        }
        let recent = self.now().saturating_sub(self.config.fetch_timeout_ms);
        let met = |voter: &Voter| {
            if voter.id == own.id {
                return Some(Voter { directory: own.directory, ..voter.clone() });
            }
            let current = |key: &&ReplicaKey| {
                let caught_up = leader.caught_up_at(key).is_some_and(|at| at > recent);
                !key.directory.is_zero() && caught_up
            };
            let key = leader.disks_of(voter.id).find(current)?;
            Some(Voter { directory: key.directory, ..voter.clone() })
        };
        let voters: Option<Vec<Voter>> = self.voters().iter().map(met).collect();
        voters.filter(|voters| !voters.is_empty()).map(Voters::new)
    }
}

/// Whether a voter can be written down: reachable, and of a bounded size.
fn is_sound(voter: &Voter) -> bool {
    let bounded = |name: &str| !name.is_empty() && name.len() <= NAME_BYTES_MAX;
    let endpoints = &voter.endpoints;
    let sound = endpoints.iter().all(|e| bounded(&e.listener) && bounded(&e.host));
    let counted = (1..=ENDPOINTS_MAX).contains(&endpoints.len());
    voter.id.0 >= 0 && !voter.directory.is_zero() && sound && counted
}
