//! The records of `__consumer_offsets`, in Kafka's formats: a key is its type and the key
//! itself, a value is its version and the value itself. A record without a value removes what its
//! key names.

use bytes::{BufMut, Bytes, BytesMut};
use wire::message::{Message, TypedRecord, from_bytes, to_bytes};
use wire::messages::group_metadata_key::GroupMetadataKey;
use wire::messages::group_metadata_value::GroupMetadataValue;
use wire::messages::offset_commit_key::OffsetCommitKey;
use wire::messages::offset_commit_value::OffsetCommitValue;
use wire::records_slot::NoRange;

use crate::Error;

/// The version at which keys are written.
const KEY_VERSION: i16 = 0;
/// The version at which Kafka writes a classic group.
const GROUP_VERSION: i16 = 3;
/// The version of an offset that carries the topic's id.
const OFFSET_VERSION: i16 = 4;
/// The only version of an offset that says when it expires.
const EXPIRING_OFFSET_VERSION: i16 = 1;
/// The type of the keys that Kafka wrote before its second format; read like the second.
const OFFSET_KEY_V0: i16 = 0;

/// One record to append to the shard's partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it is about.
    pub key: Bytes,
    /// What holds from now on; nothing removes.
    pub value: Option<Bytes>,
}

impl Record {
    /// Its bytes.
    pub(crate) fn size(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// A record as the shard reads it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Parsed {
    Group {
        group: String,
        value: Option<GroupMetadataValue>,
    },
    Offset {
        key: OffsetCommitKey,
        value: Option<OffsetCommitValue>,
    },
    /// A type that this version does not know: of a newer group protocol.
    Unknown,
}

fn key<M: Message<Range = NoRange> + TypedRecord>(message: &M) -> Result<Bytes, Error> {
    prefixed(M::TYPE, &to_bytes(message, KEY_VERSION)?)
}

fn value<M: Message<Range = NoRange>>(message: &M, version: i16) -> Result<Bytes, Error> {
    prefixed(version, &to_bytes(message, version)?)
}

fn prefixed(number: i16, body: &Bytes) -> Result<Bytes, Error> {
    let mut bytes = BytesMut::with_capacity(2 + body.len());
    bytes.put_i16(number);
    bytes.extend_from_slice(body);
    Ok(bytes.freeze())
}

fn offset_version(offset: &OffsetCommitValue) -> i16 {
    match offset.expire_timestamp {
        -1 => OFFSET_VERSION,
        _ => EXPIRING_OFFSET_VERSION,
    }
}

fn split(bytes: &Bytes) -> Result<(i16, Bytes), Error> {
    match bytes.get(..2) {
        Some(&[high, low]) => Ok((i16::from_be_bytes([high, low]), bytes.slice(2..))),
        _ => Err(Error::NoVersion),
    }
}

impl Record {
    pub(crate) fn group(group: &str, metadata: Option<&GroupMetadataValue>) -> Result<Self, Error> {
        let metadata = metadata.map(|metadata| value(metadata, GROUP_VERSION)).transpose()?;
        let key = key(&GroupMetadataKey { group: group.to_owned() })?;
        Ok(Self { key, value: metadata })
    }

    pub(crate) fn offset(
        group: &str,
        topic: &str,
        partition: i32,
        offset: Option<&OffsetCommitValue>,
    ) -> Result<Self, Error> {
        let offset = offset.map(|offset| value(offset, offset_version(offset))).transpose()?;
        let (group, topic) = (group.to_owned(), topic.to_owned());
        let key = key(&OffsetCommitKey { group, topic, partition })?;
        Ok(Self { key, value: offset })
    }

    /// Whether its key is of a type that came with a newer group protocol.
    pub fn is_of_newer_protocol(&self) -> bool {
        split(&self.key).is_ok_and(|(kind, _)| kind > GroupMetadataKey::TYPE)
    }

    pub(crate) fn parse(&self) -> Result<Parsed, Error> {
        let (kind, body) = split(&self.key)?;
        let versioned = self.value.as_ref().map(split).transpose()?;
        if kind == GroupMetadataKey::TYPE {
            let key: GroupMetadataKey = from_bytes(body, KEY_VERSION)?;
            let value = versioned.map(|(version, body)| from_bytes(body, version)).transpose()?;
            return Ok(Parsed::Group { group: key.group, value });
        }
        if kind == OffsetCommitKey::TYPE || kind == OFFSET_KEY_V0 {
            let key: OffsetCommitKey = from_bytes(body, KEY_VERSION)?;
            let value = versioned.map(|(version, body)| from_bytes(body, version)).transpose()?;
            return Ok(Parsed::Offset { key, value });
        }
        Ok(Parsed::Unknown)
    }
}
