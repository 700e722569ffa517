//! What every generated message is.

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::api_key::ApiKey;
use crate::codec::{DecodeError, EncodeError, Reader, Writer};
use crate::records_slot::{NoRange, concat};

/// A message of the protocol: a request, a response or a record.
pub trait Message: Sized {
    /// The schema's name.
    const NAME: &'static str;
    /// The versions that the field table holds.
    const VERSIONS: RangeInclusive<i16>;
    /// What stands for a file range in this message; [`NoRange`] where there can be none.
    type Range;

    /// Whether `version` has compact lengths and tagged fields.
    fn is_flexible(version: i16) -> bool;

    /// Reads the message at `version`. Bytes after it are left in the reader.
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, DecodeError>;

    /// Writes the message at `version`.
    fn encode(&self, writer: &mut Writer<Self::Range>, version: i16) -> Result<(), EncodeError>;

    /// Shows every error code of a response, 0 included.
    fn error_codes(&self, _each: &mut dyn FnMut(i16)) {}
}

/// A message that asks for an answer.
pub trait Request: Message<Range = NoRange> {
    /// The API that the request is of.
    const KEY: ApiKey;
    /// The answer, as a client reads it.
    type Response: Message<Range = NoRange>;
}

/// A record of an internal topic, told apart by a number.
pub trait TypedRecord: Message<Range = NoRange> {
    /// The number.
    const TYPE: i16;
}

/// The message at `version`, alone.
pub fn to_bytes<M: Message<Range = NoRange>>(
    message: &M,
    version: i16,
) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    message.encode(&mut writer, version)?;
    Ok(concat(writer.finish()))
}

/// The message that `bytes` are, all of them, at `version`.
pub fn from_bytes<M: Message>(bytes: Bytes, version: i16) -> Result<M, DecodeError> {
    let mut reader = Reader::new(bytes);
    let message = M::decode(&mut reader, version)?;
    reader.finish()?;
    Ok(message)
}

pub(crate) fn check_decode<M: Message>(version: i16) -> Result<(), DecodeError> {
    if M::VERSIONS.contains(&version) {
        Ok(())
    } else {
        Err(DecodeError::UnsupportedVersion { name: M::NAME, version })
    }
}

pub(crate) fn check_encode<M: Message>(version: i16) -> Result<(), EncodeError> {
    if M::VERSIONS.contains(&version) {
        Ok(())
    } else {
        Err(EncodeError::UnsupportedVersion { name: M::NAME, version })
    }
}
