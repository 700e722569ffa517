//! Bytes of a fetch into batches and records, from the offset that was asked for.

use bytes::Bytes;
use wire::records::{Batch, BatchError, BatchIter, HEADER_BYTES, LENGTH_PREFIX_BYTES, RecordSet};

/// A batch as it was fetched, decompressed.
#[derive(Debug, Clone)]
pub struct FetchedBatch {
    records: RecordSet,
    from: i64,
}

/// A record of a fetched batch; its parts are slices of the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedRecord<'a> {
    /// Its offset.
    pub offset: i64,
    /// Its time in ms since 1970.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; none is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers, in order.
    pub headers: Vec<(&'a [u8], Option<&'a [u8]>)>,
}

impl FetchedBatch {
    /// The records, from the offset that was asked for.
    pub fn records(&self) -> impl Iterator<Item = Result<FetchedRecord<'_>, BatchError>> {
        let wanted = |record: &Result<wire::records::Record<'_>, BatchError>| {
            record.as_ref().map_or(true, |record| record.offset >= self.from)
        };
        self.records.iter().filter(wanted).map(|record| {
            let record = record?;
            Ok(FetchedRecord {
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key,
                value: record.value,
                headers: record.headers().map(|header| (header.key, header.value)).collect(),
            })
        })
    }
}

/// The whole batches in `bytes`, and the offset after them. A broker may cut the last one short;
/// control batches are not for consumers.
pub(super) fn batches(
    bytes: Bytes,
    from: i64,
    limit: usize,
) -> Result<(Vec<FetchedBatch>, i64), BatchError> {
    let mut next_offset = from;
    let mut batches = Vec::new();
    let mut walk = BatchIter::new(whole_batches(bytes));
    while let Some(batch) = walk.next().transpose()? {
        let after = batch.header().next_offset();
        if after <= from {
            continue;
        }
        next_offset = next_offset.max(after);
        if let Some(batch) = open(&batch, from, limit)? {
            batches.push(batch);
        }
    }
    Ok((batches, next_offset))
}

fn open(batch: &Batch, from: i64, limit: usize) -> Result<Option<FetchedBatch>, BatchError> {
    batch.verify_crc()?;
    if batch.header().attributes.is_control() {
        return Ok(None);
    }
    Ok(Some(FetchedBatch { records: batch.records(limit)?, from }))
}

/// The bytes without a last batch that is cut short.
fn whole_batches(bytes: Bytes) -> Bytes {
    let mut end = 0usize;
    loop {
        let rest = bytes.get(end..).unwrap_or_default();
        let Some(length) = rest.get(8..LENGTH_PREFIX_BYTES) else { break };
        let mut announced = [0u8; 4];
        announced.copy_from_slice(length);
        // A length that cannot be is left to the parser, which names what is wrong.
        let Ok(length) = usize::try_from(i32::from_be_bytes(announced)) else { return bytes };
        let whole = LENGTH_PREFIX_BYTES.saturating_add(length);
        if whole < HEADER_BYTES {
            return bytes;
        }
        if whole > rest.len() {
            break;
        }
        end += whole;
    }
    bytes.slice(..end)
}

#[cfg(test)]
mod tests {
    use wire::records::{BatchBuilder, BatchOptions};

    use super::*;

    fn batch(base_offset: i64, values: &[&str]) -> Bytes {
        let mut builder =
            BatchBuilder::new(BatchOptions { base_offset, ..BatchOptions::default() });
        for value in values {
            builder.append(5, None, Some(value.as_bytes()), &[(b"h", None)]);
        }
        builder.build().unwrap()
    }

    fn read(bytes: Vec<u8>, from: i64) -> (Vec<(i64, String)>, i64) {
        let (batches, next) = batches(bytes.into(), from, 1 << 20).unwrap();
        let records = batches.iter().flat_map(|batch| {
            batch.records().map(|record| {
                let record = record.unwrap();
                let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                assert_eq!(record.headers, [(&b"h"[..], None)]);
                (record.offset, value)
            })
        });
        (records.collect(), next)
    }

    #[test]
    fn records_from_the_middle_of_a_batch() {
        let bytes = [batch(10, &["a", "b"]), batch(12, &["c", "d"]), batch(14, &["e"])].concat();
        let (records, next) = read(bytes, 13);
        assert_eq!(records, [(13, "d".to_owned()), (14, "e".to_owned())]);
        assert_eq!(next, 15);
    }

    #[test]
    fn a_batch_cut_short_is_left_for_the_next_fetch() {
        let whole = batch(0, &["a"]);
        for cut in 1..whole.len() {
            let bytes = [&whole[..], &batch(1, &["b"])[..cut]].concat();
            assert_eq!(read(bytes, 0).1, 1, "cut at {cut}");
        }
        assert_eq!(read(Vec::new(), 7), (Vec::new(), 7));
    }

    #[test]
    fn a_damaged_batch_is_refused() {
        let mut bytes = batch(0, &["abc"]).to_vec();
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
        assert!(batches(bytes.into(), 0, 1 << 20).is_err());
        let mut bytes = batch(0, &["abc"]).to_vec();
        bytes[8..12].copy_from_slice(&(-1i32).to_be_bytes());
        assert!(batches(bytes.into(), 0, 1 << 20).is_err());
    }
}
