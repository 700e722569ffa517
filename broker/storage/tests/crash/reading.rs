//! Reads, look-ups and index files, held against the model.

use std::path::Path;

use tidelog_storage::disk::Disk;
use tidelog_storage::disk::sim::SimDisk;
use tidelog_storage::error::ReadError;
use wire::ids::Offset;

use crate::model::Model;
use crate::world::World;

impl World {
    pub(crate) fn read_somewhere(&mut self, at: usize) {
        let model = &self.parts[at].model;
        let span = u64::try_from(model.end - model.start).unwrap();
        let offset = model.start + i64::try_from(self.random.below(span + 1)).unwrap();
        let max_bytes = u32::try_from(self.random.below(5000)).unwrap();
        self.read(at, offset, max_bytes);
        let age = i64::try_from(self.random.below(40_000)).unwrap();
        self.look_up(at, self.now_ms - age);
    }

    /// Reads at an offset and compares with the model; returns the offset behind.
    pub(crate) fn read(&mut self, at: usize, offset: i64, max_bytes: u32) -> i64 {
        let part = &self.parts[at];
        let log = part.log.as_ref().unwrap();
        let slice = match log.read(Offset(offset), max_bytes, log.end_offset(), true) {
            Ok(slice) => slice,
            Err(ReadError::Disk(error)) => {
                self.trouble(at, &error);
                return offset;
            }
            Err(error) => panic!("read of {} at {offset}: {error}", part.name),
        };
        self.counts.reads += 1;
        let Some(range) = slice.range else {
            assert_eq!(offset, part.model.end, "only the end has nothing to read");
            return offset;
        };
        let bytes = match range.read() {
            Ok(bytes) => bytes,
            Err(error) => {
                self.trouble(at, &error);
                return offset;
            }
        };
        let first = part.model.at(offset).expect("an offset below the end is in a batch");
        let mut rest: &[u8] = &bytes;
        let mut next = offset;
        for entry in &part.model.entries[first..] {
            if rest.is_empty() {
                break;
            }
            let batch = rest.get(..entry.bytes.len()).expect("whole batches only");
            assert!(batch == entry.bytes, "{} offset {} differs", part.name, entry.base);
            rest = &rest[entry.bytes.len()..];
            next = entry.next;
        }
        assert!(rest.is_empty(), "more than the log holds was read");
        assert_eq!(slice.next_offset.0, next);
        let one = part.model.entries[first].bytes.len();
        assert!(bytes.len() <= one.max(max_bytes as usize), "more than was asked for");
        next
    }

    pub(crate) fn look_up(&mut self, at: usize, timestamp: i64) {
        let part = &self.parts[at];
        let log = part.log.as_ref().unwrap();
        let found = match log.offset_for_timestamp(timestamp, log.end_offset()) {
            Ok(found) => found.map(|found| (found.offset.0, found.timestamp)),
            Err(ReadError::Disk(error)) => {
                self.trouble(at, &error);
                return;
            }
            Err(error) => panic!("{}: {error}", part.name),
        };
        let expect = part.model.first_not_older(timestamp);
        assert_eq!(found, expect, "{}: first record since {timestamp}", part.name);
    }
}

/// Every entry of an offset index names a batch that is there.
pub(crate) fn check_index_files(disk: &SimDisk, dir: &Path, model: &Model) {
    let Ok(names) = disk.list(dir) else { return };
    for name in names.iter().filter_map(|entry| entry.name.strip_suffix(".index")) {
        let segment: i64 = name.parse().unwrap();
        let path = dir.join(format!("{name}.index"));
        let Ok(bytes) = tidelog_storage::disk::read_file(disk, &path, 1 << 20) else { return };
        let mut last = None;
        for entry in bytes.chunks_exact(8) {
            let relative = i32::from_be_bytes(entry[..4].try_into().unwrap());
            let position = i32::from_be_bytes(entry[4..].try_into().unwrap());
            if (relative, position) == (0, 0) {
                continue;
            }
            let offset = segment + i64::from(relative);
            assert!(last.is_none_or(|last| last < (offset, position)), "{name}: index order");
            last = Some((offset, position));
            let (Some(first), Some(at)) = (model.at(segment), model.at(offset)) else {
                // Above the end: an entry for what a crash took, in a segment that was closed
                // whole it would be a bug.
                panic!("{name}: index entry for offset {offset}, which is not in the log");
            };
            let expect: usize = model.entries[first..at].iter().map(|e| e.bytes.len()).sum();
            assert_eq!(position as usize, expect, "{name}: position of offset {offset}");
        }
    }
}
