//! Groups and their log: appending a decision's records, reading them all back, and holding
//! answers until what they saw is committed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use coordinator::{Record, Response};
use replication::purgatory::{Parked, WaitGuard, Wake};
use replication::{Error, Isolation, Partition, ReadRequest};
use storage::error::AppendError;
use wire::ErrorCode;
use wire::ids::{LeaderEpoch, Offset};
use wire::records::{BatchBuilder, BatchHeader, BatchIter, BatchOptions, ControlType};

use crate::groups::GroupReply;

/// How much of the log one read takes at the start (`offsets.load.buffer.size` is 5 MiB).
const READ_BYTES: u32 = 4 << 20;
/// The most that one batch of the log may decompress to.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// Records are put into one batch up to here, well below the usual `max.message.bytes`.
const BATCH_BYTES_WANTED: usize = 512 << 10;

/// Appends a decision's records: all of them or none.
pub(crate) fn append_records(
    now_ms: i64,
    partition: &Partition,
    records: &[Record],
) -> Result<(), Error> {
    let mut batches = BytesMut::new();
    let mut rest = records;
    while !rest.is_empty() {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        let mut bytes = 0;
        let mut taken = 0;
        for record in rest {
            let value = record.value.as_deref();
            bytes += record.key.len() + value.map_or(0, <[u8]>::len);
            if taken > 0 && bytes > BATCH_BYTES_WANTED {
                break;
            }
            builder.append(now_ms, Some(&record.key), value, &[]);
            taken += 1;
        }
        let batch = builder.build().map_err(|error| Error::Append(AppendError::Corrupt(error)))?;
        if taken == records.len() {
            // As a rule there is one.
            partition.append_as_coordinator(now_ms, batch)?;
            return Ok(());
        }
        batches.extend_from_slice(&batch);
        rest = rest.get(taken..).unwrap_or_default();
    }
    partition.append_as_coordinator(now_ms, batches.freeze())?;
    Ok(())
}

/// What a group's member is told when the append under its request was refused.
pub(crate) fn coordinator_code(error: &Error) -> ErrorCode {
    match error.code() {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::NotEnoughReplicas => {
            ErrorCode::CoordinatorNotAvailable
        }
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        _ => ErrorCode::UnknownServerError,
    }
}

/// What a log held that its shard was not given.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Skipped {
    /// Records that could not be read.
    pub(crate) unreadable: usize,
    /// Records of newer group protocols, which Apache Kafka keeps in the same log.
    pub(crate) newer: usize,
}

/// What is known while a log is replayed.
struct Replay<'a> {
    give: &'a mut dyn FnMut(&Record) -> bool,
    skipped: Skipped,
    /// Offsets committed within a transaction that no marker has ended yet, by producer.
    pending: BTreeMap<i64, Vec<Record>>,
}

/// Gives every record of the log to `replay`, those of a transaction when it is committed; says
/// what was skipped.
pub(crate) fn replay_log(
    partition: &Partition,
    mut replay: impl FnMut(&Record) -> bool,
) -> Result<Skipped, Error> {
    let mut replay =
        Replay { give: &mut replay, skipped: Skipped::default(), pending: BTreeMap::new() };
    let mut next = partition.log_start_offset();
    let end = partition.log_end_offset();
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
        replay.bytes(Bytes::from(bytes), next);
        next = fetched.next_offset;
    }
    Ok(replay.skipped)
}

impl Replay<'_> {
    fn bytes(&mut self, bytes: Bytes, from: Offset) {
        for batch in BatchIter::new(bytes) {
            let set = batch.and_then(|batch| Ok((batch.records(BATCH_BYTES_MAX)?, batch)));
            let Ok((set, batch)) = set else {
                self.skipped.unreadable += 1;
                continue;
            };
            for record in set.iter() {
                match record {
                    Ok(record) if record.offset < from.0 => {}
                    Ok(record) => self.record(batch.header(), &record),
                    Err(_) => self.skipped.unreadable += 1,
                }
            }
        }
    }

    fn record(&mut self, header: &BatchHeader, record: &wire::records::Record<'_>) {
        let Some(key) = record.key else {
            self.skipped.unreadable += 1;
            return;
        };
        if header.attributes.is_control() {
            let records = self.pending.remove(&header.producer_id).unwrap_or_default();
            if ControlType::of_key(key) == Some(ControlType::Commit) {
                records.iter().for_each(|record| self.give(record));
            }
            return;
        }
        let copy = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
        let record = Record { key: copy(key), value: record.value.map(copy) };
        match header.attributes.is_transactional() {
            true => self.pending.entry(header.producer_id).or_default().push(record),
            false => self.give(&record),
        }
    }

    fn give(&mut self, record: &Record) {
        if record.is_of_newer_protocol() {
            self.skipped.newer += 1;
        } else if !(self.give)(record) {
            self.skipped.unreadable += 1;
        }
    }
}

/// Answers that wait for the high watermark.
struct Held {
    partition: Arc<Partition>,
    required: Offset,
    state: Mutex<HeldState>,
}

#[derive(Default)]
struct HeldState {
    answers: Vec<(GroupReply, Response)>,
    guard: Option<WaitGuard>,
}

impl Wake for Held {
    fn wake(&self) {
        let (answers, guard) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            (std::mem::take(&mut state.answers), state.guard.take())
        };
        drop(guard);
        // Whoever is woken before the offset is reached has lost the partition.
        let committed = self.partition.produce_status(self.required).unwrap_or(false);
        for (reply, response) in answers {
            let code = ErrorCode::NotCoordinator;
            reply(if committed { response } else { response.refuse(code) });
        }
    }
}

/// Sends the answers once everything appended so far is committed: now, as a rule.
pub(crate) fn release(partition: &Arc<Partition>, answers: Vec<(GroupReply, Response)>) {
    if answers.is_empty() {
        return;
    }
    let required = partition.log_end_offset();
    if partition.high_watermark() >= required {
        for (reply, response) in answers {
            reply(response);
        }
        return;
    }
    let state = HeldState { answers, guard: None };
    let held =
        Arc::new(Held { partition: Arc::clone(partition), required, state: Mutex::new(state) });
    let wake: Arc<dyn Wake> = Arc::clone(&held) as Arc<dyn Wake>;
    match partition.park_produce(required, wake) {
        Parked::Waiting(guard) => {
            let mut state = held.state.lock().unwrap_or_else(PoisonError::into_inner);
            // Woken in between, it has answered already and needs no guard.
            if !state.answers.is_empty() {
                state.guard = Some(guard);
            }
        }
        Parked::Ready | Parked::Full => held.wake(),
    }
}
