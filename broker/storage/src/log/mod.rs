//! One partition's log: what is appended, read, kept and recovered.
//!
//! The caller (`replication`) holds one lock around a `Log`: `&mut self` changes it, `&self` reads.
//! Nothing here reads a clock; `now_ms` is an argument. Everything on disk goes through the Disk
//! seam and is in Apache Kafka 4.x's bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wire::ids::{LeaderEpoch, Offset};

use crate::config::LogConfig;
use crate::disk::Disk;
use crate::epochs::LeaderEpochs;
use crate::error::Corruption;
use crate::producers::Producers;
use crate::segments::Segments;

mod append;
mod convert;
mod flush;
mod lost_epochs;
mod open;
mod read;
mod recovery;
mod repair;
mod retention;
mod roll;
mod tail;
mod timestamps;
mod truncate;
mod unsynced;
mod whole;

pub use crate::index::txn::Aborted;
pub use append::{AppendOrigin, Appended};
pub use convert::converted;
pub use flush::{FlushJob, FlushOutcome, FlushScope};
pub use open::OpenArgs;
pub use read::LogSlice;
pub use recovery::RecoveryReport;
pub use retention::{Deletion, Retired};
pub use tail::CutTail;
pub use timestamps::{
    EARLIEST, EARLIEST_LOCAL, EARLIEST_PENDING_UPLOAD, LATEST, LATEST_TIERED, MAX_TIMESTAMP,
    TimestampOffset,
};
use unsynced::{Changes, FlushGate, UnsyncedIndex};

/// One partition's log. See the module's header for who may call what.
#[derive(Debug)]
pub struct Log {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    config: Arc<LogConfig>,
    segments: Segments,
    /// First offset that readers may ask for; segments below it wait for deletion.
    start: i64,
    /// Offset of the next record.
    end: i64,
    /// Everything below is durable.
    recovery_point: i64,
    /// Up to here a flush has been begun.
    flush_begun: i64,
    /// When the oldest record that no flush has begun on was appended.
    unflushed_since_ms: Option<i64>,
    /// Names made or removed, and up to which of these changes the directory is synced.
    name_changes: Changes,
    producers: Producers,
    /// Transactions that were aborted, by the offset of their marker.
    aborted: Vec<Aborted>,
    epochs: LeaderEpochs,
    /// Changes of the epochs, and up to which their checkpoint has them.
    epoch_changes: Changes,
    /// Closed segments, by base, whose index files no flush has synced since they were written.
    closed_indexes: BTreeMap<i64, UnsyncedIndex>,
    /// How often the log was cut back since it was opened.
    truncations: u64,
    /// The segment that space is reserved for, and up to which size.
    reserved: (i64, u64),
    /// Lets one flush at a time run, and none after a failed one.
    flush_gate: Arc<FlushGate>,
    /// Something on disk is not yet as a clean stop leaves it.
    touched: bool,
    /// A failed write or sync, or what the start found, closed the log for writing.
    poisoned: bool,
    /// The first corruption that the start found.
    corruption: Option<Corruption>,
    /// The first that leaves open where the log ends or which of its records are missing: nothing
    /// is appended then.
    quarantine: Option<Corruption>,
    /// An earlier start has closed the log for writing.
    was_quarantined: bool,
    /// Compaction may have left gaps between segments.
    may_be_sparse: bool,
    /// Records that are missing before the first segment.
    missing_head: Option<Corruption>,
}

impl Log {
    /// The log's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The first offset that can be read.
    pub fn log_start_offset(&self) -> Offset {
        Offset(self.start)
    }

    /// The offset that the next record gets.
    pub fn end_offset(&self) -> Offset {
        Offset(self.end)
    }

    /// Everything below it is durable, records and indexes: what the recovery-point checkpoint
    /// records. A flush may have made records beyond it durable.
    pub fn recovery_point(&self) -> Offset {
        let unsynced = self.closed_indexes.keys().next().copied().unwrap_or(i64::MAX);
        Offset(self.recovery_point.min(unsynced))
    }

    /// The last stable offset: below it no transaction is undecided. At most `high_watermark`, and
    /// not below the log's start, whatever was open there.
    pub fn last_stable_offset(&self, high_watermark: Offset) -> Offset {
        self.producers
            .first_ongoing_offset()
            .map_or(high_watermark, |first| high_watermark.min(Offset(first.max(self.start))))
    }

    /// The aborted transactions that have records in `from..upto`.
    pub fn aborted_transactions(&self, from: Offset, upto: Offset) -> Vec<Aborted> {
        let ended = self.aborted.partition_point(|it| it.last_offset < from);
        let mut within = Vec::new();
        for it in self.aborted.get(ended..).unwrap_or_default() {
            if it.first_offset < upto {
                within.push(*it);
            }
            if it.last_stable_offset >= upto {
                // What ends behind it begins behind it.
                break;
            }
        }
        within
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size).sum()
    }

    /// How many segments there are, the active one included.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// The configuration in force.
    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    /// Puts a new configuration in force from the next call on.
    pub fn update_config(&mut self, config: Arc<LogConfig>) {
        self.config = config;
    }

    /// The leader epochs known here.
    pub fn epochs(&self) -> &LeaderEpochs {
        &self.epochs
    }

    /// The largest epoch not above `epoch` and where it ends; None when `epoch` is not known yet.
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.epochs.end_offset(epoch, self.end_offset())
    }

    /// The corruption that was found since the log was opened, if any: the replica needs repair.
    pub fn corruption(&self) -> Option<Corruption> {
        self.corruption.or_else(|| self.segments.corruption())
    }

    /// Whether a failed write or sync has closed the log for writing.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// The producers remembered here.
    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    /// Forgets producers that have been idle for `producer.id.expiration.ms`; says how many.
    pub fn expire_producers(&mut self, now_ms: i64) -> usize {
        self.producers.expire(now_ms, self.config.producer_expiration_ms)
    }
}

#[cfg(test)]
mod tests;
