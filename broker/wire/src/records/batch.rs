//! One batch as a slice of the bytes it came in, and the walk over several.

use bytes::{Buf, Bytes};

use super::BatchError;
use super::header::{BatchHeader, HEADER_BYTES, LENGTH_PREFIX_BYTES, TimestampType};
use super::record::RecordSet;
use crate::compression::{Codec, compress, decompress};

/// Where the bytes begin that the CRC covers.
const CRC_FROM: usize = 21;

/// A whole batch: its parsed header and all its bytes.
#[derive(Clone, Debug)]
pub struct Batch {
    header: BatchHeader,
    bytes: Bytes,
}

impl Batch {
    /// The batch at the front of `bytes`, which may hold more.
    ///
    /// # Errors
    /// As [`BatchHeader::parse`]; [`BatchError::Truncated`] when the announced length is not there.
    pub fn parse(bytes: &Bytes) -> Result<Self, BatchError> {
        let header = BatchHeader::parse(bytes)?;
        let need = header.size_in_bytes();
        if bytes.len() < need {
            return Err(BatchError::Truncated { have: bytes.len(), need });
        }
        Ok(Self { header, bytes: bytes.slice(..need) })
    }

    /// The parsed header.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// All bytes of the batch.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Compares the CRC-32C of the bytes with what the header says.
    ///
    /// # Errors
    /// [`BatchError::CrcMismatch`].
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let computed = crc_of(&self.bytes);
        if computed == self.header.crc {
            return Ok(());
        }
        Err(BatchError::CrcMismatch { computed, stored: self.header.crc })
    }

    /// The records, decompressed to at most `limit` bytes.
    ///
    /// # Errors
    /// [`BatchError::UnknownCodec`], or [`BatchError::Compression`].
    pub fn records(&self, limit: usize) -> Result<RecordSet, BatchError> {
        let packed = self.bytes.slice(HEADER_BYTES..);
        let body = decompress(self.header.attributes.codec()?, &packed, limit)?;
        Ok(RecordSet::new(self.header, body))
    }

    /// A copy with other timestamps in its header and the CRC made anew. The records stay as they
    /// are: readers take the time of a `LogAppendTime` batch from `max_timestamp` alone.
    #[must_use]
    pub fn with_timestamps(&self, timestamp_type: TimestampType, max_timestamp: i64) -> Self {
        let mut header = self.header;
        header.attributes = header.attributes.with_timestamp_type(timestamp_type);
        header.max_timestamp = max_timestamp;
        self.with_header(header)
    }

    /// A copy with this base offset and leader epoch.
    #[must_use]
    pub fn with_position(&self, base_offset: i64, leader_epoch: i32) -> Self {
        let mut header = self.header;
        header.base_offset = base_offset;
        header.partition_leader_epoch = leader_epoch;
        self.with_header(header)
    }

    /// A copy whose records are compressed by another codec. Everything else that the header says
    /// stays, and so do the records to the byte: keys, headers, timestamps, offsets, sequences.
    /// The CRC is made anew, so the caller has checked the old one.
    ///
    /// # Errors
    /// As [`Self::records`]; [`BatchError::TooLargeToBuild`] beyond 2 GiB.
    pub fn recompressed(
        &self,
        codec: Codec,
        level: Option<i32>,
        limit: usize,
    ) -> Result<Self, BatchError> {
        let plain = self.records(limit)?;
        let body = match codec {
            Codec::None => plain.plain_bytes().clone(),
            codec => compress(codec, plain.plain_bytes(), level)?,
        };
        let mut header = self.header;
        header.attributes = header.attributes.with_codec(codec);
        header.batch_length = i32::try_from(HEADER_BYTES - LENGTH_PREFIX_BYTES + body.len())
            .map_err(|_| BatchError::TooLargeToBuild)?;
        Ok(Self::of_parts(header, &body))
    }

    fn with_header(&self, header: BatchHeader) -> Self {
        Self::of_parts(header, self.bytes.get(HEADER_BYTES..).unwrap_or_default())
    }

    fn of_parts(mut header: BatchHeader, body: &[u8]) -> Self {
        let mut bytes = header.to_bytes();
        bytes.extend_from_slice(body);
        seal(&mut bytes);
        header.crc = crc_of(&bytes);
        Self { header, bytes: Bytes::from(bytes) }
    }
}

pub(super) fn crc_of(batch: &[u8]) -> u32 {
    crc32c::crc32c(batch.get(CRC_FROM..).unwrap_or_default())
}

/// Writes the CRC of a batch into it.
pub(super) fn seal(batch: &mut [u8]) {
    let crc = crc_of(batch).to_be_bytes();
    for (to, from) in batch.iter_mut().skip(17).zip(crc) {
        *to = from;
    }
}

/// The batches in a run of bytes, one after the other. After an error there is no more.
#[derive(Debug)]
pub struct BatchIter {
    rest: Bytes,
}

impl BatchIter {
    /// Walks `bytes`.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        Self { rest: bytes }
    }

    /// The bytes not yet walked: after an error, from the batch in error on.
    #[must_use]
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }
}

impl Iterator for BatchIter {
    type Item = Result<Batch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let batch = Batch::parse(&self.rest);
        match &batch {
            Ok(batch) => self.rest.advance(batch.bytes.len()),
            Err(_) => self.rest.clear(),
        }
        Some(batch)
    }
}
