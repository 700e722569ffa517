//! Why a partition refused: each variant one decision of the caller, and its Kafka code.

use storage::disk::DiskError;
use storage::error::{AppendError, LogError, ReadError};
use wire::ErrorCode;
use wire::ids::LeaderEpoch;

/// Why a call on a partition was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// This replica does not lead the partition (any more).
    #[error("not the leader")]
    NotLeader,
    /// The topic has been deleted while the call was on its way.
    #[error("the partition has been deleted")]
    Deleted,
    /// The directory of the partition's log is offline.
    #[error("the log directory is offline")]
    Offline,
    /// The caller knows an older leader epoch.
    #[error("leader epoch {got} is fenced, it is {current}")]
    FencedEpoch {
        /// The caller's.
        got: LeaderEpoch,
        /// The partition's.
        current: LeaderEpoch,
    },
    /// The caller knows a newer leader epoch.
    #[error("leader epoch {got} is unknown, it is {current}")]
    UnknownEpoch {
        /// The caller's.
        got: LeaderEpoch,
        /// The partition's.
        current: LeaderEpoch,
    },
    /// Fewer replicas in sync than `min.insync.replicas`, with acks=all. Nothing is appended.
    #[error("{in_sync} replicas in sync, {required} are required")]
    NotEnoughReplicas {
        /// The committed in-sync set.
        in_sync: usize,
        /// `min.insync.replicas`.
        required: usize,
    },
    /// The log refused the append.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log refused the read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Looking after the log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Error {
    /// The code that a client is answered with.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotLeader => ErrorCode::NotLeaderOrFollower,
            Self::Deleted => ErrorCode::UnknownTopicOrPartition,
            Self::Offline => ErrorCode::KafkaStorageError,
            Self::FencedEpoch { .. } => ErrorCode::FencedLeaderEpoch,
            Self::UnknownEpoch { .. } => ErrorCode::UnknownLeaderEpoch,
            Self::NotEnoughReplicas { .. } => ErrorCode::NotEnoughReplicas,
            Self::Append(error) => append_code(error),
            Self::Read(error) => match error {
                ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
                _ => ErrorCode::KafkaStorageError,
            },
            Self::Log(error) => match error {
                LogError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
                _ => ErrorCode::KafkaStorageError,
            },
        }
    }

    /// The failed disk call beneath, if that is what it was. Unless it heals, the directory has
    /// to go offline.
    #[must_use]
    pub fn disk_error(&self) -> Option<&DiskError> {
        match self {
            Self::Append(AppendError::Disk(error) | AppendError::DiskFull(error))
            | Self::Read(ReadError::Disk(error))
            | Self::Log(LogError::Disk(error)) => Some(error),
            _ => None,
        }
    }
}

fn append_code(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::Corrupt(_) => ErrorCode::CorruptMessage,
        AppendError::Empty
        | AppendError::SeveralBatches
        | AppendError::InvalidRecord(_)
        | AppendError::ControlBatch
        | AppendError::UnsupportedFormat { .. } => ErrorCode::InvalidRecord,
        AppendError::Transactional => ErrorCode::InvalidTxnState,
        AppendError::BatchTooLarge { .. } => ErrorCode::MessageTooLarge,
        AppendError::AppendTooLarge { .. } => ErrorCode::RecordListTooLarge,
        AppendError::TimestampOutOfRange { .. } => ErrorCode::InvalidTimestamp,
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::StaleProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        _ => ErrorCode::KafkaStorageError,
    }
}
