//! What a node is in the quorum, and what it remembers only while it is that.

use std::collections::{BTreeMap, BTreeSet};

use wire::ids::{BrokerId, LeaderEpoch, Offset};

use crate::clock::Ms;
use crate::{Endpoint, ReplicaKey, SnapshotId, Voters};

/// What this node is in the quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It knows of no leader, or has given up on the one it knew.
    Unattached,
    /// It follows a leader: as a voter, or as an observer.
    Follower,
    /// It asks whether it would be elected.
    Prospective,
    /// Standing for election.
    Candidate,
    /// Leading its epoch.
    Leader,
    /// It led this epoch and does not any more.
    Resigned,
    /// Stopped for good.
    Stopped,
}

#[derive(Debug, Clone)]
pub(super) enum State {
    Unattached(Unattached),
    Follower(Follower),
    Prospective(Campaign),
    Candidate(Campaign),
    Leader(Box<Leader>),
    Resigned(Resigned),
    Stopped,
}

#[derive(Debug, Clone)]
pub(super) struct Unattached {
    /// When a voter begins to campaign.
    pub(super) campaign_at: Ms,
    /// When it asks somebody who leads.
    pub(super) ask_at: Ms,
}

#[derive(Debug, Clone)]
pub(super) struct Follower {
    pub(super) leader: BrokerId,
    pub(super) endpoints: Vec<Endpoint>,
    /// When it gives up on the leader.
    pub(super) give_up_at: Ms,
    /// Whether the leader has answered: then it is no time for anybody else's pre-vote.
    pub(super) fetched: bool,
    pub(super) fetch_at: Ms,
    /// What the leader says is committed.
    pub(super) leader_high_watermark: Offset,
    pub(super) install: Option<Install>,
    /// When an observer asks to become a voter.
    pub(super) join_at: Ms,
    /// When a voter that is reached elsewhere than the voters say tells the leader.
    pub(super) move_at: Ms,
}

/// A snapshot of the leader on its way to this node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Install {
    pub(super) id: SnapshotId,
    pub(super) position: u64,
    pub(super) step: InstallStep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InstallStep {
    Fetching,
    Reading,
}

/// A round of votes. A voter is asked until it answers.
#[derive(Debug, Clone)]
pub(super) struct Campaign {
    pub(super) give_up_at: Ms,
    pub(super) answers: BTreeMap<BrokerId, bool>,
    /// Voters whose processes are gone: connections to them are refused.
    pub(super) gone: BTreeSet<BrokerId>,
    pub(super) ask_at: BTreeMap<BrokerId, Ms>,
}

impl Campaign {
    pub(super) fn until(give_up_at: Ms) -> Self {
        let (answers, ask_at) = (BTreeMap::new(), BTreeMap::new());
        Self { give_up_at, answers, gone: BTreeSet::new(), ask_at }
    }

    fn count(&self, voters: &Voters, granted: bool) -> usize {
        let said = |voter: &&crate::Voter| self.answers.get(&voter.id) == Some(&granted);
        voters.iter().filter(said).count()
    }

    pub(super) fn is_won(&self, voters: &Voters, needed: usize) -> bool {
        self.count(voters, true) >= needed
    }

    /// Whether so many have refused that the rest is too few.
    pub(super) fn is_lost(&self, voters: &Voters, needed: usize) -> bool {
        self.count(voters, false) > voters.len().saturating_sub(needed)
    }

    /// Whether nobody is left who might still answer.
    pub(super) fn is_over(&self, voters: &Voters) -> bool {
        let said = |id: &BrokerId| self.answers.contains_key(id) || self.gone.contains(id);
        voters.iter().all(|voter| said(&voter.id))
    }

    pub(super) fn granting(&self) -> Vec<BrokerId> {
        self.answers.iter().filter(|(_, granted)| **granted).map(|(id, _)| *id).collect()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Leader {
    pub(super) epoch: LeaderEpoch,
    /// The offset of its first record.
    pub(super) start: Offset,
    pub(super) since: Ms,
    pub(super) replicas: BTreeMap<ReplicaKey, Progress>,
    pub(super) looked: Looked,
    /// When to tell a voter again who leads, unless it fetches.
    pub(super) tell_at: BTreeMap<BrokerId, Ms>,
    pub(super) change: Option<VoterChange>,
}

/// What a leader knows of a replica.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    /// Everything below is on the replica's disk.
    pub(super) end: Offset,
    pub(super) fetched_at: Ms,
    /// When it last had all that the leader has.
    pub(super) caught_up_at: Option<Ms>,
    pub(super) parked: Option<Parked>,
}

/// When all parked fetches were looked at last: until something changes none of them is due.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Looked {
    /// Where the log ended then.
    pub(super) end: Offset,
    pub(super) high_watermark: Offset,
    /// No fetch's time is over before.
    pub(super) until: Ms,
}

/// A fetch that waits for something new.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parked {
    pub(super) token: u64,
    pub(super) offset: Offset,
    pub(super) high_watermark: Offset,
    pub(super) max_bytes: u32,
    pub(super) until: Ms,
}

impl Parked {
    /// Whether there is something new for it, or its time is over.
    pub(super) fn is_due(&self, now: Ms, end: Offset, high_watermark: Offset) -> bool {
        self.offset < end || self.high_watermark < high_watermark || self.until <= now
    }
}

/// A change of the voters under way: one at a time.
#[derive(Debug, Clone)]
pub(super) struct VoterChange {
    /// Who waits for it.
    pub(super) token: Option<u64>,
    pub(super) voters: Voters,
    pub(super) step: ChangeStep,
}

#[derive(Debug, Clone)]
pub(super) enum ChangeStep {
    /// The new voter has to have the log up to here by then.
    CatchUp { who: ReplicaKey, upto: Offset, until: Ms, ack_when_committed: bool },
    /// It is in the log.
    Appended { at: Offset },
}

#[derive(Debug, Clone)]
pub(super) struct Resigned {
    pub(super) campaign_at: Ms,
    /// Whom to tell, and when next.
    pub(super) tell_at: BTreeMap<BrokerId, Ms>,
    pub(super) successors: Vec<ReplicaKey>,
}

impl State {
    pub(super) fn role(&self) -> Role {
        match self {
            Self::Unattached(_) => Role::Unattached,
            Self::Follower(_) => Role::Follower,
            Self::Prospective(_) => Role::Prospective,
            Self::Candidate(_) => Role::Candidate,
            Self::Leader(_) => Role::Leader,
            Self::Resigned(_) => Role::Resigned,
            Self::Stopped => Role::Stopped,
        }
    }
}
