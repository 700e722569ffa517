//! Answers as they come in.

use wire::ErrorCode;
use wire::ids::BrokerId;

use super::outbox::{Asked, Sent};
use super::state::State;
use super::{Quorum, Stop};
use crate::{Body, Response};

impl Quorum {
    pub(super) fn response(&mut self, id: u64, response: Response) -> Result<(), Stop> {
        // An answer to a question of an earlier role says nothing to this one.
        let Some(sent) = self.sent.remove(&id) else { return Ok(()) };
        if response.error == ErrorCode::InconsistentClusterId || self.is_too_far(response.epoch) {
            // Another cluster's epoch and leader are nothing to this one, nor those of a voter
            // whose memory is damaged.
            self.back_off();
            return self.refused_by(sent);
        }
        self.learn(response.epoch, response.leader, &response.endpoints);
        if sent.epoch != self.election.epoch {
            return Ok(());
        }
        match sent.what {
            Asked::Vote { pre_vote } => {
                let granted = match response.body {
                    Body::Vote { granted } => granted && response.error == ErrorCode::None,
                    _ => false,
                };
                // An older epoch's answer refuses nothing in this one.
                let counts = response.epoch == sent.epoch || granted;
                let soon = self.after(self.config.election_timeout_ms / 4);
                match (&mut self.state, sent.to) {
                    (State::Prospective(campaign), Some(voter)) if pre_vote && counts => {
                        campaign.answers.insert(voter, granted);
                    }
                    (State::Candidate(campaign), Some(voter)) if !pre_vote && counts => {
                        campaign.answers.insert(voter, granted);
                        if !granted {
                            // Somebody else has this vote: who is silent may be so for long.
                            campaign.give_up_at = campaign.give_up_at.min(soon);
                        }
                    }
                    _ => {}
                }
                self.count_votes()
            }
            Asked::Fetch => self.fetched(response),
            Asked::FetchSnapshot { .. } => {
                self.fetched_snapshot(response);
                Ok(())
            }
            Asked::EndEpoch => {
                if let (State::Resigned(resigned), Some(voter)) = (&mut self.state, sent.to) {
                    resigned.tell_at.remove(&voter);
                }
                Ok(())
            }
            Asked::BeginEpoch | Asked::Join | Asked::Move | Asked::Find => Ok(()),
        }
    }

    /// A voter of another cluster elects nobody of this one.
    fn refused_by(&mut self, sent: Sent) -> Result<(), Stop> {
        let (Some(voter), Asked::Vote { pre_vote }) = (sent.to, sent.what) else { return Ok(()) };
        match &mut self.state {
            State::Prospective(campaign) if pre_vote => drop(campaign.answers.insert(voter, false)),
            State::Candidate(campaign) if !pre_vote => drop(campaign.answers.insert(voter, false)),
            _ => {}
        }
        self.count_votes()
    }

    pub(super) fn request_failed(&mut self, id: u64, refused: bool) {
        let Some(sent) = self.sent.remove(&id) else { return };
        if let (Asked::Vote { .. }, Some(voter)) = (sent.what, sent.to) {
            return self.vote_failed(voter, refused);
        }
        let State::Follower(follower) = &self.state else { return };
        let to_leader = sent.to == Some(follower.leader);
        if !to_leader || !matches!(sent.what, Asked::Fetch | Asked::FetchSnapshot { .. }) {
            return;
        }
        let (now, leader) = (self.now(), follower.leader);
        let lately = self.refused.is_some_and(|(whom, until)| whom == leader && now < until);
        if refused && !lately {
            // The leader's process is gone: there is no point in waiting for it. Once per leader
            // and fetch time-out, so that a flapping network does not keep the quorum in elections.
            self.refused = Some((leader, self.after(self.config.fetch_timeout_ms)));
            let wait = self.turn(Some(leader));
            self.give_up_leader(wait);
        } else {
            self.back_off();
        }
    }

    /// No vote has come: of who is not there none will. Campaigns are looked at after each event.
    fn vote_failed(&mut self, voter: BrokerId, refused: bool) {
        let (State::Prospective(campaign) | State::Candidate(campaign)) = &mut self.state else {
            return;
        };
        match refused {
            true => campaign.gone.insert(voter),
            false => campaign.gone.remove(&voter),
        };
    }
}
