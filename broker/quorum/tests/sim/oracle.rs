//! What is true of the whole cluster, gathered from what its nodes do, and what must hold of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorum::{
    Body, Effect, ElectionState, LogEntry, Request, Role, Snapshot, SnapshotId, Voters, entries,
};
use wire::ErrorCode;
use wire::ids::{BrokerId, LeaderEpoch, Offset, Uuid};
use wire::records::Batch;

use crate::disk::Disk;
use crate::node::{Node, State, apply};

#[derive(Default)]
pub(crate) struct Oracle {
    /// What is committed, by offset: the epoch and the record.
    pub(crate) committed: Vec<(i32, Bytes)>,
    /// How much was committed by the end of each epoch.
    commits: BTreeMap<LeaderEpoch, usize>,
    /// Who led which epoch.
    leaders: BTreeMap<LeaderEpoch, BrokerId>,
    /// Whom each disk voted for.
    votes: BTreeMap<(LeaderEpoch, BrokerId, Uuid), (BrokerId, Uuid)>,
    /// Each batch ever appended: its bytes and the epoch of the batch before it.
    batches: BTreeMap<(i32, i64), (u32, Option<LeaderEpoch>)>,
    /// The epoch of each node's disk that others have heard of.
    heard: BTreeMap<Uuid, LeaderEpoch>,
    /// What was on the disks that are no more: what they acknowledged counts.
    lost: Vec<(BrokerId, Disk)>,
}

impl Oracle {
    pub(crate) fn end(&self) -> Offset {
        Offset(self.committed.len() as i64)
    }

    pub(crate) fn elections(&self) -> usize {
        self.leaders.len()
    }

    /// One leader per epoch, and it has all that was committed in earlier ones.
    pub(crate) fn elected(&mut self, node: &Node, epoch: LeaderEpoch) {
        let before = self.leaders.insert(epoch, node.id);
        assert!(before.is_none(), "epoch {epoch} is led by {before:?} and by {}", node.id);
        let state = node.disk.durable.state.as_ref();
        let state = state.map_or_else(ElectionState::default, |s| ElectionState::parse(s).unwrap());
        let own = state.voted.is_some_and(|voted| is_vote(voted, (node.id, node.disk.directory)));
        assert!(own && state.epoch == epoch, "node {} leads, its vote not on disk", node.id);
        // Votes of an epoch may come in when a later one has its leader, and records: whoever wins
        // by them can commit nothing and need not have those.
        let Some((_, end)) = self.commits.range(..epoch).next_back() else { return };
        let at = end - 1;
        let last = self.committed[at].0;
        let has = node.disk.now.has(Offset(at as i64), LeaderEpoch(last));
        assert!(has, "node {} leads epoch {epoch} without the committed record {at}", node.id);
    }

    /// Logs that agree on a record agree on all before it.
    pub(crate) fn appended(&mut self, node: &Node, bytes: &Bytes) {
        let batch = Batch::parse(bytes).unwrap();
        let header = batch.header();
        let key = (header.partition_leader_epoch, header.base_offset);
        let before = node.disk.now.log.iter().rev().nth(1);
        let before = before.map(|batch| LeaderEpoch(batch.header().partition_leader_epoch));
        let known = self.batches.entry(key).or_insert((header.crc, before));
        assert_eq!(known.0, header.crc, "two batches of epoch and offset {key:?}");
        if let (Some(known), Some(before)) = (known.1, before) {
            assert_eq!(known, before, "logs that meet at {key:?} differ before it");
        }
        known.1 = known.1.or(before);
        self.one_change_at_a_time(node, &batch);
    }

    /// A leader changes one voter, and not before the change before that is committed.
    fn one_change_at_a_time(&self, node: &Node, batch: &Batch) {
        let leads = node.quorum.as_ref().is_some_and(|quorum| quorum.role() == Role::Leader);
        if !leads || !batch.header().attributes.is_control() {
            return;
        }
        let named = |batch: &Batch| {
            entries(batch).unwrap().into_iter().find_map(|entry| match entry {
                LogEntry::Voters { offset, voters } => Some((offset, voters)),
                _ => None,
            })
        };
        let Some((_, after)) = named(batch) else { return };
        let older = node.disk.now.log.iter().rev().skip(1);
        let Some((at, before)) =
            older.filter(|b| b.header().attributes.is_control()).find_map(named)
        else {
            return;
        };
        assert!(at < self.end(), "voters change again before offset {at} is committed");
        let differ = |a: &Voters, b: &Voters| {
            a.iter().filter(|voter| !b.contains(voter.id, voter.directory)).count()
        };
        let changed = differ(&before, &after) + differ(&after, &before);
        assert!(changed <= 1, "from {} to {} at once", before.describe(), after.describe());
    }

    /// Committed: by the leader of the epoch, on a majority's disks, once and for all.
    pub(crate) fn committed(&mut self, nodes: &[Node], at: usize, seen: &[(Offset, i32, Bytes)]) {
        let node = &nodes[at];
        let quorum = node.quorum.as_ref().unwrap();
        let mut new = false;
        for (offset, epoch, record) in seen {
            if let Some(known) = self.committed.get(offset.0 as usize) {
                assert_eq!(
                    (known.0, &known.1),
                    (*epoch, record),
                    "node {} has another record committed at {offset}",
                    node.id
                );
                continue;
            }
            assert_eq!(*offset, self.end(), "committed offsets follow each other");
            self.committed.push((*epoch, record.clone()));
            new = true;
        }
        if !new {
            return;
        }
        let (last, _) = self.committed.last().unwrap();
        let last_at = self.end().plus(-1);
        let leader = self.leaders.get(&quorum.epoch()).copied();
        assert_eq!(leader, Some(node.id), "node {} commits what its leader did not", node.id);
        self.commits.insert(quorum.epoch(), self.committed.len());
        assert_eq!(LeaderEpoch(*last), quorum.epoch(), "an older epoch's record is the last");
        let voters = quorum.voters();
        let lost = self.lost.iter().map(|(id, disk)| (*id, disk));
        let disks: Vec<_> = nodes.iter().map(|node| (node.id, &node.disk)).chain(lost).collect();
        let holds = |voter: &&quorum::Voter| {
            let own = |disk: &Disk| voter.directory.is_zero() || disk.directory == voter.directory;
            let mut disks = disks.iter().filter(|(id, disk)| *id == voter.id && own(disk));
            disks.any(|(_, disk)| disk.durable.has(last_at, LeaderEpoch(*last)))
        };
        let count = voters.iter().filter(holds).count();
        assert!(
            count >= voters.majority(),
            "{last_at} is committed with {count} of the voters {}",
            voters.describe()
        );
    }

    /// A disk is no more.
    pub(crate) fn lose(&mut self, id: BrokerId, disk: Disk) {
        self.lost.push((id, disk));
    }

    /// What the records up to `end` make.
    pub(crate) fn state_at(&self, end: Offset) -> State {
        let mut state = State::new();
        let data = self.committed[..end.0 as usize].iter().filter(|(_, record)| record.len() == 9);
        data.for_each(|(_, record)| apply(&mut state, record));
        state
    }

    /// A snapshot is what replaying the log up to its end makes.
    pub(crate) fn snapshot(&self, id: SnapshotId, file: &Bytes) {
        let snapshot = Snapshot::parse(id, file.clone()).unwrap();
        assert!(id.end_offset <= self.end(), "snapshot {id} of what is not committed");
        let mut state = State::new();
        snapshot.records.iter().for_each(|record| apply(&mut state, record));
        assert_eq!(state, self.state_at(id.end_offset), "snapshot {id} is not the log's state");
        if id.end_offset > Offset(0) {
            let (epoch, _) = self.committed[id.end_offset.0 as usize - 1];
            assert_eq!(id.epoch, LeaderEpoch(epoch), "snapshot {id} is of another epoch");
        }
    }

    /// What leaves a node rests on its disk.
    pub(crate) fn leaves(&mut self, node: &Node, effect: &Effect) {
        let state = node.disk.durable.state.as_ref();
        let state = state.map_or_else(ElectionState::default, |s| ElectionState::parse(s).unwrap());
        let (id, directory) = (node.id, node.disk.directory);
        let epoch = match effect {
            Effect::Send { request: Request::Vote(vote), .. } => {
                if !vote.pre_vote {
                    let on_disk = state.voted.is_some_and(|voted| is_vote(voted, (id, directory)));
                    assert!(on_disk, "node {id} stands, not on disk: {state:?}");
                    self.voted(node, vote.epoch, (id, directory));
                }
                vote.epoch
            }
            Effect::Send { request: Request::Fetch(fetch), .. } => {
                let end = node.disk.durable.end();
                let offset = fetch.offset;
                assert!(offset <= end, "node {id} acknowledges {offset}, has {end} on disk");
                fetch.epoch
            }
            Effect::Respond { token, response } => {
                if let (Body::Vote { granted: true }, Some(caller)) =
                    (&response.body, node.callers.get(token))
                    && let Request::Vote(vote) = &caller.request
                    && response.error == ErrorCode::None
                {
                    let asked = vote.voter.directory;
                    let own = asked.is_zero() || asked == directory;
                    assert!(own, "node {id} votes for its old disk");
                    if !vote.pre_vote {
                        let voted = (vote.candidate.id, vote.candidate.directory);
                        let on_disk = state.epoch > vote.epoch
                            || (state.epoch == vote.epoch
                                && state.voted.is_some_and(|found| is_vote(found, voted)));
                        assert!(on_disk, "node {id} votes for {voted:?}, on disk: {state:?}");
                        self.voted(node, vote.epoch, voted);
                    }
                }
                response.epoch
            }
            _ => return,
        };
        let on_disk = state.epoch.max(node.disk.durable.last_epoch());
        assert!(epoch <= on_disk, "node {id} speaks of epoch {epoch}, has {on_disk} on disk");
        let heard = self.heard.entry(directory).or_insert(epoch);
        assert!(epoch >= *heard, "node {id} falls back from epoch {heard} to {epoch}");
        *heard = epoch;
    }

    fn voted(&mut self, node: &Node, epoch: LeaderEpoch, whom: (BrokerId, Uuid)) {
        let key = (epoch, node.id, node.disk.directory);
        let before = *self.votes.entry(key).or_insert(whom);
        assert_eq!(before, whom, "node {} votes twice in epoch {epoch}", node.id);
    }

    /// The voters that a node goes by are the last that its log names.
    pub(crate) fn audit(&self, node: &Node) {
        let Some(quorum) = &node.quorum else { return };
        let fixed = match &node.bootstrap {
            quorum::Bootstrap::Static(voters) => voters.clone(),
            _ => Voters::default(),
        };
        let named = node.disk.now.voters().unwrap_or(fixed);
        if quorum.role() != Role::Stopped && node.disk.now.newest().is_some() {
            assert_eq!(quorum.voters(), &named, "node {}: voters not as in its log", node.id);
        }
        assert!(quorum.high_watermark() <= self.end(), "node {} is ahead of the truth", node.id);
    }
}

/// Whether the vote on disk is this one: in a quorum of `kraft.version` 0 it names no directory.
fn is_vote(found: (BrokerId, Uuid), voted: (BrokerId, Uuid)) -> bool {
    found.0 == voted.0 && (found.1.is_zero() || found.1 == voted.1)
}
