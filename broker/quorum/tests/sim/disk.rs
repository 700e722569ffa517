//! A metadata directory that forgets: what was not flushed may be gone after a power loss, from
//! some operation on. What was written is there after the mere death of the process.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use quorum::{LogEntry, Snapshot, SnapshotId, Voters, entries};
use wire::ids::{LeaderEpoch, Offset, Uuid};
use wire::records::Batch;

use crate::random::Random;

/// What the directory holds.
#[derive(Clone, Default)]
pub(crate) struct Files {
    pub(crate) state: Option<Bytes>,
    pub(crate) log_start: Offset,
    pub(crate) log: Vec<Batch>,
    pub(crate) snapshots: BTreeMap<SnapshotId, Bytes>,
}

/// A change of the log that is not flushed.
#[derive(Clone)]
enum Change {
    Append(Batch),
    Truncate(Offset),
    Trim(Offset),
    Install(SnapshotId, Bytes),
}

impl Files {
    pub(crate) fn newest(&self) -> Option<SnapshotId> {
        self.snapshots.keys().next_back().copied()
    }

    pub(crate) fn end(&self) -> Offset {
        let last = self.log.last().map(|batch| Offset(batch.header().next_offset()));
        last.unwrap_or(self.log_start)
    }

    /// The epoch of the record at `offset`, if the log holds it.
    pub(crate) fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let at = self.log.partition_point(|batch| batch.header().last_offset() < offset.0);
        let header = self.log.get(at)?.header();
        (header.base_offset <= offset.0).then_some(LeaderEpoch(header.partition_leader_epoch))
    }

    /// Whether what was committed at `offset` in `epoch` is here, in the log or in a snapshot.
    pub(crate) fn has(&self, offset: Offset, epoch: LeaderEpoch) -> bool {
        self.newest().is_some_and(|id| id.end_offset > offset)
            || self.epoch_at(offset) == Some(epoch)
    }

    pub(crate) fn last_epoch(&self) -> LeaderEpoch {
        let newest = self.newest().map_or(LeaderEpoch(0), |id| id.epoch);
        let last = self.log.last().map(|b| LeaderEpoch(b.header().partition_leader_epoch));
        last.unwrap_or(newest).max(newest)
    }

    /// Whole batches from `from` on.
    pub(crate) fn read(&self, from: Offset, upto: Offset, max_bytes: u32) -> Bytes {
        let at = self.log.partition_point(|batch| batch.header().base_offset < from.0);
        let mut read = Vec::new();
        for batch in &self.log[at..] {
            let bytes = batch.bytes();
            let full = !read.is_empty() && read.len() + bytes.len() > max_bytes as usize;
            if full || batch.header().last_offset() >= upto.0 {
                break;
            }
            read.extend_from_slice(bytes);
        }
        Bytes::from(read)
    }

    /// The voters that the log or, before it, the newest snapshot names.
    pub(crate) fn voters(&self) -> Option<Voters> {
        let newest = self.newest();
        let base = newest.and_then(|id| {
            Snapshot::parse(id, self.snapshots[&id].clone()).expect("a whole snapshot").voters
        });
        let from = newest.map_or(Offset(0), |id| id.end_offset);
        let control = |batch: &&Batch| {
            batch.header().attributes.is_control() && batch.header().base_offset >= from.0
        };
        let named = self.log.iter().filter(control).flat_map(|batch| entries(batch).unwrap());
        let named = named.filter_map(|entry| match entry {
            LogEntry::Voters { voters, .. } => Some(voters),
            _ => None,
        });
        named.last().or(base)
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Append(batch) => {
                assert_eq!(self.end().0, batch.header().base_offset, "appends continue the log");
                self.log.push(batch);
            }
            Change::Truncate(end) => {
                self.log.retain(|batch| batch.header().last_offset() < end.0);
                assert_eq!(self.end(), end, "cuts are between batches");
            }
            Change::Trim(start) if start > self.log_start => {
                self.log.retain(|batch| batch.header().base_offset >= start.0);
                self.log_start = start;
            }
            Change::Trim(_) => {}
            Change::Install(id, file) => {
                self.snapshots.insert(id, file);
                self.log.clear();
                self.log_start = id.end_offset;
            }
        }
    }
}

/// The directory, and what of it would survive a power loss.
pub(crate) struct Disk {
    pub(crate) directory: Uuid,
    pub(crate) now: Files,
    pub(crate) durable: Files,
    changes: VecDeque<Change>,
    /// How many changes were ever made.
    made: u64,
    /// A file on its way to the disk: it may or may not be there after a power loss.
    writing_state: Option<Bytes>,
    writing_snapshot: Option<(SnapshotId, Bytes)>,
    parts: BTreeMap<SnapshotId, Vec<u8>>,
}

impl Disk {
    pub(crate) fn new(directory: Uuid) -> Self {
        Self {
            directory,
            now: Files::default(),
            durable: Files::default(),
            changes: VecDeque::new(),
            made: 0,
            writing_state: None,
            writing_snapshot: None,
            parts: BTreeMap::new(),
        }
    }

    fn change(&mut self, change: Change) {
        self.now.apply(change.clone());
        self.changes.push_back(change);
        self.made += 1;
    }

    pub(crate) fn append(&mut self, batch: &Bytes) {
        self.change(Change::Append(Batch::parse(batch).unwrap()));
    }

    pub(crate) fn truncate(&mut self, end: Offset) {
        self.change(Change::Truncate(end));
    }

    pub(crate) fn trim(&mut self, start: Offset) {
        self.change(Change::Trim(start));
    }

    /// How much a flush that begins now will cover.
    pub(crate) fn made(&self) -> u64 {
        self.made
    }

    /// A flush has ended.
    pub(crate) fn flushed(&mut self, made: u64) {
        while self.made - (self.changes.len() as u64) < made {
            let change = self.changes.pop_front().unwrap();
            self.durable.apply(change);
        }
    }

    pub(crate) fn write_state(&mut self, file: Bytes) {
        assert!(self.writing_state.is_none(), "one state at a time");
        self.writing_state = Some(file);
    }

    pub(crate) fn state_written(&mut self) {
        let file = self.writing_state.take();
        self.durable.state = file.clone();
        self.now.state = file;
    }

    pub(crate) fn write_snapshot(&mut self, id: SnapshotId, file: Bytes) {
        self.writing_snapshot = Some((id, file));
    }

    pub(crate) fn snapshot_written(&mut self) {
        if let Some((id, file)) = self.writing_snapshot.take() {
            self.durable.snapshots.insert(id, file.clone());
            self.now.snapshots.insert(id, file);
        }
    }

    pub(crate) fn remove_snapshot(&mut self, id: SnapshotId) {
        self.now.snapshots.remove(&id);
        self.durable.snapshots.remove(&id);
    }

    pub(crate) fn write_part(&mut self, id: SnapshotId, position: u64, bytes: &Bytes) {
        let part = self.parts.entry(id).or_default();
        part.truncate(position as usize);
        assert_eq!(part.len() as u64, position, "pieces follow each other");
        part.extend_from_slice(bytes);
    }

    pub(crate) fn part(&self, id: SnapshotId) -> Bytes {
        Bytes::from(self.parts.get(&id).cloned().unwrap_or_default())
    }

    pub(crate) fn install(&mut self, id: SnapshotId) {
        let file = self.parts.remove(&id).unwrap();
        self.change(Change::Install(id, Bytes::from(file)));
    }

    /// The process dies: what it has written is with the kernel.
    pub(crate) fn die(&mut self, random: &mut Random) {
        if random.chance(500) {
            self.settle();
        }
        self.writing_state = None;
        self.writing_snapshot = None;
        self.parts.clear();
        self.mend();
    }

    fn settle(&mut self) {
        if self.writing_state.is_some() {
            self.state_written();
        }
        self.snapshot_written();
    }

    /// The power goes: some of what was not flushed is lost.
    pub(crate) fn lose_power(&mut self, random: &mut Random) {
        if random.chance(500) {
            self.settle();
        }
        let kept = random.below(self.changes.len() + 1);
        for change in self.changes.drain(..).take(kept) {
            self.durable.apply(change);
        }
        self.now = self.durable.clone();
        self.writing_state = None;
        self.writing_snapshot = None;
        self.parts.clear();
        self.mend();
    }

    /// What a driver does at the start: snapshots that it finds are made durable, and a log that
    /// ends before its snapshot begins anew there.
    fn mend(&mut self) {
        if self.now.newest() != self.durable.newest() {
            self.flushed(self.made);
        }
        if let Some(id) = self.now.newest()
            && self.now.end() < id.end_offset
        {
            let file = self.now.snapshots[&id].clone();
            self.change(Change::Install(id, file));
            let made = self.made;
            self.flushed(made);
        }
    }
}
