//! `.timeindex`: from a timestamp to the batch up to which no record is later than it.

use super::sparse::Entry;

/// One entry: the largest timestamp so far, and the last offset of the batch that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    /// The largest timestamp of the segment up to here.
    pub(crate) timestamp: i64,
    /// Last offset of the batch with that timestamp, minus the segment's base offset.
    pub(crate) relative: u32,
}

impl Entry for TimeEntry {
    type Bytes = [u8; 12];

    const WIDTH: usize = 12;

    fn encode(&self) -> [u8; 12] {
        let mut bytes = [0; 12];
        let (timestamp, relative) = bytes.split_at_mut(8);
        timestamp.copy_from_slice(&self.timestamp.to_be_bytes());
        relative.copy_from_slice(&self.relative.to_be_bytes());
        bytes
    }

    fn decode(bytes: [u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        Self {
            timestamp: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
            relative: u32::from_be_bytes([i, j, k, l]),
        }
    }

    fn follows(&self, previous: &Self) -> bool {
        self.timestamp > previous.timestamp && self.relative > previous.relative
    }
}
