//! Why a quorum cannot start or go on.

use wire::codec::{DecodeError, EncodeError};
use wire::ids::{BrokerId, LeaderEpoch, Offset, Uuid};
use wire::records::BatchError;

/// Why the quorum's files cannot be read, or what they say cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `quorum-state` is not what a quorum writes.
    #[error("quorum-state does not parse: {0}")]
    StateFile(#[from] serde_json::Error),
    /// `quorum-state` of a format that this version does not know.
    #[error("quorum-state has data_version {0}; this version reads 0 and 1")]
    StateVersion(i64),
    /// `quorum-state` does not say something that must not be forgotten.
    #[error("quorum-state has no {0}, or one that is none")]
    StateField(&'static str),
    /// A directory id in `quorum-state` is not an id.
    #[error("quorum-state names a directory id that is not one")]
    StateDirectory,
    /// `quorum-state` is of an epoch that no elections since the log's end lead to.
    #[error(
        "quorum-state has leaderEpoch {state}, and the log ends in epoch {log}: one is damaged"
    )]
    StateEpoch {
        /// What `quorum-state` says.
        state: LeaderEpoch,
        /// The epoch of the log's last record.
        log: LeaderEpoch,
    },
    /// A batch of the log or of a snapshot is damaged.
    #[error("metadata log batch is damaged: {0}")]
    Batch(#[from] BatchError),
    /// A control record does not decode.
    #[error("control record does not decode: {0}")]
    Decode(#[from] DecodeError),
    /// A control record does not encode.
    #[error("control record does not encode: {0}")]
    Encode(#[from] EncodeError),
    /// A control record of the quorum has no key or a key of no known type.
    #[error("control record at offset {0} is of no known type")]
    UnknownControl(Offset),
    /// A record without a value; the metadata log has none.
    #[error("metadata record at offset {0} has no value")]
    NoValue(Offset),
    /// A snapshot does not begin with its header or end with its footer.
    #[error("snapshot {0} is not whole: {1} is missing")]
    TornSnapshot(String, &'static str),
    /// A `kraft.version` of a later release.
    #[error("kraft.version {0} is not supported: this version knows 0 and 1")]
    KRaftVersion(i16),
    /// The disks are not those of the voter under whose id this node runs.
    #[error(
        "node {node} with directory {directory} is not a voter of this quorum ({voters}): its \
         metadata directory is another's or was wiped"
    )]
    NotAVoter {
        /// This node.
        node: BrokerId,
        /// Its directory.
        directory: Uuid,
        /// The voters.
        voters: String,
    },
    /// More voters than a node that is to be a quorum of its own can elect among.
    #[error("the quorum has {0} voters; this node is configured to be a quorum of its own")]
    SeveralVoters(usize),
    /// The log ends before its snapshot and has records: part of it is lost.
    #[error("the metadata log ends at {end}, before its snapshot at {snapshot}")]
    LogBehindSnapshot {
        /// The end of the log.
        end: Offset,
        /// The end of the snapshot.
        snapshot: Offset,
    },
    /// The log begins after offset 0 and no snapshot says what came before.
    #[error("the metadata log starts at {0} and there is no snapshot up to there")]
    MissingSnapshot(Offset),
    /// A batch does not continue the log.
    #[error("metadata log batch at offset {found} where {expected} was expected")]
    Gap {
        /// Where the log stood.
        expected: Offset,
        /// Where the batch begins.
        found: Offset,
    },
    /// A batch of an epoch below one already read.
    #[error("metadata log batch at offset {offset} is of epoch {epoch}, below its predecessor's")]
    EpochBackwards {
        /// Where.
        offset: Offset,
        /// The batch's epoch.
        epoch: LeaderEpoch,
    },
}
