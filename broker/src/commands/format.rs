//! How a consumed record is printed.

use std::fmt::Write;

use client::FetchedRecord;
use serde_json::{Value, json};

/// A record with where it was.
pub(super) struct Placed<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) record: &'a FetchedRecord<'a>,
}

/// A piece of the format.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Topic,
    Partition,
    Offset,
    Timestamp,
    Key,
    Value,
    KeyLength,
    ValueLength,
    Headers,
}

/// The form of every record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Format {
    /// Pieces one after the other.
    Template(Template),
    /// One JSON object for each record, one on each line.
    Json,
}

/// A template with `%` pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

impl Template {
    /// Reads a template: `%t` topic, `%p` partition, `%o` offset, `%T` time in ms, `%k` key, `%v`
    /// value, `%K` and `%V` their lengths (-1 for none), `%h` headers, `%%` a percent sign.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let piece = match character {
                '\\' => {
                    literal.push(match characters.next() {
                        Some('n') => '\n',
                        Some('t') => '\t',
                        Some('r') => '\r',
                        Some('0') => '\0',
                        Some(other) => other,
                        None => '\\',
                    });
                    continue;
                }
                '%' => match characters.next() {
                    Some('%') => {
                        literal.push('%');
                        continue;
                    }
                    Some(letter) => piece(letter).ok_or_else(|| {
                        format!("%{letter} is none of %t %p %o %T %k %v %K %V %h %%")
                    })?,
                    None => return Err("a format cannot end in a single %".to_owned()),
                },
                other => {
                    literal.push(other);
                    continue;
                }
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal).into_bytes()));
            }
            pieces.push(piece);
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.into_bytes()));
        }
        Ok(Self(pieces))
    }
}

fn piece(letter: char) -> Option<Piece> {
    Some(match letter {
        't' => Piece::Topic,
        'p' => Piece::Partition,
        'o' => Piece::Offset,
        'T' => Piece::Timestamp,
        'k' => Piece::Key,
        'v' => Piece::Value,
        'K' => Piece::KeyLength,
        'V' => Piece::ValueLength,
        'h' => Piece::Headers,
        _ => return None,
    })
}

impl Format {
    /// Appends a record.
    pub(super) fn append(&self, into: &mut Vec<u8>, placed: &Placed<'_>) {
        match self {
            Self::Template(template) => {
                for piece in &template.0 {
                    append_piece(into, piece, placed);
                }
            }
            Self::Json => {
                into.extend_from_slice(json_of(placed).to_string().as_bytes());
                into.push(b'\n');
            }
        }
    }
}

fn append_piece(into: &mut Vec<u8>, piece: &Piece, placed: &Placed<'_>) {
    let record = placed.record;
    let length = |bytes: Option<&[u8]>| {
        bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX))
    };
    let mut number = |number: i64| into.extend_from_slice(number.to_string().as_bytes());
    match piece {
        Piece::Literal(bytes) => into.extend_from_slice(bytes),
        Piece::Topic => into.extend_from_slice(placed.topic.as_bytes()),
        Piece::Partition => number(i64::from(placed.partition)),
        Piece::Offset => number(record.offset),
        Piece::Timestamp => number(record.timestamp),
        Piece::Key => into.extend_from_slice(record.key.unwrap_or_default()),
        Piece::Value => into.extend_from_slice(record.value.unwrap_or_default()),
        Piece::KeyLength => number(length(record.key)),
        Piece::ValueLength => number(length(record.value)),
        Piece::Headers => {
            for (index, (name, value)) in record.headers.iter().enumerate() {
                if index > 0 {
                    into.push(b',');
                }
                into.extend_from_slice(name);
                into.push(b'=');
                into.extend_from_slice(value.unwrap_or_default());
            }
        }
    }
}

/// Text stays text; other bytes become hexadecimal digits under a name that says so.
fn json_of(placed: &Placed<'_>) -> Value {
    let record = placed.record;
    let mut object = serde_json::Map::new();
    object.insert("topic".to_owned(), json!(placed.topic));
    object.insert("partition".to_owned(), json!(placed.partition));
    object.insert("offset".to_owned(), json!(record.offset));
    object.insert("timestamp".to_owned(), json!(record.timestamp));
    insert_bytes(&mut object, ("key", "key_hex"), record.key);
    insert_bytes(&mut object, ("value", "value_hex"), record.value);
    let header = |(name, value): &(&[u8], Option<&[u8]>)| {
        let mut header = serde_json::Map::new();
        insert_bytes(&mut header, ("name", "name_hex"), Some(name));
        insert_bytes(&mut header, ("value", "value_hex"), *value);
        Value::Object(header)
    };
    // A record without headers has an empty list, as with Kafka.
    object.insert("headers".to_owned(), record.headers.iter().map(header).collect());
    Value::Object(object)
}

/// Bytes under a name: text as it is, other bytes as hexadecimal digits under the second name.
pub(super) fn bytes_field(
    (name, hex): (&'static str, &'static str),
    bytes: Option<&[u8]>,
) -> (&'static str, Value) {
    match bytes.map(std::str::from_utf8) {
        None => (name, Value::Null),
        Some(Ok(text)) => (name, json!(text)),
        Some(Err(_)) => (hex, json!(hexadecimal(bytes.unwrap_or_default()))),
    }
}

fn insert_bytes(
    object: &mut serde_json::Map<String, Value>,
    names: (&'static str, &'static str),
    bytes: Option<&[u8]>,
) {
    let (name, value) = bytes_field(names, bytes);
    object.insert(name.to_owned(), value);
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(format: &Format, record: &FetchedRecord<'_>) -> String {
        let mut out = Vec::new();
        format.append(&mut out, &Placed { topic: "t", partition: 3, record });
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_piece() {
        let record = FetchedRecord {
            offset: 7,
            timestamp: 99,
            key: Some(b"k"),
            value: Some(b"value"),
            headers: vec![(b"a", Some(b"1")), (b"b", None)],
        };
        let template = |text: &str| Format::Template(Template::parse(text).unwrap());
        let text = template("%t/%p/%o/%T/%k/%v/%K/%V/%h/100%%\\t\\n");
        assert_eq!(printed(&text, &record), "t/3/7/99/k/value/1/5/a=1,b=/100%\t\n");
        let none = FetchedRecord { key: None, value: None, headers: Vec::new(), ..record };
        assert_eq!(printed(&template("%k|%v|%K|%V"), &none), "||-1|-1");
        assert!(Template::parse("%x").is_err() && Template::parse("100%").is_err());
    }

    #[test]
    fn json_keeps_bytes() {
        let record = FetchedRecord {
            offset: 7,
            timestamp: 99,
            key: None,
            value: Some(&[0xff, 0x01]),
            headers: vec![(b"a", Some(b"1"))],
        };
        let line = printed(&Format::Json, &record);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert!(line.ends_with('\n'));
        assert_eq!(value["value_hex"], "ff01");
        assert_eq!(value["key"], Value::Null);
        assert_eq!(value["headers"][0]["value"], "1");
        assert_eq!(value["offset"], 7);
        let bare = FetchedRecord { headers: Vec::new(), ..record };
        let value: Value = serde_json::from_str(&printed(&Format::Json, &bare)).unwrap();
        assert_eq!(value["headers"], serde_json::json!([]), "the field is there: {value}");
    }
}
