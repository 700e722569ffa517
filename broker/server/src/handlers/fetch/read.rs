//! One look at all partitions of a fetch.

use std::sync::Arc;

use replication::fetch_session::{FetchContext, FetchKey, FetchTarget, Outcome, TopicKey};
use replication::{Fetched, Isolation, Partition, ReadRequest};
use storage::FileRange;
use storage::error::ReadError;
use wire::ErrorCode;
use wire::ids::Offset;
use wire::messages::fetch_request::FetchRequest;
use wire::messages::fetch_response::{AbortedTransaction, LeaderIdAndEpoch, PartitionData};
use wire::records_slot::Records;

use super::{NOT_A_REPLICA, VERSION_REPLICA_STATE};
use crate::broker::Broker;
use crate::dispatch::Call;

const ISOLATION_COMMITTED: i8 = 1;

/// How a fetch reads: who asks, what it may see, how much it takes.
pub(super) struct Reader {
    /// -1 for consumers.
    replica: i32,
    isolation: Isolation,
    bytes_max: u32,
}

/// What one look found.
pub(super) struct Round {
    /// In the order of the context's partitions.
    pub(super) found: Vec<Found>,
    pub(super) bytes: i64,
    /// There is something to tell at once.
    pub(super) ends_poll: bool,
}

/// What one look found in one partition.
pub(super) struct Found {
    /// `None` when there is nothing to wait for.
    pub(super) partition: Option<Arc<Partition>>,
    pub(super) data: PartitionData<FileRange>,
    pub(super) outcome: Outcome,
}

impl Reader {
    pub(super) fn new(call: &Call, request: &FetchRequest) -> Self {
        let replica = match call.version >= VERSION_REPLICA_STATE {
            true => request.replica_state.replica_id,
            false => request.replica_id,
        };
        let isolation = match request.isolation_level {
            ISOLATION_COMMITTED => Isolation::Committed,
            _ => Isolation::HighWatermark,
        };
        let asked = u32::try_from(request.max_bytes).unwrap_or(0);
        Self { replica, isolation, bytes_max: asked.min(call.broker.limits.fetch_bytes_max) }
    }

    pub(super) fn is_follower(&self) -> bool {
        self.replica >= 0
    }

    /// Looks at every partition, within the fetch's budget of bytes. The first batch found comes
    /// whatever its size, so that a consumer always gets on.
    pub(super) fn read(&self, broker: &Broker, context: &FetchContext) -> Round {
        let asked = context.partitions();
        let mut round =
            Round { found: Vec::with_capacity(asked.len()), bytes: 0, ends_poll: false };
        let mut left = self.bytes_max;
        for (key, target) in asked {
            let mut found = match self.partition(broker, key) {
                Ok(partition) => self.look(broker, partition, target, left, round.bytes == 0),
                Err(error) => failed(error),
            };
            let taken = found.data.records.as_ref().map_or(0, Records::len);
            left = left.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX));
            round.bytes += i64::try_from(taken).unwrap_or(i64::MAX);
            round.ends_poll |= FetchContext::ends_poll(&found.outcome);
            found.data.partition_index = key.index.0;
            round.found.push(found);
        }
        round
    }

    fn partition(&self, broker: &Broker, key: &FetchKey) -> Result<Arc<Partition>, ErrorCode> {
        if self.is_follower() {
            return Err(NOT_A_REPLICA);
        }
        match &key.topic {
            TopicKey::Name(name) => broker.node.partition_by_name(name, key.index),
            TopicKey::Id(id) => broker.node.partition(*id, key.index),
        }
    }

    fn look(
        &self,
        broker: &Broker,
        partition: Arc<Partition>,
        target: &FetchTarget,
        left: u32,
        min_one: bool,
    ) -> Found {
        let read = partition.read(ReadRequest {
            fetch_offset: target.fetch_offset,
            max_bytes: left.min(u32::try_from(target.max_bytes).unwrap_or(0)),
            min_one,
            isolation: self.isolation,
            current_leader_epoch: target.current_leader_epoch,
        });
        match read {
            Ok(fetched) => self.found(partition, fetched),
            Err(error) => {
                broker.partition_failed(&partition, &error);
                if matches!(error, replication::Error::Read(ReadError::Corrupt(_))) {
                    partition.note_fetch_failed();
                }
                refused(partition, error.code())
            }
        }
    }

    fn found(&self, partition: Arc<Partition>, fetched: Fetched) -> Found {
        let mut records = Records::new();
        let outcome = Outcome {
            has_records: fetched.range.is_some(),
            high_watermark: fetched.high_watermark,
            log_start_offset: fetched.log_start_offset,
            is_error: false,
            is_redirect: false,
        };
        if let Some(range) = fetched.range {
            let len = range.len;
            records.push_range(range, len);
        }
        let aborted = fetched.aborted.iter().map(|it| AbortedTransaction {
            producer_id: it.producer_id,
            first_offset: it.first_offset.0,
        });
        let aborted = aborted.collect();
        let data = PartitionData {
            high_watermark: fetched.high_watermark.0,
            last_stable_offset: fetched.last_stable_offset.0,
            log_start_offset: fetched.log_start_offset.0,
            aborted_transactions: (self.isolation == Isolation::Committed).then_some(aborted),
            records: Some(records),
            ..PartitionData::default()
        };
        Found { partition: Some(partition), data, outcome }
    }
}

/// A partition that is here and does not let itself be read.
fn refused(partition: Arc<Partition>, error: ErrorCode) -> Found {
    let mut found = failed(error);
    if matches!(error, ErrorCode::FencedLeaderEpoch | ErrorCode::NotLeaderOrFollower) {
        found.data.current_leader =
            LeaderIdAndEpoch { leader_id: -1, leader_epoch: partition.leader_epoch().0 };
    }
    found
}

fn failed(error: ErrorCode) -> Found {
    let data = PartitionData {
        error_code: error.code(),
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        aborted_transactions: None,
        records: Some(Records::new()),
        ..PartitionData::default()
    };
    let outcome = Outcome {
        has_records: false,
        high_watermark: Offset(-1),
        log_start_offset: Offset(-1),
        is_error: true,
        is_redirect: false,
    };
    Found { partition: None, data, outcome }
}
