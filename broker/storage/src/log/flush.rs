//! Making appended bytes durable. In three parts, so that the fsync runs off the partition's lock
//! and one fsync serves every append that was made before it began (group commit):
//! `begin_flush` under the lock, `FlushJob::run` on a thread that may block, `finish_flush` under
//! the lock again.

use std::path::PathBuf;
use std::sync::Arc;

use wire::ids::{LeaderEpoch, Offset};

use super::Log;
use super::unsynced::{FlushGate, Passed};
use crate::checkpoints::{leader_epochs, partition_metadata};
use crate::disk::{Access, Disk, DiskError, DiskErrorKind, DiskFile};
use crate::error::LogError;
use crate::producers::snapshot;
use crate::segment;

/// How much a flush covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushScope {
    /// Everything appended so far.
    All,
    /// The closed segments only: what follows a roll, in the background.
    Closed,
}

/// A flush that was begun: run it where blocking is allowed.
#[derive(Debug)]
#[must_use = "run it and give the outcome to Log::finish_flush"]
pub struct FlushJob {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// The active segment, by the descriptor that wrote it: no error of its writeback is missed.
    active: Option<Arc<dyn DiskFile>>,
    names: Vec<String>,
    /// The epochs to write, when they differ from their checkpoint.
    epochs: Option<Vec<(LeaderEpoch, Offset)>>,
    gate: Arc<FlushGate>,
    covers: Covers,
}

/// What a flush stands for once it has ended well.
#[derive(Debug)]
struct Covers {
    upto: i64,
    /// Truncations before it began: one that came later took records from under its promise.
    truncations: u64,
    since_ms: Option<i64>,
    names: Option<u64>,
    epochs: Option<u64>,
    /// Base and writing of the index files.
    indexes: Vec<(i64, u64)>,
}

/// What came of a flush.
#[derive(Debug)]
#[must_use = "give it to Log::finish_flush"]
pub struct FlushOutcome {
    covers: Covers,
    result: Result<(), DiskError>,
}

impl FlushJob {
    /// Everything below this offset is durable once the job has succeeded.
    pub fn upto(&self) -> Offset {
        Offset(self.covers.upto)
    }

    /// Syncs. Blocks, also while another flush of this log runs.
    pub fn run(self) -> FlushOutcome {
        let gate = Arc::clone(&self.gate);
        let mut passed = gate.enter();
        let result = match &passed.failure {
            Some(error) => Err(error.clone()),
            None => self.sync(&mut passed),
        };
        if let Err(error) = &result
            && !error.heals()
        {
            passed.failure.get_or_insert_with(|| error.clone());
        }
        FlushOutcome { covers: self.covers, result }
    }

    fn sync(&self, passed: &mut Passed) -> Result<(), DiskError> {
        if let Some(file) = &self.active {
            file.sync_data()?;
        }
        for name in &self.names {
            match self.disk.open(&self.dir.join(name), Access::ReadWrite) {
                Ok(file) => file.sync_data()?,
                // Retention or a deletion of the topic was faster: nothing is left to keep.
                Err(error) if error.kind == DiskErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        // A flush that began later and ran sooner has written newer ones.
        let state = self.covers.epochs.unwrap_or(0);
        if let Some(entries) = self.epochs.as_ref().filter(|_| state > passed.epochs) {
            gone_is_fine(leader_epochs::write(
                self.disk.as_ref(),
                &self.dir.join(leader_epochs::FILE),
                entries,
            ))?;
            passed.epochs = state;
        }
        if self.covers.names.is_some() {
            gone_is_fine(self.disk.sync_dir(&self.dir))?;
        }
        Ok(())
    }
}

fn gone_is_fine(result: Result<(), DiskError>) -> Result<(), DiskError> {
    match result {
        Err(error) if error.kind == DiskErrorKind::NotFound => Ok(()),
        other => other,
    }
}

impl FlushOutcome {
    /// Whether the disk did it.
    pub fn result(&self) -> Result<Offset, &DiskError> {
        self.result.as_ref().map(|()| Offset(self.covers.upto))
    }
}

impl Log {
    /// Whether `flush.ms`, `flush.messages` or a roll asks for a flush now.
    pub fn flush_due(&self, now_ms: i64) -> Option<FlushScope> {
        let waited = self.flush_deadline_ms().is_some_and(|deadline| now_ms >= deadline);
        if waited || (self.unflushed() > 0 && self.unflushed() >= self.config.flush_messages) {
            return Some(FlushScope::All);
        }
        let closed = self.segments.active_base();
        let records = closed > self.flush_begun.max(self.recovery_point);
        let indexes = self.closed_indexes.values().any(|index| !index.begun);
        (records || indexes).then_some(FlushScope::Closed)
    }

    /// When `flush.ms` will ask for a flush, if nothing else does before.
    pub fn flush_deadline_ms(&self) -> Option<i64> {
        self.unflushed_since_ms.map(|since| since.saturating_add(self.config.flush_ms))
    }

    /// Begins a flush. Another one may be running; each vouches for what it covers.
    pub fn begin_flush(&mut self, scope: FlushScope) -> FlushJob {
        let (upto, since_ms) = match scope {
            FlushScope::All => (self.end, self.unflushed_since_ms.take()),
            FlushScope::Closed => (self.segments.active_base(), None),
        };
        let last = self.segments.len().saturating_sub(1);
        let mut active = None;
        let mut names = Vec::new();
        for (at, segment) in self.segments.iter().enumerate() {
            let next = self.segments.next_base(at);
            if next.unwrap_or(self.end) <= self.recovery_point || segment.base >= upto {
                continue;
            }
            if at == last {
                active = self.segments.file(at).ok();
            }
            if active.is_none() {
                names.push(segment::file_name(segment.base, segment::LOG));
            }
        }
        if self.name_changes.is_new() {
            // Written when the log was made, without a sync.
            names.push(partition_metadata::FILE.to_owned());
        }
        let mut indexes = Vec::new();
        for (base, index) in self.closed_indexes.iter_mut().filter(|(base, _)| **base < upto) {
            index.begun = true;
            indexes.push((*base, index.written));
            names.push(segment::file_name(*base, segment::INDEX));
            names.push(segment::file_name(*base, segment::TIME_INDEX));
            let next = self.segments.next_base(self.segments.find(*base));
            names.extend(next.map(|next| segment::file_name(next, snapshot::EXTENSION)));
        }
        self.flush_begun = self.flush_begun.max(upto);
        let epochs = self.epoch_changes.unsynced();
        FlushJob {
            disk: Arc::clone(&self.disk),
            dir: self.dir.clone(),
            active,
            names,
            epochs: epochs.map(|_| self.epochs.entries().to_vec()),
            gate: Arc::clone(&self.flush_gate),
            covers: Covers {
                upto,
                truncations: self.truncations,
                since_ms,
                names: self.name_changes.unsynced(),
                epochs,
                indexes,
            },
        }
    }

    /// Ends a flush: the recovery point moves up. A failed fsync closes the log for writing;
    /// the caller takes the directory offline (unless `DiskError::heals`).
    pub fn finish_flush(&mut self, outcome: FlushOutcome) -> Result<Offset, LogError> {
        let covers = outcome.covers;
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        if let Err(error) = outcome.result {
            for (base, _) in covers.indexes {
                if let Some(index) = self.closed_indexes.get_mut(&base) {
                    index.begun = false;
                }
            }
            self.flush_begun = self.recovery_point;
            self.unflushed_since_ms = match (covers.since_ms, self.unflushed_since_ms) {
                (Some(before), Some(after)) => Some(before.min(after)),
                (before, after) => before.or(after),
            };
            return Err(self.maintenance_failed(error));
        }
        self.name_changes.settle(covers.names);
        self.epoch_changes.settle(covers.epochs);
        for (base, written) in covers.indexes {
            if self.closed_indexes.get(&base).is_some_and(|index| index.written == written) {
                self.closed_indexes.remove(&base);
            }
        }
        if covers.truncations == self.truncations {
            self.recovery_point = self.recovery_point.max(covers.upto);
        }
        Ok(Offset(self.recovery_point))
    }

    /// Flushes in place: for callers that hold no lock others wait for (the metadata log).
    pub fn flush(&mut self) -> Result<Offset, LogError> {
        let outcome = self.begin_flush(FlushScope::All).run();
        self.finish_flush(outcome)
    }

    /// Clean shutdown: indexes, producer snapshot and epochs are written, all is synced.
    /// Returns the recovery point for the checkpoint. Nothing may be appended afterwards.
    pub fn close(&mut self) -> Result<Offset, LogError> {
        if self.quarantine.is_some() {
            // Left as it is, for people to look at; nothing was appended since the start.
            return Ok(self.recovery_point());
        }
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        if !self.touched {
            // As the last clean stop left it; or never written to, and made anew when it is lost.
            return Ok(self.recovery_point());
        }
        if self.config.preallocate {
            self.trim_active();
        }
        let result = self.write_active_indexes().and_then(|()| self.write_snapshot(self.end));
        if let Err(error) = result {
            if error.heals() {
                // No clean stop; but no record is lost by it, were the power to go now.
                self.flush()?;
            }
            return Err(self.maintenance_failed(error));
        }
        let mut job = self.begin_flush(FlushScope::All);
        let base = self.segments.active_base();
        job.names.push(segment::file_name(base, segment::INDEX));
        job.names.push(segment::file_name(base, segment::TIME_INDEX));
        job.names.push(segment::file_name(self.end, snapshot::EXTENSION));
        let end = self.finish_flush(job.run())?;
        self.touched = false;
        Ok(end)
    }
}
