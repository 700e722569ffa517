//! Following: fetching from the leader, cutting what it does not have, appending what it has.

use bytes::Bytes;
use wire::ErrorCode;
use wire::ids::{LeaderEpoch, Offset};
use wire::records::{Batch, BatchIter};

use super::outbox::Asked;
use super::state::{Install, InstallStep, State};
use super::{Quorum, Stop};
use crate::batches::{LogEntry, entries};
use crate::{
    AddVoterRequest, Body, Effect, Error, FetchBody, Given, Payload, ReplicaKey, Request, Response,
    UpdateVoterRequest,
};

impl Quorum {
    pub(super) fn poll_follower(&mut self) -> Result<(), Stop> {
        let now = self.now();
        let State::Follower(follower) = &self.state else { return Ok(()) };
        let (give_up_at, fetch_at) = (follower.give_up_at, follower.fetch_at);
        let (leader, install) = (follower.leader, follower.install);
        if now >= give_up_at {
            // An observer looks for another leader; a voter asks whether there could be one.
            let wait = self.turn(Some(leader));
            self.give_up_leader(wait);
            self.poll_unattached();
            return Ok(());
        }
        self.flush();
        if now < fetch_at || self.log.durable() < self.log.end() || self.installing.is_some() {
            return Ok(());
        }
        match install {
            Some(install) if install.step == InstallStep::Fetching => {
                self.ask_snapshot(leader, install);
            }
            Some(_) => {}
            None => {
                let request = Request::Fetch(self.fetch_request(self.config.fetch_wait_ms));
                if !self.is_asking(|what| what == Asked::Fetch) {
                    self.send(Some(leader), Asked::Fetch, request);
                }
            }
        }
        self.ask_to_join();
        Ok(())
    }

    /// After a fetch that did not help: not again at once.
    pub(super) fn back_off(&mut self) {
        let fetch_at = self.after(self.config.retry_backoff_ms);
        if let State::Follower(follower) = &mut self.state {
            follower.fetch_at = fetch_at;
        }
    }

    /// The leader of this epoch has answered.
    pub(super) fn hear_leader(&mut self) {
        let give_up_at = self.after(self.config.fetch_timeout_ms);
        if let State::Follower(follower) = &mut self.state {
            follower.give_up_at = give_up_at;
            follower.fetched = true;
        }
    }

    pub(super) fn fetched(&mut self, response: Response) -> Result<(), Stop> {
        let Body::Fetch(body) = response.body else {
            self.back_off();
            return Ok(());
        };
        if !matches!(self.state, State::Follower(_)) {
            return Ok(());
        }
        if response.error != ErrorCode::None || response.epoch != self.election.epoch {
            self.back_off();
            return Ok(());
        }
        self.hear_leader();
        if let Some((epoch, end)) = body.diverging {
            return self.cut(epoch, end);
        }
        if let Some(id) = body.snapshot {
            // The leader's snapshot ends within what is committed: this node's does not go back.
            let fetching = Install { id, position: 0, step: InstallStep::Fetching };
            if let State::Follower(follower) = &mut self.state
                && id.end_offset > self.high_watermark
            {
                follower.install = Some(fetching);
            } else {
                self.back_off();
            }
            return Ok(());
        }
        self.take_records(body)
    }

    /// Cuts the log where it parts from the leader's.
    fn cut(&mut self, epoch: LeaderEpoch, end: Offset) -> Result<(), Stop> {
        let end = self.log.common_end(epoch, end);
        if end >= self.log.end() {
            self.back_off();
            return Ok(());
        }
        if end < self.high_watermark {
            let high_watermark = self.high_watermark;
            return Err(Stop::CutsCommitted { epoch: self.election.epoch, high_watermark, end });
        }
        self.log.truncate(end);
        self.out.push(Effect::Truncate { end });
        Ok(())
    }

    fn take_records(&mut self, body: FetchBody) -> Result<(), Stop> {
        let from = self.log.end();
        if let Payload::Bytes(bytes) = body.records
            && let Err(why) = self.append_fetched(bytes)
        {
            // What was whole is appended; the rest is asked for again.
            self.back_off();
            if let Some(leader) = self.leader()
                && self.log.end() == from
            {
                let (given, why) = (Given::Records(from), why.to_string());
                self.out.push(Effect::NotTaken { leader, given, why });
            }
        }
        if let State::Follower(follower) = &mut self.state {
            let known = follower.leader_high_watermark;
            follower.leader_high_watermark = known.max(body.high_watermark);
        }
        self.flush();
        self.follow_high_watermark();
        Ok(())
    }

    fn append_fetched(&mut self, bytes: Bytes) -> Result<(), Error> {
        for batch in BatchIter::new(bytes) {
            self.append_batch(&batch?)?;
        }
        Ok(())
    }

    /// Appends a batch of the leader's: it continues this log, in its epoch and its offsets.
    fn append_batch(&mut self, batch: &Batch) -> Result<(), Error> {
        let header = batch.header();
        let (found, expected) = (Offset(header.base_offset), self.log.end());
        if found != expected {
            return Err(Error::Gap { expected, found });
        }
        let epoch = LeaderEpoch(header.partition_leader_epoch);
        if epoch < self.log.last_epoch() || epoch > self.election.epoch {
            return Err(Error::EpochBackwards { offset: found, epoch });
        }
        let read = entries(batch)?;
        let count = i64::try_from(read.len()).unwrap_or(i64::MAX);
        if count == 0 || found.plus(count) != Offset(header.next_offset()) {
            return Err(Error::Gap { expected: found.plus(count), found: expected });
        }
        self.append(batch.bytes().clone(), count, epoch, header.max_timestamp);
        for entry in read {
            match entry {
                LogEntry::Voters { offset, voters } => self.log.voters.set_voters(offset, voters),
                LogEntry::KRaftVersion { offset, version } => {
                    self.log.voters.set_kraft_version(offset, version);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Committed is what the leader says, as far as it is on this disk.
    pub(super) fn follow_high_watermark(&mut self) {
        if let State::Follower(follower) = &self.state {
            let upto = follower.leader_high_watermark.min(self.log.durable());
            self.commit(upto);
        }
    }

    /// What a node that has what the leader has asks for as to its own place among the voters.
    fn ask_to_join(&mut self) {
        let State::Follower(follower) = &self.state else { return };
        let (now, leader) = (self.now(), follower.leader);
        let (joins, moves) = (now >= follower.join_at, now >= follower.move_at);
        let current = self.log.end() >= follower.leader_high_watermark && follower.fetched;
        if !current || self.log.voters.kraft_version() == 0 {
            return;
        }
        let again_at = self.after(self.config.fetch_timeout_ms);
        let soon = self.after(self.config.fetch_timeout_ms / 4);
        let State::Follower(follower) = &mut self.state else { return };
        if self.log.voters.latest().find(&self.config.key()).is_none() {
            if joins && self.config.auto_join {
                follower.join_at = again_at;
                let request = self.join_request();
                self.send(Some(leader), Asked::Join, request);
            }
        } else if moves && let Some(voter) = self.own_correction() {
            let State::Follower(follower) = &mut self.state else { return };
            // Refused while the leader cannot tell yet, or changes another: soon again.
            follower.move_at = soon;
            let request = UpdateVoterRequest { epoch: self.election.epoch, voter };
            self.send(Some(leader), Asked::Move, Request::UpdateVoter(request));
        }
    }

    /// A node that shall vote and does not asks to; first for the removal of the voter that it was
    /// before it lost its disk.
    fn join_request(&self) -> Request {
        let own = self.config.key();
        match self.log.voters.latest().by_id(own.id) {
            Some(before) => {
                Request::RemoveVoter(ReplicaKey { id: own.id, directory: before.directory })
            }
            None => Request::AddVoter(AddVoterRequest {
                voter: self.config.voter(),
                timeout_ms: self.config.request_timeout_ms,
                ack_when_committed: false,
            }),
        }
    }
}
