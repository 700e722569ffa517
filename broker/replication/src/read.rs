//! Reading from a partition: byte ranges for fetches, offsets for times.

use storage::FileRange;
use storage::log::{Aborted, LATEST};
use wire::ids::{LeaderEpoch, Offset};

use crate::error::Error;
use crate::partition::Partition;

/// Which records a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// A follower: up to the log's end.
    LogEnd,
    /// A consumer: up to the high watermark.
    HighWatermark,
    /// A consumer that reads committed: up to the last stable offset.
    Committed,
}

/// One read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// The first offset wanted.
    pub fetch_offset: Offset,
    /// The most bytes wanted.
    pub max_bytes: u32,
    /// Whether the first batch comes even if it alone is larger.
    pub min_one: bool,
    /// What the reader may see.
    pub isolation: Isolation,
    /// The leader epoch that the reader knows; -1 is none.
    pub current_leader_epoch: LeaderEpoch,
}

/// What a read found.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The bytes, whole batches; `None` when there are none.
    pub range: Option<FileRange>,
    /// The offset behind the last batch of it.
    pub next_offset: Offset,
    /// The high watermark.
    pub high_watermark: Offset,
    /// The last stable offset.
    pub last_stable_offset: Offset,
    /// The first offset there is.
    pub log_start_offset: Offset,
    /// Transactions whose records a reader of committed ones leaves out.
    pub aborted: Vec<Aborted>,
}

/// Where a time is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetAt {
    /// The offset.
    pub offset: Offset,
    /// The record's timestamp; -1 for a position that is not a record's.
    pub timestamp_ms: i64,
    /// The epoch of the record's leader; -1 is unknown.
    pub leader_epoch: LeaderEpoch,
}

impl Fetched {
    /// The number of bytes found.
    #[must_use]
    pub fn bytes(&self) -> u32 {
        self.range.as_ref().map_or(0, |range| range.len)
    }
}

impl Partition {
    /// Finds the bytes for a fetch. Nothing is copied: the ranges are read by whoever sends them.
    ///
    /// # Errors
    /// The epoch does not fit, the offset is out of range, the batch there is corrupt, or the
    /// disk failed.
    pub fn read(&self, request: ReadRequest) -> Result<Fetched, Error> {
        let leader = self.lock();
        self.check_leading()?;
        leader.check_epoch(request.current_leader_epoch)?;
        // Taken under the lock, so that it is never beyond the log's end.
        let high_watermark = self.high_watermark();
        let last_stable_offset = leader.log().last_stable_offset(high_watermark);
        let upto = match request.isolation {
            Isolation::LogEnd => leader.end_offset(),
            Isolation::HighWatermark => high_watermark,
            Isolation::Committed => last_stable_offset,
        };
        let ReadRequest { fetch_offset, max_bytes, min_one, .. } = request;
        let slice = leader.log().read(fetch_offset, max_bytes, upto, min_one)?;
        let aborted = match request.isolation {
            Isolation::Committed => {
                leader.log().aborted_transactions(fetch_offset, slice.next_offset)
            }
            _ => Vec::new(),
        };
        Ok(Fetched {
            next_offset: slice.next_offset,
            range: slice.range,
            high_watermark,
            last_stable_offset,
            log_start_offset: leader.start_offset(),
            aborted,
        })
    }

    /// The first record with this timestamp or a later one, or what one of the protocol's
    /// negative timestamps stands for (`storage::log::{LATEST, EARLIEST, ..}`); `None` when no
    /// record fits.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn list_offset(
        &self,
        timestamp: i64,
        isolation: Isolation,
        current_leader_epoch: LeaderEpoch,
    ) -> Result<Option<OffsetAt>, Error> {
        let leader = self.lock();
        self.check_leading()?;
        leader.check_epoch(current_leader_epoch)?;
        let upto = match isolation {
            Isolation::LogEnd => leader.end_offset(),
            Isolation::HighWatermark => self.high_watermark(),
            Isolation::Committed => leader.log().last_stable_offset(self.high_watermark()),
        };
        let found = leader.log().offset_for_timestamp(timestamp, upto)?;
        Ok(found.map(|at| OffsetAt {
            offset: at.offset,
            timestamp_ms: at.timestamp,
            leader_epoch: match timestamp {
                LATEST => leader.epoch(),
                _ => at.leader_epoch.unwrap_or(LeaderEpoch::UNKNOWN),
            },
        }))
    }

    /// Where the largest epoch not above `epoch` ends; `None` when it is not known here.
    ///
    /// # Errors
    /// The caller's leader epoch does not fit, or the partition does not serve.
    pub fn end_offset_for_epoch(
        &self,
        epoch: LeaderEpoch,
        current_leader_epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, Error> {
        let leader = self.lock();
        self.check_leading()?;
        leader.check_epoch(current_leader_epoch)?;
        if epoch == leader.epoch() {
            return Ok(Some((epoch, leader.end_offset())));
        }
        Ok(leader.log().end_offset_for_epoch(epoch))
    }
}
