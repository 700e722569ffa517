//! How a record value of the metadata log is framed: frame version, type and version of the
//! record, each an unsigned varint, then the body.

use bytes::Bytes;

use crate::codec::{DecodeError, EncodeError, Reader, Writer};
use crate::messages::metadata_records::MetadataRecord;
use crate::records_slot::concat;

/// The only frame version there is.
const FRAME_VERSION: u32 = 1;

/// The value of a record at the highest version that its table holds.
pub fn encode(record: &MetadataRecord) -> Result<Bytes, EncodeError> {
    encode_at(record, record.highest_version())
}

/// The value of a record at `version`.
pub fn encode_at(record: &MetadataRecord, version: i16) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    writer.unsigned_varint(FRAME_VERSION);
    writer.unsigned_varint(u32::from(record.record_type().cast_unsigned()));
    writer.unsigned_varint(u32::from(version.cast_unsigned()));
    record.encode(&mut writer, version)?;
    Ok(concat(writer.finish()))
}

/// Reads the value of a record.
pub fn decode(value: Bytes) -> Result<MetadataRecord, DecodeError> {
    let mut reader = Reader::new(value);
    let frame_version = reader.unsigned_varint()?;
    if frame_version != FRAME_VERSION {
        return Err(DecodeError::UnknownFrameVersion(frame_version));
    }
    let raw_type = reader.unsigned_varint()?;
    let raw_version = reader.unsigned_varint()?;
    let record_type =
        i16::try_from(raw_type).map_err(|_| DecodeError::UnknownRecordType(raw_type.into()))?;
    let version = i16::try_from(raw_version).map_err(|_| DecodeError::UnsupportedVersion {
        name: "MetadataRecord",
        version: i16::MAX,
    })?;
    let record = MetadataRecord::decode(record_type, &mut reader, version)?;
    reader.finish()?;
    Ok(record)
}
