//! What the server calls by timer, on a blocking thread: flushes, retention, checkpoints, and the
//! clean stop.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use replication::{Checkpointed, Partition};
use storage::directory::PartitionCheckpoint;
use storage::log::Deletion;

use crate::error::Error;
use crate::node::Node;
use crate::notice::Notice;
use crate::reconcile::name_of;

/// Deleted topics whose bytes one call removes.
const REMOVALS_PER_CALL_MAX: usize = 100;
/// Logs closed at once for each thread that `num.recovery.threads.per.data.dir` allows: they wait
/// for the disk, they do not compute.
const CLOSES_PER_THREAD: usize = 16;
/// Logs closed at once, at most.
const CLOSES_MAX: usize = 64;

impl Node {
    /// Flushes the partitions whose `flush.ms` has passed, and segments that a roll has closed.
    pub fn flush_due(&self, now_ms: i64) {
        for partition in self.partitions.all() {
            if let Err(error) = partition.flush_if_due(now_ms) {
                self.partition_failed(&partition, &error);
            }
        }
    }

    /// Applies retention to every partition (`log.retention.check.interval.ms`).
    pub fn run_retention(&self, now_ms: i64) {
        let mut deletions = Vec::new();
        for partition in self.partitions.all() {
            match partition.apply_retention(now_ms) {
                Ok(retired) => deletions.extend(retired.deletion),
                Err(error) => self.partition_failed(&partition, &error),
            }
        }
        self.deletions().extend(deletions);
    }

    /// Removes the files whose `file.delete.delay.ms` has passed. Worth calling every second or so.
    pub fn remove_due(&self, now_ms: i64) {
        let (due, later): (Vec<Deletion>, Vec<Deletion>) =
            std::mem::take(&mut *self.deletions()).into_iter().partition(|d| d.due_ms <= now_ms);
        self.deletions().extend(later);
        for deletion in due {
            if let Err(error) = deletion.run(&*self.disk) {
                // The names end in `.deleted`: the next start removes what is left of them.
                self.notices.push(Notice::Upkeep { error });
            }
        }
        self.dirs.remove_due(now_ms, REMOVALS_PER_CALL_MAX);
        self.follow_offline_dirs();
    }

    /// Writes the directories' checkpoints (`log.flush.offset.checkpoint.interval.ms`).
    pub fn checkpoint(&self) {
        for error in self.dirs.write_checkpoints(&self.checkpoints()) {
            self.notices.push(Notice::Upkeep { error });
        }
        self.follow_offline_dirs();
    }

    /// Forgets idle producers (`producer.id.expiration.check.interval.ms`).
    pub fn expire_producers(&self, now_ms: i64) {
        for partition in self.partitions.all() {
            // An offline partition has nothing to forget.
            let _ = partition.expire_producers(now_ms);
        }
    }

    /// What the node has had to say since the last call.
    pub fn take_notices(&self) -> Vec<Notice> {
        self.notices.take()
    }

    /// Why the node cannot go on, if it cannot: every log directory is offline, or the one of the
    /// metadata log.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let metadata = self.metadata_dir.offline_reason().cloned();
        metadata.or_else(|| self.dirs.all_offline()).map(|error| error.to_string())
    }

    /// The log directories that are out of service.
    #[must_use]
    pub fn offline_dirs(&self) -> Vec<std::path::PathBuf> {
        let offline = self.dirs.dirs().iter().filter(|dir| dir.is_offline());
        offline.map(|dir| dir.path().to_path_buf()).collect()
    }

    /// A clean stop: flushes and closes every log, writes the checkpoints and the markers. No
    /// other call may follow. A partition whose log does not close makes its directory unclean; a
    /// broker that had not opened its logs yet leaves its directories as it found them.
    ///
    /// # Errors
    /// The metadata log did not close.
    pub fn shutdown(&self, _now_ms: i64) -> Result<(), Error> {
        let mut closed = Vec::new();
        let mut full = Vec::new();
        for (partition, done) in self.close_all() {
            match done {
                Ok(at) => closed.extend(checkpoint_of(&partition, at)),
                Err(replication::Error::Offline) => {}
                Err(error) => {
                    self.partition_failed(&partition, &error);
                    full.extend(error.disk_error().filter(|error| error.heals()).cloned());
                }
            }
        }
        if let Some(first) = full.first() {
            let what = format!("{} logs, the first: {first}", full.len());
            self.notices.push(Notice::NotClosed { what });
        }
        // Before the markers, which speak for it, too: the power may go in between.
        let metadata = self.plane().close();
        if !matches!(metadata, Ok(true)) {
            self.metadata_dir.leave_unclean();
        }
        let epoch = self.broker_epoch.load(Ordering::Relaxed);
        if self.applying().loaded || !self.config.quorum.roles.broker {
            for error in self.dirs.close_clean(&closed, epoch) {
                self.notices.push(Notice::NotClosed { what: error.to_string() });
            }
        }
        if let Some(metadata_dirs) = &self.metadata_dirs {
            metadata_dirs.close_clean(&[], epoch);
        }
        metadata.map(drop)
    }

    /// Closes every log, several at a time: they wait for the disk, which makes what is asked of it
    /// at once durable at once (decision 005).
    fn close_all(&self) -> Vec<(Arc<Partition>, Result<Checkpointed, replication::Error>)> {
        let partitions = self.partitions.all();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            while let Some(partition) = partitions.get(next.fetch_add(1, Ordering::Relaxed)) {
                done.push((Arc::clone(partition), partition.close()));
            }
            done
        };
        let threads = match self.config.recovery_threads {
            // One after another, on this thread.
            0 | 1 => 1,
            threads => threads.saturating_mul(CLOSES_PER_THREAD).min(CLOSES_MAX),
        };
        std::thread::scope(|scope| {
            let others: Vec<_> =
                (1..threads.min(partitions.len())).map(|_| scope.spawn(work)).collect();
            let mut done = work();
            for other in others {
                match other.join() {
                    Ok(theirs) => done.extend(theirs),
                    // What it closed counts as not closed: the next start recovers.
                    Err(_panicked) => {}
                }
            }
            done
        })
    }

    fn checkpoints(&self) -> Vec<PartitionCheckpoint> {
        let all = self.partitions.all();
        all.iter().filter_map(|p| checkpoint_of(p, p.checkpointed())).collect()
    }

    fn deletions(&self) -> std::sync::MutexGuard<'_, Vec<Deletion>> {
        self.deletions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn checkpoint_of(
    partition: &Partition,
    at: replication::Checkpointed,
) -> Option<PartitionCheckpoint> {
    Some(PartitionCheckpoint {
        partition: name_of(partition)?,
        recovery_point: at.recovery_point,
        log_start: at.log_start_offset,
        high_watermark: at.high_watermark,
    })
}
