//! Reading a log of groups back.
//!
//! Our own records are never part of a transaction, but a log that Apache Kafka wrote may hold
//! offsets that were: these count from their transaction's commit on, unless the same offset was
//! committed plainly in between; without a commit they do not count.

use std::collections::BTreeMap;

use bytes::Bytes;
use coordinator::{Record, Shard};
use replication::{Error, Isolation, Partition, ReadRequest};
use wire::ids::LeaderEpoch;
use wire::records::{Batch, BatchIter, ControlType};

use crate::groups::OFFSETS_TOPIC;
use crate::node::Node;
use crate::notice::Notice;

/// How much of the log one read takes (`offsets.load.buffer.size` is 5 MiB).
const READ_BYTES: u32 = 4 << 20;
/// The most that one batch of the log may decompress to.
const BATCH_BYTES_MAX: usize = 64 << 20;

impl Node {
    /// Loads groups whose partitions came here, or came back, since [`Self::load_groups`] was
    /// called last. Cheap when there are none; else as that.
    pub fn load_groups_that_came(&self, now_ms: i64) {
        if self.groups.take_arrival() {
            self.load_groups(now_ms);
        }
    }

    /// Loads the groups of the partitions that this broker leads, where they are not loaded. To be
    /// called after the start, on a blocking thread; until a group's partition is loaded it answers
    /// COORDINATOR_LOAD_IN_PROGRESS.
    pub fn load_groups(&self, now_ms: i64) {
        let Some(topic) = self.topic_by_name(OFFSETS_TOPIC) else { return };
        let mut newer = 0;
        for partition in topic.iter().filter(|partition| partition.leads()) {
            let home = self.groups.home((topic.id, partition.index()));
            {
                let mut state = home.lock();
                if state.shard.is_loaded() || state.loading {
                    continue;
                }
                state.loading = true;
            }
            // Off the lock: until the shard is loaded nothing is appended to its partition.
            let mut shard = Shard::new(self.groups.config.clone());
            let loaded = replay_log(partition, |record| shard.replay(record).is_ok());
            let mut state = home.lock();
            if state.gone {
                // The leadership went meanwhile; should it be back, another shard has its place.
                continue;
            }
            state.loading = false;
            match loaded {
                Ok(skipped) => {
                    newer += skipped.newer;
                    if skipped.unreadable > 0 {
                        let (index, count) = (partition.index(), skipped.unreadable);
                        self.notices.push(Notice::UnreadableGroupRecords { index, count });
                    }
                    shard.finish_loading(now_ms);
                    state.shard = shard;
                }
                Err(error) => {
                    drop(state);
                    self.partition_failed(partition, &error);
                }
            }
        }
        if newer > 0 {
            self.notices.push(Notice::NewerGroupRecords { count: newer });
        }
    }
}

/// What a log held that its shard was not given.
#[derive(Clone, Copy, Debug, Default)]
struct Skipped {
    /// Records that could not be read.
    unreadable: usize,
    /// Records of newer group protocols, which Apache Kafka keeps in the same log.
    newer: usize,
}

/// Gives every record of the log to `replay`, those of a transaction when it is committed; says
/// what was skipped.
fn replay_log(
    partition: &Partition,
    replay: impl FnMut(&Record) -> bool,
) -> Result<Skipped, Error> {
    let mut next = partition.log_start_offset();
    let end = partition.log_end_offset();
    let mut loader = Loader {
        replay,
        skipped: Skipped::default(),
        open: BTreeMap::new(),
        plain: BTreeMap::new(),
    };
    while next < end {
        let fetched = partition.read(ReadRequest {
            fetch_offset: next,
            max_bytes: READ_BYTES,
            min_one: true,
            isolation: Isolation::LogEnd,
            current_leader_epoch: LeaderEpoch::UNKNOWN,
        })?;
        let Some(range) = fetched.range else { break };
        let bytes =
            range.read().map_err(|error| Error::Read(storage::error::ReadError::Disk(error)))?;
        for batch in BatchIter::new(Bytes::from(bytes)) {
            match batch {
                Ok(batch) => loader.batch(&batch, next.0),
                Err(_) => loader.skipped.unreadable += 1,
            }
        }
        next = fetched.next_offset;
    }
    Ok(loader.skipped)
}

struct Loader<F> {
    replay: F,
    skipped: Skipped,
    /// What transactions have written that are still open, by producer id.
    open: BTreeMap<i64, Vec<(i64, Record)>>,
    /// Where a key was last written plainly while a transaction was open.
    plain: BTreeMap<Bytes, i64>,
}

impl<F: FnMut(&Record) -> bool> Loader<F> {
    fn batch(&mut self, batch: &Batch, from: i64) {
        let header = batch.header();
        let (control, producer) = (header.attributes.is_control(), header.producer_id);
        let transactional = header.attributes.is_transactional();
        let Ok(set) = batch.records(BATCH_BYTES_MAX) else {
            self.skipped.unreadable += 1;
            return;
        };
        for record in set.iter() {
            let copy = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
            let Some((offset, key, value)) =
                record.ok().and_then(|r| Some((r.offset, r.key?, r.value)))
            else {
                self.skipped.unreadable += 1;
                continue;
            };
            if offset < from {
                continue;
            }
            if control {
                self.end(producer, ControlType::of_key(key));
                continue;
            }
            let record = Record { key: copy(key), value: value.map(copy) };
            if transactional {
                self.open.entry(producer).or_default().push((offset, record));
                continue;
            }
            if !self.open.is_empty() {
                self.plain.insert(record.key.clone(), offset);
            }
            self.replay(&record);
        }
    }

    /// A transaction ends.
    fn end(&mut self, producer: i64, how: Option<ControlType>) {
        let written = self.open.remove(&producer).unwrap_or_default();
        if how == Some(ControlType::Commit) {
            for (offset, record) in written {
                if self.plain.get(&record.key).is_none_or(|plain| *plain < offset) {
                    self.replay(&record);
                }
            }
        }
        if self.open.is_empty() {
            self.plain.clear();
        }
    }

    fn replay(&mut self, record: &Record) {
        if record.is_of_newer_protocol() {
            self.skipped.newer += 1;
        } else if !(self.replay)(record) {
            self.skipped.unreadable += 1;
        }
    }
}
