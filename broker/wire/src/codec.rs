//! The primitives of the protocol: a bounded [`Reader`] over one frame and a [`Writer`] that
//! collects bytes and file ranges. Everything generated is plain calls to these.

mod error;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use error::{DecodeError, EncodeError};
pub use reader::Reader;
pub use writer::Writer;
pub(crate) use writer::required;

/// Limits on what one frame may make the decoder do.
pub mod limits {
    /// Elements reserved for an array before any of them has been read.
    pub const ARRAY_RESERVE_MAX: usize = 1024;
    /// Tagged fields in one struct.
    pub const TAGS_MAX: u32 = 1024;
    /// Bytes in one string, as in Kafka.
    pub const STRING_BYTES_MAX: usize = 0x7fff;
    /// Memory that decoding may take per byte of input, see [`MEMORY_BASE_BYTES`].
    pub const MEMORY_PER_BYTE: usize = 16;
    /// Memory that decoding may always take, so that small frames are not refused.
    pub const MEMORY_BASE_BYTES: usize = 16 * 1024;
}
