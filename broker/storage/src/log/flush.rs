//! Making appended bytes durable. In three parts, so that the fsync runs off the partition's lock
//! and one fsync serves every append that was made before it began (group commit):
//! `begin_flush` under the lock, `FlushJob::run` on a thread that may block, `finish_flush` under
//! the lock again.

use wire::ids::Offset;

use super::Log;
use crate::disk::DiskError;
use crate::error::LogError;

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
pub struct FlushJob {
    upto: i64,
}

/// What came of a flush.
#[derive(Debug)]
#[must_use = "give it to Log::finish_flush"]
pub struct FlushOutcome {
    upto: i64,
    result: Result<(), DiskError>,
}

impl FlushJob {
    /// Everything below this offset is durable once the job has succeeded.
    pub fn upto(&self) -> Offset {
        Offset(self.upto)
    }

    /// Syncs. Blocks.
    pub fn run(self) -> FlushOutcome {
        FlushOutcome { upto: self.upto, result: Ok(()) }
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
    pub fn flush_due(&self, _now_ms: i64) -> Option<FlushScope> {
        None
    }

    /// When `flush.ms` will ask for a flush, if nothing else does before.
    pub fn flush_deadline_ms(&self) -> Option<i64> {
        None
    }

    /// Begins a flush.
    pub fn begin_flush(&mut self, _scope: FlushScope) -> FlushJob {
        FlushJob { upto: self.end }
    }

    /// Ends a flush: the recovery point moves up. A failed fsync closes the log for writing;
    /// the caller takes the directory offline (unless `DiskError::heals`).
    pub fn finish_flush(&mut self, outcome: FlushOutcome) -> Result<Offset, LogError> {
        outcome.result?;
        Ok(Offset(outcome.upto))
    }

    /// Flushes in place: for callers that hold no lock others wait for (the metadata log).
    pub fn flush(&mut self) -> Result<Offset, LogError> {
        let outcome = self.begin_flush(FlushScope::All).run();
        self.finish_flush(outcome)
    }

    /// Clean shutdown: indexes, producer snapshot and epochs are written, all is synced.
    /// Returns the recovery point for the checkpoint. Nothing may be appended afterwards.
    pub fn close(&mut self) -> Result<Offset, LogError> {
        self.flush()
    }
}
