//! What goes into the quorum and what comes out of it.

use bytes::Bytes;
use wire::ids::{LeaderEpoch, Offset};

use crate::SnapshotId;

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
    /// Time has passed; worth sending every second or so.
    Tick,
    /// The disk refused a write or a flush. The quorum stops: what is on disk is unknown.
    DiskFailed,
}

/// Something to do. Effects are carried out in order; one that has a completion event is followed
/// by it sooner or later, and effects that come later do not wait for it unless said.
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
    /// This node leads; its proposals are accepted from now on.
    Elected {
        /// In this epoch.
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
    /// The quorum has stopped; the node must stop and start again from its disk.
    Fatal {
        /// For people.
        why: String,
    },
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
