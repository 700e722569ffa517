//! What can be wrong with bytes that came in, and with a message to be sent.

use thiserror::Error;

/// Why bytes are not the message they should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ends inside a field.
    #[error("{needed} bytes needed, {remaining} left")]
    Truncated {
        /// Bytes the field needs.
        needed: usize,
        /// Bytes that are left.
        remaining: usize,
    },
    /// A length or count is negative where null is not its meaning.
    #[error("negative length {0}")]
    NegativeLength(i64),
    /// An array announces more elements than the rest of the input could hold.
    #[error("array of {count} elements in {remaining} bytes")]
    CountTooLarge {
        /// Elements announced.
        count: usize,
        /// Bytes that are left.
        remaining: usize,
    },
    /// Decoding would take many times the memory of its input.
    #[error("decoding takes too much memory for its {input} bytes of input")]
    TooMuchMemory {
        /// Bytes of the whole input.
        input: usize,
    },
    /// A string is longer than Kafka allows.
    #[error("string of {0} bytes")]
    StringTooLong(usize),
    /// A string is not UTF-8.
    #[error("string is not utf-8")]
    InvalidUtf8,
    /// A varint is longer than its type.
    #[error("varint too long")]
    VarintOverflow,
    /// Null where this version has no null.
    #[error("unexpected null")]
    UnexpectedNull,
    /// Bytes are left after the message or after a tagged field.
    #[error("{0} bytes left over")]
    TrailingBytes(usize),
    /// The message has no such version.
    #[error("{name} has no version {version}")]
    UnsupportedVersion {
        /// The message's name.
        name: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A struct announces too many tagged fields.
    #[error("{0} tagged fields")]
    TooManyTags(u32),
    /// A record's type id is not one that we know.
    #[error("unknown record type {0}")]
    UnknownRecordType(i64),
    /// The frame of a metadata record has a version that we do not know.
    #[error("unknown frame version {0}")]
    UnknownFrameVersion(u32),
    /// A response answers another request.
    #[error("correlation id {found} instead of {expected}")]
    CorrelationMismatch {
        /// The request's id.
        expected: i32,
        /// The response's id.
        found: i32,
    },
}

/// Why a message cannot be written at a version.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The field is set, the version cannot carry it, and dropping it would change the meaning.
    #[error("version {version} cannot carry {field}")]
    FieldNotInVersion {
        /// The field, as the schema names it.
        field: &'static str,
        /// The version.
        version: i16,
    },
    /// The field is null and this version has no null.
    #[error("version {version} has no null for {field}")]
    NullNotAllowed {
        /// The field, as the schema names it.
        field: &'static str,
        /// The version.
        version: i16,
    },
    /// A string, byte array, array or message is longer than its length field can say.
    #[error("{0} is too long to encode")]
    TooLong(usize),
    /// The message has no such version.
    #[error("{name} has no version {version}")]
    UnsupportedVersion {
        /// The message's name.
        name: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A file range inside a tagged field, which no message has.
    #[error("file range inside a tagged field")]
    RangeInTag,
}
