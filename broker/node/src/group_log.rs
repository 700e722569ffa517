//! Groups and their log: appending a decision's records, and holding answers until what they saw
//! is committed.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use coordinator::{Record, Response};
use replication::purgatory::{Parked, WaitGuard, Wake};
use replication::{Error, Partition};
use storage::error::AppendError;
use wire::ErrorCode;
use wire::ids::Offset;
use wire::records::{BatchBuilder, BatchOptions};

use crate::groups::GroupReply;

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
