//! The state machine: one event in, the effects out.

mod describe;
mod elections;
mod follower;
mod install;
mod leader;
mod membership;
mod outbox;
mod responses;
mod serve;
mod snapshots;
mod state;
mod votes;

use std::collections::BTreeMap;

use bytes::Bytes;
use wire::ids::{BrokerId, LeaderEpoch, Offset};

use self::outbox::Sent;
use self::snapshots::Work;
use self::state::State;
pub(crate) use self::votes::EPOCHS_AHEAD_MAX;
use crate::clock::{Clock, Ms};
use crate::loader::SnapshotFile;
use crate::log_view::LogView;
use crate::random::Random;
use crate::{Config, Effect, ElectionState, Endpoint, Error, Event, Refusal, SnapshotId, Voters};

pub use self::describe::{Description, ReplicaStatus};
pub use self::state::Role;

/// What the loader found.
#[derive(Debug)]
pub(crate) struct Restored {
    /// Whether the voters are still to be written down.
    pub(crate) forms: bool,
    pub(crate) election: ElectionState,
    pub(crate) log: LogView,
    pub(crate) last_ms: i64,
    pub(crate) snapshots: Vec<SnapshotFile>,
    pub(crate) bytes_since_snapshot: u64,
}

/// The quorum as this node sees it.
#[derive(Debug, Clone)]
pub struct Quorum {
    config: Config,
    clock: Clock,
    random: Random,
    /// The time given to the step under way, which stamps records.
    wall_ms: i64,
    state: State,
    started: bool,
    forms: bool,
    election: ElectionState,
    saved: ElectionState,
    saving: Option<ElectionState>,
    /// The epoch whose leader this node has given up on, whatever others still believe.
    gone: Option<LeaderEpoch>,
    /// The leader that this node gave up last for a refused connection, and when another of its
    /// refusals counts.
    refused: Option<(BrokerId, Ms)>,
    /// Elections in a row that this node stood in and that nobody won.
    vain_elections: u32,
    log: LogView,
    high_watermark: Offset,
    /// When the last committed record was appended.
    last_committed_ms: i64,
    snapshots: Vec<SnapshotFile>,
    bytes_since_snapshot: u64,
    snapshot_at_ms: i64,
    work: Work,
    /// A snapshot of the leader's that is becoming this node's.
    installing: Option<SnapshotFile>,
    sent: BTreeMap<u64, Sent>,
    next_id: u64,
    held: Vec<Effect>,
    out: Vec<Effect>,
}

impl Quorum {
    pub(crate) fn new(config: Config, restored: Restored) -> Self {
        let snapshot = restored.snapshots.last().map_or(Offset(0), |s| s.id.end_offset);
        let election = ElectionState {
            // Whoever led an epoch leads it no more after a restart.
            leader: restored.election.leader.filter(|leader| *leader != config.node),
            ..restored.election
        };
        let saved = election.clone();
        Self {
            clock: Clock::default(),
            random: Random::new(config.seed),
            wall_ms: 0,
            state: State::Stopped,
            started: false,
            forms: restored.forms,
            election,
            saved,
            saving: None,
            gone: None,
            refused: None,
            vain_elections: 0,
            log: restored.log,
            high_watermark: snapshot,
            last_committed_ms: restored.last_ms,
            snapshots: restored.snapshots,
            bytes_since_snapshot: restored.bytes_since_snapshot,
            snapshot_at_ms: 0,
            work: Work::Idle,
            installing: None,
            sent: BTreeMap::new(),
            next_id: 0,
            held: Vec::new(),
            out: Vec::new(),
            config,
        }
    }

    /// What this node is.
    pub fn role(&self) -> Role {
        match self.started {
            true => self.state.role(),
            false => Role::Unattached,
        }
    }

    /// The latest epoch.
    pub fn epoch(&self) -> LeaderEpoch {
        self.election.epoch
    }

    /// The leader, if one is known.
    pub fn leader(&self) -> Option<BrokerId> {
        match &self.state {
            State::Leader(_) => Some(self.config.node),
            State::Follower(follower) => Some(follower.leader),
            State::Stopped | State::Resigned(_) => None,
            _ => self.election.leader.filter(|_| self.gone != Some(self.election.epoch)),
        }
    }

    /// The voters, as the last record of the log that names them has them, committed or not.
    pub fn voters(&self) -> &Voters {
        self.log.voters.latest()
    }

    /// The format of the quorum: 0 knows voters by their ids, 1 by their directories too.
    pub fn kraft_version(&self) -> i16 {
        self.log.voters.kraft_version()
    }

    /// Everything below is committed.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Where the log begins.
    pub fn log_start(&self) -> Offset {
        self.log.start()
    }

    /// Where the next record goes.
    pub fn log_end(&self) -> Offset {
        self.log.end()
    }

    /// The newest snapshot on disk.
    pub fn latest_snapshot(&self) -> Option<SnapshotId> {
        self.snapshots.last().map(|snapshot| snapshot.id)
    }

    /// The cluster's id is known from now on: others are refused.
    pub fn learn_cluster(&mut self, cluster_id: &str) {
        self.config.cluster_id = Some(cluster_id.to_owned());
    }

    /// Takes an event and says what to do about it. `now_ms` stamps records and drives timers;
    /// a jump back only stops the timers for the moment.
    pub fn step(&mut self, now_ms: i64, event: Event) -> Vec<Effect> {
        self.clock.advance(now_ms);
        self.wall_ms = now_ms;
        if self.started && matches!(self.state, State::Stopped) {
            if let Event::Propose { token, .. } = event {
                return vec![Effect::Refused { token, why: Refusal::NotLeader }];
            }
            return Vec::new();
        }
        if let Err(stop) = self.take(event).and_then(|()| self.poll()) {
            self.started = true;
            self.state = State::Stopped;
            self.held.clear();
            self.out.push(Effect::Fatal { why: stop.to_string() });
        }
        std::mem::take(&mut self.out)
    }

    fn take(&mut self, event: Event) -> Result<(), Stop> {
        if !self.started {
            return self.before_start(event);
        }
        match event {
            Event::Start => Err(Stop::Unexpected("Start")),
            Event::Propose { token, records } => self.propose(token, &records),
            Event::StatePersisted => self.state_persisted(),
            Event::Flushed { upto } => self.flushed(upto),
            Event::Request { token, cluster_id, request } => {
                self.request(token, cluster_id.as_deref(), request)
            }
            Event::Response { id, response } => self.response(id, response),
            Event::RequestFailed { id, refused } => {
                self.request_failed(id, refused);
                Ok(())
            }
            Event::SnapshotRecords { id, records } => self.snapshot_records(id, records),
            Event::SnapshotWritten { id } => self.snapshot_written(id),
            Event::SnapshotPartRead { id, file } => self.snapshot_part_read(id, file),
            Event::SnapshotInstalled { id } => self.snapshot_installed(id),
            Event::Upgrade => self.upgrade_as_told(),
            Event::Resign => {
                self.resign();
                Ok(())
            }
            Event::Tick => Ok(()),
            Event::DiskFailed => Err(Stop::Disk),
        }
    }

    /// Until it has started a node says nothing.
    fn before_start(&mut self, event: Event) -> Result<(), Stop> {
        match event {
            Event::Start => self.start(),
            Event::SnapshotWritten { id } => self.snapshot_written(id),
            Event::Propose { token, .. } => {
                self.out.push(Effect::Refused { token, why: Refusal::NotLeader });
                Ok(())
            }
            Event::DiskFailed => Err(Stop::Disk),
            _ => Ok(()),
        }
    }

    fn start(&mut self) -> Result<(), Stop> {
        self.snapshot_at_ms = self.wall_ms;
        if self.forms {
            return self.form();
        }
        self.started = true;
        let start = self.log.start();
        if start > Offset(0) {
            self.out.push(Effect::TrimLog { start });
        }
        // A crash may have come before the removal of what another snapshot has replaced.
        for old in self.snapshots.extract_if(.., |file| file.id.end_offset < start) {
            let name = old.id.file_name();
            self.out.push(Effect::RemoveSnapshot { id: old.id, name });
        }
        self.begin();
        Ok(())
    }

    /// The first role after the start: who is the only voter need not ask anybody.
    fn begin(&mut self) {
        self.started = true;
        self.detach();
        if self.is_only_voter() {
            self.stand();
        } else if self.is_new() {
            self.campaign_soon();
        }
    }

    /// Whether it has never heard of any epoch: most likely all of them have just been made.
    fn is_new(&self) -> bool {
        self.election.epoch == LeaderEpoch(0) && self.log.end() == Offset(0)
    }

    /// What time asks for, after every event.
    fn poll(&mut self) -> Result<(), Stop> {
        if !self.started {
            return Ok(());
        }
        self.expire_requests();
        match self.state.role() {
            Role::Unattached => self.poll_unattached(),
            Role::Follower => self.poll_follower()?,
            Role::Prospective | Role::Candidate => self.poll_campaign()?,
            Role::Leader => self.poll_leader()?,
            Role::Resigned => self.poll_resigned(),
            Role::Stopped => {}
        }
        self.save();
        self.consider_snapshot();
        Ok(())
    }

    fn now(&self) -> Ms {
        self.clock.now()
    }

    fn after(&self, wait: Ms) -> Ms {
        self.clock.now().saturating_add(wait)
    }

    fn is_voter(&self) -> bool {
        self.voters().find(&self.config.key()).is_some()
    }

    /// A voter may campaign; so may one whose removal is in its log but not known to be committed:
    /// the quorum may need it, and its log, to get that far.
    fn may_campaign(&self) -> bool {
        let own = self.config.key();
        self.log.voters.since(self.high_watermark).any(|voters| voters.find(&own).is_some())
    }

    fn is_only_voter(&self) -> bool {
        self.is_voter() && self.voters().len() == 1
    }

    /// Where a node is reached as a controller, as far as this one knows.
    pub fn endpoints_of(&self, id: BrokerId) -> Vec<Endpoint> {
        if id == self.config.node {
            return self.config.endpoints.clone();
        }
        let named = self.voters().by_id(id).map(|voter| voter.endpoints.clone());
        match &self.state {
            State::Follower(f) if f.leader == id && !f.endpoints.is_empty() => f.endpoints.clone(),
            _ => named.unwrap_or_default(),
        }
    }

    /// Makes durable what is appended; one flush at a time.
    fn flush(&mut self) {
        if self.installing.is_none()
            && let Some(upto) = self.log.begin_flush()
        {
            self.out.push(Effect::Flush { upto });
        }
    }

    fn flushed(&mut self, upto: Offset) -> Result<(), Stop> {
        if !self.log.end_flush(upto) {
            return Err(Stop::Unexpected("Flushed"));
        }
        match self.state.role() {
            Role::Leader => self.advance_high_watermark()?,
            Role::Follower => self.follow_high_watermark(),
            _ => {}
        }
        Ok(())
    }

    fn append(&mut self, batch: Bytes, count: i64, epoch: LeaderEpoch, at_ms: i64) {
        let first = self.log.end();
        let bytes = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        self.log.append(count, bytes, epoch, at_ms);
        let last = self.log.end().plus(-1);
        self.out.push(Effect::Append { batch, first, last, epoch });
    }

    /// The high watermark only ever rises.
    fn commit(&mut self, upto: Offset) {
        if upto <= self.high_watermark {
            return;
        }
        self.high_watermark = upto;
        while let Some(batch) = self.log.pop_committed(upto) {
            self.bytes_since_snapshot = self.bytes_since_snapshot.saturating_add(batch.bytes);
            self.last_committed_ms = batch.at_ms;
        }
        self.out.push(Effect::Committed { upto });
    }
}

/// Why the quorum stops.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("the metadata directory failed to write or to flush")]
    Disk,
    #[error("{0} came although nothing was asked")]
    Unexpected(&'static str),
    #[error("the leader of epoch {epoch} wants records below {high_watermark} cut, at {end}")]
    CutsCommitted { epoch: LeaderEpoch, high_watermark: Offset, end: Offset },
    #[error(transparent)]
    Error(#[from] Error),
}

#[cfg(test)]
mod tests;
