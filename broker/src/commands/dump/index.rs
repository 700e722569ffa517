//! The indexes of a segment: what they say, and whether it can be true.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde_json::json;
use wire::records::{BatchHeader, HEADER_BYTES};

use super::base_offset;
use super::out::Out;
use crate::commands::failure::Failure;

/// The largest index that is read: far above `segment.index.bytes`.
const INDEX_BYTES_MAX: u64 = 1 << 30;

/// The file's entries of so many bytes, with their positions. A running Kafka keeps its active
/// indexes longer than their entries; zeros at the end are left out and told.
fn entries<const WIDTH: usize>(
    path: &Path,
    out: &mut Out,
) -> Result<Vec<(u64, [u8; WIDTH])>, Failure> {
    let bytes = super::small::read(path, INDEX_BYTES_MAX)?;
    let (chunks, rest) = bytes.as_chunks::<WIDTH>();
    let used = chunks.iter().rposition(|chunk| *chunk != [0; WIDTH]).map_or(0, |last| last + 1);
    // An entry of zeros can only be the first.
    let used = used.max(usize::from(chunks.len() == 1));
    if used < chunks.len() {
        let zeros = (chunks.len() - used) * WIDTH;
        out.line("zeros", vec![("position", json!(used * WIDTH)), ("bytes", json!(zeros))])?;
    }
    if !rest.is_empty() {
        let position = (chunks.len() * WIDTH) as u64;
        out.problem(position, &format!("{} bytes of an entry of {WIDTH}", rest.len()))?;
    }
    let positions = (0u64..).step_by(WIDTH);
    Ok(positions.zip(chunks.iter().take(used).copied()).collect())
}

/// The number of `N` bytes at a place of an entry.
fn number<const N: usize>(entry: &[u8], at: usize) -> [u8; N] {
    entry.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
}

/// `.index`
pub(super) fn offsets(path: &Path, out: &mut Out) -> Result<(), Failure> {
    let base = base_offset(path);
    let log = File::open(path.with_extension("log")).ok();
    let mut before: Option<(u32, u32)> = None;
    for (at, entry) in entries::<8>(path, out)? {
        let relative = u32::from_be_bytes(number(&entry, 0));
        let position = u32::from_be_bytes(number(&entry, 4));
        let offset = base.saturating_add(i64::from(relative));
        out.line("entry", vec![("offset", json!(offset)), ("position", json!(position))])?;
        if before.is_some_and(|(offset, place)| relative <= offset || position <= place) {
            out.problem(at, "the entry does not come after the one before")?;
        }
        before = Some((relative, position));
        let Some(log) = &log else { continue };
        let mut head = vec![0; HEADER_BYTES];
        let header = log.read_exact_at(&mut head, u64::from(position)).ok();
        match header.and_then(|()| BatchHeader::parse(&head).ok()) {
            Some(header) if (header.base_offset..=header.last_offset()).contains(&offset) => {}
            Some(header) => {
                let (first, last) = (header.base_offset, header.last_offset());
                let what = format!("offset {offset}: the batch there holds {first} to {last}");
                out.problem(at, &what)?;
            }
            None => {
                out.problem(at, &format!("offset {offset}: there is no batch at {position}"))?
            }
        }
    }
    Ok(())
}

/// `.timeindex`
pub(super) fn times(path: &Path, out: &mut Out) -> Result<(), Failure> {
    let base = base_offset(path);
    let mut before: Option<(i64, u32)> = None;
    for (at, entry) in entries::<12>(path, out)? {
        let timestamp = i64::from_be_bytes(number(&entry, 0));
        let relative = u32::from_be_bytes(number(&entry, 8));
        let offset = base.saturating_add(i64::from(relative));
        out.line("entry", vec![("timestamp", json!(timestamp)), ("offset", json!(offset))])?;
        if before.is_some_and(|(time, offset)| timestamp < time || relative < offset) {
            out.problem(at, "the entry does not come after the one before")?;
        }
        before = Some((timestamp, relative));
    }
    Ok(())
}

/// `.txnindex`
pub(super) fn transactions(path: &Path, out: &mut Out) -> Result<(), Failure> {
    for (at, entry) in entries::<34>(path, out)? {
        let version = i16::from_be_bytes(number(&entry, 0));
        if version != 0 {
            out.problem(at, &format!("version {version} of an entry is not known"))?;
        }
        let field = |at| json!(i64::from_be_bytes(number(&entry, at)));
        let line = vec![
            ("producer_id", field(2)),
            ("first_offset", field(10)),
            ("last_offset", field(18)),
            ("last_stable_offset", field(26)),
        ];
        out.line("aborted", line)?;
    }
    Ok(())
}
