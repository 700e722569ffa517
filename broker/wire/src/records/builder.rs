//! Builds batches: for clients, coordinators and the metadata log.

use bytes::Bytes;

use super::batch::seal;
use super::header::{
    Attributes, BatchHeader, HEADER_BYTES, LENGTH_PREFIX_BYTES, NO_SEQUENCE, NO_TIMESTAMP,
};
use super::varint::{put_varlong, varlong_bytes};
use super::{BatchError, TimestampType};
use crate::compression::{Codec, compress};

/// What a batch says besides its records.
#[derive(Clone, Copy, Debug)]
pub struct BatchOptions {
    /// Offset of the first record.
    pub base_offset: i64,
    /// -1 from a producer.
    pub leader_epoch: i32,
    /// How the records are compressed.
    pub codec: Codec,
    /// The codec's level, or its default.
    pub level: Option<i32>,
    /// Whose clock the timestamps are.
    pub timestamp_type: TimestampType,
    /// -1 is none.
    pub producer_id: i64,
    /// -1 is none.
    pub producer_epoch: i16,
    /// -1 is none.
    pub base_sequence: i32,
    /// Whether it belongs to a transaction.
    pub transactional: bool,
    /// Whether it holds control records.
    pub control: bool,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            base_offset: 0,
            leader_epoch: -1,
            codec: Codec::None,
            level: None,
            timestamp_type: TimestampType::CreateTime,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: NO_SEQUENCE,
            transactional: false,
            control: false,
        }
    }
}

/// A batch under construction.
#[derive(Debug)]
pub struct BatchBuilder {
    options: BatchOptions,
    base_timestamp: i64,
    max_timestamp: i64,
    count: i32,
    records: Vec<u8>,
}

impl BatchBuilder {
    /// An empty batch.
    #[must_use]
    pub fn new(options: BatchOptions) -> Self {
        Self {
            options,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
            count: 0,
            records: Vec::new(),
        }
    }

    /// How many records it holds.
    #[must_use]
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Bytes so far, before compression.
    #[must_use]
    pub fn plain_bytes(&self) -> usize {
        HEADER_BYTES + self.records.len()
    }

    /// Appends a record. `timestamp` is in ms.
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&[u8], Option<&[u8]>)],
    ) {
        if self.count == 0 {
            self.base_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp);
        let offset_delta = i64::from(self.count);
        let body = 1
            + varlong_bytes(timestamp_delta)
            + varlong_bytes(offset_delta)
            + nullable_bytes(key)
            + nullable_bytes(value)
            + varlong_bytes(length_of(headers.len()))
            + headers
                .iter()
                .map(|(k, v)| nullable_bytes(Some(k)) + nullable_bytes(*v))
                .sum::<usize>();
        let into = &mut self.records;
        put_varlong(into, length_of(body));
        into.push(0);
        put_varlong(into, timestamp_delta);
        put_varlong(into, offset_delta);
        put_nullable(into, key);
        put_nullable(into, value);
        put_varlong(into, length_of(headers.len()));
        for (key, value) in headers {
            put_nullable(into, Some(key));
            put_nullable(into, *value);
        }
        self.count = self.count.saturating_add(1);
    }

    /// The finished batch.
    ///
    /// # Errors
    /// [`BatchError::InvalidBatch`] without records, [`BatchError::Compression`],
    /// [`BatchError::TooLargeToBuild`] beyond 2 GiB.
    pub fn build(self) -> Result<Bytes, BatchError> {
        if self.count == 0 {
            return Err(BatchError::InvalidBatch("no records"));
        }
        let options = &self.options;
        let packed = match options.codec {
            Codec::None => None,
            codec => Some(compress(codec, &self.records, options.level)?),
        };
        let body: &[u8] = packed.as_deref().unwrap_or(&self.records);
        let batch_length = i32::try_from(HEADER_BYTES - 12 + body.len())
            .map_err(|_| BatchError::TooLargeToBuild)?;
        let header = BatchHeader {
            base_offset: options.base_offset,
            batch_length,
            partition_leader_epoch: options.leader_epoch,
            magic: 2,
            crc: 0,
            attributes: Attributes::of(options.codec, options.timestamp_type)
                .transactional(options.transactional)
                .control(options.control),
            last_offset_delta: self.count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: options.producer_id,
            producer_epoch: options.producer_epoch,
            base_sequence: options.base_sequence,
            records_count: self.count,
        };
        let mut bytes = header.to_bytes();
        bytes.reserve_exact(body.len());
        bytes.extend_from_slice(body);
        seal(&mut bytes);
        Ok(Bytes::from(bytes))
    }
}

/// A batch without records that takes the offsets `from..upto`, as compaction leaves them.
#[must_use]
pub fn empty_batch(from: i64, upto: i64, leader_epoch: i32) -> Vec<u8> {
    let last_offset_delta = upto.saturating_sub(from).saturating_sub(1);
    let header = BatchHeader {
        base_offset: from,
        batch_length: i32::try_from(HEADER_BYTES - LENGTH_PREFIX_BYTES).unwrap_or_default(),
        partition_leader_epoch: leader_epoch,
        magic: 2,
        crc: 0,
        attributes: Attributes::default(),
        last_offset_delta: i32::try_from(last_offset_delta).unwrap_or(i32::MAX),
        base_timestamp: NO_TIMESTAMP,
        max_timestamp: NO_TIMESTAMP,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: NO_SEQUENCE,
        records_count: 0,
    };
    let mut bytes = header.to_bytes();
    seal(&mut bytes);
    bytes
}

fn length_of(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

fn nullable_bytes(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varlong_bytes(length_of(bytes.len())) + bytes.len())
}

fn put_nullable(into: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varlong(into, -1),
        Some(bytes) => {
            put_varlong(into, length_of(bytes.len()));
            into.extend_from_slice(bytes);
        }
    }
}
