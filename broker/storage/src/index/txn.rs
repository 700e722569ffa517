//! `.txnindex`: the aborted transactions of a segment, in Kafka's format. Transactions are not
//! served yet: what Apache Kafka wrote is read, so that readers of committed records learn what to
//! leave out, is built anew from the batches after an unclean stop, and goes with its segment.

use wire::ids::Offset;

/// The file's extension.
pub(crate) const EXTENSION: &str = "txnindex";
/// The largest file that is read: some million transactions of one segment.
pub(crate) const BYTES_MAX: u64 = 32 << 20;

const VERSION: i16 = 0;
const ENTRY_BYTES: usize = 34;

/// A transaction whose records do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborted {
    /// Whose it was.
    pub producer_id: i64,
    /// Where its first record is.
    pub first_offset: Offset,
    /// Where the marker is that ended it.
    pub last_offset: Offset,
    /// The last stable offset behind that marker: no transaction that ends later begins before.
    pub last_stable_offset: Offset,
}

/// The bytes of a file.
pub(crate) fn encode<'a>(entries: impl IntoIterator<Item = &'a Aborted>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&entry.producer_id.to_be_bytes());
        for offset in [entry.first_offset, entry.last_offset, entry.last_stable_offset] {
            bytes.extend_from_slice(&offset.0.to_be_bytes());
        }
    }
    bytes
}

/// Reads a file, up to the first entry that is not one.
pub(crate) fn decode(bytes: &[u8]) -> Vec<Aborted> {
    let (entries, _) = bytes.as_chunks::<ENTRY_BYTES>();
    entries.iter().map_while(entry).collect()
}

fn entry(bytes: &[u8; ENTRY_BYTES]) -> Option<Aborted> {
    let (version, rest) = bytes.split_first_chunk::<2>()?;
    let (producer, rest) = rest.split_first_chunk::<8>()?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let (last, rest) = rest.split_first_chunk::<8>()?;
    let (stable, _) = rest.split_first_chunk::<8>()?;
    let entry = Aborted {
        producer_id: i64::from_be_bytes(*producer),
        first_offset: Offset(i64::from_be_bytes(*first)),
        last_offset: Offset(i64::from_be_bytes(*last)),
        last_stable_offset: Offset(i64::from_be_bytes(*stable)),
    };
    let sound = i16::from_be_bytes(*version) == VERSION && entry.first_offset <= entry.last_offset;
    sound.then_some(entry)
}
