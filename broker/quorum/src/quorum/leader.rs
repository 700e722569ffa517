//! Leading: proposals, the high watermark, and giving up when the majority is out of reach.

use std::collections::BTreeMap;

use bytes::Bytes;
use wire::ids::{BrokerId, Offset, Uuid};
use wire::records::HEADER_BYTES;

use super::outbox::Asked;
use super::state::{Leader, Looked, Progress, State};
use super::{Quorum, Role, Stop};
use crate::batches::{BATCH_BYTES_MAX, data_batch, leader_change_batch};
use crate::clock::Ms;
use crate::{BeginEpochRequest, Effect, Refusal, ReplicaKey, Request};

/// The most bytes that may be appended and not yet committed.
const UNCOMMITTED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// More than a record's own head ever takes in a batch.
const RECORD_HEAD_BYTES_MAX: usize = 32;

impl Quorum {
    /// Begins to lead the epoch in which it has won.
    pub(super) fn lead(&mut self) -> Result<(), Stop> {
        let granting = match &self.state {
            State::Candidate(campaign) => campaign.granting(),
            _ => Vec::new(),
        };
        let (node, epoch, start) = (self.config.node, self.election.epoch, self.log.end());
        let leader = Leader {
            epoch,
            start,
            since: self.now(),
            replicas: BTreeMap::new(),
            looked: Looked::default(),
            tell_at: BTreeMap::new(),
            change: None,
        };
        self.leave_role_for(leader);
        self.out.push(Effect::Elected { epoch, start });
        let voters = self.log.voters.latest();
        let batch = leader_change_batch(start, epoch, self.wall_ms, node, voters, &granting)?;
        // What an earlier epoch left behind commits together with this batch, not before.
        self.append(batch, 1, epoch, self.wall_ms);
        self.flush();
        Ok(())
    }

    pub(super) fn propose(&mut self, token: u64, records: &[Bytes]) -> Result<(), Stop> {
        let size = |record: &Bytes| record.len().saturating_add(RECORD_HEAD_BYTES_MAX);
        let bytes = records.iter().map(size).fold(HEADER_BYTES, usize::saturating_add);
        let why = if self.role() != Role::Leader {
            Some(Refusal::NotLeader)
        } else if bytes > BATCH_BYTES_MAX || records.is_empty() {
            Some(Refusal::TooLarge)
        } else if self.log.pending_bytes() >= UNCOMMITTED_BYTES_MAX {
            Some(Refusal::Busy)
        } else {
            None
        };
        if let Some(why) = why {
            self.out.push(Effect::Refused { token, why });
            return Ok(());
        }
        let (first, epoch) = (self.log.end(), self.election.epoch);
        let batch = data_batch(first, epoch, self.wall_ms, records)?;
        let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
        self.append(batch, count, epoch, self.wall_ms);
        self.out.push(Effect::Accepted { token, first, last: self.log.end().plus(-1) });
        Ok(())
    }

    /// Commits what a majority of the voters has on disk, once that reaches into this epoch: a
    /// record of an earlier epoch that a majority has may still be cut by another leader.
    pub(super) fn advance_high_watermark(&mut self) -> Result<(), Stop> {
        let State::Leader(leader) = &self.state else { return Ok(()) };
        let own = self.config.key();
        let voters = self.log.voters.latest();
        let end = |key: ReplicaKey| match key.may_be(&own) {
            true => self.log.durable(),
            false => leader.end_of(&key),
        };
        let mut ends: Vec<Offset> = voters.iter().map(|voter| end(voter.key())).collect();
        ends.sort_unstable_by(|a, b| b.cmp(a));
        let majority = ends.get(voters.majority().saturating_sub(1)).copied();
        let start = leader.start;
        if let Some(upto) = majority.filter(|upto| *upto > start) {
            self.commit(upto);
            self.voters_committed()?;
        }
        Ok(())
    }

    pub(super) fn poll_leader(&mut self) -> Result<(), Stop> {
        if self.has_lost_majority() {
            self.resign();
            return Ok(());
        }
        self.continue_change()?;
        self.upgrade()?;
        self.flush();
        self.answer_parked();
        self.tell_voters();
        Ok(())
    }

    /// Whether a majority of the voters has not fetched for too long: another may lead by now.
    fn has_lost_majority(&self) -> bool {
        let State::Leader(leader) = &self.state else { return false };
        let limit = self.config.fetch_timeout_ms.saturating_mul(3) / 2;
        let oldest = self.now().saturating_sub(limit);
        let own = self.config.key();
        let voters = self.voters();
        let reached = |voter: &&crate::Voter| {
            voter.key().may_be(&own) || leader.heard_at(&voter.key()) > oldest
        };
        voters.iter().filter(reached).count() < voters.majority()
    }

    /// Tells voters who leads until they fetch, and again when they have fallen silent.
    fn tell_voters(&mut self) {
        let now = self.now();
        let silence = self.config.fetch_timeout_ms / 2;
        let again_at = self.after(self.config.retry_backoff_ms.max(silence / 4));
        for voter in self.others() {
            let State::Leader(leader) = &mut self.state else { return };
            let fetches = leader.fetched_at(&voter).is_some_and(|at| at > now - silence);
            let due = leader.tell_at.get(&voter.id).is_none_or(|at| now >= *at);
            if fetches || !due {
                continue;
            }
            leader.tell_at.insert(voter.id, again_at);
            let request = BeginEpochRequest {
                epoch: self.election.epoch,
                leader: self.config.node,
                endpoints: self.config.endpoints.clone(),
                voter,
            };
            self.send(Some(voter.id), Asked::BeginEpoch, Request::BeginEpoch(request));
        }
    }

    fn leave_role_for(&mut self, leader: Leader) {
        self.sent.clear();
        self.state = State::Leader(Box::new(leader));
    }
}

impl Leader {
    /// What is known of a node's disks: these few are looked at, however many replicas there are.
    fn of_node(&self, id: BrokerId) -> impl Iterator<Item = (&ReplicaKey, &Progress)> {
        let key = |directory| ReplicaKey { id, directory };
        self.replicas.range(key(Uuid::ZERO)..=key(Uuid([u8::MAX; 16])))
    }

    fn replicas_of(&self, voter: &ReplicaKey) -> impl Iterator<Item = &Progress> {
        let same = |(key, _): &(&ReplicaKey, &Progress)| key.is(voter);
        self.of_node(voter.id).filter(same).map(|(_, progress)| progress)
    }

    /// How far a voter's disk is known to have the log.
    pub(super) fn end_of(&self, voter: &ReplicaKey) -> Offset {
        self.replicas_of(voter).map(|progress| progress.end).max().unwrap_or(Offset(0))
    }

    pub(super) fn fetched_at(&self, voter: &ReplicaKey) -> Option<Ms> {
        self.replicas_of(voter).map(|progress| progress.fetched_at).max()
    }

    /// As if all had fetched when it began.
    fn heard_at(&self, voter: &ReplicaKey) -> Ms {
        self.fetched_at(voter).unwrap_or(self.since).max(self.since)
    }

    pub(super) fn caught_up_at(&self, voter: &ReplicaKey) -> Option<Ms> {
        self.replicas_of(voter).filter_map(|progress| progress.caught_up_at).max()
    }

    /// The disks that a node has fetched with.
    pub(super) fn disks_of(&self, id: BrokerId) -> impl Iterator<Item = &ReplicaKey> {
        self.of_node(id).map(|(key, _)| key)
    }
}
