//! The requests of elections, as they come in.

use wire::ErrorCode;
use wire::ids::{LeaderEpoch, Offset};

use super::state::State;
use super::{Quorum, Role};
use crate::{BeginEpochRequest, Body, EndEpochRequest, ReplicaKey, VoteRequest};

/// How many epochs a message may be ahead of this node, and `quorum-state` of the log. Elections
/// every second take half a year for so many; the last epoch of all, which no election could
/// follow, is out of reach of one message.
pub(crate) const EPOCHS_AHEAD_MAX: i32 = 1 << 24;

impl Quorum {
    pub(super) fn is_too_far(&self, epoch: LeaderEpoch) -> bool {
        epoch.0.saturating_sub(self.election.epoch.0) > EPOCHS_AHEAD_MAX
    }

    /// Whether a request is meant for this node with this disk. A node whose disk was wiped is
    /// not the voter it was: that one's votes are lost.
    fn is_meant(&self, voter: &ReplicaKey) -> bool {
        voter.may_be(&self.config.key())
    }

    pub(super) fn vote(&mut self, token: u64, request: &VoteRequest) {
        if !self.is_meant(&request.voter) {
            return self.refuse(token, ErrorCode::InvalidVoterKey);
        }
        if request.epoch < self.election.epoch {
            return self.refuse(token, ErrorCode::FencedLeaderEpoch);
        }
        if request.candidate.id == self.config.node || self.is_too_far(request.epoch) {
            return self.refuse(token, ErrorCode::InvalidRequest);
        }
        // Who is no voter as far as this node knows may be one by records that it has not seen, and
        // then has them. Anybody else must not end an epoch.
        let is_ahead = (request.last_epoch, request.end_offset) > self.own_end();
        if self.voters().find(&request.candidate).is_none() && !is_ahead {
            return self.refuse(token, ErrorCode::InvalidVoterKey);
        }
        self.enter_epoch(request.epoch);
        let granted = self.may_vote_for(request);
        if granted && !request.pre_vote && self.election.voted.is_none() {
            self.election.voted = Some((request.candidate.id, request.candidate.directory));
            // Give it the time to win.
            self.detach();
        }
        self.respond(token, ErrorCode::None, Body::Vote { granted });
    }

    fn may_vote_for(&self, request: &VoteRequest) -> bool {
        let up_to_date = (request.last_epoch, request.end_offset) >= self.own_end();
        if request.pre_vote {
            return up_to_date && !self.hears_leader();
        }
        // In a quorum of `kraft.version` 0 the vote on disk names no directory.
        let voted_for = |(id, directory)| request.candidate.is(&ReplicaKey { id, directory });
        match (self.role(), self.election.voted) {
            (Role::Candidate | Role::Leader | Role::Resigned | Role::Stopped, _) => false,
            (_, Some(voted)) => voted_for(voted),
            (_, None) => up_to_date && self.election.leader.is_none(),
        }
    }

    /// What is compared when logs are: the epoch first.
    fn own_end(&self) -> (LeaderEpoch, Offset) {
        (self.log.last_epoch(), self.log.end())
    }

    /// Whether this node has reason to believe that the epoch has a leader at work.
    fn hears_leader(&self) -> bool {
        match &self.state {
            State::Leader(_) => true,
            State::Follower(follower) => follower.fetched,
            _ => false,
        }
    }

    pub(super) fn begin_epoch(&mut self, token: u64, request: &BeginEpochRequest) {
        if !self.is_meant(&request.voter) {
            return self.refuse(token, ErrorCode::InvalidVoterKey);
        }
        if request.epoch < self.election.epoch {
            return self.refuse(token, ErrorCode::FencedLeaderEpoch);
        }
        let other = self.election.leader.is_some_and(|leader| leader != request.leader);
        let itself = request.leader == self.config.node;
        let too_far = self.is_too_far(request.epoch);
        if itself || too_far || (request.epoch == self.election.epoch && other) {
            return self.refuse(token, ErrorCode::InvalidRequest);
        }
        self.enter_epoch(request.epoch);
        // It lives after all.
        self.gone = None;
        match self.role() {
            Role::Leader | Role::Follower | Role::Resigned | Role::Stopped => {}
            _ => self.follow(request.leader, request.endpoints.clone()),
        }
        self.refuse(token, ErrorCode::None);
    }

    pub(super) fn end_epoch(&mut self, token: u64, request: &EndEpochRequest) {
        if request.epoch < self.election.epoch {
            return self.refuse(token, ErrorCode::FencedLeaderEpoch);
        }
        if self.is_too_far(request.epoch) {
            return self.refuse(token, ErrorCode::InvalidRequest);
        }
        self.enter_epoch(request.epoch);
        let followed = matches!(&self.state, State::Follower(f) if f.leader == request.leader);
        if followed {
            let rank = request.successors.iter().position(|key| self.is_meant(key));
            let rank = i64::try_from(rank.unwrap_or(request.successors.len())).unwrap_or(i64::MAX);
            // Those behind in the row let those before them win.
            let step = self.config.election_timeout_ms / 4;
            let wait = rank.saturating_mul(step).min(self.config.election_timeout_ms);
            self.give_up_leader(wait);
        }
        self.refuse(token, ErrorCode::None);
    }
}
