//! From role to role: who begins to campaign when, and what ends a role.

use wire::ErrorCode;
use wire::ids::{BrokerId, LeaderEpoch, Offset};

use super::outbox::Asked;
use super::state::{Campaign, Follower, Resigned, State, Unattached};
use super::{Quorum, Role, Stop};
use crate::clock::Ms;
use crate::{
    Bootstrap, Effect, ElectionState, EndEpochRequest, Endpoint, FetchRequest, ReplicaKey, Request,
    VoteRequest,
};

/// How long a node waits at most, beside its turn, after the first election without a winner.
const RETREAT_MS: Ms = 50;
/// Doublings of that wait.
const RETREATS_MAX: u32 = 16;

impl Quorum {
    /// Leaves the role: what rested on it is void.
    fn leave_role(&mut self, next: State) {
        self.sent.clear();
        if let State::Leader(leader) = std::mem::replace(&mut self.state, next) {
            self.out.push(Effect::Deposed { epoch: leader.epoch });
            let parked = leader.replicas.values().filter_map(|replica| replica.parked);
            let waiting = parked.map(|parked| parked.token);
            let change = leader.change.as_ref().and_then(|change| change.token);
            for token in waiting.chain(change) {
                self.refuse(token, ErrorCode::NotLeaderOrFollower);
            }
        }
    }

    /// A time-out of its own for each node and each election.
    fn election_timeout(&mut self) -> Ms {
        let timeout = self.config.election_timeout_ms;
        self.random.between(timeout, timeout.saturating_mul(2))
    }

    /// How long this node lets others try before it: voters who notice the end of a leader at the
    /// same time, and stand at the same time, share the votes among them and nobody wins.
    pub(super) fn turn(&mut self, ended: Option<BrokerId>) -> Ms {
        let step = self.config.election_timeout_ms / 16;
        let node = self.config.node;
        let earlier = |voter: &&crate::Voter| voter.id < node && Some(voter.id) != ended;
        let before = i64::try_from(self.voters().iter().filter(earlier).count()).unwrap_or(0);
        let wait = step.saturating_mul(before).saturating_add(step / 2);
        let jitter = self.random.between(0, step / 4);
        wait.min(self.config.election_timeout_ms).saturating_add(jitter)
    }

    /// Into an epoch that another node has told of.
    pub(super) fn enter_epoch(&mut self, epoch: LeaderEpoch) {
        if epoch <= self.election.epoch {
            return;
        }
        self.election = ElectionState { epoch, ..ElectionState::default() };
        self.gone = None;
        // Somebody who cannot win must not keep those who can from trying.
        let before = match &self.state {
            State::Unattached(unattached) => Some(unattached.campaign_at),
            _ => None,
        };
        self.detach();
        if let (Some(before), State::Unattached(now)) = (before, &mut self.state) {
            now.campaign_at = now.campaign_at.min(before);
        }
    }

    /// Without a leader, in the epoch as it is.
    pub(super) fn detach(&mut self) {
        let campaign_at = self.election_timeout();
        let campaign_at = self.after(campaign_at);
        let ask_at = self.after(self.config.retry_backoff_ms);
        self.leave_role(State::Unattached(Unattached { campaign_at, ask_at }));
    }

    /// Where there is no leader to wait for, a cluster should not wait to be formed. Whoever is
    /// wrong about that learns so when it asks for pre-votes.
    pub(super) fn campaign_soon(&mut self) {
        let timeout = self.config.election_timeout_ms;
        let wait = self.random.between(timeout / 10, timeout / 2);
        let soon = self.after(wait);
        if let State::Unattached(unattached) = &mut self.state {
            unattached.campaign_at = soon;
        }
    }

    pub(super) fn follow(&mut self, leader: BrokerId, endpoints: Vec<Endpoint>) {
        self.election.leader = Some(leader);
        self.gone = None;
        self.vain_elections = 0;
        let follower = Follower {
            leader,
            endpoints,
            give_up_at: self.after(self.config.fetch_timeout_ms),
            fetched: false,
            fetch_at: self.now(),
            leader_high_watermark: self.high_watermark,
            install: None,
            join_at: self.after(self.config.fetch_timeout_ms),
            move_at: self.now(),
        };
        self.leave_role(State::Follower(follower));
    }

    /// Somebody says who leads an epoch.
    pub(super) fn learn(
        &mut self,
        epoch: LeaderEpoch,
        leader: Option<BrokerId>,
        endpoints: &[Endpoint],
    ) {
        self.enter_epoch(epoch);
        let Some(leader) = leader.filter(|leader| *leader != self.config.node) else { return };
        if epoch != self.election.epoch || self.gone == Some(epoch) {
            return;
        }
        let endpoints = match endpoints.is_empty() {
            true => self.endpoints_of(leader),
            false => endpoints.to_vec(),
        };
        // There is no following somebody of whom nobody knows where he is.
        let follows = match self.role() {
            Role::Unattached | Role::Candidate => !endpoints.is_empty(),
            // A leader that it knew before stays under suspicion until the round is over.
            Role::Prospective => self.election.leader.is_none() && !endpoints.is_empty(),
            _ => false,
        };
        if follows {
            self.follow(leader, endpoints);
        }
    }

    /// The leader is gone, or silent: others may try, and so will this node after `wait`.
    pub(super) fn give_up_leader(&mut self, wait: Ms) {
        // Who cannot campaign can only ask the others.
        self.gone = self.may_campaign().then_some(self.election.epoch);
        self.detach();
        let campaign_at = self.after(wait);
        if let State::Unattached(unattached) = &mut self.state {
            unattached.campaign_at = campaign_at;
        }
    }

    /// Asks whether it would be elected, before it disturbs anybody.
    fn sound_out(&mut self) {
        let round = self.election_timeout();
        let mut campaign = Campaign::until(self.after(round));
        campaign.answers.insert(self.config.node, true);
        self.leave_role(State::Prospective(campaign));
    }

    /// Stands for election in the next epoch.
    pub(super) fn stand(&mut self) {
        let Some(epoch) = self.election.epoch.0.checked_add(1) else {
            return self.detach();
        };
        let voted = Some(self.config.key()).map(|key| (key.id, key.directory));
        // With one voter there is no doubt who leads.
        let leader = self.is_only_voter().then_some(self.config.node);
        let epoch = LeaderEpoch(epoch);
        self.election = ElectionState { epoch, leader, voted, ..ElectionState::default() };
        self.gone = None;
        let round = self.election_timeout();
        self.leave_role(State::Candidate(Campaign::until(self.after(round))));
        self.save();
    }

    /// Its own vote counts when it is on disk.
    pub(super) fn vote_for_self(&mut self) -> Result<(), Stop> {
        let node = self.config.node;
        let own = self.saved().voted.is_some_and(|(id, _)| id == node);
        let current = self.saved().epoch == self.election.epoch;
        if let State::Candidate(campaign) = &mut self.state
            && own
            && current
        {
            campaign.answers.insert(node, true);
            return self.count_votes();
        }
        Ok(())
    }

    pub(super) fn count_votes(&mut self) -> Result<(), Stop> {
        let voters = self.log.voters.latest();
        let (campaign, needed) = match &self.state {
            State::Prospective(campaign) if self.would_form() => (campaign, voters.len()),
            State::Prospective(campaign) | State::Candidate(campaign) => {
                (campaign, voters.majority())
            }
            _ => return Ok(()),
        };
        let (won, lost) = (campaign.is_won(voters, needed), campaign.is_lost(voters, needed));
        let over = campaign.is_over(voters);
        match (self.role(), won) {
            (Role::Prospective, true) => self.stand(),
            (Role::Candidate, true) => self.lead()?,
            (Role::Prospective, false) if lost => self.lose_pre_vote(),
            (Role::Candidate, false) if lost || over => self.retreat(),
            (_, false) if lost => self.detach(),
            _ => {}
        }
        Ok(())
    }

    /// The votes are cast, and not for this node. If nobody has them, somebody has to try again:
    /// in turn, and with longer waits each time.
    fn retreat(&mut self) {
        let most = self.config.election_backoff_max_ms;
        let doubled = RETREAT_MS.checked_shl(self.vain_elections).unwrap_or(Ms::MAX);
        let back_off = self.random.between(0, doubled.clamp(0, most));
        self.vain_elections = self.vain_elections.saturating_add(1).min(RETREATS_MAX);
        let wait = self.turn(None).saturating_add(back_off);
        self.detach();
        let campaign_at = self.after(wait);
        if let State::Unattached(unattached) = &mut self.state {
            unattached.campaign_at = campaign_at;
        }
    }

    /// Whether the quorum would be formed by this node's election. A majority of empty disks may be
    /// what is left of a quorum that others remember: it is formed by all, or not at all.
    fn would_form(&self) -> bool {
        self.log.end() == Offset(0) && matches!(self.config.bootstrap, Bootstrap::Static(_))
    }

    /// A majority would not have it: most likely they hear the leader that it does not hear.
    fn lose_pre_vote(&mut self) {
        let leader = self.election.leader.filter(|leader| *leader != self.config.node);
        match leader.map(|leader| (leader, self.endpoints_of(leader))) {
            Some((leader, endpoints)) if !endpoints.is_empty() => self.follow(leader, endpoints),
            _ => {
                // The voters that this node knows do not say where it is: those who refuse do.
                self.gone = None;
                self.detach();
            }
        }
    }

    pub(super) fn poll_unattached(&mut self) {
        let now = self.now();
        let State::Unattached(unattached) = &self.state else { return };
        let (campaign_at, ask_at) = (unattached.campaign_at, unattached.ask_at);
        if now >= campaign_at && self.may_campaign() {
            return self.sound_out();
        }
        let asking = self.is_asking(|what| what == Asked::Find) || self.installing.is_some();
        if now >= ask_at && !asking && self.gone != Some(self.election.epoch) {
            let to = self.whom_to_ask();
            let request = Request::Fetch(self.fetch_request(0));
            self.send(to, Asked::Find, request);
            let ask_at = self.after(self.config.retry_backoff_ms);
            if let State::Unattached(unattached) = &mut self.state {
                unattached.ask_at = ask_at;
            }
        }
    }

    /// Any other voter, or a bootstrap server: they know who leads.
    fn whom_to_ask(&mut self) -> Option<BrokerId> {
        let node = self.config.node;
        let others: Vec<BrokerId> =
            self.voters().iter().map(|voter| voter.id).filter(|id| *id != node).collect();
        // Voters may have moved while this node was away: the servers count as one more.
        let at = self.random.below(others.len().saturating_add(usize::from(!self.is_voter())));
        others.get(at).copied()
    }

    /// Asks for what follows the durable part of the log.
    pub(super) fn fetch_request(&self, max_wait_ms: i64) -> FetchRequest {
        let durable = self.log.snapshot_at(self.log.durable());
        FetchRequest {
            epoch: self.election.epoch,
            replica: self.config.key(),
            offset: durable.end_offset,
            last_epoch: durable.epoch,
            high_watermark: self.high_watermark,
            max_wait_ms,
            max_bytes: self.config.fetch_bytes,
        }
    }

    pub(super) fn poll_campaign(&mut self) -> Result<(), Stop> {
        let now = self.now();
        let (give_up_at, pre_vote) = match &self.state {
            State::Prospective(campaign) => (campaign.give_up_at, true),
            State::Candidate(campaign) => (campaign.give_up_at, false),
            _ => return Ok(()),
        };
        if !self.may_campaign() {
            self.detach();
            return Ok(());
        }
        if now >= give_up_at && pre_vote {
            // Nobody answers: what was known of a leader is old.
            self.sound_out();
        } else if now >= give_up_at && !self.is_only_voter() {
            self.retreat();
            return Ok(());
        }
        self.ask_for_votes(matches!(self.state, State::Prospective(_)));
        self.count_votes()
    }

    fn ask_for_votes(&mut self, pre_vote: bool) {
        let now = self.now();
        let again_at = self.after(self.config.retry_backoff_ms);
        let later = self.after(self.config.election_timeout_ms / 10);
        let others = self.others();
        for voter in others {
            let (State::Prospective(campaign) | State::Candidate(campaign)) = &mut self.state
            else {
                return;
            };
            let due = campaign.ask_at.get(&voter.id).is_none_or(|at| now >= *at);
            let answer = campaign.answers.get(&voter.id).copied();
            // Who would not elect it may have heard from the leader just before its end.
            let final_answer = !pre_vote || answer == Some(true);
            if !due || (answer.is_some() && final_answer) {
                continue;
            }
            campaign.ask_at.insert(voter.id, if answer.is_some() { later } else { again_at });
            let request = VoteRequest {
                epoch: self.election.epoch,
                candidate: self.config.key(),
                voter,
                last_epoch: self.log.last_epoch(),
                end_offset: self.log.end(),
                pre_vote,
            };
            self.send(Some(voter.id), Asked::Vote { pre_vote }, Request::Vote(request));
        }
    }

    /// The other voters.
    pub(super) fn others(&self) -> Vec<ReplicaKey> {
        let keys = self.voters().iter().map(crate::Voter::key);
        keys.filter(|key| key.id != self.config.node).collect()
    }

    /// Gives up leading, and says so to the others: the ones with most of the log first.
    pub(super) fn resign(&mut self) {
        let State::Leader(leader) = &self.state else { return };
        let end = |key: &ReplicaKey| {
            let found = leader.replicas.iter().filter(|(other, _)| other.is(key));
            found.map(|(_, progress)| progress.end).max()
        };
        let mut successors = self.others();
        successors.sort_by_key(|key| std::cmp::Reverse(end(key)));
        let now = self.now();
        let tell_at = successors.iter().map(|key| (key.id, now)).collect();
        let wait = self.election_timeout();
        let campaign_at = self.after(wait);
        self.election.leader = None;
        self.leave_role(State::Resigned(Resigned { campaign_at, tell_at, successors }));
        self.poll_resigned();
    }

    pub(super) fn poll_resigned(&mut self) {
        let now = self.now();
        let again_at = self.after(self.config.retry_backoff_ms);
        let (epoch, leader) = (self.election.epoch, self.config.node);
        let votes = self.is_voter();
        let State::Resigned(resigned) = &mut self.state else { return };
        // Who was removed and has told everybody looks for whom to follow.
        if now >= resigned.campaign_at || (!votes && resigned.tell_at.is_empty()) {
            return self.detach();
        }
        let due = resigned.tell_at.iter_mut().filter(|(_, at)| **at <= now);
        let due: Vec<BrokerId> = due
            .map(|(id, at)| {
                *at = again_at;
                *id
            })
            .collect();
        let successors = resigned.successors.clone();
        for id in due {
            let successors = successors.clone();
            let request = Request::EndEpoch(EndEpochRequest { epoch, leader, successors });
            self.send(Some(id), Asked::EndEpoch, request);
        }
    }
}
