//! Why a log directory or a partition in it could not be had.

use std::path::PathBuf;

use wire::ids::{BrokerId, Offset};

use super::TopicPartition;
use crate::checkpoints::CheckpointError;
use crate::disk::DiskError;
use crate::error::LogError;

/// Why a call on the log directories failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The disk failed; `DiskError::heals` tells a full disk from a broken one.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A file of the directory cannot be understood, or is of a newer version.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A partition's log could not be opened.
    #[error("log of {partition}: {error}")]
    Log {
        /// The partition.
        partition: TopicPartition,
        /// Why.
        error: LogError,
    },
    /// No log directory was named.
    #[error("no log directory is configured")]
    NoDirectory,
    /// Another process works in the directory.
    #[error("log directory {} is in use by another process", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// The disk of another cluster.
    #[error(
        "log directory {} belongs to cluster {found}, this node to cluster {expected}",
        dir.display()
    )]
    OtherCluster {
        /// The directory.
        dir: PathBuf,
        /// The cluster in its `meta.properties`.
        found: String,
        /// This node's.
        expected: String,
    },
    /// The disk of another node.
    #[error("log directory {} belongs to node {found}, this is node {expected}", dir.display())]
    OtherNode {
        /// The directory.
        dir: PathBuf,
        /// The node in its `meta.properties`.
        found: BrokerId,
        /// This node.
        expected: BrokerId,
    },
    /// Two directories have one id: one is a copy of the other.
    #[error(
        "log directories {} and {} have the same directory.id",
        first.display(),
        second.display()
    )]
    SameDirectoryId {
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// Two directories hold a log of one partition.
    #[error("{partition} has a log in both {} and {}", first.display(), second.display())]
    TwoLogs {
        /// The partition.
        partition: TopicPartition,
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// The disks are full.
    #[error(
        "no space left in the log directories: {logs} new partitions need some, and there is space \
         for {room}. Nothing was made; free some, or add a directory"
    )]
    NoRoom {
        /// How many logs were wanted.
        logs: usize,
        /// How many fit.
        room: u64,
    },
    /// The partition has a log already.
    #[error("{partition} has a log already")]
    Exists {
        /// The partition.
        partition: TopicPartition,
    },
    /// The partition has no log here.
    #[error("{partition} has no log here")]
    Missing {
        /// The partition.
        partition: TopicPartition,
    },
    /// The last stop was clean and left the partition's log here, and it is gone.
    #[error(
        "{} is missing, with offsets {from}..{upto}: the last stop was clean and left it there. It \
         is not made anew, or its offsets would be given twice", dir.display()
    )]
    Lost {
        /// The partition.
        partition: TopicPartition,
        /// Its directory.
        dir: PathBuf,
        /// The first offset it had.
        from: Offset,
        /// The offset behind its last.
        upto: Offset,
    },
    /// The partition's directory is offline.
    #[error("log directory {} is offline", dir.display())]
    Offline {
        /// The directory.
        dir: PathBuf,
    },
    /// Every log directory is offline.
    #[error("every log directory is offline, the first by: {reason}")]
    AllOffline {
        /// Why the first is.
        reason: DiskError,
    },
}

impl DirectoryError {
    /// The failed disk call beneath, if that is what it was.
    pub fn disk_error(&self) -> Option<&DiskError> {
        match self {
            Self::Disk(error)
            | Self::Checkpoint(CheckpointError::Disk(error))
            | Self::Log { error: LogError::Disk(error), .. } => Some(error),
            _ => None,
        }
    }
}
