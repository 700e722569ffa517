//! Why a batch is not taken or not believed.

use crate::compression::CompressionError;

/// What is wrong with a record batch.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// Fewer bytes than a batch needs, or than this one announces.
    #[error("truncated batch: {have} bytes of {need}")]
    Truncated {
        /// Bytes that are there.
        have: usize,
        /// Bytes that the batch needs.
        need: usize,
    },
    /// The announced length is smaller than a header, or negative.
    #[error("impossible batch length {0}")]
    BadLength(i32),
    /// Not magic 2. Magic 0 and 1 are message sets of Kafka before 0.11.
    #[error("unsupported magic {0}")]
    UnsupportedMagic(i8),
    /// The bytes do not match their CRC-32C.
    #[error("crc is {computed:#010x}, the batch says {stored:#010x}")]
    CrcMismatch {
        /// Of the bytes that are there.
        computed: u32,
        /// What the batch says.
        stored: u32,
    },
    /// The attributes name a codec that Kafka does not have.
    #[error("unknown compression codec {0}")]
    UnknownCodec(i16),
    /// The records could not be decompressed, or are too large when decompressed.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// The header contradicts itself or the records.
    #[error("invalid batch: {0}")]
    InvalidBatch(&'static str),
    /// One record is malformed or breaks a rule.
    #[error("invalid record {index}: {reason}")]
    InvalidRecord {
        /// The record's index in the batch.
        index: i32,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// A record's timestamp is outside `message.timestamp.{before,after}.max.ms`.
    #[error("timestamp {timestamp} of record {index} is out of range")]
    InvalidTimestamp {
        /// The record's index in the batch.
        index: i32,
        /// Its timestamp, in milliseconds.
        timestamp: i64,
    },
    /// A batch under construction would pass 2 GiB.
    #[error("batch too large to build")]
    TooLargeToBuild,
}
