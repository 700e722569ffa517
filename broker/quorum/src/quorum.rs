//! The state machine: one event in, the effects out.

mod snapshots;

use std::collections::VecDeque;

use bytes::Bytes;
use wire::ids::{BrokerId, LeaderEpoch, Offset, Uuid};
use wire::records::HEADER_BYTES;

use crate::batches::{BATCH_BYTES_MAX, data_batch, leader_change_batch};
use crate::loader::SnapshotFile;
use crate::{Effect, ElectionState, Endpoint, Error, Event, Refusal, SnapshotId, Voter, Voters};

/// The most bytes that may be appended and not yet committed.
const UNCOMMITTED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// More than a record's own head ever takes in a batch.
const RECORD_HEAD_BYTES_MAX: usize = 32;
/// The `kraft.version` with which we form quorums.
pub(crate) const KRAFT_VERSION: i16 = 1;

/// Who this node is, and the limits it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// This node.
    pub node: BrokerId,
    /// The id of its metadata directory (`directory.id` in `meta.properties`).
    pub directory: Uuid,
    /// Where it is reached as a controller.
    pub endpoints: Vec<Endpoint>,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub snapshot_bytes: u64,
    /// `metadata.log.max.snapshot.interval.ms`; 0 is never by time.
    pub snapshot_interval_ms: i64,
    /// `metadata.max.retention.bytes`; negative is no limit.
    pub retention_bytes: i64,
    /// `metadata.max.retention.ms`; negative is no limit.
    pub retention_ms: i64,
}

impl Config {
    /// Kafka's defaults for this node.
    pub fn new(node: BrokerId, directory: Uuid) -> Self {
        Self {
            node,
            directory,
            endpoints: Vec::new(),
            snapshot_bytes: 20 * 1024 * 1024,
            snapshot_interval_ms: 3_600_000,
            retention_bytes: 100 * 1024 * 1024,
            retention_ms: 7 * 24 * 3_600_000,
        }
    }

    pub(crate) fn voter(&self) -> Voter {
        let endpoints = self.endpoints.clone();
        Voter { id: self.node, directory: self.directory, endpoints }
    }
}

/// What this node is in the quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Not started, or forming the quorum.
    Unattached,
    /// Standing for election: its vote is on its way to the disk.
    Candidate,
    /// Leading its epoch.
    Leader,
    /// Stopped for good.
    Resigned,
}

/// What the loader found.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) fresh: bool,
    pub(crate) kraft_version: i16,
    pub(crate) voters: Voters,
    pub(crate) last_epoch: LeaderEpoch,
    pub(crate) log_end: Offset,
    pub(crate) last_ms: i64,
    pub(crate) snapshots: Vec<SnapshotFile>,
    pub(crate) bytes_since_snapshot: u64,
}

/// Appended, not committed.
#[derive(Debug, Clone, Copy)]
struct InFlight {
    end: Offset,
    bytes: u64,
    at_ms: i64,
}

/// The snapshot under way.
#[derive(Debug, Clone, Copy)]
enum Work {
    Idle,
    /// The records were asked for.
    Asked(SnapshotFile),
    /// The file is being written.
    Writing(SnapshotFile),
}

/// The quorum as this node sees it.
#[derive(Debug)]
pub struct Quorum {
    config: Config,
    /// 0 for a quorum that Kafka formed with `controller.quorum.voters`: it stays one, so that
    /// Kafka can take the directory back.
    kraft_version: i16,
    voters: Voters,
    role: Role,
    fresh: bool,
    epoch: LeaderEpoch,
    log_end: Offset,
    high_watermark: Offset,
    flushing: Option<Offset>,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: u64,
    /// When the last committed record was appended.
    last_committed_ms: i64,
    snapshots: Vec<SnapshotFile>,
    bytes_since_snapshot: u64,
    snapshot_at_ms: Option<i64>,
    work: Work,
}

impl Quorum {
    pub(crate) fn new(config: Config, restored: Restored) -> Self {
        Self {
            config,
            kraft_version: restored.kraft_version,
            voters: restored.voters,
            role: Role::Unattached,
            fresh: restored.fresh,
            epoch: restored.last_epoch,
            log_end: restored.log_end,
            high_watermark: restored.snapshots.last().map_or(Offset(0), |s| s.id.end_offset),
            flushing: None,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            last_committed_ms: restored.last_ms,
            snapshots: restored.snapshots,
            bytes_since_snapshot: restored.bytes_since_snapshot,
            snapshot_at_ms: None,
            work: Work::Idle,
        }
    }

    /// What this node is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The latest epoch.
    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// The leader, if there is one.
    pub fn leader(&self) -> Option<BrokerId> {
        (self.role == Role::Leader).then_some(self.config.node)
    }

    /// The voters.
    pub fn voters(&self) -> &Voters {
        &self.voters
    }

    /// Everything below is committed.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Where the next record goes.
    pub fn log_end(&self) -> Offset {
        self.log_end
    }

    /// The newest snapshot on disk.
    pub fn latest_snapshot(&self) -> Option<SnapshotId> {
        self.snapshots.last().map(|snapshot| snapshot.id)
    }

    /// Takes an event and says what to do about it.
    pub fn step(&mut self, now_ms: i64, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.role == Role::Resigned {
            if let Event::Propose { token, .. } = event {
                effects.push(Effect::Refused { token, why: Refusal::NotLeader });
            }
            return effects;
        }
        let done = match event {
            Event::Start => self.start(now_ms, &mut effects),
            Event::Propose { token, records } => {
                self.propose(now_ms, token, &records, &mut effects)
            }
            Event::StatePersisted => self.state_persisted(now_ms, &mut effects),
            Event::Flushed { upto } => self.flushed(now_ms, upto, &mut effects),
            Event::SnapshotRecords { id, records } => {
                self.snapshot_records(now_ms, id, records, &mut effects)
            }
            Event::SnapshotWritten { id } => self.snapshot_written(now_ms, id, &mut effects),
            Event::Tick => {
                self.consider_snapshot(now_ms, &mut effects);
                Ok(())
            }
            Event::DiskFailed => Err(Stop::Disk),
        };
        if let Err(stop) = done {
            self.role = Role::Resigned;
            effects.push(Effect::Fatal { why: stop.to_string() });
        }
        effects
    }

    fn start(&mut self, now_ms: i64, effects: &mut Vec<Effect>) -> Result<(), Stop> {
        if self.role != Role::Unattached || !matches!(self.work, Work::Idle) {
            return Err(Stop::Unexpected("Start"));
        }
        self.snapshot_at_ms = Some(now_ms);
        if self.fresh {
            self.form(now_ms, effects)?;
        } else {
            self.campaign(effects);
        }
        Ok(())
    }

    /// One voter: its own vote elects it, once the vote is on disk.
    fn campaign(&mut self, effects: &mut Vec<Effect>) {
        self.epoch = LeaderEpoch(self.epoch.0.saturating_add(1));
        self.role = Role::Candidate;
        let node = self.config.node;
        let voted = Some((node, self.config.directory));
        let static_voters = match self.kraft_version {
            0 => self.voters.iter().map(|voter| voter.id).collect(),
            _ => Vec::new(),
        };
        let state = ElectionState { epoch: self.epoch, leader: Some(node), voted, static_voters };
        effects.push(Effect::PersistState { file: state.to_bytes() });
    }

    fn state_persisted(&mut self, now_ms: i64, effects: &mut Vec<Effect>) -> Result<(), Stop> {
        if self.role != Role::Candidate {
            return Err(Stop::Unexpected("StatePersisted"));
        }
        self.role = Role::Leader;
        effects.push(Effect::Elected { epoch: self.epoch });
        let (node, epoch) = (self.config.node, self.epoch);
        let batch = leader_change_batch(self.log_end, epoch, now_ms, node, &self.voters)?;
        // What an earlier epoch left behind commits together with this batch, not before.
        self.append(now_ms, batch, 1, effects);
        self.flush(effects);
        Ok(())
    }

    fn propose(
        &mut self,
        now_ms: i64,
        token: u64,
        records: &[Bytes],
        effects: &mut Vec<Effect>,
    ) -> Result<(), Stop> {
        let size = |record: &Bytes| record.len().saturating_add(RECORD_HEAD_BYTES_MAX);
        let bytes = records.iter().map(size).fold(HEADER_BYTES, usize::saturating_add);
        let why = if self.role != Role::Leader {
            Some(Refusal::NotLeader)
        } else if bytes > BATCH_BYTES_MAX || records.is_empty() {
            Some(Refusal::TooLarge)
        } else if self.in_flight_bytes >= UNCOMMITTED_BYTES_MAX {
            Some(Refusal::Busy)
        } else {
            None
        };
        if let Some(why) = why {
            effects.push(Effect::Refused { token, why });
            return Ok(());
        }
        let batch = data_batch(self.log_end, self.epoch, now_ms, records)?;
        let first = self.log_end;
        let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
        self.append(now_ms, batch, count, effects);
        effects.push(Effect::Accepted { token, first, last: self.log_end.plus(-1) });
        self.flush(effects);
        Ok(())
    }

    fn append(&mut self, now_ms: i64, batch: Bytes, count: i64, effects: &mut Vec<Effect>) {
        let first = self.log_end;
        let bytes = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        self.log_end = self.log_end.plus(count);
        self.in_flight.push_back(InFlight { end: self.log_end, bytes, at_ms: now_ms });
        self.in_flight_bytes = self.in_flight_bytes.saturating_add(bytes);
        let last = self.log_end.plus(-1);
        effects.push(Effect::Append { batch, first, last, epoch: self.epoch });
    }

    /// One flush at a time: what is appended meanwhile shares the next one.
    fn flush(&mut self, effects: &mut Vec<Effect>) {
        if self.flushing.is_none() && self.log_end > self.high_watermark {
            self.flushing = Some(self.log_end);
            effects.push(Effect::Flush { upto: self.log_end });
        }
    }

    fn flushed(
        &mut self,
        now_ms: i64,
        upto: Offset,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Stop> {
        if self.flushing != Some(upto) {
            return Err(Stop::Unexpected("Flushed"));
        }
        self.flushing = None;
        // One voter: what is on its disk is on a majority's.
        self.high_watermark = upto;
        while let Some(batch) = self.in_flight.pop_front_if(|batch| batch.end <= upto) {
            self.in_flight_bytes = self.in_flight_bytes.saturating_sub(batch.bytes);
            self.bytes_since_snapshot = self.bytes_since_snapshot.saturating_add(batch.bytes);
            self.last_committed_ms = batch.at_ms;
        }
        effects.push(Effect::Committed { upto });
        self.flush(effects);
        self.consider_snapshot(now_ms, effects);
        Ok(())
    }
}

/// Why the quorum stops.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("the metadata directory failed to write or to flush")]
    Disk,
    #[error("{0} came although nothing was asked")]
    Unexpected(&'static str),
    #[error(transparent)]
    Error(#[from] Error),
}

#[cfg(test)]
mod tests;
