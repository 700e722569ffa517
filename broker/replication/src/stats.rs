//! What is counted of a partition, for metrics and for DescribeProducers.

use std::sync::atomic::{AtomicU64, Ordering};

use storage::producers::Producer;
use wire::ErrorCode;
use wire::ids::Offset;

use crate::append::Produced;
use crate::error::Error;
use crate::partition::Partition;
use crate::purgatory::Waiting;

/// What has gone in and out since the partition was opened.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    records_in: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    bytes_rejected: AtomicU64,
    produces: AtomicU64,
    produces_failed: AtomicU64,
    fetches: AtomicU64,
    fetches_failed: AtomicU64,
}

/// [`Traffic`] at one moment, of one partition or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficCounts {
    /// Records appended.
    pub records_in: u64,
    /// Bytes appended.
    pub bytes_in: u64,
    /// Bytes handed to fetches.
    pub bytes_out: u64,
    /// Bytes refused because they were too many at once.
    pub bytes_rejected: u64,
    /// Appends asked for.
    pub produces: u64,
    /// Appends refused for what they held.
    pub produces_failed: u64,
    /// Reads answered.
    pub fetches: u64,
    /// Reads that met something corrupt.
    pub fetches_failed: u64,
}

/// A partition at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionStats {
    /// The first offset there is.
    pub log_start: Offset,
    /// The offset that the next record gets.
    pub log_end: Offset,
    /// The high watermark.
    pub high_watermark: Offset,
    /// Bytes of the log on disk.
    pub size_bytes: u64,
    /// Segments of the log.
    pub segments: usize,
    /// Producers that the log remembers.
    pub producers: usize,
    /// Who waits.
    pub waiting: Waiting,
    /// What has gone in and out.
    pub traffic: TrafficCounts,
}

impl std::ops::AddAssign for TrafficCounts {
    fn add_assign(&mut self, other: Self) {
        self.records_in += other.records_in;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.bytes_rejected += other.bytes_rejected;
        self.produces += other.produces;
        self.produces_failed += other.produces_failed;
        self.fetches += other.fetches;
        self.fetches_failed += other.fetches_failed;
    }
}

impl Traffic {
    /// Counts an append of `bytes`.
    pub(crate) fn appended(&self, bytes: usize, outcome: &Result<Produced, Error>) {
        let add = |counter: &AtomicU64, count| {
            counter.fetch_add(count, Ordering::Relaxed);
        };
        let bytes = bytes as u64;
        add(&self.produces, 1);
        match outcome {
            Ok(produced) if produced.duplicate => {}
            Ok(produced) => {
                let records = produced.last_offset.0 - produced.first_offset.0 + 1;
                add(&self.records_in, u64::try_from(records).unwrap_or(0));
                add(&self.bytes_in, bytes);
            }
            Err(error) => match error.code() {
                ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => {
                    add(&self.bytes_rejected, bytes);
                }
                // As in Kafka: what the client finds out about by itself is no failure.
                ErrorCode::UnknownTopicOrPartition
                | ErrorCode::NotLeaderOrFollower
                | ErrorCode::FencedLeaderEpoch
                | ErrorCode::UnknownLeaderEpoch
                | ErrorCode::CorruptMessage
                | ErrorCode::KafkaStorageError => {}
                _ => add(&self.produces_failed, 1),
            },
        }
    }

    fn counts(&self) -> TrafficCounts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TrafficCounts {
            records_in: get(&self.records_in),
            bytes_in: get(&self.bytes_in),
            bytes_out: get(&self.bytes_out),
            bytes_rejected: get(&self.bytes_rejected),
            produces: get(&self.produces),
            produces_failed: get(&self.produces_failed),
            fetches: get(&self.fetches),
            fetches_failed: get(&self.fetches_failed),
        }
    }
}

impl Partition {
    /// Counts a read that is answered with `bytes`; a long poll looks several times and answers
    /// once.
    pub fn note_fetched(&self, bytes: u64) {
        self.traffic.fetches.fetch_add(1, Ordering::Relaxed);
        self.traffic.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts a read that is answered with the news that the log is corrupt there.
    pub fn note_fetch_failed(&self) {
        self.traffic.fetches.fetch_add(1, Ordering::Relaxed);
        self.traffic.fetches_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// What has gone in and out.
    #[must_use]
    pub fn traffic(&self) -> TrafficCounts {
        self.traffic.counts()
    }

    /// The partition at this moment.
    #[must_use]
    pub fn stats(&self) -> PartitionStats {
        let waiting = self.purgatory.waiting();
        let leader = self.lock();
        let log = leader.log();
        PartitionStats {
            log_start: leader.start_offset(),
            log_end: leader.end_offset(),
            high_watermark: self.high_watermark(),
            size_bytes: log.size_bytes(),
            segments: log.segment_count(),
            producers: log.producers().len(),
            waiting,
            traffic: self.traffic.counts(),
        }
    }

    /// Shows every producer that the log remembers, in the order of their ids, under the
    /// partition's lock.
    ///
    /// # Errors
    /// The partition does not serve.
    pub fn for_each_producer(&self, mut look: impl FnMut(i64, &Producer)) -> Result<(), Error> {
        self.check_leading()?;
        for (id, producer) in self.lock().log().producers().iter() {
            look(id, producer);
        }
        Ok(())
    }
}
