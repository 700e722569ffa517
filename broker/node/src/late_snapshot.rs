//! A snapshot of the metadata that the disk had no space for. Nothing is lost without it, so it
//! waits, and is tried again now and then: the same one, as no newer is asked for meanwhile.

use bytes::Bytes;
use quorum::SnapshotId;
use storage::disk::DiskError;

/// How long a snapshot waits for space before it is tried again.
const RETRY_MS: i64 = 30_000;

/// A snapshot, ready to be written.
pub(crate) struct Snapshot {
    pub(crate) id: SnapshotId,
    pub(crate) name: String,
    pub(crate) file: Bytes,
}

/// The one that waits, if one does.
#[derive(Default)]
pub(crate) struct LateSnapshot {
    waiting: Option<(i64, Snapshot)>,
    /// Whether it is known that one waits.
    told: bool,
    news: Option<DiskError>,
}

impl LateSnapshot {
    /// The snapshot whose time has come.
    pub(crate) fn due(&mut self, now_ms: i64) -> Option<Snapshot> {
        // A clock that was set back makes nothing wait longer.
        let waited = |(since, _): &mut (i64, Snapshot)| {
            now_ms < *since || now_ms.saturating_sub(*since) >= RETRY_MS
        };
        self.waiting.take_if(waited).map(|(_, snapshot)| snapshot)
    }

    /// There was no space for it.
    pub(crate) fn wait(&mut self, now_ms: i64, snapshot: Snapshot, error: DiskError) {
        self.waiting = Some((now_ms, snapshot));
        if !self.told {
            self.told = true;
            self.news = Some(error);
        }
    }

    /// There is space again.
    pub(crate) fn written(&mut self) {
        self.told = false;
    }

    /// Why one waits, once.
    pub(crate) fn take_news(&mut self) -> Option<DiskError> {
        self.news.take()
    }
}
