//! Answers as they come in.

use wire::ErrorCode;

use super::outbox::Asked;
use super::state::State;
use super::{Quorum, Stop};
use crate::{Body, Response};

impl Quorum {
    pub(super) fn response(&mut self, id: u64, response: Response) -> Result<(), Stop> {
        // An answer to a question of an earlier role says nothing to this one.
        let Some(sent) = self.sent.remove(&id) else { return Ok(()) };
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
                match (&mut self.state, sent.to) {
                    (State::Prospective(campaign), Some(voter)) if pre_vote && counts => {
                        campaign.answers.insert(voter, granted);
                    }
                    (State::Candidate(campaign), Some(voter)) if !pre_vote && counts => {
                        campaign.answers.insert(voter, granted);
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
            Asked::BeginEpoch | Asked::Join | Asked::Find => Ok(()),
        }
    }

    pub(super) fn request_failed(&mut self, id: u64, refused: bool) {
        let Some(sent) = self.sent.remove(&id) else { return };
        let State::Follower(follower) = &self.state else { return };
        let to_leader = sent.to == Some(follower.leader);
        if !to_leader || !matches!(sent.what, Asked::Fetch | Asked::FetchSnapshot { .. }) {
            return;
        }
        let now = self.now();
        if refused && now >= self.refusal_counts_at {
            // The leader's process is gone: there is no point in waiting for it. Once per fetch
            // time-out, so that a flapping network does not keep the quorum in elections.
            self.refusal_counts_at = self.after(self.config.fetch_timeout_ms);
            let wait = self.config.election_timeout_ms / 4;
            let wait = self.random.between(0, wait);
            self.give_up_leader(wait);
        } else {
            self.back_off();
        }
    }
}
