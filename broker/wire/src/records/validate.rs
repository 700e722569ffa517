//! The strict check of a produced batch: what Kafka's leader checks before an append.

use super::header::NO_SEQUENCE;
use super::{Batch, BatchError, NO_TIMESTAMP, TimestampType};
use crate::compression::Codec;

/// What a topic asks of its batches.
#[derive(Clone, Copy, Debug)]
pub struct ProduceRules {
    /// `message.timestamp.type`. With `LogAppendTime` the producer's timestamps do not matter.
    pub timestamp_type: TimestampType,
    /// Oldest timestamp taken, in ms since the epoch.
    pub timestamp_min: i64,
    /// Newest timestamp taken, in ms since the epoch.
    pub timestamp_max: i64,
    /// Whether every record needs a key, as compacted topics ask.
    pub key_required: bool,
    /// Bytes that a compressed batch may hold when decompressed.
    pub decompressed_bytes_max: usize,
    /// Whether compressed batches are opened too (`tidelog.produce.validation=strict`, what Kafka
    /// does). Relaxed, the header of a compressed batch is believed where it says all that is
    /// needed.
    pub strict: bool,
}

/// What the check learned about a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validated {
    /// The largest timestamp of its records, in ms; -1 is none.
    pub max_timestamp: i64,
    /// The offset, relative to the base offset, of the first record with that timestamp.
    pub max_timestamp_offset_delta: i32,
}

/// Checks CRC, header and every record of a batch that a client sent.
///
/// # Errors
/// [`BatchError`]: the batch must not be stored.
pub fn validate_produced(batch: &Batch, rules: &ProduceRules) -> Result<Validated, BatchError> {
    batch.verify_crc()?;
    validate_header(batch)?;
    if believes_header(batch, rules) {
        return validate_by_header(batch, rules);
    }
    validate_records(batch, rules)
}

fn believes_header(batch: &Batch, rules: &ProduceRules) -> bool {
    let header = batch.header();
    let compressed = header.attributes.codec().is_ok_and(|codec| codec != Codec::None);
    !rules.strict && compressed && !rules.key_required && header.max_timestamp != NO_TIMESTAMP
}

fn validate_by_header(batch: &Batch, rules: &ProduceRules) -> Result<Validated, BatchError> {
    let header = batch.header();
    let index = header.last_offset_delta;
    check_timestamp(index, header.max_timestamp, rules)?;
    Ok(Validated { max_timestamp: header.max_timestamp, max_timestamp_offset_delta: index })
}

fn check_timestamp(index: i32, timestamp: i64, rules: &ProduceRules) -> Result<(), BatchError> {
    let out_of_range = timestamp < rules.timestamp_min || timestamp > rules.timestamp_max;
    if out_of_range
        && timestamp != NO_TIMESTAMP
        && rules.timestamp_type == TimestampType::CreateTime
    {
        return Err(BatchError::InvalidTimestamp { index, timestamp });
    }
    Ok(())
}

fn validate_header(batch: &Batch) -> Result<(), BatchError> {
    let header = batch.header();
    if header.attributes.is_control() {
        return Err(BatchError::InvalidBatch("clients may not write control batches"));
    }
    if header.attributes.has_delete_horizon() {
        return Err(BatchError::InvalidBatch("clients may not set a delete horizon"));
    }
    if header.records_count <= 0 {
        return Err(BatchError::InvalidBatch("no records"));
    }
    if header.last_offset_delta.checked_add(1) != Some(header.records_count) {
        return Err(BatchError::InvalidBatch("count of records differs from the offsets' span"));
    }
    if header.attributes.timestamp_type() != TimestampType::CreateTime {
        return Err(BatchError::InvalidBatch("clients may not set the timestamp type"));
    }
    if header.has_producer_id() && (header.base_sequence < 0 || header.producer_epoch < 0) {
        return Err(BatchError::InvalidBatch("producer id without sequence or epoch"));
    }
    // A sequence without a producer id means nothing: franz-go and sarama send zero there.
    if !header.has_producer_id() && header.attributes.is_transactional() {
        return Err(BatchError::InvalidBatch("transaction without producer id"));
    }
    Ok(())
}

fn validate_records(batch: &Batch, rules: &ProduceRules) -> Result<Validated, BatchError> {
    let records = batch.records(rules.decompressed_bytes_max)?;
    let mut found =
        Validated { max_timestamp: NO_TIMESTAMP, max_timestamp_offset_delta: NO_SEQUENCE };
    for (index, record) in (0..).zip(&records) {
        let record = record?;
        if record.offset_delta != index {
            return Err(BatchError::InvalidRecord { index, reason: "offset out of order" });
        }
        if rules.key_required && record.key.is_none() {
            return Err(BatchError::InvalidRecord { index, reason: "compacted topics need a key" });
        }
        let timestamp = record.timestamp;
        check_timestamp(index, timestamp, rules)?;
        if timestamp > found.max_timestamp {
            found.max_timestamp = timestamp;
            found.max_timestamp_offset_delta = record.offset_delta;
        }
    }
    Ok(found)
}
