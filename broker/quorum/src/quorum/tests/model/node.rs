//! One voter of the model: the real quorum, its disk, its questions; and the form into which its
//! times, ids and randomness are brought.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use wire::ids::{BrokerId, Offset, Uuid};
use wire::records::Batch;

use super::super::super::Quorum;
use super::super::super::outbox::{Asked, Sent};
use super::super::super::state::{ChangeStep, State};
use crate::clock::{Clock, Ms};
use crate::random::Random;
use crate::{
    Bootstrap, Config, Effect, Endpoint, Event, Loader, ReplicaKey, Request, SnapshotId, Voter,
    Voters,
};

pub(super) const NODES: usize = 3;
/// Not due yet; every time-out that a node draws is shorter than `LONG`.
const SOON: Ms = 1_000;
pub(super) const LONG: Ms = 1_000_000;
/// The node has changed since.
pub(super) const STALE_PRINT: u64 = 0;
/// Ids from here on are those of the step under way.
const FRESH_IDS: u64 = 1 << 40;

/// A metadata directory that forgets at a power loss what was not flushed.
#[derive(Clone, Default)]
pub(super) struct Disk {
    pub(super) state: Option<Bytes>,
    pub(super) writing_state: Option<Bytes>,
    pub(super) snapshot: Option<(SnapshotId, Bytes)>,
    pub(super) log: Vec<Batch>,
    pub(super) durable: Vec<Batch>,
    pub(super) flushing: Option<(Offset, Vec<Batch>)>,
}

impl Disk {
    pub(super) fn end(&self) -> Offset {
        self.log.last().map_or(Offset(0), |batch| Offset(batch.header().next_offset()))
    }
}

/// A question that waits for its answer.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) to: usize,
    pub(super) request: Request,
    /// It has arrived; the answer waits for the other's disk.
    pub(super) arrived: bool,
}

#[derive(Clone)]
pub(super) struct Node {
    pub(super) quorum: Quorum,
    pub(super) disk: Disk,
    pub(super) asked: BTreeMap<u64, Question>,
    /// Who waits for the answer of which token.
    pub(super) callers: BTreeMap<u64, Option<(usize, u64)>>,
    pub(super) applied: Offset,
    /// Stands for all of the above.
    pub(super) print: u64,
}

pub(super) fn key(at: usize) -> ReplicaKey {
    let number = u8::try_from(at).unwrap() + 1;
    ReplicaKey { id: BrokerId(i32::from(number)), directory: Uuid([number; 16]) }
}

pub(super) fn voter(at: usize) -> Voter {
    let ReplicaKey { id, directory } = key(at);
    let endpoint = Endpoint { listener: "C".to_owned(), host: "h".to_owned(), port: 1 };
    Voter { id, directory, endpoints: vec![endpoint] }
}

pub(super) fn index(id: BrokerId) -> usize {
    usize::try_from(id.0 - 1).unwrap()
}

pub(super) fn open(at: usize, disk: &Disk) -> Quorum {
    let config = Config {
        endpoints: voter(at).endpoints,
        bootstrap: Bootstrap::Voters(Voters::new((0..NODES).map(voter).collect())),
        fetch_timeout_ms: 100,
        election_timeout_ms: 100,
        request_timeout_ms: 100,
        retry_backoff_ms: 0,
        fetch_wait_ms: 0,
        snapshot_interval_ms: 0,
        ..Config::new(key(at).id, key(at).directory)
    };
    let mut loader = Loader::new(config);
    if let Some(state) = &disk.state {
        loader.quorum_state(state).unwrap();
    }
    if let Some((id, file)) = &disk.snapshot {
        loader.newest_snapshot(*id, file.clone()).unwrap();
    }
    for batch in &disk.log {
        loader.batch(batch).unwrap();
    }
    loader.finish(Offset(0), disk.end()).unwrap()
}

/// Ticks come all the time.
pub(super) fn step(quorum: &mut Quorum, event: Event) -> Vec<Effect> {
    let mut effects = quorum.step(0, event);
    effects.extend(quorum.step(0, Event::Tick));
    effects
}

/// A number for a question that is the same whichever way led to it.
fn code(sent: &Sent) -> u64 {
    let kind = match sent.what {
        Asked::Vote { pre_vote: true } => 0,
        Asked::Vote { pre_vote: false } => 1,
        Asked::BeginEpoch => 2,
        Asked::EndEpoch => 3,
        Asked::Find => 4,
        Asked::Fetch => 5,
        Asked::FetchSnapshot { .. } => 6,
        Asked::Join => 7,
        Asked::Move => 8,
    };
    let to = sent.to.map_or(0, |id| u64::try_from(id.0).unwrap());
    u64::try_from(sent.epoch.0).unwrap() * 100 + to * 10 + kind
}

/// Changes every time that a quorum remembers, those to come and those that were. Short waits
/// are over: between any two events there was time enough to ask again.
pub(super) fn map_times(quorum: &mut Quorum, to_come: impl Fn(Ms) -> Ms, was: impl Fn(Ms) -> Ms) {
    let come = |time: &mut Ms| *time = to_come(*time);
    let past = |time: &mut Ms| *time = was(*time);
    (quorum.refused, quorum.vain_elections) = (None, 0);
    quorum.sent.values_mut().for_each(|sent| come(&mut sent.expires_at));
    match &mut quorum.state {
        State::Unattached(unattached) => {
            come(&mut unattached.campaign_at);
            unattached.ask_at = 0;
        }
        State::Follower(follower) => {
            come(&mut follower.give_up_at);
            (follower.fetch_at, follower.join_at, follower.move_at) = (0, 0, 0);
        }
        State::Prospective(campaign) | State::Candidate(campaign) => {
            come(&mut campaign.give_up_at);
            campaign.ask_at.clear();
        }
        State::Leader(leader) => {
            past(&mut leader.since);
            leader.tell_at.values_mut().for_each(come);
            for replica in leader.replicas.values_mut() {
                past(&mut replica.fetched_at);
                // It counts only for voters without directories.
                replica.caught_up_at = None;
                assert!(replica.parked.is_none(), "no fetch waits");
            }
            if let Some(change) = &mut leader.change
                && let ChangeStep::CatchUp { until, .. } = &mut change.step
            {
                come(until);
            }
        }
        State::Resigned(resigned) => {
            come(&mut resigned.campaign_at);
            resigned.tell_at.values_mut().for_each(|at| *at = 0);
        }
        State::Stopped => {}
    }
}

impl Node {
    pub(super) fn new(at: usize) -> Self {
        let mut disk = Disk::default();
        let mut quorum = open(at, &disk);
        let mut effects = step(&mut quorum, Event::Start);
        while !effects.is_empty() {
            effects = match effects.remove(0) {
                Effect::WriteSnapshot { id, file, .. } => {
                    disk.snapshot = Some((id, file));
                    step(&mut quorum, Event::SnapshotWritten { id })
                }
                _ => effects,
            };
        }
        let (asked, callers) = (BTreeMap::new(), BTreeMap::new());
        let mut node = Self { quorum, disk, asked, callers, applied: Offset(0), print: 0 };
        // The very first questions are lost; timers and answers bring others.
        node.quorum.sent.clear();
        node.settle();
        node.imprint();
        node
    }

    /// Brings the quorum into the form that does not tell how it came about. Gives the new names
    /// of the questions of this step.
    pub(super) fn settle(&mut self) -> BTreeMap<u64, u64> {
        let quorum = &mut self.quorum;
        let now = quorum.now();
        let to_come = |time: Ms| if time > now { SOON } else { 0 };
        map_times(quorum, to_come, |time| if time < now { -LONG } else { 0 });
        quorum.clock = Clock::default();
        quorum.random = Random::new(0);
        let mut names = BTreeMap::new();
        let mut sent = BTreeMap::new();
        for (id, one) in std::mem::take(&mut quorum.sent) {
            let name = if id >= FRESH_IDS { code(&one) } else { id };
            names.insert(id, name);
            assert!(sent.insert(name, one).is_none(), "two questions of one name");
        }
        quorum.sent = sent;
        quorum.next_id = FRESH_IDS;
        quorum.held.retain_mut(|effect| match effect {
            Effect::Send { id, .. } => names.get(id).is_some_and(|name| {
                *id = *name;
                true
            }),
            _ => true,
        });
        names
    }

    pub(super) fn imprint(&mut self) {
        if self.print != STALE_PRINT {
            return;
        }
        let mut print = Print(DefaultHasher::new());
        // All fields are named: a new one has to be thought of here.
        let Quorum {
            config: _,
            clock: _,
            random: _,
            wall_ms: _,
            state,
            started,
            forms: _,
            election,
            saved,
            saving,
            gone,
            refused,
            vain_elections: _,
            log,
            high_watermark,
            last_committed_ms: _,
            snapshots: _,
            bytes_since_snapshot: _,
            snapshot_at_ms: _,
            work: _,
            installing: _,
            sent,
            next_id: _,
            held,
            out: _,
        } = &self.quorum;
        let role = (state, started, gone, refused, high_watermark);
        // What else the quorum knows of its log the log itself says.
        let log = (log.end(), log.durable(), log.flushing());
        let disk = (&self.disk.writing_state, self.disk.flushing.as_ref().map(|f| f.0));
        write!(
            print,
            "{role:?}{election:?}{saved:?}{saving:?}{log:?}{sent:?}{held:?}{disk:?}{:?}{:?}{:?}",
            self.asked, self.callers, self.applied
        )
        .unwrap();
        let flushing = self.disk.flushing.iter().flat_map(|(_, log)| log);
        for batch in self.disk.log.iter().chain(&self.disk.durable).chain(flushing) {
            let header = batch.header();
            (header.partition_leader_epoch, header.base_offset, header.crc).hash(&mut print.0);
        }
        self.disk.durable.len().hash(&mut print.0);
        self.print = print.0.finish() | 1;
    }

    pub(super) fn batch_at(log: &[Batch], offset: i64) -> Option<(i32, u32)> {
        let batch = log.iter().find(|batch| batch.header().last_offset() >= offset)?;
        Some((batch.header().partition_leader_epoch, batch.header().crc))
    }
}

/// Hashes what is written to it.
pub(super) struct Print(pub(super) DefaultHasher);

impl Write for Print {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}
