//! Records whose form is known: the metadata log's, those of groups, control records.

use bytes::Bytes;
use serde_json::{Value, json};
use wire::message::{Message, TypedRecord};
use wire::messages::consumer_protocol_assignment::ConsumerProtocolAssignment;
use wire::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;
use wire::messages::end_txn_marker::EndTxnMarker;
use wire::messages::group_metadata_key::GroupMetadataKey;
use wire::messages::group_metadata_value::GroupMetadataValue;
use wire::messages::kraft_version_record::KRaftVersionRecord;
use wire::messages::leader_change_message::LeaderChangeMessage;
use wire::messages::offset_commit_key::OffsetCommitKey;
use wire::messages::offset_commit_value::OffsetCommitValue;
use wire::messages::snapshot_footer_record::SnapshotFooterRecord;
use wire::messages::snapshot_header_record::SnapshotHeaderRecord;
use wire::messages::voters_record::VotersRecord;
use wire::records::{ControlType, Record};
use wire::show::{self, Show};

use super::out::Line;
use crate::commands::format::{bytes_field, hexadecimal};

/// Kafka's older type of an offset's key, with the fields of the newer.
const OFFSET_KEY_V0: i16 = 0;

/// A value of the schema as JSON; bytes as hexadecimal digits.
fn value(shown: show::Value) -> Value {
    match shown {
        show::Value::Null => Value::Null,
        show::Value::Bool(is) => json!(is),
        show::Value::Number(number) => json!(number),
        show::Value::Float(number) => json!(number),
        show::Value::Text(text) => json!(text),
        show::Value::Bytes(bytes) => json!(hexadecimal(&bytes)),
        show::Value::List(list) => Value::Array(list.into_iter().map(value).collect()),
        show::Value::Object(fields) => {
            let fields = fields.0.into_iter();
            Value::Object(fields.map(|(name, one)| (name.to_owned(), value(one))).collect())
        }
    }
}

fn owned(bytes: Option<&[u8]>) -> Bytes {
    Bytes::copy_from_slice(bytes.unwrap_or_default())
}

fn decoded<M: Message + Show>(bytes: Bytes, version: i16) -> Result<Value, String> {
    let message: M =
        wire::message::from_bytes(bytes, version).map_err(|error| error.to_string())?;
    Ok(value(message.show(version)))
}

/// A record of the metadata log.
pub(super) fn metadata(record: &Record<'_>) -> Result<Line, String> {
    let (decoded, version) = wire::metadata_frame::decode_versioned(owned(record.value))
        .map_err(|error| error.to_string())?;
    let (name, fields) = decoded.show(version);
    Ok(vec![("type", json!(name)), ("version", json!(version)), ("data", value(fields))])
}

/// The number that a key or value of a group's record begins with, and the rest.
fn split(bytes: &[u8]) -> Result<(i16, Bytes), String> {
    let (number, rest) = bytes.split_first_chunk::<2>().ok_or("shorter than its version")?;
    Ok((i16::from_be_bytes(*number), Bytes::copy_from_slice(rest)))
}

/// A record of `__consumer_offsets`.
pub(super) fn offsets(record: &Record<'_>) -> Result<Line, String> {
    let (kind, key) = split(record.key.unwrap_or_default())?;
    let held = record.value.map(split).transpose()?;
    let read = |held: Option<(i16, Bytes)>, read: fn(Bytes, i16) -> Result<Value, String>| {
        let version = held.as_ref().map(|(version, _)| *version);
        let value = held.map(|(version, body)| read(body, version)).transpose()?;
        Ok::<_, String>(vec![("version", json!(version)), ("value", json!(value))])
    };
    let (name, key, rest) = match kind {
        OFFSET_KEY_V0 | OffsetCommitKey::TYPE => (
            OffsetCommitKey::NAME,
            decoded::<OffsetCommitKey>(key, 0)?,
            read(held, decoded::<OffsetCommitValue>)?,
        ),
        GroupMetadataKey::TYPE => {
            (GroupMetadataKey::NAME, decoded::<GroupMetadataKey>(key, 0)?, read(held, group)?)
        }
        // Of a group protocol that is not served here: shown as it is.
        other => {
            let mut line = vec![("type", json!(other))];
            line.push(bytes_field(("key", "key_hex"), record.key));
            line.push(bytes_field(("value", "value_hex"), record.value));
            return Ok(line);
        }
    };
    let mut line = vec![("type", json!(name.trim_end_matches("Key"))), ("key", key)];
    line.extend(rest);
    Ok(line)
}

/// A group with what its consumers told each other, which is bytes to the broker.
fn group(bytes: Bytes, version: i16) -> Result<Value, String> {
    let group: GroupMetadataValue =
        wire::message::from_bytes(bytes, version).map_err(|error| error.to_string())?;
    let mut shown = value(group.show(version));
    let members = shown.get_mut("members").and_then(Value::as_array_mut);
    if group.protocol_type == "consumer" {
        for (shown, member) in members.into_iter().flatten().zip(&group.members) {
            let parts = [
                ("subscription", versioned::<ConsumerProtocolSubscription>(&member.subscription)),
                ("assignment", versioned::<ConsumerProtocolAssignment>(&member.assignment)),
            ];
            for (name, part) in parts {
                // What cannot be read stays as bytes.
                if let (Some(field), Some(part)) = (shown.get_mut(name), part) {
                    *field = part;
                }
            }
        }
    }
    Ok(shown)
}

/// A message with its version before it; none when it is not one.
fn versioned<M: Message + Show>(bytes: &Bytes) -> Option<Value> {
    let (version, body) = split(bytes).ok()?;
    // A later version only adds fields at the end.
    let version = version.clamp(*M::VERSIONS.start(), *M::VERSIONS.end());
    let message = M::decode(&mut wire::codec::Reader::new(body), version).ok()?;
    Some(value(message.show(version)))
}

/// A control record.
pub(super) fn control(record: &Record<'_>) -> Result<Line, String> {
    let key = record.key.unwrap_or_default();
    let kind = ControlType::of_key(key).ok_or("a control record of an unknown type")?;
    let held = record.value.unwrap_or_default();
    // Each of these says its version in its first field.
    let (version, rest) = split(held)?;
    let whole = owned(record.value);
    let (name, data) = match kind {
        ControlType::Abort => ("Abort", decoded::<EndTxnMarker>(rest, version)?),
        ControlType::Commit => ("Commit", decoded::<EndTxnMarker>(rest, version)?),
        ControlType::LeaderChange => {
            ("LeaderChange", decoded::<LeaderChangeMessage>(whole, version)?)
        }
        ControlType::SnapshotHeader => {
            ("SnapshotHeader", decoded::<SnapshotHeaderRecord>(whole, version)?)
        }
        ControlType::SnapshotFooter => {
            ("SnapshotFooter", decoded::<SnapshotFooterRecord>(whole, version)?)
        }
        ControlType::KRaftVersion => {
            ("KRaftVersion", decoded::<KRaftVersionRecord>(whole, version)?)
        }
        ControlType::KRaftVoters => ("KRaftVoters", decoded::<VotersRecord>(whole, version)?),
    };
    Ok(vec![("type", json!(name)), ("version", json!(version)), ("data", data)])
}
