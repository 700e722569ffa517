//! Segments and snapshots of the metadata: batches, and the records in them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use serde_json::{Value, json};
use wire::records::{Batch, BatchHeader, HEADER_BYTES, Record, TimestampType};

use super::decode;
use super::out::{Line, Out};
use super::{Kind, base_offset};
use crate::commands::failure::Failure;
use crate::commands::format::bytes_field;

/// What the records of one batch may unfold to.
const RECORDS_BYTES_MAX: usize = 1 << 30;
/// Bytes read at once where only zeros are expected.
const ZEROS_BYTES: usize = 1 << 20;

/// Prints a file of batches.
pub(super) fn dump(
    path: &Path,
    kind: Kind,
    batches_only: bool,
    out: &mut Out,
) -> Result<(), Failure> {
    let failed = |source| Failure::Path { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(failed)?;
    let end = file.metadata().map_err(failed)?.len();
    let mut position = 0;
    let mut next_offset = base_offset(path);
    while position < end {
        let left = usize::try_from(end - position).unwrap_or(usize::MAX);
        let mut head = vec![0; HEADER_BYTES.min(left)];
        file.read_exact_at(&mut head, position).map_err(failed)?;
        let header = match BatchHeader::parse(&head) {
            Ok(header) if header.size_in_bytes() <= left => header,
            parsed => {
                let zeros = only_zeros(&file, position, end).map_err(failed)?;
                let what = match parsed {
                    _ if zeros => "only zeros from here on".to_owned(),
                    Ok(header) => {
                        format!("a batch of {} bytes where {left} are left", header.size_in_bytes())
                    }
                    Err(error) => error.to_string(),
                };
                return out.problem(position, &what);
            }
        };
        let mut bytes = vec![0; header.size_in_bytes()];
        file.read_exact_at(&mut bytes, position).map_err(failed)?;
        match Batch::parse(&Bytes::from(bytes)) {
            Ok(batch) => one(&batch, position, next_offset, kind, batches_only, out)?,
            Err(error) => out.problem(position, &error.to_string())?,
        }
        next_offset = header.next_offset();
        position += header.size_in_bytes() as u64;
    }
    Ok(())
}

fn only_zeros(file: &File, mut position: u64, end: u64) -> std::io::Result<bool> {
    let mut chunk = vec![0; ZEROS_BYTES];
    while position < end {
        let take = usize::try_from(end - position).unwrap_or(usize::MAX).min(ZEROS_BYTES);
        let Some(chunk) = chunk.get_mut(..take) else { return Ok(false) };
        file.read_exact_at(chunk, position)?;
        if chunk.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        position += take as u64;
    }
    Ok(true)
}

/// Prints a batch, and its records when it can be believed.
fn one(
    batch: &Batch,
    position: u64,
    offset_min: i64,
    kind: Kind,
    batches_only: bool,
    out: &mut Out,
) -> Result<(), Failure> {
    let header = batch.header();
    let checked = batch.verify_crc();
    out.line("batch", header_line(header, position, checked.is_ok()))?;
    if let Err(error) = checked {
        return out.problem(position, &error.to_string());
    }
    if header.base_offset < offset_min || header.last_offset_delta < 0 {
        let what = format!("offset {} comes after {offset_min}", header.base_offset);
        out.problem(position, &what)?;
    }
    if batches_only {
        return Ok(());
    }
    let records = match batch.records(RECORDS_BYTES_MAX) {
        Ok(records) => records,
        Err(error) => return out.problem(position, &error.to_string()),
    };
    for record in &records {
        match record {
            Ok(record) => {
                let control = header.attributes.is_control();
                match record_line(&record, kind, control) {
                    Ok(line) => out.line("record", line)?,
                    Err(what) => {
                        let line = plain_line(&record);
                        out.line("record", line)?;
                        out.problem(position, &format!("record {}: {what}", record.offset))?;
                    }
                }
            }
            Err(error) => out.problem(position, &error.to_string())?,
        }
    }
    Ok(())
}

fn header_line(header: &BatchHeader, position: u64, valid: bool) -> Line {
    let attributes = header.attributes;
    let clock = match attributes.timestamp_type() {
        TimestampType::CreateTime => "create",
        TimestampType::LogAppendTime => "append",
    };
    let codec = attributes.codec().map_or_else(|_| "unknown", wire::compression::Codec::name);
    let horizon = attributes.has_delete_horizon().then_some(header.base_timestamp);
    vec![
        ("first_offset", json!(header.base_offset)),
        ("last_offset", json!(header.last_offset())),
        ("records", json!(header.records_count)),
        ("position", json!(position)),
        ("bytes", json!(header.size_in_bytes())),
        ("max_timestamp", json!(header.max_timestamp)),
        ("clock", json!(clock)),
        ("codec", json!(codec)),
        ("leader_epoch", json!(header.partition_leader_epoch)),
        ("producer_id", json!(header.producer_id)),
        ("producer_epoch", json!(header.producer_epoch)),
        ("first_sequence", json!(header.base_sequence)),
        ("last_sequence", json!(header.last_sequence())),
        ("transactional", json!(attributes.is_transactional())),
        ("control", json!(attributes.is_control())),
        ("delete_horizon", json!(horizon)),
        ("magic", json!(header.magic)),
        ("crc", json!(header.crc)),
        ("valid", json!(valid)),
    ]
}

fn place(record: &Record<'_>) -> Line {
    vec![
        ("offset", json!(record.offset)),
        ("timestamp", json!(record.timestamp)),
        ("sequence", json!(record.sequence)),
    ]
}

fn record_line(record: &Record<'_>, kind: Kind, control: bool) -> Result<Line, String> {
    if !control && kind == Kind::Plain {
        return Ok(plain_line(record));
    }
    let mut line = place(record);
    line.extend(match (control, kind) {
        (true, _) => decode::control(record)?,
        (false, Kind::Metadata) => decode::metadata(record)?,
        (false, _) => decode::offsets(record)?,
    });
    Ok(line)
}

fn plain_line(record: &Record<'_>) -> Line {
    let mut line = place(record);
    line.push(bytes_field(("key", "key_hex"), record.key));
    line.push(bytes_field(("value", "value_hex"), record.value));
    let header = |header: wire::records::Header<'_>| {
        let fields = [
            bytes_field(("name", "name_hex"), Some(header.key)),
            bytes_field(("value", "value_hex"), header.value),
        ];
        Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    line.push(("headers", Value::Array(record.headers().map(header).collect())));
    line
}
