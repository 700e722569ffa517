//! `.index`: from an offset to the position of the batch that holds it or lies shortly before.

use super::sparse::Entry;

/// One entry: the last offset of a batch, relative to the segment's base, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    /// Last offset of the batch minus the segment's base offset.
    pub(crate) relative: u32,
    /// Position of the batch in the segment's file.
    pub(crate) position: u32,
}

impl Entry for OffsetEntry {
    type Bytes = [u8; 8];

    const WIDTH: usize = 8;

    fn encode(&self) -> [u8; 8] {
        ((u64::from(self.relative) << 32) | u64::from(self.position)).to_be_bytes()
    }

    fn decode(bytes: [u8; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = bytes;
        Self {
            relative: u32::from_be_bytes([a, b, c, d]),
            position: u32::from_be_bytes([e, f, g, h]),
        }
    }

    fn follows(&self, previous: &Self) -> bool {
        self.relative > previous.relative && self.position > previous.position
    }
}
