//! Why a log refused or failed: one enum per kind of call, each variant one decision of the caller.

use wire::ids::Offset;
use wire::records::BatchError;

use crate::disk::DiskError;

/// Where a log's bytes are not what they must be, or not there. What is bad is never served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corruption {
    /// Base offset of the segment.
    pub segment: Offset,
    /// Where in the segment's file the bad batch begins.
    pub position: u64,
    /// The first offset that cannot be trusted.
    pub offset: Offset,
    /// Where records go on, when those from `offset` on are missing altogether.
    pub missing_upto: Option<Offset>,
}

impl Corruption {
    /// Bytes that are no sound batch.
    pub(crate) fn bad_bytes(segment: i64, position: u64, offset: i64) -> Self {
        Self { segment: Offset(segment), position, offset: Offset(offset), missing_upto: None }
    }
}

impl std::fmt::Display for Corruption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { segment, position, offset, missing_upto } = self;
        match missing_upto {
            Some(upto) => write!(
                f,
                "records {offset}..{upto} are missing in or behind segment {segment}, from \
                 position {position}"
            ),
            None => write!(
                f,
                "corrupt bytes in segment {segment} at position {position}, offset {offset}"
            ),
        }
    }
}

impl std::error::Error for Corruption {}

/// Why an append was refused. Nothing of the call is in the log then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The call carried no batch. INVALID_RECORD.
    #[error("no record batch")]
    Empty,
    /// A client sent more than one batch for a partition. INVALID_RECORD.
    #[error("more than one record batch")]
    SeveralBatches,
    /// Not a well-formed batch, or its checksum is wrong. CORRUPT_MESSAGE.
    #[error("corrupt batch: {0}")]
    Corrupt(#[source] BatchError),
    /// Well-formed bytes that break a rule. INVALID_RECORD.
    #[error("invalid record: {0}")]
    InvalidRecord(#[source] BatchError),
    /// A batch of magic 0 or 1. INVALID_RECORD, as Kafka's Produce from version 3 on.
    #[error("message format {magic} is not served")]
    UnsupportedFormat {
        /// The batch's magic.
        magic: i8,
    },
    /// A control batch from a client. INVALID_RECORD.
    #[error("clients may not write control batches")]
    ControlBatch,
    /// A transactional batch, which this broker does not serve yet. INVALID_TXN_STATE.
    #[error("transactional batches are not served")]
    Transactional,
    /// A batch larger than `max.message.bytes`. MESSAGE_TOO_LARGE.
    #[error("batch of {bytes} bytes, {max} are allowed")]
    BatchTooLarge {
        /// The batch's size.
        bytes: u64,
        /// What is allowed.
        max: u32,
    },
    /// More than one segment can hold. RECORD_LIST_TOO_LARGE.
    #[error("append of {bytes} bytes, a segment holds {max}")]
    AppendTooLarge {
        /// All batches together.
        bytes: u64,
        /// `segment.bytes`.
        max: u32,
    },
    /// A record's time is too far from the broker's. INVALID_TIMESTAMP.
    #[error("timestamp {timestamp} is outside {min}..={max}")]
    TimestampOutOfRange {
        /// The record's.
        timestamp: i64,
        /// The least allowed.
        min: i64,
        /// The most allowed.
        max: i64,
    },
    /// Neither the producer's next sequence nor one of its last five batches.
    /// OUT_OF_ORDER_SEQUENCE_NUMBER.
    #[error("producer {producer_id}: sequence {got}, last was {last}")]
    OutOfOrderSequence {
        /// The producer.
        producer_id: i64,
        /// The last sequence in the log.
        last: i32,
        /// The batch's first sequence.
        got: i32,
    },
    /// The producer has been fenced by a newer epoch. INVALID_PRODUCER_EPOCH.
    #[error("producer {producer_id}: epoch {got} is older than {current}")]
    StaleProducerEpoch {
        /// The producer.
        producer_id: i64,
        /// The newest epoch seen.
        current: i16,
        /// The batch's epoch.
        got: i16,
    },
    /// A follower was given batches that do not continue its log.
    #[error("batch at offset {got}, the log ends at {end}")]
    OffsetMismatch {
        /// The batch's base offset.
        got: Offset,
        /// The log's end.
        end: Offset,
    },
    /// The disk is full; the log is as before and heals by itself. KAFKA_STORAGE_ERROR.
    #[error("disk full: {0}")]
    DiskFull(#[source] DiskError),
    /// The disk failed: take the directory offline. KAFKA_STORAGE_ERROR.
    #[error("disk failed: {0}")]
    Disk(#[source] DiskError),
    /// The start found that records are missing or where the log ends is not known: an offset might
    /// be given twice. KAFKA_STORAGE_ERROR.
    #[error("the log is closed for writing: {0}")]
    Quarantined(#[source] Corruption),
    /// An earlier failure closed this log for writing. KAFKA_STORAGE_ERROR.
    #[error("log is closed for writing by an earlier failure")]
    Poisoned,
}

/// Why a read was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// OFFSET_OUT_OF_RANGE.
    #[error("offset {offset} is outside {start}..={end}")]
    OutOfRange {
        /// What was asked for.
        offset: Offset,
        /// The log's start.
        start: Offset,
        /// The log's end.
        end: Offset,
    },
    /// The batch there is corrupt and is not served: the replica needs repair.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// The disk failed. KAFKA_STORAGE_ERROR.
    #[error("disk failed: {0}")]
    Disk(#[from] DiskError),
}

/// Why opening or maintaining a log failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The disk failed; `DiskError::heals` tells a full disk from a broken one.
    #[error("disk failed: {0}")]
    Disk(#[from] DiskError),
    /// Bytes that had to be read are corrupt.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// A segment of messages as they were before Kafka 0.11.
    #[error(
        "{} holds messages of format {magic}, of before Kafka 0.11, which are not read here; \
         nothing was changed. Start Kafka again and copy the topic to another, or delete its \
         records", file.display()
    )]
    OldFormat {
        /// The file.
        file: std::path::PathBuf,
        /// The format: 0 or 1.
        magic: u8,
    },
    /// An offset outside the log.
    #[error("offset {offset} is outside {start}..={end}")]
    OutOfRange {
        /// What was asked for.
        offset: Offset,
        /// The log's start.
        start: Offset,
        /// The log's end.
        end: Offset,
    },
    /// A file of ours that cannot be understood and cannot be rebuilt.
    #[error("{name} cannot be read: {problem}")]
    BadFile {
        /// The file's name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An earlier failure closed this log for writing.
    #[error("log is closed for writing by an earlier failure")]
    Poisoned,
}

impl From<ReadError> for LogError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::OutOfRange { offset, start, end } => Self::OutOfRange { offset, start, end },
            ReadError::Corrupt(corruption) => Self::Corrupt(corruption),
            ReadError::Disk(error) => Self::Disk(error),
        }
    }
}
