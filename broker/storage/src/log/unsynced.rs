//! What a log has changed on disk and not synced yet, and the gate that flushes pass one by one.
//!
//! Several flushes of one log may be begun before the first has ended. Each must cover everything
//! that the offsets it promises rest on, so a change counts as unsynced until a flush that covers
//! it has ended well, not from when one was begun.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::disk::DiskError;

/// Counts changes of one kind, and up to which of them the disk has them.
#[derive(Debug, Default)]
pub(super) struct Changes {
    made: u64,
    synced: u64,
}

impl Changes {
    /// One change is made already.
    pub(super) fn made() -> Self {
        Self { made: 1, synced: 0 }
    }

    pub(super) fn mark(&mut self) {
        self.made += 1;
    }

    pub(super) fn mark_if(&mut self, changed: bool) {
        if changed {
            self.mark();
        }
    }

    /// What a flush that begins now has to cover; None when there is nothing.
    pub(super) fn unsynced(&self) -> Option<u64> {
        (self.made > self.synced).then_some(self.made)
    }

    /// Whether no flush has covered any yet.
    pub(super) fn is_new(&self) -> bool {
        self.synced == 0
    }

    /// A flush that covered the changes up to this one has ended well.
    pub(super) fn settle(&mut self, upto: Option<u64>) {
        self.synced = self.synced.max(upto.unwrap_or(0));
    }
}

/// A closed segment whose index files are not synced.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnsyncedIndex {
    /// Which writing of the files it was.
    pub(super) written: u64,
    /// Whether a flush has been begun on them.
    pub(super) begun: bool,
}

/// Lets the flushes of one log run one at a time: they write one checkpoint, and after a failed
/// sync the next one would succeed, as the kernel has marked the lost pages clean.
#[derive(Debug, Default)]
pub(super) struct FlushGate(Mutex<Passed>);

/// What has passed the gate.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// The first failure that does not heal: no flush succeeds after it.
    pub(super) failure: Option<DiskError>,
    /// The newest state of the epochs that was written.
    pub(super) epochs: u64,
}

impl FlushGate {
    pub(super) fn enter(&self) -> MutexGuard<'_, Passed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
