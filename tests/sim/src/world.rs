//! The cluster: hosts with their disks and clocks, and the queue of what happens next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use metadata::control::Settings;
use metadata::topic_config::Defaults;
use node::{
    ApplyBatch, Bootstrap, ControlEffect, ControlEvent, ControllerEndpoint, Endpoint, LogLimits,
    Node, NodeConfig, QuorumConfig, QuorumState, Token, Voter, Voters,
};
use storage::disk::sim::{Random, SimDisk};
use storage::disk::{Disk, read_file};
use wire::ErrorCode;
use wire::ids::{BrokerId, Uuid};

use crate::clients::Client;
use crate::counts::Counts;
use crate::network::{Network, Waiting};
use crate::oracle::Oracle;
use crate::producers::Producers;
use crate::truth::Holder;

pub(crate) const FETCH_TIMEOUT_MS: i64 = 1_000;
pub(crate) const ELECTION_TIMEOUT_MS: i64 = 500;
pub(crate) const REQUEST_TIMEOUT_MS: i64 = 1_000;
pub(crate) const SESSION_MS: i64 = 1_500;
const FORWARD_TIMEOUT_MS: i64 = 10_000;
const TICK_MS: i64 = 10;
const BEGIN: i64 = 1_700_000_000_000;
const TRACE_LINES: usize = 3_000;

/// One machine.
pub(crate) struct Host {
    pub(crate) disk: SimDisk,
    /// `None` while it is down.
    pub(crate) node: Option<Node>,
    pub(crate) life: u64,
    /// Its metadata directory, once it has started.
    pub(crate) directory: Uuid,
    /// The directories of the disks that it has lost.
    abandoned: Vec<Uuid>,
    pub(crate) clock_offset: i64,
    /// The longest that its disk holds it up at each event.
    pub(crate) slow_ms: i64,
    busy_until: i64,
    pub(crate) ready: bool,
    /// It was told to stop.
    pub(crate) stopping: bool,
    /// What its apply thread has to do.
    work: VecDeque<Work>,
    loaded: bool,
}

enum Work {
    Apply(Box<ApplyBatch>),
    Load,
}

/// What a host is about to learn.
enum Mail {
    Event(Box<ControlEvent>),
    /// Its apply thread goes on.
    Work,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The power fails: what was not synced may be lost.
    Power,
    /// The process is killed, the machine runs on.
    Kill,
}

pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) now: i64,
    pub(crate) hosts: Vec<Host>,
    pub(crate) network: Network,
    pub(crate) oracle: Oracle,
    pub(crate) counts: Counts,
    pub(crate) clients: BTreeMap<Token, Client>,
    pub(crate) producers: Producers,
    /// By name whether it is there; `None` while that is not known.
    pub(crate) topics: BTreeMap<String, Option<bool>>,
    /// Topics of which it will never be known.
    pub(crate) muddy: BTreeSet<String>,
    /// When a client last asked that a voter goes, or ceased to wait for that.
    pub(crate) removal_at: i64,
    /// Hosts that are started again when they stop.
    pub(crate) keep_up: BTreeSet<usize>,
    pub(crate) last_code: Option<ErrorCode>,
    pub(crate) trace: VecDeque<String>,
    tracing: bool,
    /// Whether every event and effect goes into the history, to the last byte.
    pub(crate) exact: bool,
    /// Stands for all that happened.
    pub(crate) history: u64,
    mail: BTreeMap<(i64, u64), (usize, u64, Mail)>,
    posted: u64,
    pub(crate) waiting: BTreeMap<Token, Waiting>,
    next_token: Token,
}

impl World {
    pub(crate) fn new(seed: u64, tracing: bool, exact: bool) -> Self {
        let mut random = Random::new(seed);
        let count = [1, 3, 3, 3, 5][random.below(5) as usize];
        let hosts = (0..count).map(|_| Host {
            disk: SimDisk::new(random.next_u64()),
            node: None,
            life: 0,
            directory: Uuid::ZERO,
            abandoned: Vec::new(),
            clock_offset: 0,
            slow_ms: 0,
            busy_until: 0,
            ready: false,
            stopping: false,
            work: VecDeque::new(),
            loaded: false,
        });
        let mut world = Self {
            hosts: hosts.collect(),
            random,
            now: BEGIN,
            network: Network { delay_ms_max: 2, ..Network::default() },
            oracle: Oracle::default(),
            counts: Counts::default(),
            clients: BTreeMap::new(),
            producers: Producers::default(),
            topics: BTreeMap::new(),
            muddy: BTreeSet::new(),
            removal_at: BEGIN,
            keep_up: BTreeSet::new(),
            last_code: None,
            trace: VecDeque::new(),
            tracing,
            exact,
            history: 0,
            mail: BTreeMap::new(),
            posted: 0,
            waiting: BTreeMap::new(),
            next_token: 0,
        };
        (0..count).for_each(|at| world.start(at));
        world
    }

    pub(crate) fn elapsed(&self) -> i64 {
        self.now - BEGIN
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        let line = format!("{} {}", self.elapsed(), line());
        self.enter(&line);
        if self.tracing {
            self.trace.push_back(line);
            if self.trace.len() > TRACE_LINES {
                self.trace.pop_front();
            }
        }
    }

    fn enter(&mut self, line: &str) {
        let mut hasher = DefaultHasher::new();
        (self.history, line).hash(&mut hasher);
        self.history = hasher.finish();
    }

    fn config(&self, at: usize) -> NodeConfig {
        let voters = (0..self.hosts.len()).map(|at| Voter {
            id: BrokerId(at as i32),
            directory: Uuid::ZERO,
            endpoints: vec![endpoint(at)],
        });
        let mut settings = Settings::new(Defaults::from_broker(|_| None).unwrap());
        settings.node_id = BrokerId(at as i32);
        settings.offsets_topic_num_partitions = 1;
        settings.offsets_topic_replication_factor = 1;
        let client = Endpoint {
            listener: "PLAINTEXT".to_owned(),
            host: format!("node-{at}"),
            port: 9092,
            security_protocol: 0,
        };
        NodeConfig {
            node_id: BrokerId(at as i32),
            rack: None,
            log_dirs: vec![PathBuf::from("/data")],
            abandoned_log_dirs: self.hosts[at].abandoned.clone(),
            accepted_losses: BTreeSet::new(),
            metadata_log_dir: None,
            cluster_id: None,
            quorum: QuorumConfig {
                bootstrap: Bootstrap::Static(Voters::new(voters.collect())),
                auto_join: self.hosts.len() > 1,
                endpoints: vec![endpoint(at)],
                fetch_timeout_ms: FETCH_TIMEOUT_MS,
                election_timeout_ms: ELECTION_TIMEOUT_MS,
                request_timeout_ms: REQUEST_TIMEOUT_MS,
                session_timeout_ms: SESSION_MS,
                forward_timeout_ms: FORWARD_TIMEOUT_MS,
                ..QuorumConfig::alone()
            },
            endpoints: vec![client],
            settings,
            log_limits: LogLimits::default(),
            groups: coordinator::Config::default(),
            fetch_session_slots: 10,
            recovery_threads: 1,
            delete_delay_ms: 60_000,
            // Snapshots come often.
            metadata_snapshot_bytes: 6_000,
            metadata_snapshot_interval_ms: 0,
        }
    }

    pub(crate) fn start(&mut self, at: usize) {
        self.note(|| format!("start {at}"));
        let (config, seed) = (self.config(at), self.random.next_u64());
        let now = self.local(at);
        let host = &mut self.hosts[at];
        let disk: Arc<dyn Disk> = Arc::new(host.disk.clone());
        host.life += 1;
        host.ready = false;
        host.loaded = false;
        host.stopping = false;
        host.work.clear();
        match Node::open(config, disk, now, seed) {
            // The power goes again while it starts.
            _ if host.disk.is_down() => return self.end(at, End::Power),
            Ok(node) => host.node = Some(node),
            Err(error) => panic!("node {at} does not start: {error}"),
        }
        host.directory = directory_of(&host.disk);
        self.oracle.started(at);
        let life = self.hosts[at].life;
        self.post(TICK_MS, at, life, ControlEvent::Tick);
    }

    /// Starts a host if it is down, or about to be.
    pub(crate) fn revive(&mut self, at: usize) {
        if self.hosts[at].disk.is_down() {
            self.end(at, End::Power);
        }
        // A power loss that was to come does not.
        self.hosts[at].disk.crash_after(u64::MAX);
        if self.hosts[at].node.is_none() {
            self.start(at);
        }
    }

    /// The process ends, whatever it was doing.
    pub(crate) fn end(&mut self, at: usize, end: End) {
        self.note(|| format!("{end:?} of {at}"));
        let power = end == End::Power || self.hosts[at].disk.is_down();
        match power {
            true => self.counts.power_losses += 1,
            false => self.counts.kills += 1,
        }
        self.hosts[at].node = None;
        if power {
            self.hosts[at].disk.crash();
        }
        self.producers.ended(at, power);
        self.gone(at);
    }

    /// Its life is over.
    fn gone(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        host.node = None;
        host.life += 1;
        host.work.clear();
        // Whoever waits for its answer sees the connection break; its clients never know.
        for (token, waiting) in std::mem::take(&mut self.waiting) {
            if waiting.to == at {
                let event = ControlEvent::Failed { id: waiting.id, refused: false };
                self.post(2, waiting.from, waiting.life, event);
            } else {
                self.waiting.insert(token, waiting);
            }
        }
        if self.clients.values().any(|client| client.at == at && client.act.is_removal()) {
            self.removal_at = self.now;
        }
        self.clients.retain(|_, client| client.at != at);
    }

    /// The controlled shutdown is done.
    fn stop(&mut self, at: usize) {
        self.note(|| format!("{at} stops"));
        let now = self.local(at);
        let closed = self.node(at).shutdown(now);
        if self.hosts[at].disk.is_down() {
            return self.end(at, End::Power);
        }
        closed.unwrap();
        self.counts.stops += 1;
        self.producers.ended(at, false);
        // What it had not opened yet it has not flushed.
        if self.hosts[at].loaded {
            self.producers.closed(at);
        }
        self.gone(at);
    }

    /// The disk is replaced by an empty one.
    pub(crate) fn wipe(&mut self, at: usize) {
        self.note(|| format!("the disk of {at} is lost"));
        self.counts.wiped += 1;
        self.end(at, End::Kill);
        self.producers.lost(at);
        let seed = self.random.next_u64();
        let host = &mut self.hosts[at];
        let disk = std::mem::replace(&mut host.disk, SimDisk::new(seed));
        host.abandoned.push(host.directory);
        let id = BrokerId(at as i32);
        self.oracle.truth.lost.push(Holder { id, directory: host.directory, disk });
        host.directory = Uuid::ZERO;
    }

    pub(crate) fn node(&self, at: usize) -> &Node {
        self.hosts[at].node.as_ref().unwrap()
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.hosts.iter().filter_map(|host| host.node.as_ref())
    }

    /// The time by a host's clock.
    pub(crate) fn local(&self, at: usize) -> i64 {
        self.now + self.hosts[at].clock_offset
    }

    pub(crate) fn holders(&self) -> Vec<Holder> {
        let holder = |(at, host): (usize, &Host)| Holder {
            id: BrokerId(at as i32),
            directory: host.directory,
            disk: host.disk.clone(),
        };
        self.hosts.iter().enumerate().map(holder).collect()
    }

    /// Lets time pass until something holds, or fails.
    pub(crate) fn until(&mut self, what: &str, limit_ms: i64, done: impl Fn(&Self) -> bool) {
        let end = self.now + limit_ms;
        while !done(self) {
            assert!(self.now < end, "not within {limit_ms} ms: {what}");
            for at in self.keep_up.clone() {
                if self.hosts[at].node.is_none() {
                    self.start(at);
                }
            }
            self.run(TICK_MS);
        }
    }

    pub(crate) fn describe(&self) -> String {
        let one = |host: &Host| {
            let Some(node) = &host.node else { return "down".to_owned() };
            let Some(state) = node.quorum_state() else { return "at work".to_owned() };
            let (status, image) = (node.control_status(), node.image());
            let QuorumState { epoch, leader, high_watermark, log_end, .. } = state;
            let active = image.brokers.iter().filter(|broker| broker.is_active()).count();
            let voters: Vec<_> = status.voters.iter().map(|v| (v.id.0, v.directory)).collect();
            let topics = image.topics.len();
            format!(
                "{} {:?} in {epoch} led by {leader:?}, log {high_watermark} {log_end}, {active} \
                 active, {topics} topics, ready {}, voters {voters:?}",
                host.directory, state.role, host.ready
            )
        };
        self.hosts.iter().map(one).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn run(&mut self, ms: i64) {
        let end = self.now + ms;
        while let Some(entry) = self.mail.first_entry() {
            if entry.key().0 > end {
                break;
            }
            let ((due, _), (to, life, mail)) = entry.remove_entry();
            self.now = self.now.max(due);
            let host = &self.hosts[to];
            if host.node.is_some() && host.life == life {
                match mail {
                    Mail::Event(event) => self.deliver(to, life, *event),
                    Mail::Work => self.work(to),
                }
            }
        }
        self.now = end;
    }

    fn deliver(&mut self, to: usize, life: u64, event: ControlEvent) {
        let host = &mut self.hosts[to];
        if host.busy_until > self.now {
            let wait = host.busy_until - self.now;
            return self.post(wait, to, life, event);
        }
        if host.slow_ms > 0 {
            let slow = self.random.below(host.slow_ms as u64 + 1) as i64;
            host.busy_until = self.now + slow;
        }
        if matches!(event, ControlEvent::Tick) {
            self.post(TICK_MS, to, life, ControlEvent::Tick);
        }
        self.tell(to, event);
    }

    /// Brings an event to a host's plane, and carries out what comes of it.
    pub(crate) fn tell(&mut self, at: usize, event: ControlEvent) {
        let now = self.local(at);
        let Some(node) = &self.hosts[at].node else { return };
        self.counts.events += 1;
        let told = self.exact.then(|| format!("{now} {at} hears {event:?}"));
        let effects = node.control(now, event);
        if let Some(told) = told {
            self.enter(&format!("{told}, does {effects:?}"));
        }
        if self.hosts[at].disk.is_down() {
            self.counts.power_losses_in_a_write += 1;
            return self.end(at, End::Power);
        }
        let (state, status) = (self.node(at).quorum_state(), self.node(at).control_status());
        let holders = self.holders();
        let disk = &self.hosts[at].disk;
        self.oracle.stands(at, state.unwrap(), &status.voters, disk, &holders);
        for effect in effects {
            self.carry_out(at, effect);
        }
    }

    fn carry_out(&mut self, at: usize, effect: ControlEffect) {
        if self.hosts[at].node.is_none() {
            return;
        }
        match effect {
            ControlEffect::Send { id, to, version, request, timeout_ms } => {
                self.note(|| format!("{at} asks {to:?} {:?}", request.key()));
                self.send(at, id, to, version, request, timeout_ms);
            }
            ControlEffect::Probe { id, broker, timeout_ms, .. } => {
                self.probe(at, id, broker, timeout_ms);
            }
            ControlEffect::Respond { token, response } => self.respond(at, token, response),
            ControlEffect::Apply(batch) => self.hand(at, Work::Apply(Box::new(batch))),
            ControlEffect::LoadLogs => self.hand(at, Work::Load),
            ControlEffect::Ready => self.hosts[at].ready = true,
            ControlEffect::MayStop => self.stop(at),
            ControlEffect::Fatal { why } => panic!("node {at} cannot go on: {why}"),
        }
    }

    /// Gives the apply thread something to do.
    fn hand(&mut self, at: usize, work: Work) {
        self.hosts[at].work.push_back(work);
        if self.hosts[at].work.len() == 1 {
            self.post_work(at);
        }
    }

    fn post_work(&mut self, at: usize) {
        let slow = self.hosts[at].slow_ms.max(2) as u64;
        let delay = self.random.below(slow) as i64;
        let life = self.hosts[at].life;
        self.mail_in(delay, at, life, Mail::Work);
    }

    /// The apply thread takes the next thing to do.
    fn work(&mut self, at: usize) {
        let now = self.local(at);
        let Some(work) = self.hosts[at].work.pop_front() else { return };
        let (event, then) = match work {
            Work::Apply(batch) => {
                let applied = self.node(at).apply(now, *batch);
                (ControlEvent::Applied { upto: applied.upto }, applied.then)
            }
            Work::Load => {
                let loaded = self.node(at).load_logs(now);
                if !self.hosts[at].disk.is_down() {
                    loaded.unwrap();
                }
                (ControlEvent::LogsLoaded, Vec::new())
            }
        };
        if self.hosts[at].disk.is_down() {
            self.counts.power_losses_in_a_write += 1;
            return self.end(at, End::Power);
        }
        let node = self.hosts[at].node.as_ref().unwrap();
        let said = node.take_notices();
        let line = match &event {
            ControlEvent::Applied { upto } => {
                self.oracle.shows(at, *upto, &node.image());
                format!("{at} shows {upto}")
            }
            _ => {
                self.hosts[at].loaded = true;
                format!("{at} has loaded its logs: {said:?}")
            }
        };
        self.note(|| line);
        if self.hosts[at].loaded {
            let node = self.hosts[at].node.as_ref().unwrap();
            self.producers.check(now, at, node);
            if self.hosts[at].disk.is_down() {
                return self.end(at, End::Power);
            }
        }
        if !self.hosts[at].work.is_empty() {
            self.post_work(at);
        }
        self.tell(at, event);
        for (token, response) in then {
            self.respond(at, token, response);
        }
    }

    /// A producer writes to a partition that a host serves.
    pub(crate) fn produce(&mut self, at: usize) {
        let now = self.local(at);
        let host = &self.hosts[at];
        let Some(node) = host.node.as_ref().filter(|_| host.loaded) else { return };
        self.producers.produce(now, at, node, &host.disk, &mut self.random);
        if self.hosts[at].disk.is_down() {
            self.counts.power_losses_in_a_write += 1;
            self.end(at, End::Power);
        }
    }

    pub(crate) fn post(&mut self, delay_ms: i64, to: usize, life: u64, event: ControlEvent) {
        self.mail_in(delay_ms, to, life, Mail::Event(Box::new(event)));
    }

    fn mail_in(&mut self, delay_ms: i64, to: usize, life: u64, mail: Mail) {
        self.posted += 1;
        self.mail.insert((self.now + delay_ms, self.posted), (to, life, mail));
    }

    pub(crate) fn token(&mut self) -> Token {
        self.next_token += 1;
        self.next_token
    }
}

/// The id that the disk's directory was formatted with.
fn directory_of(disk: &SimDisk) -> Uuid {
    let file = read_file(disk, Path::new("/data/meta.properties"), 1 << 20).unwrap();
    let text = String::from_utf8(file).unwrap();
    let id = text.lines().find_map(|line| line.strip_prefix("directory.id=")).unwrap();
    id.parse().unwrap()
}

fn endpoint(at: usize) -> ControllerEndpoint {
    let (listener, host) = ("CONTROLLER".to_owned(), format!("node-{at}"));
    ControllerEndpoint { listener, host, port: 9093 }
}
