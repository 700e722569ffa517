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
    decode_versioned(value).map(|(record, _)| record)
}

/// Reads the value of a record, and at which version it is.
pub fn decode_versioned(value: Bytes) -> Result<(MetadataRecord, i16), DecodeError> {
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
    Ok((record, version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Uuid;
    use crate::messages::metadata_records::{NoOpRecord, TopicRecord};

    #[test]
    fn a_record_comes_back_from_its_frame() {
        let topic_id = Uuid([7; 16]);
        let record = MetadataRecord::from(TopicRecord { name: "t".to_owned(), topic_id });
        let value = encode(&record).unwrap();
        // Frame version, type 2, version 0, compact string, uuid, no tags.
        assert_eq!(value[..5], [1, 2, 0, 2, b't']);
        assert_eq!(value.len(), 5 + 16 + 1);
        assert_eq!(decode(value), Ok(record));
    }

    #[test]
    fn other_frames_are_refused() {
        let frame = DecodeError::UnknownFrameVersion(2);
        assert_eq!(decode(Bytes::from_static(&[2, 2, 0])), Err(frame));
        let unknown = DecodeError::UnknownRecordType(99);
        assert_eq!(decode(Bytes::from_static(&[1, 99, 0])), Err(unknown));
        let version = DecodeError::UnsupportedVersion { name: "NoOpRecord", version: 1 };
        assert_eq!(decode(Bytes::from_static(&[1, 20, 1, 0])), Err(version));
        let no_op = MetadataRecord::from(NoOpRecord {});
        assert_eq!(decode(Bytes::from_static(&[1, 20, 0, 0])), Ok(no_op));
        let trailing = DecodeError::TrailingBytes(1);
        assert_eq!(decode(Bytes::from_static(&[1, 20, 0, 0, 5])), Err(trailing));
    }
}
