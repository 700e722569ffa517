//! Why a record of `__consumer_offsets` cannot be replayed or written.

use wire::codec::{DecodeError, EncodeError};

/// Why a record cannot be replayed or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key or the value does not decode.
    #[error("record of __consumer_offsets does not decode: {0}")]
    Decode(#[from] DecodeError),
    /// A field does not fit the wire.
    #[error("record of __consumer_offsets does not encode: {0}")]
    Encode(#[from] EncodeError),
    /// A key or value too short to have a type or version.
    #[error("record of __consumer_offsets has a key or value without a version")]
    NoVersion,
}
