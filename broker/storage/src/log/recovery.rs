//! Opening a log: what is trusted, what is read again, what is cut.

use std::path::PathBuf;
use std::sync::Arc;

use wire::ids::Offset;

use super::Log;
use crate::config::LogConfig;
use crate::disk::Disk;
use crate::error::{Corruption, LogError};

/// What is needed to open a log.
#[derive(Clone, Debug)]
pub struct OpenArgs {
    /// The disk that holds it.
    pub disk: Arc<dyn Disk>,
    /// Its directory, which exists.
    pub dir: PathBuf,
    /// Its configuration.
    pub config: Arc<LogConfig>,
    /// From the recovery-point checkpoint: below it everything had been synced. 0 when unknown.
    pub recovery_point: Offset,
    /// From the log-start checkpoint. 0 when unknown.
    pub log_start_offset: Offset,
    /// Whether the last stop was clean.
    pub clean: bool,
    /// The broker's time.
    pub now_ms: i64,
}

/// A torn tail that was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutTail {
    /// Base offset of the segment it was in.
    pub segment: Offset,
    /// Where in the segment's file it began.
    pub position: u64,
    /// How many bytes it had.
    pub bytes: u64,
    /// Where they were kept, unless all of them were zeros.
    pub kept: Option<PathBuf>,
}

/// What opening a log found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Segments that were read again from end to end.
    pub segments_recovered: usize,
    /// Bytes of them.
    pub bytes_recovered: u64,
    /// Segments whose indexes were built anew.
    pub indexes_rebuilt: usize,
    /// What was cut off, oldest first.
    pub cut: Vec<CutTail>,
    /// Corruption where no crash can excuse it: the replica must be repaired.
    pub corruption: Option<Corruption>,
    /// Where the log ends now.
    pub end_offset: Option<Offset>,
}

impl Log {
    /// Opens a log, or makes an empty one where there is none.
    pub fn open(_args: OpenArgs) -> Result<(Self, RecoveryReport), LogError> {
        Err(LogError::Poisoned)
    }
}
