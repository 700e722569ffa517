//! What groups keep and when it goes: with its topic, or with time.

use std::collections::BTreeSet;

use coordinator::{Decision, Response};
use replication::Partition;

use crate::group_log::append_records;
use crate::groups::{GroupReply, HomeState};
use crate::node::Node;

/// How many tombstones go into one batch.
const RECORDS_PER_PART_MAX: usize = 1_000;

impl HomeState {
    /// As [`Self::carry_out`], for a decision that answers nobody and may be done in part: what
    /// cannot be written now is decided anew another time.
    pub(crate) fn carry_out_in_parts(
        &mut self,
        now_ms: i64,
        partition: &Partition,
        decision: &Decision,
    ) -> Result<Vec<(GroupReply, Response)>, replication::Error> {
        for records in decision.records.chunks(RECORDS_PER_PART_MAX) {
            append_records(now_ms, partition, records)?;
            for record in records {
                let _ = self.shard.replay(record);
            }
        }
        Ok(Vec::new())
    }
}

impl Node {
    /// Forgets what groups have committed for topics that are gone.
    pub(crate) fn forget_group_offsets(&self, now_ms: i64, names: &BTreeSet<String>) {
        if names.is_empty() {
            return;
        }
        for (place, home) in self.groups.all() {
            let Some(partition) = self.led(place) else { continue };
            let done = {
                let mut state = home.lock();
                let decision = state.shard.forget_topics(names);
                state.carry_out_in_parts(now_ms, &partition, &decision)
            };
            self.finish_group_step(&partition, done);
        }
    }

    /// Removes what groups keep beyond the retention
    /// (`offsets.retention.check.interval.ms`).
    pub fn expire_groups(&self, now_ms: i64) {
        for (place, home) in self.groups.all() {
            let Some(partition) = self.led(place) else { continue };
            let done = {
                let mut state = home.lock();
                if !state.shard.is_loaded() {
                    continue;
                }
                let decision = state.shard.expire(now_ms);
                state.carry_out_in_parts(now_ms, &partition, &decision)
            };
            self.finish_group_step(&partition, done);
        }
    }
}
