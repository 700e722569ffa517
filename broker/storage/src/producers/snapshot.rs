//! `.snapshot`: a log's producers up to an offset, in Kafka's format: version 1, CRC-32C, entries.
//!
//! Kafka writes one entry per producer, with its last batch. A reader keeps the last entry of an
//! id, so we write up to five per producer, oldest first: Kafka's tools and brokers read what they
//! expect, and after a restart we still know the retries of the older four.

use std::collections::VecDeque;

use super::{BATCHES_MAX, ProducedBatch, Producer, Producers};

/// The file's extension.
pub(crate) const EXTENSION: &str = "snapshot";

/// Largest file that is read: far above what `producers_max` allows.
pub(crate) const BYTES_MAX: u64 = 256 << 20;

const VERSION: i16 = 1;
const CRC_AT: usize = 2;
const ENTRIES_AT: usize = 6;
const HEADER_BYTES: usize = 10;
const ENTRY_BYTES: usize = 46;

/// The bytes of a snapshot of `producers`.
pub(crate) fn encode(producers: &Producers) -> Vec<u8> {
    let mut entries = Vec::with_capacity(producers.len() * ENTRY_BYTES);
    let mut count: i32 = 0;
    for (id, producer) in producers.iter() {
        let none = ProducedBatch {
            last_sequence: -1,
            last_offset: -1,
            offset_delta: 0,
            timestamp: producer.timestamp,
        };
        let only = [none];
        let batches: Box<dyn Iterator<Item = &ProducedBatch>> = if producer.batches.is_empty() {
            Box::new(only.iter())
        } else {
            Box::new(producer.batches.iter())
        };
        for batch in batches {
            put_entry(&mut entries, id, producer, batch);
            count = count.saturating_add(1);
        }
    }
    let mut bytes = Vec::with_capacity(HEADER_BYTES + entries.len());
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&count.to_be_bytes());
    bytes.extend_from_slice(&entries);
    let crc = crc32c::crc32c(bytes.get(ENTRIES_AT..).unwrap_or_default());
    if let Some(field) = bytes.get_mut(CRC_AT..ENTRIES_AT) {
        field.copy_from_slice(&crc.to_be_bytes());
    }
    bytes
}

fn put_entry(bytes: &mut Vec<u8>, id: i64, producer: &Producer, batch: &ProducedBatch) {
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(&producer.epoch.to_be_bytes());
    bytes.extend_from_slice(&batch.last_sequence.to_be_bytes());
    bytes.extend_from_slice(&batch.last_offset.to_be_bytes());
    bytes.extend_from_slice(&batch.offset_delta.to_be_bytes());
    bytes.extend_from_slice(&batch.timestamp.to_be_bytes());
    bytes.extend_from_slice(&producer.coordinator_epoch.to_be_bytes());
    bytes.extend_from_slice(&producer.transaction_start.unwrap_or(-1).to_be_bytes());
}

/// One entry of a snapshot, as it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The producer.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Its batch; the sequence is -1 when it has none.
    pub batch: ProducedBatch,
    /// The epoch of the transaction coordinator that wrote last; -1 for none.
    pub coordinator_epoch: i32,
    /// Where its open transaction begins; -1 for none.
    pub transaction_start: i64,
}

/// The entries of a snapshot.
///
/// # Errors
/// What is wrong with the bytes.
pub fn entries(bytes: &[u8]) -> Result<Vec<Entry>, &'static str> {
    const SHORT: &str = "shorter than it says";
    let mut fields = Fields(bytes);
    if i16::from_be_bytes(fields.take().ok_or(SHORT)?) != VERSION {
        return Err("not of version 1");
    }
    let crc = u32::from_be_bytes(fields.take().ok_or(SHORT)?);
    if crc != crc32c::crc32c(fields.0) {
        return Err("the crc is another one");
    }
    let count = i32::from_be_bytes(fields.take().ok_or(SHORT)?);
    let count = usize::try_from(count).map_err(|_| "a negative number of entries")?;
    if Some(fields.0.len()) != count.checked_mul(ENTRY_BYTES) {
        return Err("not as long as it says");
    }
    (0..count).map(|_| take_entry(&mut fields).ok_or(SHORT)).collect()
}

/// Reads a snapshot. None when the bytes are not one: an older snapshot, or the log, has to serve.
pub(crate) fn decode(bytes: &[u8], now_ms: i64) -> Option<Producers> {
    let mut producers = Producers::default();
    for entry in entries(bytes).ok()? {
        let id = entry.producer_id;
        let producer = producers.by_id.entry(id).or_insert_with(|| Producer::unknown(now_ms));
        if producer.epoch != entry.epoch {
            producer.batches = VecDeque::new();
        }
        producer.epoch = entry.epoch;
        producer.coordinator_epoch = entry.coordinator_epoch;
        producer.transaction_start = Some(entry.transaction_start).filter(|start| *start >= 0);
        producer.timestamp = entry.batch.timestamp;
        if entry.batch.last_sequence >= 0 {
            producer.batches.push_back(entry.batch);
            while producer.batches.len() > BATCHES_MAX {
                producer.batches.pop_front();
            }
        }
    }
    let open = |(id, one): (&i64, &Producer)| one.transaction_start.map(|start| (start, *id));
    producers.ongoing = producers.by_id.iter().filter_map(open).collect();
    Some(producers)
}

fn take_entry(fields: &mut Fields<'_>) -> Option<Entry> {
    Some(Entry {
        producer_id: i64::from_be_bytes(fields.take()?),
        epoch: i16::from_be_bytes(fields.take()?),
        batch: ProducedBatch {
            last_sequence: i32::from_be_bytes(fields.take()?),
            last_offset: i64::from_be_bytes(fields.take()?),
            offset_delta: i32::from_be_bytes(fields.take()?),
            timestamp: i64::from_be_bytes(fields.take()?),
        },
        coordinator_epoch: i32::from_be_bytes(fields.take()?),
        transaction_start: i64::from_be_bytes(fields.take()?),
    })
}

/// Takes fixed-width fields off the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }
}
