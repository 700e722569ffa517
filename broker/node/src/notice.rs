//! What the node has to say to its operator. It has no log of its own: the server takes these
//! and prints them.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use storage::directory::{DirectoryError, TopicPartition};
use storage::disk::DiskError;
use storage::error::Corruption;
use storage::log::RecoveryReport;
use wire::ids::{Offset, PartitionIndex};

/// Notices kept at most; when nobody takes them, the oldest stay and the rest are counted.
const NOTICES_MAX: usize = 10_000;

/// Something an operator should know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// A log was repaired, or found corrupt, when it was opened.
    Recovered {
        /// The partition.
        partition: TopicPartition,
        /// What was found and done.
        report: RecoveryReport,
    },
    /// A log could not be opened or made; its partition is not served. Tried again with each
    /// `Node::retry_missing`, unless it exists and is damaged.
    NotServed {
        /// The partition.
        partition: TopicPartition,
        /// Why.
        error: DirectoryError,
    },
    /// A loss was accepted by name where nothing is lost.
    NothingToAccept {
        /// The partition.
        partition: TopicPartition,
        /// From which offset on.
        offset: Offset,
    },
    /// A log that no assignment wants was set aside here.
    Stray {
        /// Where it is now.
        path: PathBuf,
    },
    /// A directory among the log directories that is nothing of ours.
    Unknown {
        /// Where it is.
        path: PathBuf,
    },
    /// A deleted topic's log could not be removed.
    NotRemoved {
        /// The partition.
        partition: TopicPartition,
        /// Why.
        error: DirectoryError,
    },
    /// A log directory went offline with all its partitions.
    DirectoryOffline {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: DiskError,
    },
    /// A batch of a log failed its checks when it was read. Said once for each place.
    Corrupt {
        /// The partition.
        partition: TopicPartition,
        /// The segment's file.
        file: PathBuf,
        /// Where in it.
        corruption: Corruption,
    },
    /// The disk refused some upkeep; it is tried again.
    Upkeep {
        /// What failed.
        error: DiskError,
    },
    /// A clean stop could not write all that tells the next start of it, for want of space as a
    /// rule. The records are synced.
    NotClosed {
        /// What it was.
        what: String,
    },
    /// A topic asks for compaction, which there is not yet: everything is kept.
    CompactionMissing {
        /// The topic.
        topic: String,
    },
    /// The metadata log holds what this version keeps and does not act on.
    NotEnforced {
        /// Quotas of clients.
        quotas: usize,
        /// SCRAM credentials and delegation tokens.
        credentials: usize,
    },
    /// The controller has stopped: nothing can be changed until the process starts again.
    ControllerStopped {
        /// Why.
        why: String,
    },
    /// A configured controller, or one that asks, belongs to another cluster than this node.
    OtherCluster {
        /// Which, and which.
        text: String,
    },
    /// What the leader gave of the metadata, a snapshot or records, was not taken.
    NotTaken {
        /// Which, from whom, why.
        text: String,
    },
    /// Records of `__consumer_offsets` that this version does not read; they are skipped.
    UnreadableGroupRecords {
        /// The partition.
        index: PartitionIndex,
        /// How many.
        count: usize,
    },
    /// Records of newer group protocols, which are skipped.
    NewerGroupRecords {
        /// How many.
        count: usize,
    },
    /// A transaction that nobody can end here: readers of committed records stop before it.
    OpenTransaction {
        /// The partition.
        partition: TopicPartition,
        /// Where it begins.
        offset: Offset,
    },
    /// So many notices were dropped because nobody took them.
    Dropped {
        /// How many.
        count: usize,
    },
}

impl Notice {
    /// Whether acknowledged records are out of service, or nothing can be changed any more.
    #[must_use]
    pub fn is_error(&self) -> bool {
        match self {
            Self::Recovered { report, .. } => report.corruption.is_some(),
            Self::DirectoryOffline { .. }
            | Self::Corrupt { .. }
            | Self::NotServed { .. }
            | Self::ControllerStopped { .. } => true,
            _ => false,
        }
    }
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Recovered { partition, report } => recovered(f, partition, report),
            Self::NotServed { partition, error } => {
                write!(f, "{partition} not served: {error}")?;
                match error {
                    DirectoryError::Lost { from, .. } => {
                        write!(f, ". {}", Remedy(partition, *from))
                    }
                    _ => Ok(()),
                }
            }
            Self::NothingToAccept { partition, offset } => write!(
                f,
                "tidelog.log.corrupt.accept names {partition}@{offset}, where nothing is lost (any \
                 more): take it out"
            ),
            Self::Stray { path } => {
                write!(f, "no assignment wants this log, set aside at {}", path.display())
            }
            Self::Unknown { path } => {
                write!(f, "not a partition's directory, left alone: {}", path.display())
            }
            Self::NotRemoved { partition, error } => write!(f, "{partition} not removed: {error}"),
            Self::DirectoryOffline { path, reason } => {
                write!(f, "log directory {} is offline: {reason}", path.display())
            }
            Self::Corrupt { partition, file, corruption } => write!(
                f,
                "{partition}: {corruption}, found on reading {}: it is not served. {}",
                file.display(),
                Remedy(partition, corruption.offset),
            ),
            Self::Upkeep { error } => write!(f, "upkeep failed, will be tried again: {error}"),
            Self::NotClosed { what } => write!(
                f,
                "not everything could be closed: {what}. Nothing is lost: all records are synced, \
                 and the next start reads the ends of the logs again"
            ),
            Self::CompactionMissing { topic } => {
                write!(f, "topic {topic} asks for compaction, which is not there yet: all is kept")
            }
            Self::NotEnforced { quotas, credentials } => write!(
                f,
                "{quotas} client quotas and {credentials} credentials of users are in the metadata \
                 log: they are kept, nothing enforces or uses them"
            ),
            Self::ControllerStopped { why } => write!(f, "the controller has stopped: {why}"),
            Self::OtherCluster { text } | Self::NotTaken { text } => f.write_str(text),
            Self::UnreadableGroupRecords { index, count } => {
                write!(f, "__consumer_offsets-{index}: skipped {count} records it cannot read")
            }
            Self::NewerGroupRecords { count } => write!(
                f,
                "__consumer_offsets: skipped {count} records of groups of newer protocols, which \
                 are not served: classic groups of their names go on from their offsets"
            ),
            Self::OpenTransaction { partition, offset } => write!(
                f,
                "{partition}: a transaction is open from offset {offset} on, and transactions are \
                 not served yet: read_committed readers stop there until Kafka, started on this \
                 directory again, has ended it"
            ),
            Self::Dropped { count } => write!(f, "{count} more notices were dropped"),
        }
    }
}

/// What an operator can do about damage.
struct Remedy<'a>(&'a TopicPartition, Offset);

impl std::fmt::Display for Remedy<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(partition, offset) = self;
        write!(
            f,
            "Stop the broker and restore the directory from a copy; or give up what is lost: start \
             once with --set tidelog.log.corrupt.accept={partition}@{offset} (bad bytes are kept \
             as .corrupt, no offset is used twice)"
        )
    }
}

/// What is wrong, by file, position and offset.
fn damage(f: &mut std::fmt::Formatter<'_>, corrupt: &Corruption) -> std::fmt::Result {
    let (segment, position, offset) = (corrupt.segment.0, corrupt.position, corrupt.offset);
    match corrupt.missing_upto {
        Some(upto) if offset < corrupt.segment => {
            write!(f, "offsets {offset}..{upto} are missing before {segment:020}.log")
        }
        Some(upto) => write!(
            f,
            "offsets {offset}..{upto} are missing, from position {position} of {segment:020}.log on"
        ),
        None => write!(f, "bad bytes in {segment:020}.log at position {position}, offset {offset}"),
    }
}

/// What a start did to a log, with all an operator needs to look at it.
fn recovered(
    f: &mut std::fmt::Formatter<'_>,
    partition: &TopicPartition,
    report: &RecoveryReport,
) -> std::fmt::Result {
    let file = |base: Offset| report.dir.join(format!("{:020}.log", base.0));
    let end = report.end_offset.unwrap_or_default();
    if let Some(corrupt) = &report.corruption {
        write!(f, "{partition} is CORRUPT: {}: ", report.dir.display())?;
        damage(f, corrupt)?;
        let produce = match report.is_quarantined {
            true => "refused with KAFKA_STORAGE_ERROR",
            false => "served",
        };
        write!(
            f,
            ". No crash explains it; nothing was changed. The log ends at {end}, what is sound is \
             served, produce is {produce}. {}. ",
            Remedy(partition, corrupt.offset),
        )?;
    }
    for lost in &report.given_up {
        let upto = lost.lost_upto.unwrap_or(lost.lost_from);
        write!(f, "{partition}: offsets {}..{upto} were given up, as told; ", lost.lost_from)?;
        if let Some(kept) = &lost.kept {
            write!(f, "{} bad bytes are kept in {}; ", lost.bytes, kept.display())?;
        }
    }
    write!(
        f,
        "{partition}: recovered {} segments ({} bytes), rebuilt {} indexes, log ends at {end}",
        report.segments_recovered, report.bytes_recovered, report.indexes_rebuilt,
    )?;
    for cut in &report.cut {
        let what = match cut.lost_upto {
            Some(upto) => format!("offsets {}..{upto} are LOST", cut.lost_from),
            None => format!("a torn write at offset {} (nothing whole in it)", cut.lost_from),
        };
        let kept = match &cut.kept {
            Some(path) => format!("kept in {}", path.display()),
            None => "not kept (zeros, or the disk is full)".to_owned(),
        };
        let (file, position, bytes) = (file(cut.segment), cut.position, cut.bytes);
        let file = file.display();
        write!(f, "; cut {what}: {bytes} bytes of {file} from position {position}, {kept}")?;
    }
    Ok(())
}

/// The notices nobody has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    state: Mutex<(Vec<Notice>, usize)>,
}

impl Notices {
    pub(crate) fn push(&self, notice: Notice) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (kept, dropped) = &mut *state;
        if kept.len() < NOTICES_MAX {
            kept.push(notice);
        } else {
            *dropped += 1;
        }
    }

    pub(crate) fn take(&self) -> Vec<Notice> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut kept, dropped) = std::mem::take(&mut *state);
        if dropped > 0 {
            kept.push(Notice::Dropped { count: dropped });
        }
        kept
    }
}
