//! The cluster in one process: the queue of what happens next, the network, and the drivers that
//! carry out what the quorums ask for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quorum::{
    AddVoterRequest, Body, Bootstrap, Destination, Effect, Event, Given, Payload, Request,
    Response, Role, SnapshotId, Voter, Voters,
};
use wire::ErrorCode;
use wire::ids::{BrokerId, Offset, Uuid};

use crate::disk::Disk;
use crate::node::{Caller, Node, apply, endpoint, record};
use crate::oracle::Oracle;
use crate::random::Random;

const TICK_MS: i64 = 5;
/// The last things that happened, for whoever reads a failure.
const TRACE_LINES: usize = 2000;

/// What happens at some time.
enum Happening {
    Tick { life: u32 },
    Asked { from: usize, life: u32, id: u64, request: Request },
    Answered { life: u32, id: u64, response: Response },
    Failed { life: u32, id: u64, refused: bool },
    Done { life: u32, done: Done },
}

/// The disk has finished.
enum Done {
    State,
    Flush { upto: Offset, made: u64 },
    Snapshot { id: SnapshotId },
    Part { id: SnapshotId },
    Install { id: SnapshotId, made: u64 },
}

/// What the network does to messages.
#[derive(Default)]
pub(crate) struct Network {
    /// One-way: from, to.
    pub(crate) blocked: BTreeSet<(usize, usize)>,
    /// In a thousand.
    pub(crate) loss: u64,
    pub(crate) duplicates: u64,
    pub(crate) delay_ms_max: i64,
    /// In a thousand: an answer with records arrives cut short.
    pub(crate) cuts: u64,
}

/// What happened in a run.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) steps: u64,
    pub(crate) elections: u64,
    pub(crate) committed: u64,
    pub(crate) kills: u64,
    pub(crate) power_losses: u64,
    pub(crate) wipes: u64,
    pub(crate) truncations: u64,
    pub(crate) installs: u64,
    pub(crate) snapshots: u64,
    pub(crate) voter_changes: u64,
    pub(crate) resignations: u64,
    pub(crate) clock_jumps: u64,
    pub(crate) partitions: u64,
    pub(crate) leaders_killed: u64,
    pub(crate) replaced_at_once: u64,
}

impl Counts {
    fn fields(&mut self) -> [&mut u64; 15] {
        [
            &mut self.steps,
            &mut self.elections,
            &mut self.committed,
            &mut self.kills,
            &mut self.power_losses,
            &mut self.wipes,
            &mut self.truncations,
            &mut self.installs,
            &mut self.snapshots,
            &mut self.voter_changes,
            &mut self.resignations,
            &mut self.clock_jumps,
            &mut self.partitions,
            &mut self.leaders_killed,
            &mut self.replaced_at_once,
        ]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let mut other = other.clone();
        for (mine, theirs) in self.fields().into_iter().zip(other.fields()) {
            *mine += *theirs;
        }
    }

    pub(crate) fn assert_all_happened(&mut self) {
        let text = format!("{self:?}");
        assert!(self.fields().into_iter().all(|count| *count > 0), "{text}");
        assert!(self.replaced_at_once * 2 > self.leaders_killed, "{text}");
    }
}

pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) now: i64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) network: Network,
    pub(crate) oracle: Oracle,
    pub(crate) counts: Counts,
    pub(crate) trace: VecDeque<String>,
    pub(crate) tracing: bool,
    queue: BTreeMap<(i64, u64), (usize, Happening)>,
    happenings: u64,
    next_number: u64,
    next_directory: u8,
    slow_disk: BTreeMap<usize, i64>,
}

impl World {
    pub(crate) fn new(seed: u64, tracing: bool) -> Self {
        let mut random = Random::new(seed);
        let voters = [1, 2, 3, 3, 3, 4, 5, 5][random.below(8)];
        let others = random.below(3);
        let auto_join = random.chance(600);
        let fixed = random.chance(350);
        let key = |at: usize| (BrokerId(at as i32 + 1), Uuid([at as u8 + 1; 16]));
        let voter = |at: usize| {
            let (id, directory) = key(at);
            let directory = if fixed { Uuid::ZERO } else { directory };
            Voter { id, directory, endpoints: vec![endpoint(id)] }
        };
        let named = Voters::new((0..voters).map(voter).collect());
        let nodes = (0..voters + others).map(|at| {
            let bootstrap = match (at < voters, fixed) {
                (false, _) => Bootstrap::Join,
                (true, true) => Bootstrap::Static(named.clone()),
                (true, false) => Bootstrap::Voters(named.clone()),
            };
            Node::new(at as i32 + 1, bootstrap, auto_join, key(at).1)
        });
        let mut world = Self {
            nodes: nodes.collect(),
            now: 1_000_000,
            network: Network { delay_ms_max: 3, ..Network::default() },
            oracle: Oracle::default(),
            counts: Counts::default(),
            trace: VecDeque::new(),
            tracing,
            queue: BTreeMap::new(),
            happenings: 0,
            next_number: 0,
            next_directory: 100,
            slow_disk: BTreeMap::new(),
            random,
        };
        (0..world.nodes.len()).for_each(|at| world.start(at));
        world
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if self.tracing {
            self.trace.push_back(format!("{} {}", self.now - 1_000_000, line()));
            if self.trace.len() > TRACE_LINES {
                self.trace.pop_front();
            }
        }
    }

    fn schedule(&mut self, wait: i64, node: usize, happening: Happening) {
        self.happenings += 1;
        self.queue.insert((self.now + wait, self.happenings), (node, happening));
    }

    pub(crate) fn start(&mut self, at: usize) {
        let seed = self.random.next();
        self.note(|| format!("start {at}"));
        self.nodes[at].open(seed);
        let life = self.nodes[at].life;
        self.schedule(TICK_MS, at, Happening::Tick { life });
        self.step(at, Event::Start);
    }

    pub(crate) fn stop(&mut self, at: usize, power: bool) {
        self.note(|| format!("stop {at} power={power}"));
        let node = &mut self.nodes[at];
        if power {
            self.counts.power_losses += 1;
            node.disk.lose_power(&mut self.random);
        } else {
            self.counts.kills += 1;
            node.disk.die(&mut self.random);
        }
        node.quorum = None;
        // Whoever waits for its answer sees the connection break.
        let callers = std::mem::take(&mut node.callers);
        for caller in callers.into_values() {
            let failed = Happening::Failed { life: caller.life, id: caller.id, refused: false };
            self.schedule(2, caller.node, failed);
        }
    }

    /// The disk is replaced by an empty one. A voter that was alone in its configuration would
    /// form a quorum of its own again: nothing on its disk says otherwise. It is told to join.
    pub(crate) fn wipe(&mut self, at: usize) {
        self.stop(at, true);
        self.counts.wipes += 1;
        self.next_directory += 1;
        let fresh = Disk::new(Uuid([self.next_directory; 16]));
        let lost = std::mem::replace(&mut self.nodes[at].disk, fresh);
        self.oracle.lose(self.nodes[at].id, lost);
        if matches!(&self.nodes[at].bootstrap, Bootstrap::Static(voters) if voters.len() == 1) {
            self.nodes[at].bootstrap = Bootstrap::Join;
        }
        self.start(at);
    }

    /// How slow a node's disk is.
    pub(crate) fn slow(&mut self, at: usize, ms: i64) {
        self.slow_disk.insert(at, ms);
    }

    pub(crate) fn propose(&mut self, at: usize, count: usize) {
        let records = (0..count).map(|_| {
            self.next_number += 1;
            record(self.random.below(24) as u8, self.next_number)
        });
        let records = records.collect();
        self.step(at, Event::Propose { token: self.next_number, records });
    }

    /// An operator's request, whose answer nobody reads.
    pub(crate) fn ask(&mut self, at: usize, request: Request) {
        self.step(at, Event::Request { token: u64::MAX, cluster_id: None, request });
    }

    pub(crate) fn add_voter(&mut self, leader: usize, at: usize) {
        let node = &self.nodes[at];
        let voter = Voter {
            id: node.id,
            directory: node.disk.directory,
            endpoints: vec![endpoint(node.id)],
        };
        let ack_when_committed = self.random.chance(500);
        let request = AddVoterRequest { voter, timeout_ms: 500, ack_when_committed };
        self.ask(leader, Request::AddVoter(request));
    }

    /// Whatever happens in the next while.
    pub(crate) fn run(&mut self, ms: i64) {
        let until = self.now + ms;
        self.run_until(until, |_| false);
    }

    /// Runs until something holds, at most until some time; whether it did.
    pub(crate) fn run_until(&mut self, until: i64, mut holds: impl FnMut(&Self) -> bool) -> bool {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > until {
                break;
            }
            let ((time, _), (at, happening)) = entry.remove_entry();
            self.now = time;
            self.happen(at, happening);
            if holds(self) {
                return true;
            }
        }
        self.now = until;
        false
    }

    fn happen(&mut self, at: usize, happening: Happening) {
        let node = &mut self.nodes[at];
        let current = node.life;
        match happening {
            Happening::Tick { life } if life == current && node.quorum.is_some() => {
                self.schedule(TICK_MS, at, Happening::Tick { life });
                self.step(at, Event::Tick);
                if self.random.chance(50) {
                    self.oracle.audit(&self.nodes[at]);
                }
            }
            Happening::Asked { from, life, id, request } => {
                if node.quorum.is_none() {
                    return self.schedule(1, from, Happening::Failed { life, id, refused: true });
                }
                self.happenings += 1;
                let token = self.happenings;
                let caller = Caller { node: from, life, id, request: request.clone() };
                self.nodes[at].callers.insert(token, caller);
                let cluster_id = Some("cluster".to_owned());
                self.step(at, Event::Request { token, cluster_id, request });
            }
            Happening::Answered { life, id, response } if life == current => {
                self.step(at, Event::Response { id, response });
            }
            Happening::Failed { life, id, refused } if life == current => {
                self.step(at, Event::RequestFailed { id, refused });
            }
            Happening::Done { life, done } if life == current && node.quorum.is_some() => {
                self.done(at, done);
            }
            _ => {}
        }
    }

    fn done(&mut self, at: usize, done: Done) {
        let disk = &mut self.nodes[at].disk;
        let event = match done {
            Done::State => {
                disk.state_written();
                Event::StatePersisted
            }
            Done::Flush { upto, made } => {
                disk.flushed(made);
                Event::Flushed { upto }
            }
            Done::Snapshot { id } => {
                disk.snapshot_written();
                Event::SnapshotWritten { id }
            }
            Done::Part { id } => Event::SnapshotPartRead { id, file: disk.part(id) },
            Done::Install { id, made } => {
                disk.flushed(made);
                Event::SnapshotInstalled { id }
            }
        };
        self.step(at, event);
    }

    pub(crate) fn step(&mut self, at: usize, event: Event) {
        self.counts.steps += 1;
        let now = self.now + self.nodes[at].clock_offset;
        if event != Event::Tick {
            self.note(|| format!("{at} <- {}", short(&event)));
        }
        let Some(quorum) = &mut self.nodes[at].quorum else { return };
        let before = (quorum.role(), quorum.epoch(), quorum.high_watermark());
        let effects = quorum.step(now, event);
        let after = (quorum.role(), quorum.epoch(), quorum.high_watermark());
        assert!(after.1 >= before.1, "node {at}: the epoch goes back: {before:?} {after:?}");
        assert!(after.2 >= before.2, "node {at}: the high watermark goes back");
        if before.0 != after.0 || before.1 != after.1 {
            self.note(|| format!("{at} is {:?} in {}", after.0, after.1));
        }
        for effect in effects {
            self.carry_out(at, effect);
        }
    }

    fn disk_delay(&mut self, at: usize) -> i64 {
        let slow = self.slow_disk.get(&at).copied().unwrap_or(0);
        self.random.between(0, 3 + slow)
    }

    fn later(&mut self, at: usize, done: Done) {
        let wait = self.disk_delay(at);
        let life = self.nodes[at].life;
        self.schedule(wait, at, Happening::Done { life, done });
    }

    fn carry_out(&mut self, at: usize, effect: Effect) {
        self.note(|| format!("{at} -> {}", short(&effect)));
        self.oracle.leaves(&self.nodes[at], &effect);
        let disk = &mut self.nodes[at].disk;
        match effect {
            Effect::PersistState { file } => {
                disk.write_state(file);
                self.later(at, Done::State);
            }
            Effect::Append { batch, .. } => {
                disk.append(&batch);
                self.oracle.appended(&self.nodes[at], &batch);
            }
            Effect::Flush { upto } => {
                let made = disk.made();
                self.later(at, Done::Flush { upto, made });
            }
            Effect::Truncate { end } => {
                assert!(end >= self.nodes[at].applied, "node {at} cuts what is committed");
                self.nodes[at].disk.truncate(end);
                self.counts.truncations += 1;
            }
            Effect::Send { id, to, request } => self.send(at, id, &to, request),
            Effect::Respond { token, response } => self.answer(at, token, response),
            Effect::Elected { epoch, .. } => {
                self.counts.elections += 1;
                self.oracle.elected(&self.nodes[at], epoch);
            }
            Effect::Committed { upto } => {
                let seen = self.nodes[at].apply_upto(upto);
                self.oracle.committed(&self.nodes, at, &seen);
            }
            Effect::Fatal { why } => panic!("node {at} stops: {why}"),
            Effect::Deposed { .. } => self.counts.resignations += 1,
            Effect::Accepted { .. } | Effect::Refused { .. } => {}
            Effect::NotTaken { given, .. } => {
                // The network cuts answers with records, and bends nothing.
                assert!(matches!(given, Given::Records(_)), "node {at} refuses {given:?}");
            }
            other => self.carry_out_snapshot(at, other),
        }
    }

    fn carry_out_snapshot(&mut self, at: usize, effect: Effect) {
        let node = &mut self.nodes[at];
        match effect {
            Effect::TakeSnapshot { id } => {
                assert_eq!(node.applied, id.end_offset, "a snapshot of what is applied");
                let records = node.state.iter().map(|(key, number)| record(*key, *number));
                let records = records.collect();
                self.step(at, Event::SnapshotRecords { id, records });
            }
            Effect::WriteSnapshot { id, file, name } => {
                assert_eq!(SnapshotId::parse(&name), Some(id));
                self.counts.snapshots += 1;
                node.disk.write_snapshot(id, file.clone());
                self.oracle.snapshot(id, &file);
                self.later(at, Done::Snapshot { id });
            }
            Effect::WriteSnapshotPart { id, position, bytes } => {
                node.disk.write_part(id, position, &bytes);
            }
            Effect::ReadSnapshotPart { id } => self.later(at, Done::Part { id }),
            Effect::InstallSnapshot { id, records, .. } => {
                self.counts.installs += 1;
                let file = node.disk.part(id);
                self.oracle.snapshot(id, &file);
                node.disk.install(id);
                node.state.clear();
                records.iter().for_each(|record| apply(&mut node.state, record));
                node.applied = id.end_offset;
                let made = node.disk.made();
                self.later(at, Done::Install { id, made });
            }
            Effect::TrimLog { start } => node.disk.trim(start),
            Effect::RemoveSnapshot { id, .. } => node.disk.remove_snapshot(id),
            other => panic!("{other:?}"),
        }
    }

    fn delay(&mut self) -> i64 {
        self.random.between(1, self.network.delay_ms_max.max(1))
    }

    /// Whether a message makes it.
    fn passes(&mut self, from: usize, to: usize) -> bool {
        !self.network.blocked.contains(&(from, to)) && !self.random.chance(self.network.loss)
    }

    fn send(&mut self, at: usize, id: u64, to: &Destination, request: Request) {
        let to = match to {
            Destination::Node { id, endpoints } => {
                let found = self.nodes.iter().position(|node| node.id == *id).unwrap();
                assert_eq!(endpoints[..], [endpoint(*id)], "where node {id} is");
                found
            }
            Destination::Bootstrap => self.random.below(self.nodes.len()),
            Destination::Server(place) => panic!("the quorum asks for any server, not {place}"),
        };
        let life = self.nodes[at].life;
        if to == at {
            return self.schedule(1, at, Happening::Failed { life, id, refused: false });
        }
        let copies = 1 + usize::from(self.random.chance(self.network.duplicates));
        for _ in 0..copies {
            if self.passes(at, to) {
                let wait = self.delay();
                let request = request.clone();
                self.schedule(wait, to, Happening::Asked { from: at, life, id, request });
            }
        }
    }

    fn answer(&mut self, at: usize, token: u64, mut response: Response) {
        let Some(caller) = self.nodes[at].callers.remove(&token) else {
            assert_eq!(token, u64::MAX, "every request has one answer");
            return;
        };
        self.fill(at, &mut response);
        if self.passes(at, caller.node) {
            let wait = self.delay();
            let answered = Happening::Answered { life: caller.life, id: caller.id, response };
            self.schedule(wait, caller.node, answered);
        }
    }

    /// Puts the bytes in that the answer promises.
    fn fill(&mut self, at: usize, response: &mut Response) {
        let cut = self.random.chance(self.network.cuts);
        let files = &self.nodes[at].disk.now;
        match &mut response.body {
            Body::Fetch(body) => {
                if let Payload::Log { from, upto, max_bytes } = body.records {
                    let mut bytes = files.read(from, upto, max_bytes);
                    if cut {
                        bytes.truncate(self.random.below(bytes.len()));
                    }
                    body.records = Payload::Bytes(bytes);
                }
            }
            Body::FetchSnapshot(body) => {
                if let Payload::Snapshot { id, position, max_bytes } = body.bytes {
                    let Some(file) = files.snapshots.get(&id) else {
                        response.error = ErrorCode::SnapshotNotFound;
                        response.body = Body::Empty;
                        return;
                    };
                    let from = position as usize;
                    let to = file.len().min(from + max_bytes as usize);
                    body.bytes = Payload::Bytes(file.slice(from..to));
                }
            }
            _ => {}
        }
    }

    /// Who leads the latest epoch, if its first record is committed.
    pub(crate) fn leader(&self) -> Option<usize> {
        let running = self.nodes.iter().enumerate();
        let leads = running.filter_map(|(at, node)| {
            let quorum = node.quorum.as_ref()?;
            let known = self.oracle.committed.last().map_or(-1, |(epoch, _)| *epoch);
            let ready = quorum.role() == Role::Leader && quorum.epoch().0 == known;
            ready.then_some((quorum.epoch(), at))
        });
        leads.max().map(|(_, at)| at)
    }

    pub(crate) fn voters(&self, at: usize) -> Vec<usize> {
        let voters = self.nodes[at].quorum.as_ref().unwrap().voters();
        let index = |voter: &Voter| self.nodes.iter().position(|node| node.id == voter.id);
        voters.iter().filter_map(index).collect()
    }
}

fn short(what: &impl std::fmt::Debug) -> String {
    let text = format!("{what:?}");
    text.chars().take(300).collect()
}
