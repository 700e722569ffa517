//! Making appended bytes durable. In three parts, so that the fsync runs off the partition's lock
//! and one fsync serves every append that was made before it began (group commit):
//! `begin_flush` under the lock, `FlushJob::run` on a thread that may block, `finish_flush` under
//! the lock again.

use std::path::PathBuf;
use std::sync::Arc;

use wire::ids::{LeaderEpoch, Offset};

use super::Log;
use crate::checkpoints::leader_epochs;
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
    sync_names: bool,
    /// The epochs to write, when they differ from their checkpoint.
    epochs: Option<Vec<(LeaderEpoch, Offset)>>,
    upto: i64,
    since_ms: Option<i64>,
}

/// What came of a flush.
#[derive(Debug)]
#[must_use = "give it to Log::finish_flush"]
pub struct FlushOutcome {
    upto: i64,
    result: Result<(), DiskError>,
    names_left: bool,
    epochs_left: bool,
    since_ms: Option<i64>,
}

impl FlushJob {
    /// Everything below this offset is durable once the job has succeeded.
    pub fn upto(&self) -> Offset {
        Offset(self.upto)
    }

    /// Syncs. Blocks.
    pub fn run(self) -> FlushOutcome {
        let result = self.sync();
        let failed = result.is_err();
        FlushOutcome {
            upto: self.upto,
            result,
            names_left: failed && self.sync_names,
            epochs_left: failed && self.epochs.is_some(),
            since_ms: self.since_ms,
        }
    }

    fn sync(&self) -> Result<(), DiskError> {
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
        if let Some(entries) = &self.epochs {
            gone_is_fine(leader_epochs::write(
                self.disk.as_ref(),
                &self.dir.join(leader_epochs::FILE),
                entries,
            ))?;
        }
        if self.sync_names {
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
        self.result.as_ref().map(|()| Offset(self.upto))
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
        (closed > self.flush_begun.max(self.recovery_point)).then_some(FlushScope::Closed)
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
            if let Some(next) = next {
                names.push(segment::file_name(segment.base, segment::INDEX));
                names.push(segment::file_name(segment.base, segment::TIME_INDEX));
                names.push(segment::file_name(next, snapshot::EXTENSION));
            }
        }
        self.flush_begun = self.flush_begun.max(upto);
        let epochs = std::mem::take(&mut self.epochs_dirty).then(|| self.epochs.entries().to_vec());
        FlushJob {
            disk: Arc::clone(&self.disk),
            dir: self.dir.clone(),
            active,
            names,
            sync_names: std::mem::take(&mut self.names_dirty),
            epochs,
            upto,
            since_ms,
        }
    }

    /// Ends a flush: the recovery point moves up. A failed fsync closes the log for writing;
    /// the caller takes the directory offline (unless `DiskError::heals`).
    pub fn finish_flush(&mut self, outcome: FlushOutcome) -> Result<Offset, LogError> {
        self.names_dirty |= outcome.names_left;
        self.epochs_dirty |= outcome.epochs_left;
        if let Err(error) = outcome.result {
            self.flush_begun = self.recovery_point;
            self.unflushed_since_ms = match (outcome.since_ms, self.unflushed_since_ms) {
                (Some(before), Some(after)) => Some(before.min(after)),
                (before, after) => before.or(after),
            };
            return Err(self.maintenance_failed(error));
        }
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        // A truncation may have come between.
        self.recovery_point = self.recovery_point.max(outcome.upto.min(self.end));
        Ok(self.recovery_point())
    }

    /// Flushes in place: for callers that hold no lock others wait for (the metadata log).
    pub fn flush(&mut self) -> Result<Offset, LogError> {
        let outcome = self.begin_flush(FlushScope::All).run();
        self.finish_flush(outcome)
    }

    /// Clean shutdown: indexes, producer snapshot and epochs are written, all is synced.
    /// Returns the recovery point for the checkpoint. Nothing may be appended afterwards.
    pub fn close(&mut self) -> Result<Offset, LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        let result = self.write_active_indexes().and_then(|()| self.write_snapshot(self.end));
        result.map_err(|error| self.maintenance_failed(error))?;
        let mut job = self.begin_flush(FlushScope::All);
        let base = self.segments.active_base();
        job.names.push(segment::file_name(base, segment::INDEX));
        job.names.push(segment::file_name(base, segment::TIME_INDEX));
        job.names.push(segment::file_name(self.end, snapshot::EXTENSION));
        self.finish_flush(job.run())
    }
}
