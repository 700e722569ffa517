//! The 61 bytes before the records of a batch.

use super::BatchError;
use crate::compression::Codec;

/// Bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;
/// Bytes before the ones that the batch length counts: base offset and the length itself.
pub const LENGTH_PREFIX_BYTES: usize = 12;
/// The bytes that a leader writes afresh: base offset, length, leader epoch. The CRC does not
/// cover them.
pub const FRESH_HEAD_BYTES: usize = 16;
/// The `base_sequence` of a batch without a producer id.
pub const NO_SEQUENCE: i32 = -1;
/// The timestamp that stands for "none".
pub const NO_TIMESTAMP: i64 = -1;

const CODEC_MASK: i16 = 0x07;
const TIMESTAMP_TYPE_MASK: i16 = 0x08;
const TRANSACTIONAL_MASK: i16 = 0x10;
const CONTROL_MASK: i16 = 0x20;
const DELETE_HORIZON_MASK: i16 = 0x40;

/// Whose clock a batch's timestamps are: `message.timestamp.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The leader's, at the append.
    LogAppendTime,
}

/// The attribute bits of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub i16);

impl Attributes {
    /// The codec of the records.
    ///
    /// # Errors
    /// [`BatchError::UnknownCodec`] for ids 5 to 7.
    pub fn codec(self) -> Result<Codec, BatchError> {
        let id = self.0 & CODEC_MASK;
        Codec::from_id(id).ok_or(BatchError::UnknownCodec(id))
    }

    /// Whose clock the timestamps are.
    #[must_use]
    pub fn timestamp_type(self) -> TimestampType {
        match self.0 & TIMESTAMP_TYPE_MASK {
            0 => TimestampType::CreateTime,
            _ => TimestampType::LogAppendTime,
        }
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub fn is_transactional(self) -> bool {
        self.0 & TRANSACTIONAL_MASK != 0
    }

    /// Whether the batch holds control records, which no consumer sees.
    #[must_use]
    pub fn is_control(self) -> bool {
        self.0 & CONTROL_MASK != 0
    }

    /// Whether the base timestamp is a delete horizon (KIP-534).
    #[must_use]
    pub fn has_delete_horizon(self) -> bool {
        self.0 & DELETE_HORIZON_MASK != 0
    }

    pub(super) fn of(codec: Codec, timestamp_type: TimestampType) -> Self {
        Self(codec.id()).with_timestamp_type(timestamp_type)
    }

    pub(super) fn with_codec(self, codec: Codec) -> Self {
        Self(self.0 & !CODEC_MASK | codec.id())
    }

    pub(super) fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        match timestamp_type {
            TimestampType::CreateTime => Self(self.0 & !TIMESTAMP_TYPE_MASK),
            TimestampType::LogAppendTime => Self(self.0 | TIMESTAMP_TYPE_MASK),
        }
    }

    pub(super) fn transactional(self, yes: bool) -> Self {
        if yes { Self(self.0 | TRANSACTIONAL_MASK) } else { self }
    }

    pub(super) fn control(self, yes: bool) -> Self {
        if yes { Self(self.0 | CONTROL_MASK) } else { self }
    }
}

/// The header of a batch. What it says is not yet believed: see [`super::Batch::verify_crc`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Bytes after the length field itself.
    pub batch_length: i32,
    /// Epoch of the leader that appended it; -1 from a producer.
    pub partition_leader_epoch: i32,
    /// 2, or the batch is not parsed.
    pub magic: i8,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Codec, timestamp type, transactional, control.
    pub attributes: Attributes,
    /// Offset of the last record, relative to `base_offset`.
    pub last_offset_delta: i32,
    /// Timestamp that the records' deltas refer to, in ms.
    pub base_timestamp: i64,
    /// Largest timestamp, in ms; -1 is none.
    pub max_timestamp: i64,
    /// -1 is none.
    pub producer_id: i64,
    /// -1 is none.
    pub producer_epoch: i16,
    /// Sequence number of the first record; -1 is none.
    pub base_sequence: i32,
    /// How many records follow. A compacted batch has fewer than its offsets span.
    pub records_count: i32,
}

fn field<const AT: usize, const N: usize>(head: &[u8; HEADER_BYTES]) -> [u8; N] {
    let mut bytes = [0; N];
    for (to, from) in bytes.iter_mut().zip(head.iter().skip(AT)) {
        *to = *from;
    }
    bytes
}

impl BatchHeader {
    /// The header at the front of `bytes`, which need not hold the whole batch.
    ///
    /// # Errors
    /// [`BatchError::Truncated`], [`BatchError::UnsupportedMagic`] or [`BatchError::BadLength`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let Some(magic) = bytes.get(FRESH_HEAD_BYTES) else {
            return Err(BatchError::Truncated { have: bytes.len(), need: HEADER_BYTES });
        };
        if *magic != 2 {
            return Err(BatchError::UnsupportedMagic(magic.cast_signed()));
        }
        let Some(head) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(BatchError::Truncated { have: bytes.len(), need: HEADER_BYTES });
        };
        let header = Self {
            base_offset: i64::from_be_bytes(field::<0, 8>(head)),
            batch_length: i32::from_be_bytes(field::<8, 4>(head)),
            partition_leader_epoch: i32::from_be_bytes(field::<12, 4>(head)),
            magic: 2,
            crc: u32::from_be_bytes(field::<17, 4>(head)),
            attributes: Attributes(i16::from_be_bytes(field::<21, 2>(head))),
            last_offset_delta: i32::from_be_bytes(field::<23, 4>(head)),
            base_timestamp: i64::from_be_bytes(field::<27, 8>(head)),
            max_timestamp: i64::from_be_bytes(field::<35, 8>(head)),
            producer_id: i64::from_be_bytes(field::<43, 8>(head)),
            producer_epoch: i16::from_be_bytes(field::<51, 2>(head)),
            base_sequence: i32::from_be_bytes(field::<53, 4>(head)),
            records_count: i32::from_be_bytes(field::<57, 4>(head)),
        };
        if header.size_in_bytes() < HEADER_BYTES {
            return Err(BatchError::BadLength(header.batch_length));
        }
        Ok(header)
    }

    /// The header's bytes; the CRC is written as it stands here.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(&self.base_offset.to_be_bytes());
        bytes.extend_from_slice(&self.batch_length.to_be_bytes());
        bytes.extend_from_slice(&self.partition_leader_epoch.to_be_bytes());
        bytes.extend_from_slice(&self.magic.to_be_bytes());
        bytes.extend_from_slice(&self.crc.to_be_bytes());
        bytes.extend_from_slice(&self.attributes.0.to_be_bytes());
        bytes.extend_from_slice(&self.last_offset_delta.to_be_bytes());
        bytes.extend_from_slice(&self.base_timestamp.to_be_bytes());
        bytes.extend_from_slice(&self.max_timestamp.to_be_bytes());
        bytes.extend_from_slice(&self.producer_id.to_be_bytes());
        bytes.extend_from_slice(&self.producer_epoch.to_be_bytes());
        bytes.extend_from_slice(&self.base_sequence.to_be_bytes());
        bytes.extend_from_slice(&self.records_count.to_be_bytes());
        bytes
    }

    /// The bytes that a leader writes in place of the first [`FRESH_HEAD_BYTES`].
    #[must_use]
    pub fn fresh_head(&self, base_offset: i64, leader_epoch: i32) -> [u8; FRESH_HEAD_BYTES] {
        let mut head = [0; FRESH_HEAD_BYTES];
        let offset = base_offset.to_be_bytes();
        let length = self.batch_length.to_be_bytes();
        let epoch = leader_epoch.to_be_bytes();
        for (to, from) in head.iter_mut().zip(offset.iter().chain(&length).chain(&epoch)) {
            *to = *from;
        }
        head
    }

    /// Bytes of the whole batch; 0 when the announced length is negative.
    #[must_use]
    pub fn size_in_bytes(&self) -> usize {
        usize::try_from(self.batch_length).map_or(0, |length| length + LENGTH_PREFIX_BYTES)
    }

    /// Offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// Offset after the last record.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// Whether an idempotent or transactional producer made it.
    #[must_use]
    pub fn has_producer_id(&self) -> bool {
        self.producer_id >= 0
    }

    /// Sequence number of the last record, wrapping as Kafka's do; -1 is none.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        add_sequence(self.base_sequence, self.last_offset_delta)
    }
}

/// `sequence` advanced by `by` records: after 2147483647 comes 0.
#[must_use]
pub fn add_sequence(sequence: i32, by: i32) -> i32 {
    match sequence.checked_add(by) {
        Some(sum) => sum,
        None => by.wrapping_sub(i32::MAX.wrapping_sub(sequence)).wrapping_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(add_sequence(5, 3), 8);
        assert_eq!(add_sequence(i32::MAX, 1), 0);
        assert_eq!(add_sequence(i32::MAX - 1, 4), 2);
    }

    #[test]
    fn header_round_trips_and_bad_ones_are_refused() {
        let header = BatchHeader {
            base_offset: 0x0102_0304_0506_0708,
            batch_length: 49,
            partition_leader_epoch: 7,
            magic: 2,
            crc: 0xdead_beef,
            attributes: Attributes(0x13),
            last_offset_delta: 4,
            base_timestamp: 5,
            max_timestamp: 6,
            producer_id: 77,
            producer_epoch: 8,
            base_sequence: 9,
            records_count: 5,
        };
        let mut bytes = header.to_bytes();
        assert_eq!(BatchHeader::parse(&bytes).unwrap(), header);
        assert_eq!(header.attributes.codec().unwrap(), Codec::Lz4);
        assert!(header.attributes.is_transactional() && !header.attributes.is_control());
        assert!(matches!(BatchHeader::parse(&bytes[..60]), Err(BatchError::Truncated { .. })));
        bytes[11] = 48;
        assert!(matches!(BatchHeader::parse(&bytes), Err(BatchError::BadLength(48))));
        bytes[16] = 1;
        assert!(matches!(BatchHeader::parse(&bytes), Err(BatchError::UnsupportedMagic(1))));
    }
}
