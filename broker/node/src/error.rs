//! Why a node does not open, or cannot go on.

use metadata::ReplayError;
use storage::disk::DiskError;
use storage::error::{AppendError, LogError, ReadError};

/// Why a node does not open, or cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `log.dirs` names no directory.
    #[error("log.dirs names no directory")]
    NoLogDirs,
    /// The disk belongs to another cluster.
    #[error("the disk belongs to cluster {found}, expected {expected}")]
    OtherCluster {
        /// The cluster id on the disk.
        found: String,
        /// The configured one.
        expected: String,
    },
    /// The metadata log contradicts itself or is newer than this version.
    #[error("metadata log: {0}")]
    Replay(#[from] ReplayError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A log could not be opened or looked after.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The metadata log could not be written.
    #[error("metadata log: {0}")]
    MetadataAppend(#[from] AppendError),
    /// The metadata log could not be read.
    #[error("metadata log: {0}")]
    MetadataRead(#[from] ReadError),
    /// The controller refused.
    #[error(transparent)]
    Refused(#[from] metadata::control::Refusal),
    /// An earlier failure of the metadata log ended this controller: nothing can be decided until
    /// the process starts again.
    #[error("the controller has stopped after an earlier failure")]
    ControllerStopped,
}
