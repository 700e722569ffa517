//! What is produced: lines, whole files, or JSON objects, and how they become records.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use client::Record;
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::commands::failure::Failure;

/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;
/// Records of a block.
const BLOCK_RECORDS: usize = 1_000;

/// How a line becomes a record.
pub(super) enum Form {
    Lines(Split),
    /// Objects as `consume -o json` prints them.
    Json {
        keep_partitions: bool,
    },
}

/// How a line becomes key and value.
pub(super) struct Split {
    pub(super) separator: Option<Vec<u8>>,
    pub(super) null_value: Option<Vec<u8>>,
}

/// A line or file, and where it was.
pub(super) struct Item {
    pub(super) place: Place,
    pub(super) bytes: Bytes,
}

#[derive(Debug, Clone)]
pub(super) struct Place {
    input: Arc<str>,
    line: u64,
}

impl Place {
    /// What is wrong there.
    pub(super) fn failure(&self, what: String) -> Failure {
        Failure::Input { place: format!("{} line {}", self.input, self.line), what }
    }
}

/// A tab is hard to type in a shell.
pub(super) fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n").replace("\\0", "\0")
}

impl Split {
    /// Key and value of a line.
    fn apply(&self, line: &Bytes) -> Option<(Option<Bytes>, Option<Bytes>)> {
        let (key, value) = match &self.separator {
            None => (None, line.clone()),
            Some(separator) => {
                let at = line.windows(separator.len()).position(|window| window == separator)?;
                (Some(line.slice(..at)), line.slice(at + separator.len()..))
            }
        };
        let null = self.null_value.as_deref() == Some(&*value);
        Some((key, (!null).then_some(value)))
    }
}

impl Form {
    /// The record of a line; what the line does not say is as in the template.
    pub(super) fn record(&self, template: &Record, line: &Bytes) -> Result<Record, String> {
        match self {
            Self::Lines(split) => {
                let (key, value) = split.apply(line).ok_or("the key separator is not there")?;
                let key = key.or_else(|| template.key.clone());
                Ok(Record { key, value, ..template.clone() })
            }
            Self::Json { keep_partitions } => json_record(template, line, *keep_partitions),
        }
    }
}

fn json_record(template: &Record, line: &[u8], keep_partitions: bool) -> Result<Record, String> {
    let mut object: Map<String, Value> =
        serde_json::from_slice(line).map_err(|error| format!("not a JSON object: {error}"))?;
    let mut record = template.clone();
    if let Some(key) = take_bytes(&mut object, "key")? {
        record.key = key;
    }
    record.value = take_bytes(&mut object, "value")?.flatten();
    let number = |object: &mut Map<String, Value>, name: &str| match object.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or(format!("{name} is not a whole number")),
    };
    record.timestamp = number(&mut object, "timestamp")?.or(record.timestamp);
    let partition = number(&mut object, "partition")?;
    if keep_partitions && let Some(partition) = partition {
        let partition = i32::try_from(partition).map_err(|_| "partition is out of range")?;
        record.partition = Some(partition);
    }
    match object.remove("headers") {
        None | Some(Value::Null) => {}
        Some(Value::Array(headers)) => {
            for header in headers {
                record.headers.push(json_header(header)?);
            }
        }
        Some(_) => return Err("headers is not a list".to_owned()),
    }
    // Where a record was says nothing about where it goes.
    for place in ["topic", "offset"] {
        object.remove(place);
    }
    match object.keys().next() {
        None => Ok(record),
        Some(other) => Err(format!("a record has no field {other}")),
    }
}

fn json_header(header: Value) -> Result<(String, Option<Bytes>), String> {
    let Value::Object(mut header) = header else {
        return Err("a header is an object with name and value".to_owned());
    };
    let name = take_bytes(&mut header, "name")?.flatten().ok_or("a header has no name")?;
    let name = String::from_utf8(name.to_vec()).map_err(|_| "a header's name is not text")?;
    Ok((name, take_bytes(&mut header, "value")?.flatten()))
}

/// A field of bytes: text, anything else as its JSON, or hexadecimal digits under `NAME_hex`. None
/// when there is no such field, none inside when it is null.
fn take_bytes(
    object: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<Option<Bytes>>, String> {
    let hex = format!("{name}_hex");
    match (object.remove(name), object.remove(&hex)) {
        (Some(_), Some(_)) => Err(format!("{name} and {hex} exclude each other")),
        (None, None) => Ok(None),
        (Some(Value::Null), None) => Ok(Some(None)),
        (Some(Value::String(text)), None) => Ok(Some(Some(Bytes::from(text)))),
        (Some(other), None) => Ok(Some(Some(Bytes::from(other.to_string())))),
        (None, Some(digits)) => {
            let bytes = digits.as_str().and_then(unhex);
            bytes.map(|bytes| Some(Some(bytes))).ok_or(format!("{hex} is not hexadecimal"))
        }
    }
}

fn unhex(digits: &str) -> Option<Bytes> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    bytes.map(Bytes::from)
}

pub(super) fn read_all(
    files: &[PathBuf],
    whole: bool,
    blocks: &mpsc::Sender<Vec<Item>>,
) -> Result<(), Failure> {
    if files.is_empty() {
        return read_lines("standard input", std::io::stdin().lock(), blocks);
    }
    for path in files {
        let failed = |source| Failure::Path { path: path.clone(), source };
        let mut file = std::fs::File::open(path).map_err(failed)?;
        let name = path.display().to_string();
        if whole {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(failed)?;
            let place = Place { input: name.into(), line: 1 };
            let block = vec![Item { place, bytes: bytes.into() }];
            if blocks.blocking_send(block).is_err() {
                return Ok(());
            }
        } else {
            read_lines(&name, BufReader::with_capacity(READ_BYTES, file), blocks)?;
        }
    }
    Ok(())
}

/// Reads lines as they come: a block is sent on when the input pauses, too.
fn read_lines(
    name: &str,
    mut input: impl BufRead,
    blocks: &mpsc::Sender<Vec<Item>>,
) -> Result<(), Failure> {
    let place: Arc<str> = name.into();
    let mut lines = Lines::default();
    let mut number = 0u64;
    loop {
        let buffer = input
            .fill_buf()
            .map_err(|source| Failure::Path { path: PathBuf::from(name), source })?;
        let used = buffer.len();
        let ended = used == 0;
        let mut complete = if ended { lines.finish() } else { lines.take(buffer) };
        input.consume(used);
        while !complete.is_empty() {
            let rest = complete.split_off(complete.len().min(BLOCK_RECORDS));
            let item = |bytes: Bytes| {
                number += 1;
                Item { place: Place { input: Arc::clone(&place), line: number }, bytes }
            };
            let block: Vec<Item> = complete.into_iter().map(item).collect();
            if blocks.blocking_send(block).is_err() {
                return Ok(());
            }
            complete = rest;
        }
        if ended {
            return Ok(());
        }
    }
}

/// Cuts bytes into lines; the lines of one block share one buffer.
#[derive(Default)]
struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// The lines that these bytes complete.
    fn take(&mut self, bytes: &[u8]) -> Vec<Bytes> {
        let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n') else {
            self.begun.extend_from_slice(bytes);
            return Vec::new();
        };
        let (complete, rest) = bytes.split_at(last + 1);
        self.begun.extend_from_slice(complete);
        let block = Bytes::from(std::mem::replace(&mut self.begun, rest.to_vec()));
        let mut start = 0;
        let mut lines = Vec::new();
        for (index, byte) in block.iter().enumerate() {
            if *byte == b'\n' {
                lines.push(block.slice(start..index));
                start = index + 1;
            }
        }
        lines
    }

    /// The last line, when no line end follows it.
    fn finish(&mut self) -> Vec<Bytes> {
        let begun = std::mem::take(&mut self.begun);
        if begun.is_empty() { Vec::new() } else { vec![Bytes::from(begun)] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&str]) -> Vec<String> {
        let mut cut = Lines::default();
        let mut all: Vec<Bytes> = Vec::new();
        for chunk in chunks {
            all.extend(cut.take(chunk.as_bytes()));
        }
        all.extend(cut.finish());
        all.into_iter().map(|line| String::from_utf8(line.to_vec()).unwrap()).collect()
    }

    #[test]
    fn lines_across_reads() {
        assert_eq!(lines(&["a\nb", "c\n", "\nd"]), ["a", "bc", "", "d"]);
        assert_eq!(lines(&["a\r\nb\r", "\nc"]), ["a\r", "b\r", "c"]);
        assert_eq!(lines(&[]), Vec::<String>::new());
        assert_eq!(lines(&["\n"]), [""]);
    }

    #[test]
    fn json_lines() {
        let template = Record { topic: "t".into(), timestamp: Some(5), ..Record::default() };
        let read = |line: &str, keep_partitions| {
            let form = Form::Json { keep_partitions };
            form.record(&template, &Bytes::copy_from_slice(line.as_bytes()))
        };
        let bytes = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
        let full = r#"{"topic":"x","partition":3,"offset":9,"timestamp":7,"key":"k",
            "value_hex":"00fF","headers":[{"name":"a","value":"1"},{"name":"b","value":null}]}"#;
        let record = read(full, true).unwrap();
        assert_eq!((record.partition, record.timestamp), (Some(3), Some(7)));
        assert_eq!((record.key, record.value), (bytes("k"), Some(Bytes::from_static(&[0, 255]))));
        assert_eq!(record.headers, [("a".to_owned(), bytes("1")), ("b".to_owned(), None)]);
        assert_eq!(&*record.topic, "t");
        assert_eq!(read(full, false).unwrap().partition, None);
        let plain = read(r#"{"value":{"a":[1,2]}}"#, true).unwrap();
        assert_eq!((plain.key, plain.value), (None, bytes(r#"{"a":[1,2]}"#)));
        assert_eq!(plain.timestamp, Some(5));
        assert_eq!(read(r#"{"key":"k"}"#, true).unwrap().value, None);
        for wrong in [
            "text",
            "[1]",
            r#"{"vlaue":1}"#,
            r#"{"value_hex":"0"}"#,
            r#"{"value_hex":"zz"}"#,
            r#"{"value":"a","value_hex":"00"}"#,
            r#"{"timestamp":"now"}"#,
            r#"{"partition":5000000000}"#,
            r#"{"headers":{"a":1}}"#,
            r#"{"headers":[{"value":"1"}]}"#,
        ] {
            assert!(read(wrong, true).is_err(), "{wrong}");
        }
    }

    #[test]
    fn keys_and_nulls() {
        let split = |separator: Option<&str>, line: &'static str| {
            let split = Split {
                separator: separator.map(|text| unescape(text).into_bytes()),
                null_value: Some(b"NULL".to_vec()),
            };
            split.apply(&Bytes::from_static(line.as_bytes()))
        };
        let bytes = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
        assert_eq!(split(None, "a:b"), Some((None, bytes("a:b"))));
        assert_eq!(split(Some(":"), "a:b:c"), Some((bytes("a"), bytes("b:c"))));
        assert_eq!(split(Some("::"), "a::b"), Some((bytes("a"), bytes("b"))));
        assert_eq!(split(Some("\\t"), "a\tb"), Some((bytes("a"), bytes("b"))));
        assert_eq!(split(Some(":"), "a:NULL"), Some((bytes("a"), None)));
        assert_eq!(split(Some(":"), "a:"), Some((bytes("a"), bytes(""))));
        assert_eq!(split(Some(":"), "a"), None);
    }
}
