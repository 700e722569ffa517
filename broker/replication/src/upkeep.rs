//! Looking after a partition's log: retention, DeleteRecords, idle producers, configuration.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use storage::LogConfig;
use storage::config::Compression;
use storage::log::Retired;
use wire::ids::Offset;

use crate::error::Error;
use crate::partition::Partition;

/// What the checkpoints of a log directory say of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpointed {
    /// Everything below is durable.
    pub recovery_point: Offset,
    /// The first offset there is.
    pub log_start_offset: Offset,
    /// The high watermark.
    pub high_watermark: Offset,
}

impl Partition {
    /// Applies retention, and closes the active segment if its time has come. The files to remove
    /// are in the answer.
    ///
    /// # Errors
    /// The disk failed.
    pub fn apply_retention(&self, now_ms: i64) -> Result<Retired, Error> {
        self.check_serving()?;
        let mut leader = self.lock_to_change()?;
        let high_watermark = self.high_watermark();
        Ok(leader.log_mut().apply_retention(now_ms, high_watermark)?)
    }

    /// Gives up all records below `upto`; -1 is the high watermark. Returns the new log start.
    ///
    /// # Errors
    /// OFFSET_OUT_OF_RANGE beyond the high watermark; the disk failed.
    pub fn delete_records(&self, upto: Offset) -> Result<Offset, Error> {
        let start = {
            let mut leader = self.lock_to_change()?;
            self.check_leading()?;
            let high_watermark = self.high_watermark();
            let upto = if upto == Offset(-1) { high_watermark } else { upto };
            leader.log_mut().delete_records(upto, high_watermark)?
        };
        // A fetch that waits below the new start has an error to hear of.
        self.purgatory.wake_all();
        Ok(start)
    }

    /// Forgets producers idle for too long; says how many.
    ///
    /// # Errors
    /// [`Error::Offline`].
    pub fn expire_producers(&self, now_ms: i64) -> Result<usize, Error> {
        Ok(self.lock_to_change()?.log_mut().expire_producers(now_ms))
    }

    /// Puts a new configuration in force.
    ///
    /// # Errors
    /// [`Error::Offline`].
    pub fn update_config(&self, config: Arc<LogConfig>) -> Result<(), Error> {
        let converts = config.compression != Compression::Producer;
        self.lock_to_change()?.log_mut().update_config(config);
        self.converts.store(converts, Ordering::Relaxed);
        Ok(())
    }

    /// `file.delete.delay.ms`.
    #[must_use]
    pub fn file_delete_delay_ms(&self) -> i64 {
        self.lock().log().config().file_delete_delay_ms
    }

    /// The numbers that the directory's checkpoints hold.
    #[must_use]
    pub fn checkpointed(&self) -> Checkpointed {
        let leader = self.lock();
        Checkpointed {
            recovery_point: leader.log().recovery_point(),
            log_start_offset: leader.start_offset(),
            high_watermark: self.high_watermark(),
        }
    }

    /// Clean shutdown of the log: everything is written and synced, nothing is appended after.
    ///
    /// # Errors
    /// The disk failed: the stop was not clean.
    pub fn close(&self) -> Result<Checkpointed, Error> {
        self.check_serving()?;
        self.lock_to_change()?.log_mut().close()?;
        let closed = self.checkpointed();
        self.go_offline();
        Ok(closed)
    }
}
