//! What the nodes of a quorum ask each other. The forms on the wire are Kafka's; these carry the
//! same facts for the one partition that there is.

use bytes::Bytes;
use wire::ErrorCode;
use wire::ids::{BrokerId, LeaderEpoch, Offset};

use crate::{Endpoint, ReplicaKey, SnapshotId, Voter};

/// A question of another node, or of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Will you vote for me? (`Vote`)
    Vote(VoteRequest),
    /// I lead this epoch. (`BeginQuorumEpoch`)
    BeginEpoch(BeginEpochRequest),
    /// I lead this epoch no longer. (`EndQuorumEpoch`)
    EndEpoch(EndEpochRequest),
    /// What comes next? It says also: all before is on my disk. (`Fetch`)
    Fetch(FetchRequest),
    /// Give me a piece of this snapshot. (`FetchSnapshot`)
    FetchSnapshot(FetchSnapshotRequest),
    /// Make this node a voter. (`AddRaftVoter`)
    AddVoter(AddVoterRequest),
    /// This node shall not vote any more. (`RemoveRaftVoter`)
    RemoveVoter(ReplicaKey),
    /// A voter is reached elsewhere from now on. (`UpdateRaftVoter`)
    UpdateVoter(UpdateVoterRequest),
}

/// Asks for a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoteRequest {
    /// The epoch that the candidate would lead; for a pre-vote the epoch that it is in.
    pub epoch: LeaderEpoch,
    /// Who stands for election.
    pub candidate: ReplicaKey,
    /// Whom it asks, as it knows it.
    pub voter: ReplicaKey,
    /// The epoch of the last record of the candidate's log.
    pub last_epoch: LeaderEpoch,
    /// The end of the candidate's log.
    pub end_offset: Offset,
    /// Whether it only asks if it would be elected (KIP-996).
    pub pre_vote: bool,
}

/// Tells a voter who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeginEpochRequest {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Its leader.
    pub leader: BrokerId,
    /// Where the leader is reached.
    pub endpoints: Vec<Endpoint>,
    /// Whom it tells, as it knows it.
    pub voter: ReplicaKey,
}

/// Tells a voter that the leader gives up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndEpochRequest {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Who led it.
    pub leader: BrokerId,
    /// Who should stand for election, the best first.
    pub successors: Vec<ReplicaKey>,
}

/// Asks the leader for records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchRequest {
    /// The epoch that the follower is in.
    pub epoch: LeaderEpoch,
    /// Who asks.
    pub replica: ReplicaKey,
    /// The end of its log, all of which is durable.
    pub offset: Offset,
    /// The epoch of the last record of its log.
    pub last_epoch: LeaderEpoch,
    /// What it knows to be committed.
    pub high_watermark: Offset,
    /// How long the leader may wait for something new.
    pub max_wait_ms: i64,
    /// The most bytes that it wants.
    pub max_bytes: u32,
}

/// Asks the leader for a piece of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchSnapshotRequest {
    /// The epoch that the follower is in.
    pub epoch: LeaderEpoch,
    /// Who asks.
    pub replica: ReplicaKey,
    /// Which snapshot.
    pub id: SnapshotId,
    /// From which byte on.
    pub position: u64,
    /// The most bytes that it wants.
    pub max_bytes: u32,
}

/// Asks the leader to make a node a voter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddVoterRequest {
    /// The node.
    pub voter: Voter,
    /// How long to wait for it to catch up.
    pub timeout_ms: i64,
    /// Whether to answer once the change is committed, or once it is in the leader's log.
    pub ack_when_committed: bool,
}

/// Tells the leader where a voter is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateVoterRequest {
    /// The epoch that the voter is in.
    pub epoch: LeaderEpoch,
    /// The voter.
    pub voter: Voter,
}

/// An answer. Whatever it is about, it says who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// What went wrong, or `None`.
    pub error: ErrorCode,
    /// The epoch that the answering node is in.
    pub epoch: LeaderEpoch,
    /// The leader of that epoch, if it knows one.
    pub leader: Option<BrokerId>,
    /// Where the leader is reached, if it knows that.
    pub endpoints: Vec<Endpoint>,
    /// The rest.
    pub body: Body,
}

/// What an answer says beside who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Nothing: the error, or its absence, is all.
    Empty,
    /// Of a `Vote`.
    Vote {
        /// Whether it has, or would get, the vote.
        granted: bool,
    },
    /// Of a `Fetch`.
    Fetch(FetchBody),
    /// Of a `FetchSnapshot`.
    FetchSnapshot(FetchSnapshotBody),
}

/// What a leader gives to a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchBody {
    /// Everything below is committed.
    pub high_watermark: Offset,
    /// Where the leader's log begins.
    pub log_start: Offset,
    /// The logs part: the follower's last epoch, or the one before it, ends here in the leader's.
    pub diverging: Option<(LeaderEpoch, Offset)>,
    /// What the follower needs is not in the log any more, but in this snapshot.
    pub snapshot: Option<SnapshotId>,
    /// The records.
    pub records: Payload,
}

/// A piece of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchSnapshotBody {
    /// Of which.
    pub id: SnapshotId,
    /// The size of the whole; 0 as long as the driver has not filled it in.
    pub size: u64,
    /// Where the piece begins.
    pub position: u64,
    /// The piece.
    pub bytes: Payload,
}

/// Bytes of an answer. The quorum holds neither log nor snapshots: who carries out `Respond` puts
/// the bytes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// None.
    Empty,
    /// Whole batches of the log from `from` on, none beyond `upto`, at least one, else as many as
    /// fit `max_bytes`.
    Log {
        /// The first offset.
        from: Offset,
        /// The first offset not wanted.
        upto: Offset,
        /// How many bytes.
        max_bytes: u32,
    },
    /// Bytes of a snapshot's file. If the file is gone: `SnapshotNotFound`; if it is shorter than
    /// `position`: `PositionOutOfRange`.
    Snapshot {
        /// Which.
        id: SnapshotId,
        /// From which byte on.
        position: u64,
        /// How many bytes at most.
        max_bytes: u32,
    },
    /// The bytes, as they come from the wire.
    Bytes(Bytes),
}
