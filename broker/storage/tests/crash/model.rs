//! What a log must hold: every batch as it must lie on disk, and how far it is durable.

use std::collections::BTreeMap;

use bytes::Bytes;

/// One batch that the log accepted.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The batch as it must lie on disk.
    pub(crate) bytes: Bytes,
    /// Offset of its first record.
    pub(crate) base: i64,
    /// The offset behind its last record.
    pub(crate) next: i64,
    /// The timestamp of each record.
    pub(crate) timestamps: Vec<i64>,
    /// The leader epoch it was written in.
    pub(crate) epoch: i32,
    /// Its producer and first sequence, if it is idempotent.
    pub(crate) producer: Option<(i64, i32)>,
}

impl Entry {
    pub(crate) fn last_sequence(&self) -> i32 {
        let (_, first) = self.producer.expect("an idempotent batch");
        first + i32::try_from(self.timestamps.len()).unwrap() - 1
    }
}

/// One partition as it must be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// Every batch from offset 0 on, those that retention removed too: a crash may bring the
    /// files of a deleted segment back.
    pub(crate) entries: Vec<Entry>,
    /// Offset of the next record.
    pub(crate) end: i64,
    /// The first offset that readers may ask for.
    pub(crate) start: i64,
    /// The largest `start` before a restart: what lies below had been given up, and a crash may
    /// bring its files back without its leader epochs.
    pub(crate) given_up: i64,
    /// Everything below was flushed successfully, so it must survive.
    pub(crate) durable: i64,
    /// Batches of an append that never got an answer: they may have come to the disk or not.
    pub(crate) unsure: Vec<Entry>,
    /// The next sequence of each idempotent producer.
    pub(crate) sequences: BTreeMap<i64, i32>,
}

impl Model {
    pub(crate) fn push(&mut self, entry: Entry) {
        assert_eq!(entry.base, self.end, "offsets must be given without gaps");
        self.end = entry.next;
        if let Some((producer, _)) = entry.producer {
            self.sequences.insert(producer, entry.last_sequence() + 1);
        }
        self.entries.push(entry);
    }

    /// The index of the batch that holds an offset.
    pub(crate) fn at(&self, offset: i64) -> Option<usize> {
        let at = self.entries.partition_point(|entry| entry.next <= offset);
        self.entries.get(at).filter(|entry| entry.base <= offset).map(|_| at)
    }

    /// The batches from `start` on.
    pub(crate) fn readable(&self) -> &[Entry] {
        let at = self.entries.partition_point(|entry| entry.next <= self.start);
        &self.entries[at..]
    }

    /// The producer's batches that readers can still see, oldest first.
    pub(crate) fn batches_of(&self, producer: i64) -> Vec<&Entry> {
        let is = |entry: &&Entry| entry.producer.is_some_and(|(id, _)| id == producer);
        self.readable().iter().filter(is).collect()
    }

    /// The first readable record not older than `timestamp`.
    pub(crate) fn first_not_older(&self, timestamp: i64) -> Option<(i64, i64)> {
        let records =
            self.readable().iter().flat_map(|entry| (entry.base..).zip(&entry.timestamps));
        let mut found =
            records.filter(|(offset, time)| *offset >= self.start && **time >= timestamp);
        found.next().map(|(offset, time)| (offset, *time))
    }

    /// Takes over what a restart found: the log now spans `start..end`. What was lost is
    /// forgotten, so producers go on behind their last surviving batch.
    pub(crate) fn survived(&mut self, start: i64, end: i64) {
        for entry in std::mem::take(&mut self.unsure) {
            if self.end < end {
                self.push(entry);
            }
        }
        assert!(end <= self.end, "wrote up to {}, ends at {end}", self.end);
        if start == end && self.at(end - 1).is_none_or(|at| self.entries[at].next != end) {
            // The log was emptied and begins where its start was decided to be.
            self.entries.clear();
        }
        self.entries.retain(|entry| entry.next <= end);
        self.end = end;
        self.given_up = self.given_up.max(self.start);
        self.start = start;
        let ids: Vec<i64> = self.sequences.keys().copied().collect();
        for id in ids {
            let is = |entry: &&Entry| entry.producer.is_some_and(|(producer, _)| producer == id);
            match self.entries.iter().rfind(is) {
                Some(last) => self.sequences.insert(id, last.last_sequence() + 1),
                None => self.sequences.remove(&id),
            };
        }
    }
}
