//! The one-voter quorum against a disk that forgets what was not flushed.

mod model;

use std::collections::VecDeque;

use proptest::prelude::*;
use wire::ids::Uuid;
use wire::records::{Batch, BatchIter};

use super::*;
use crate::batches::{data_batch, leader_change_batch};
use crate::{BATCH_BYTES_MAX, FetchRequest, Loader, ReplicaKey, Request, Snapshot, Voter};

const DIRECTORY: Uuid = Uuid([7; 16]);

fn config() -> Config {
    Config { snapshot_bytes: 700, retention_bytes: 2_000, ..Config::new(BrokerId(1), DIRECTORY) }
}

/// A metadata directory. Appended batches are lost at a crash unless flushed.
#[derive(Clone, Default)]
struct Disk {
    state: Option<Bytes>,
    snapshots: Vec<(SnapshotId, Bytes)>,
    log_start: Offset,
    log: Vec<Batch>,
    durable: usize,
}

impl Disk {
    fn end(&self) -> Offset {
        let newest = self.snapshots.last().map_or(Offset(0), |(id, _)| id.end_offset);
        self.log.last().map_or(newest, |batch| Offset(batch.header().next_offset()))
    }

    /// Carries out an effect; gives the event that completes it.
    fn carry_out(&mut self, effect: &Effect) -> Option<Event> {
        match effect {
            Effect::PersistState { file } => {
                self.state = Some(file.clone());
                Some(Event::StatePersisted)
            }
            Effect::Append { batch, first, last, epoch } => {
                let batch = Batch::parse(batch).unwrap();
                assert_eq!(batch.header().base_offset, first.0);
                assert_eq!(batch.header().last_offset(), last.0);
                assert_eq!(batch.header().partition_leader_epoch, epoch.0);
                assert_eq!(*first, self.end(), "appends continue the log");
                self.log.push(batch);
                None
            }
            Effect::Flush { upto } => {
                let below = |batch: &&Batch| batch.header().last_offset() < upto.0;
                self.durable = self.log.iter().take_while(below).count();
                Some(Event::Flushed { upto: *upto })
            }
            Effect::WriteSnapshot { id, name, file } => {
                assert_eq!(SnapshotId::parse(name), Some(*id));
                self.snapshots.push((*id, file.clone()));
                Some(Event::SnapshotWritten { id: *id })
            }
            Effect::TrimLog { start } => {
                let below = |batch: &&Batch| batch.header().last_offset() < start.0;
                let gone = self.log.iter().take_while(below).count();
                assert!(gone <= self.durable, "only committed records are trimmed");
                self.log.drain(..gone);
                self.durable -= gone;
                self.log_start = *start;
                None
            }
            Effect::RemoveSnapshot { id, .. } => {
                self.snapshots.retain(|(other, _)| other != id);
                None
            }
            _ => None,
        }
    }

    /// Loses what was not flushed, but for `kept` batches that made it by luck.
    fn crash(&mut self, kept: usize) {
        self.log.truncate(self.durable + kept);
        self.durable = self.log.len();
    }

    fn load(&self) -> (Quorum, Vec<Bytes>) {
        let mut loader = Loader::new(config());
        if let Some(state) = &self.state {
            loader.quorum_state(state).unwrap();
        }
        let mut records = Vec::new();
        if let Some(((id, file), older)) = self.snapshots.split_last() {
            for (id, file) in older {
                loader.older_snapshot(*id, file.len() as u64, file.clone());
            }
            records = loader.newest_snapshot(*id, file.clone()).unwrap();
        }
        for batch in &self.log {
            records.extend(loader.batch(batch).unwrap().into_iter().map(|(_, value)| value));
        }
        let quorum = loader.finish(self.log_start, self.end()).unwrap();
        (quorum, records)
    }
}

/// A node: the quorum, its disk, and the state (simply all records so far).
struct Node {
    disk: Disk,
    quorum: Quorum,
    state: Vec<Bytes>,
    pending: VecDeque<(Offset, Vec<Bytes>)>,
    proposed: Vec<(u64, Vec<Bytes>)>,
    committed: usize,
    inbox: VecDeque<Event>,
    now: i64,
}

impl Node {
    fn open(disk: Disk, now: i64) -> Self {
        let (quorum, state) = disk.load();
        Self {
            disk,
            quorum,
            committed: 0,
            state,
            pending: VecDeque::new(),
            proposed: Vec::new(),
            inbox: VecDeque::from([Event::Start]),
            now,
        }
    }

    /// One event and at most `effects_max` of its effects; `None` when there was nothing to do.
    fn step(&mut self, effects_max: usize) -> Option<Vec<Effect>> {
        let event = self.inbox.pop_front()?;
        self.now += 1;
        let effects = self.quorum.step(self.now, event);
        for effect in effects.iter().take(effects_max) {
            assert!(!matches!(effect, Effect::Fatal { .. }), "{effect:?}");
            if let Some(event) = self.disk.carry_out(effect) {
                self.inbox.push_back(event);
            }
            match effect {
                Effect::Accepted { token, first, last } => {
                    let at = self.proposed.iter().position(|(t, _)| t == token).unwrap();
                    let (_, records) = self.proposed.remove(at);
                    assert_eq!(last.0 - first.0 + 1, records.len() as i64);
                    self.pending.push_back((*last, records));
                }
                Effect::Committed { upto } => {
                    while self.pending.front().is_some_and(|(last, _)| last < upto) {
                        self.state.extend(self.pending.pop_front().unwrap().1);
                    }
                    self.committed = self.state.len();
                }
                Effect::TakeSnapshot { id } => self
                    .inbox
                    .push_back(Event::SnapshotRecords { id: *id, records: self.state.clone() }),
                _ => {}
            }
        }
        Some(effects)
    }

    fn run(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.step(usize::MAX)).flatten().collect()
    }

    fn propose(&mut self, token: u64, records: Vec<Bytes>) {
        self.proposed.push((token, records.clone()));
        self.inbox.push_back(Event::Propose { token, records });
    }
}

fn record(n: usize) -> Bytes {
    Bytes::from(format!("record {n:05}"))
}

#[test]
fn formation_writes_the_voters_then_the_vote_then_leads() {
    let mut node = Node::open(Disk::default(), 0);
    let names: Vec<String> = node
        .run()
        .iter()
        .map(|effect| format!("{effect:?}").split([' ', '{']).next().unwrap().to_owned())
        .collect();
    let expected = ["WriteSnapshot", "PersistState", "Elected", "Append", "Flush", "Committed"];
    assert_eq!(names, expected);
    assert_eq!(node.quorum.role(), Role::Leader);
    assert_eq!(node.quorum.epoch(), LeaderEpoch(1));
    assert_eq!(node.quorum.leader(), Some(BrokerId(1)));
    assert_eq!(node.quorum.high_watermark(), Offset(1));
    let state = ElectionState::parse(node.disk.state.as_ref().unwrap()).unwrap();
    assert_eq!(state.voted, Some((BrokerId(1), DIRECTORY)));
    let (id, file) = node.disk.snapshots[0].clone();
    assert_eq!(id.file_name(), "00000000000000000000-0000000000.checkpoint");
    let snapshot = Snapshot::parse(id, file).unwrap();
    assert_eq!(snapshot.voters.as_ref(), Some(node.quorum.voters()));
    assert_eq!(snapshot.kraft_version, 1);
}

#[test]
fn nothing_is_accepted_before_the_vote_is_on_disk() {
    let (mut quorum, _) = Disk::default().load();
    let propose = || Event::Propose { token: 5, records: vec![record(0)] };
    let refused = vec![Effect::Refused { token: 5, why: Refusal::NotLeader }];
    assert_eq!(quorum.step(0, propose()), refused);
    let id = SnapshotId { end_offset: Offset(0), epoch: LeaderEpoch(0) };
    quorum.step(0, Event::Start);
    assert!(matches!(
        quorum.step(0, Event::SnapshotWritten { id })[..],
        [Effect::PersistState { .. }]
    ));
    assert_eq!(quorum.role(), Role::Candidate);
    assert_eq!(quorum.step(0, propose()), refused);
}

#[test]
fn flushes_are_shared_and_commit_in_order() {
    let mut node = Node::open(Disk::default(), 0);
    node.run();
    let mut flushes = 0;
    for n in 0..3 {
        let effects = node.quorum.step(9, Event::Propose { token: n, records: vec![record(1)] });
        flushes += effects.iter().filter(|e| matches!(e, Effect::Flush { .. })).count();
        assert!(!effects.iter().any(|e| matches!(e, Effect::Committed { .. })));
    }
    assert_eq!(flushes, 1);
    let effects = node.quorum.step(9, Event::Flushed { upto: Offset(2) });
    assert_eq!(effects, [Effect::Committed { upto: Offset(2) }, Effect::Flush { upto: Offset(4) }]);
    let effects = node.quorum.step(9, Event::Flushed { upto: Offset(4) });
    assert_eq!(effects, [Effect::Committed { upto: Offset(4) }]);
}

#[test]
fn a_failed_disk_stops_the_quorum_for_good() {
    let mut node = Node::open(Disk::default(), 0);
    node.run();
    let effects = node.quorum.step(1, Event::DiskFailed);
    assert!(matches!(effects[..], [Effect::Fatal { .. }]));
    assert_eq!(node.quorum.role(), Role::Stopped);
    assert_eq!(node.quorum.leader(), None);
    let effects = node.quorum.step(1, Event::Propose { token: 1, records: vec![record(1)] });
    assert_eq!(effects, [Effect::Refused { token: 1, why: Refusal::NotLeader }]);
    // A flush that ends after the failure commits nothing.
    assert_eq!(node.quorum.step(1, Event::Flushed { upto: Offset(1) }), []);
}

#[test]
fn too_large_and_empty_proposals_are_refused() {
    let mut node = Node::open(Disk::default(), 0);
    node.run();
    for records in [vec![Bytes::from(vec![0; BATCH_BYTES_MAX])], Vec::new()] {
        let effects = node.quorum.step(1, Event::Propose { token: 1, records });
        assert_eq!(effects, [Effect::Refused { token: 1, why: Refusal::TooLarge }]);
    }
    assert_eq!(node.quorum.log_end(), Offset(1));
}

#[test]
fn another_disk_is_refused_by_name() {
    let mut node = Node::open(Disk::default(), 0);
    node.run();
    let mut loader = Loader::new(Config::new(BrokerId(1), Uuid([8; 16])));
    let (id, file) = node.disk.snapshots[0].clone();
    loader.newest_snapshot(id, file).unwrap();
    let error = loader.finish(Offset(0), Offset(0)).unwrap_err();
    assert!(matches!(error, Error::NotAVoter { .. }), "{error}");
}

#[test]
fn torn_snapshots_are_refused() {
    let mut node = Node::open(Disk::default(), 0);
    node.run();
    let (id, file) = node.disk.snapshots[0].clone();
    let first = BatchIter::new(file.clone()).next().unwrap().unwrap().bytes().len();
    let no_footer = Snapshot::parse(id, file.slice(..first)).unwrap_err();
    assert!(matches!(no_footer, Error::TornSnapshot(_, "footer")), "{no_footer}");
    let no_header = Snapshot::parse(id, file.slice(first..)).unwrap_err();
    assert!(matches!(no_header, Error::TornSnapshot(_, "header")), "{no_header}");
    for cut in [1, first - 1, file.len() - 1] {
        assert!(Snapshot::parse(id, file.slice(..cut)).is_err(), "{cut}");
    }
}

#[test]
fn snapshots_bound_the_log() {
    let mut node = Node::open(Disk::default(), 0);
    node.run();
    for n in 0..200 {
        node.propose(n, vec![record(n as usize)]);
        node.run();
    }
    assert!(node.disk.log_start > Offset(150), "{}", node.disk.log_start);
    assert!(node.disk.snapshots.len() < 4);
    let (_, state) = node.disk.load();
    assert_eq!(state, (0..200).map(record).collect::<Vec<_>>());
}

/// `metadata.max.retention.ms` counts from a snapshot's last record, over restarts too.
#[test]
fn a_restart_makes_no_snapshot_older() {
    let mut node = Node::open(Disk::default(), 5_000_000_000_000);
    node.quorum.config.retention_bytes = -1;
    node.run();
    let kept = |node: &Node| node.disk.snapshots.iter().map(|(id, _)| id.end_offset.0).collect();
    let more = |node: &mut Node, from: u64| {
        for n in from..from + 10 {
            node.propose(n, vec![record(n as usize)]);
            node.run();
        }
    };
    more(&mut node, 0);
    let before: Vec<i64> = kept(&node);
    assert!(before.len() > 1 && before[0] == 0, "{before:?}");
    let now = node.now;
    let mut node = Node::open(node.disk, now);
    node.quorum.config.retention_bytes = -1;
    node.run();
    more(&mut node, 10);
    let after: Vec<i64> = kept(&node);
    assert!(after.len() > before.len() && after.starts_with(&before), "{before:?} {after:?}");
}

#[test]
fn time_alone_makes_a_snapshot_of_something_new_only() {
    let mut node = Node::open(Disk::default(), 0);
    node.run();
    let hour = node.quorum.config.snapshot_interval_ms;
    node.now += hour;
    node.inbox.push_back(Event::Tick);
    assert!(node.run().is_empty(), "the leader's first batch is nothing new");
    node.propose(1, vec![record(1)]);
    node.now -= hour;
    node.run();
    node.now += hour;
    node.inbox.push_back(Event::Tick);
    assert!(node.run().iter().any(|e| matches!(e, Effect::WriteSnapshot { .. })));
    node.now += hour;
    node.inbox.push_back(Event::Tick);
    assert!(node.run().is_empty());
}

proptest! {
    /// A crash after any effect of any step: what was committed is there again, in order, once;
    /// epochs ascend; nothing that was never proposed appears.
    #[test]
    fn crashes_lose_nothing_that_was_committed(
        rounds in prop::collection::vec((1usize..40, 0usize..6, 0usize..4), 1..12),
    ) {
        let mut disk = Disk::default();
        let mut acknowledged: Vec<Bytes> = Vec::new();
        let mut next = 0;
        let mut epoch = LeaderEpoch(0);
        for (steps, effects_max, kept) in rounds {
            let mut node = Node::open(disk, 1_000_000);
            // What the disk gives back begins with all that was acknowledged.
            prop_assert!(node.state.len() >= acknowledged.len());
            prop_assert_eq!(&node.state[..acknowledged.len()], &acknowledged[..]);
            prop_assert!(node.state.windows(2).all(|w| w[0] < w[1]), "order, no duplicates");
            prop_assert!(node.quorum.epoch() >= epoch);
            for step in 0..steps {
                if step % 2 == 1 {
                    let count = 1 + step % 3;
                    node.propose(step as u64, (next..next + count).map(record).collect());
                    next += count;
                }
                let last = step + 1 == steps;
                if node.step(if last { effects_max } else { usize::MAX }).is_none() {
                    node.inbox.push_back(Event::Tick);
                }
                if last {
                    break;
                }
            }
            // An epoch counts once its vote was on disk; before that nobody has seen it.
            if node.quorum.role() == Role::Leader {
                prop_assert!(node.quorum.epoch() > epoch);
                epoch = node.quorum.epoch();
            }
            if node.committed > 0 {
                acknowledged = node.state[..node.committed].to_vec();
            }
            disk = node.disk;
            disk.crash(kept);
        }
    }
}

/// What Kafka leaves behind that was formed with `controller.quorum.voters`: leader changes and
/// records, and no voters record anywhere.
fn static_log(ids: &[i32]) -> Disk {
    let voter = |id: &i32| Voter { id: BrokerId(*id), directory: DIRECTORY, endpoints: Vec::new() };
    let voters = Voters::new(ids.iter().map(voter).collect());
    let epoch = LeaderEpoch(4);
    let change = leader_change_batch(Offset(0), epoch, 0, BrokerId(1), &voters, &[]).unwrap();
    let data = data_batch(Offset(1), epoch, 0, &[Bytes::from_static(b"one")]).unwrap();
    let log: Vec<Batch> = [change, data].iter().map(|b| Batch::parse(b).unwrap()).collect();
    Disk { durable: log.len(), log, ..Disk::default() }
}

#[test]
fn a_static_one_node_log_of_kafka_is_led() {
    let mut node = Node::open(static_log(&[1]), 0);
    node.run();
    assert_eq!(node.quorum.role(), Role::Leader);
    assert_eq!(node.quorum.epoch(), LeaderEpoch(5));
    let state = ElectionState::parse(node.disk.state.as_ref().unwrap()).unwrap();
    assert_eq!(state.static_voters, [BrokerId(1)]);
    for n in 0..200 {
        node.propose(n, vec![record(n as usize)]);
        node.run();
    }
    let (id, file) = node.disk.snapshots.last().cloned().unwrap();
    let snapshot = Snapshot::parse(id, file).unwrap();
    assert_eq!((snapshot.kraft_version, snapshot.voters), (0, None));
    // The leader change is gone from the log by now; quorum-state says who votes.
    let mut again = Node::open(node.disk.clone(), 0);
    again.run();
    assert_eq!(again.quorum.epoch(), LeaderEpoch(6));
}

#[test]
fn a_log_of_kafkas_gets_directories_when_the_operator_says_so() {
    let mut node = Node::open(static_log(&[1]), 0);
    node.run();
    assert_eq!((node.quorum.kraft_version(), node.quorum.may_upgrade()), (0, true));
    node.inbox.push_back(Event::Upgrade);
    node.run();
    assert_eq!((node.quorum.kraft_version(), node.quorum.may_upgrade()), (1, false));
    // Told again, there is nothing to do; and it stays so.
    let end = node.quorum.log_end();
    node.inbox.push_back(Event::Upgrade);
    node.run();
    assert_eq!(node.quorum.log_end(), end);
    let mut again = Node::open(node.disk.clone(), 0);
    again.run();
    assert_eq!(again.quorum.kraft_version(), 1);
    assert!(again.quorum.voters().contains(BrokerId(1), DIRECTORY));
}

#[test]
fn a_static_quorum_of_others_is_refused() {
    let load = |voters: &[i32]| {
        let mut loader = Loader::new(config());
        for batch in &static_log(voters).log {
            loader.batch(batch).unwrap();
        }
        loader.finish(Offset(0), Offset(2)).unwrap_err()
    };
    assert!(matches!(load(&[1, 2, 3]), Error::SeveralVoters(3)));
    assert!(matches!(load(&[2]), Error::NotAVoter { .. }));
}

#[test]
fn an_observer_that_fetches_no_more_is_forgotten() {
    let mut node = Node::open(Disk::default(), 0);
    node.run();
    let replica = ReplicaKey { id: BrokerId(9), directory: Uuid([9; 16]) };
    let fetch = FetchRequest {
        epoch: node.quorum.epoch(),
        replica,
        offset: Offset(0),
        last_epoch: LeaderEpoch(0),
        high_watermark: Offset(0),
        max_wait_ms: 0,
        max_bytes: 1 << 20,
    };
    let request = Request::Fetch(fetch);
    node.inbox.push_back(Event::Request { token: 7, cluster_id: None, request });
    node.run();
    let observers = |node: &Node| node.quorum.describe().unwrap().observers.len();
    assert_eq!(observers(&node), 1);
    for (later, left) in [(299_000, 1), (2_000, 0)] {
        node.now += later;
        node.inbox.push_back(Event::Tick);
        node.run();
        assert_eq!(observers(&node), left, "after {later} ms more");
    }
}
