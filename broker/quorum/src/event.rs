//! What goes into the quorum and what comes out of it.

use bytes::Bytes;
use wire::ids::{BrokerId, LeaderEpoch, Offset};

use crate::{Endpoint, Request, Response, SnapshotId};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The files are loaded; begin.
    Start,
    /// Records to append in one batch. The token comes back in `Accepted` or `Refused`.
    Propose {
        /// The caller's name for the proposal.
        token: u64,
        /// The records, in order; never empty.
        records: Vec<Bytes>,
    },
    /// The last `PersistState` is on disk.
    StatePersisted,
    /// A `Flush` has ended: everything below `upto` is on disk.
    Flushed {
        /// As in the effect.
        upto: Offset,
    },
    /// The records that the last `TakeSnapshot` asked for.
    SnapshotRecords {
        /// As in the effect.
        id: SnapshotId,
        /// The state at the snapshot's end, as records.
        records: Vec<Bytes>,
    },
    /// The last `WriteSnapshot` is on disk under its name.
    SnapshotWritten {
        /// As in the effect.
        id: SnapshotId,
    },
    /// Another node, or an operator, asks. Exactly one `Respond` follows, now or later, unless
    /// the quorum stops; it may be dropped when it comes after the one who asked has gone.
    Request {
        /// The caller's name for the question.
        token: u64,
        /// The cluster that the other believes to be talking to.
        cluster_id: Option<String>,
        /// The question.
        request: Request,
    },
    /// The answer to a `Send`.
    Response {
        /// As in the effect.
        id: u64,
        /// The answer.
        response: Response,
    },
    /// A `Send` will have no answer.
    RequestFailed {
        /// As in the effect.
        id: u64,
        /// Whether the other end refused the connection: its process is gone.
        refused: bool,
    },
    /// All pieces of a snapshot are written; this is the file (after `ReadSnapshotPart`).
    SnapshotPartRead {
        /// As in the effect.
        id: SnapshotId,
        /// The whole content.
        file: Bytes,
    },
    /// An `InstallSnapshot` is done.
    SnapshotInstalled {
        /// As in the effect.
        id: SnapshotId,
    },
    /// The operator wants `kraft.version` 1: a leader whose [`crate::Quorum::may_upgrade`] says so
    /// writes the voters down with their directories. No answer; others leave it at that.
    Upgrade,
    /// The process is about to stop: a leader hands over.
    Resign,
    /// Time has passed. All timers run by it: send it a few times per `retry_backoff_ms` in a
    /// quorum of several, every second or so to a quorum of one.
    Tick,
    /// The disk refused a write or a flush. The quorum stops: what is on disk is unknown.
    DiskFailed,
}

/// Whom a request goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A node, and where it is reached if that is known.
    Node {
        /// The node.
        id: BrokerId,
        /// Its controller listeners.
        endpoints: Vec<Endpoint>,
    },
    /// Any of `controller.quorum.bootstrap.servers`.
    Bootstrap,
    /// One of them, by its place in the list.
    Server(usize),
}

/// Something to do. Effects are carried out in order; one that has a completion event is followed
/// by it sooner or later, and effects that come later do not wait for it unless said. What must
/// be durable before a message leaves is so by the time the message is among the effects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Replace `quorum-state` by this content, durably (write aside, fsync, rename, fsync the
    /// directory); then `StatePersisted`.
    PersistState {
        /// The whole content.
        file: Bytes,
    },
    /// Append this batch to the log, bytes as they are. No completion.
    Append {
        /// The batch.
        batch: Bytes,
        /// The offset of its first record.
        first: Offset,
        /// The offset of its last record.
        last: Offset,
        /// The epoch it belongs to.
        epoch: LeaderEpoch,
    },
    /// Make everything appended so far durable; then `Flushed`. At most one is under way.
    Flush {
        /// The end of what was appended.
        upto: Offset,
    },
    /// Cut the log: it ends at `end` now. No completion; the cut is durable with the next flush.
    Truncate {
        /// The new end.
        end: Offset,
    },
    /// Ask another node. Sooner or later `Response` or `RequestFailed`.
    Send {
        /// The quorum's name for the question.
        id: u64,
        /// Whom.
        to: Destination,
        /// The question.
        request: Request,
    },
    /// Answer a `Request`, after filling in the payload, if it asks for one.
    Respond {
        /// As in the event.
        token: u64,
        /// The answer.
        response: Response,
    },
    /// This node leads; its proposals are accepted from now on. The state to decide on is whole
    /// once `Committed` has passed `start`.
    Elected {
        /// In this epoch.
        epoch: LeaderEpoch,
        /// The offset of the epoch's first record.
        start: Offset,
    },
    /// This node leads no more. The fate of accepted proposals that are not committed is open.
    Deposed {
        /// The epoch that it led.
        epoch: LeaderEpoch,
    },
    /// A proposal has its place in the log; it is not committed yet.
    Accepted {
        /// The caller's name for it.
        token: u64,
        /// The offset of its first record.
        first: Offset,
        /// The offset of its last record.
        last: Offset,
    },
    /// A proposal was not taken; it left no trace.
    Refused {
        /// The caller's name for it.
        token: u64,
        /// Why.
        why: Refusal,
    },
    /// Every record below `upto` is committed.
    Committed {
        /// The high watermark.
        upto: Offset,
    },
    /// Give the state at this end as records: `SnapshotRecords`.
    TakeSnapshot {
        /// Which prefix to stand for.
        id: SnapshotId,
    },
    /// Write this file beside the log, durably, under this name; then `SnapshotWritten`.
    WriteSnapshot {
        /// Which prefix it stands for.
        id: SnapshotId,
        /// The name of the file.
        name: String,
        /// The whole content.
        file: Bytes,
    },
    /// Write a piece of another node's snapshot into a file aside, at `position`; at 0 begin the
    /// file anew. No completion.
    WriteSnapshotPart {
        /// Of which snapshot.
        id: SnapshotId,
        /// Where.
        position: u64,
        /// The piece.
        bytes: Bytes,
    },
    /// All pieces are there: give the whole file, unread beyond its bytes: `SnapshotPartRead`.
    ReadSnapshotPart {
        /// Which.
        id: SnapshotId,
    },
    /// The file aside is whole: make it durable under its name; then empty the log, which goes on
    /// at `id.end_offset`; then replace the state by these records; then `SnapshotInstalled`. A
    /// crash in between leaves a log that ends before the snapshot, or a whole one.
    InstallSnapshot {
        /// Which.
        id: SnapshotId,
        /// The name of the file.
        name: String,
        /// The records of the state.
        records: Vec<Bytes>,
    },
    /// The log may drop what lies below `start`: a snapshot stands for it.
    TrimLog {
        /// The log's new start.
        start: Offset,
    },
    /// Remove the file of a snapshot.
    RemoveSnapshot {
        /// Which.
        id: SnapshotId,
        /// The name of the file.
        name: String,
    },
    /// What the leader gave is nothing that this node may take; it asks again.
    NotTaken {
        /// The leader.
        leader: BrokerId,
        /// Its snapshot, or its records.
        given: Given,
        /// For people.
        why: String,
    },
    /// The quorum has stopped; the node must stop and start again from its disk.
    Fatal {
        /// For people.
        why: String,
    },
}

/// What a leader gives to a follower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// A snapshot.
    Snapshot(SnapshotId),
    /// The records of its log from there.
    Records(Offset),
}

/// Why a proposal was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// This node does not lead.
    #[error("this node is not the active controller")]
    NotLeader,
    /// The batch would exceed `BATCH_BYTES_MAX`.
    #[error("the change is too large for one batch of the metadata log")]
    TooLarge,
    /// More is appended and not committed than `UNCOMMITTED_BYTES_MAX`.
    #[error("too much of the metadata log awaits its commit")]
    Busy,
}
