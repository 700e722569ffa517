//! Records as borrowed views into a batch's plain bytes.

use bytes::Bytes;

use super::BatchError;
use super::header::{BatchHeader, NO_SEQUENCE, TimestampType, add_sequence};
use super::varint::{take_bytes, take_length, take_varint, take_varlong};

/// The plain bytes of a batch's records.
#[derive(Clone, Debug)]
pub struct RecordSet {
    header: BatchHeader,
    body: Bytes,
}

impl RecordSet {
    pub(super) fn new(header: BatchHeader, body: Bytes) -> Self {
        Self { header, body }
    }

    /// The records in order.
    #[must_use]
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter { header: &self.header, rest: &self.body, index: 0, failed: false }
    }

    /// The bytes of all records when not compressed.
    #[must_use]
    pub fn plain_bytes(&self) -> &Bytes {
        &self.body
    }
}

impl<'a> IntoIterator for &'a RecordSet {
    type Item = Result<Record<'a>, BatchError>;
    type IntoIter = RecordIter<'a>;

    fn into_iter(self) -> RecordIter<'a> {
        self.iter()
    }
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Unused by Kafka so far.
    pub attributes: i8,
    /// Position in the partition.
    pub offset: i64,
    /// Relative to the batch's base offset.
    pub offset_delta: i32,
    /// In ms; of a `LogAppendTime` batch the time of the append.
    pub timestamp: i64,
    /// -1 when the batch has no producer id.
    pub sequence: i32,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null (a tombstone).
    pub value: Option<&'a [u8]>,
    headers_count: i32,
    headers: &'a [u8],
}

impl<'a> Record<'a> {
    /// The headers, in order; keys may repeat.
    #[must_use]
    pub fn headers(&self) -> HeaderIter<'a> {
        HeaderIter { left: self.headers_count, rest: self.headers }
    }
}

/// One header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// UTF-8 by the protocol; not checked here.
    pub key: &'a [u8],
    /// The value, or null.
    pub value: Option<&'a [u8]>,
}

/// The headers of a record that was parsed whole.
#[derive(Clone, Debug)]
pub struct HeaderIter<'a> {
    left: i32,
    rest: &'a [u8],
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        if self.left <= 0 {
            return None;
        }
        self.left -= 1;
        take_header(&mut self.rest)
    }
}

fn take_header<'a>(from: &mut &'a [u8]) -> Option<Header<'a>> {
    let key = take_bytes(from)??;
    let value = take_bytes(from)?;
    Some(Header { key, value })
}

/// The records of a batch in order. After an error there is no more.
#[derive(Clone, Debug)]
pub struct RecordIter<'a> {
    header: &'a BatchHeader,
    rest: &'a [u8],
    index: i32,
    failed: bool,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        if self.index >= self.header.records_count {
            if self.rest.is_empty() {
                return None;
            }
            self.failed = true;
            return Some(Err(BatchError::InvalidBatch("bytes after the last record")));
        }
        let index = self.index;
        self.index += 1;
        let record = self.take_record().ok_or_else(|| {
            self.failed = true;
            BatchError::InvalidRecord { index, reason: "malformed" }
        });
        Some(record)
    }
}

impl<'a> RecordIter<'a> {
    fn take_record(&mut self) -> Option<Record<'a>> {
        let length = take_length(&mut self.rest)??;
        let (mut body, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        let (attributes, after) = body.split_first()?;
        body = after;
        let timestamp_delta = take_varlong(&mut body)?;
        let offset_delta = take_varint(&mut body)?;
        let key = take_bytes(&mut body)?;
        let value = take_bytes(&mut body)?;
        let headers_count = take_varint(&mut body)?;
        if headers_count < 0 {
            return None;
        }
        let headers = body;
        for _ in 0..headers_count {
            take_header(&mut body)?;
        }
        if !body.is_empty() {
            return None;
        }
        Some(Record {
            attributes: attributes.cast_signed(),
            offset: self.header.base_offset.checked_add(i64::from(offset_delta))?,
            offset_delta,
            timestamp: match self.header.attributes.timestamp_type() {
                TimestampType::LogAppendTime => self.header.max_timestamp,
                TimestampType::CreateTime => {
                    self.header.base_timestamp.wrapping_add(timestamp_delta)
                }
            },
            sequence: match self.header.base_sequence {
                NO_SEQUENCE => NO_SEQUENCE,
                base => add_sequence(base, offset_delta),
            },
            key,
            value,
            headers_count,
            headers,
        })
    }
}
