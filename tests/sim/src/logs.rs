//! The metadata log as it lies on a disk: what its node sees of it, and what a power loss would
//! certainly leave of it. Read by batch, as nobody else reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::Bytes;
use quorum::{Snapshot, SnapshotId};
use storage::disk::sim::SimDisk;
use storage::disk::{Access, Disk, read_file};
use wire::ids::Offset;
use wire::records::{Batch, BatchHeader, HEADER_BYTES};

pub(crate) const METADATA_LOG: &str = "/data/__cluster_metadata-0";
const FILE_BYTES_MAX: u64 = 1 << 30;

/// A batch by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) base: i64,
    pub(crate) last: i64,
    pub(crate) epoch: i32,
    pub(crate) crc: u32,
    position: u64,
    bytes: u64,
}

impl Head {
    fn of(header: &BatchHeader, position: u64) -> Self {
        Self {
            base: header.base_offset,
            last: header.last_offset(),
            epoch: header.partition_leader_epoch,
            crc: header.crc,
            position,
            bytes: header.size_in_bytes() as u64,
        }
    }
}

/// A node's log as it was seen last.
#[derive(Default)]
pub(crate) struct LogView {
    calls: Option<u64>,
    /// The batches of each file.
    files: BTreeMap<String, Vec<Head>>,
    snapshots: BTreeSet<String>,
}

/// A batch with the one before it, and its bytes.
pub(crate) type Added = (Option<Head>, Head, Bytes);

/// What a look at a log has found that was not there before.
#[derive(Default)]
pub(crate) struct News {
    /// In their order.
    pub(crate) batches: Vec<Added>,
    pub(crate) snapshots: Vec<(SnapshotId, Bytes)>,
}

impl LogView {
    /// Looks again, if anything on the disk has changed.
    pub(crate) fn look(&mut self, disk: &SimDisk) -> News {
        let mut news = News::default();
        let calls = disk.calls();
        if self.calls == Some(calls) {
            return news;
        }
        self.calls = Some(calls);
        let Ok(entries) = disk.list(Path::new(METADATA_LOG)) else { return news };
        let names: BTreeSet<String> = entries.into_iter().map(|entry| entry.name).collect();
        self.files.retain(|name, _| names.contains(name));
        self.snapshots.retain(|name| names.contains(name));
        for name in &names {
            if name.ends_with(".log") {
                self.look_at_log(disk, name, &mut news);
            } else if let Some(id) = SnapshotId::parse(name)
                && self.snapshots.insert(name.clone())
            {
                let file = read_file(disk, &Path::new(METADATA_LOG).join(name), FILE_BYTES_MAX);
                news.snapshots.push((id, Bytes::from(file.unwrap())));
            }
        }
        news
    }

    fn look_at_log(&mut self, disk: &SimDisk, name: &str, news: &mut News) {
        let path = Path::new(METADATA_LOG).join(name);
        let file = disk.open(&path, Access::Read).unwrap();
        let len = file.len().unwrap();
        let mut before = self.last_before(name);
        let known = self.files.entry(name.to_owned()).or_default();
        // What was cut since, and perhaps written over.
        while let Some(last) = known.last() {
            let mut head = [0; HEADER_BYTES];
            let whole = last.position + last.bytes <= len;
            let read = whole && file.read_exact_at(&mut head, last.position).is_ok();
            let same = read
                && BatchHeader::parse(&head)
                    .is_ok_and(|header| Head::of(&header, last.position) == *last);
            if same {
                break;
            }
            known.pop();
        }
        let from = known.last().map_or(0, |last| last.position + last.bytes);
        before = known.last().copied().or(before);
        let mut rest = vec![0; usize::try_from(len - from).unwrap()];
        file.read_exact_at(&mut rest, from).unwrap();
        let mut rest = Bytes::from(rest);
        let mut position = from;
        while let Ok(batch) = Batch::parse(&rest) {
            let head = Head::of(batch.header(), position);
            known.push(head);
            news.batches.push((before, head, batch.bytes().clone()));
            before = Some(head);
            position += head.bytes;
            rest = rest.slice(batch.bytes().len()..);
        }
    }

    fn last_before(&self, name: &str) -> Option<Head> {
        let mut earlier = self.files.range(..name.to_owned()).rev();
        earlier.find_map(|(_, batches)| batches.last()).copied()
    }

    pub(crate) fn has(&self, last: i64, epoch: i32) -> bool {
        let mut all = self.files.values().flatten();
        all.any(|head| (head.last, head.epoch) == (last, epoch))
    }

    /// The batches from an offset on.
    pub(crate) fn batches_from(&self, disk: &SimDisk, from: i64, upto: i64) -> Vec<Bytes> {
        let mut found = Vec::new();
        for (name, heads) in &self.files {
            for head in heads.iter().filter(|head| head.base >= from && head.last < upto) {
                let path = Path::new(METADATA_LOG).join(name);
                let file = disk.open(&path, Access::Read).unwrap();
                let mut bytes = vec![0; usize::try_from(head.bytes).unwrap()];
                file.read_exact_at(&mut bytes, head.position).unwrap();
                found.push(Bytes::from(bytes));
            }
        }
        found
    }

    pub(crate) fn snapshots_from(&self, end: i64) -> bool {
        let ids = self.snapshots.iter().filter_map(|name| SnapshotId::parse(name));
        ids.into_iter().any(|id| id.end_offset >= Offset(end))
    }
}

/// Whether what a disk certainly keeps reaches the record `last` of this epoch.
pub(crate) fn keeps(disk: &SimDisk, last: i64, epoch: i32) -> bool {
    let files = disk.at_rest(Path::new(METADATA_LOG));
    let whole = |(name, file): (&String, &Vec<u8>)| {
        SnapshotId::parse(name).is_some_and(|id| {
            id.end_offset.0 > last && Snapshot::parse(id, Bytes::from(file.clone())).is_ok()
        })
    };
    if files.iter().any(whole) {
        return true;
    }
    let mut next = None;
    for (_, file) in files.iter().filter(|(name, _)| name.ends_with(".log")) {
        let mut rest = Bytes::from(file.clone());
        while let Ok(batch) = Batch::parse(&rest) {
            let head = Head::of(batch.header(), 0);
            if batch.verify_crc().is_err() || next.is_some_and(|next| next != head.base) {
                return false;
            }
            if (head.last, head.epoch) == (last, epoch) {
                return true;
            }
            next = Some(head.last + 1);
            rest = rest.slice(batch.bytes().len()..);
        }
    }
    false
}
