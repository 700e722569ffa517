//! Nodes on simulated disks whose messages are carried by hand, through the bytes of the wire, in
//! virtual time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use storage::disk::Disk;
use storage::disk::sim::SimDisk;
use tidelog_node::{
    ApplyBatch, Asker, Bootstrap, ControlEffect, ControlEvent, ControlRequest, ControlResponse,
    ControllerEndpoint, Destination, ListenerKind, Node, NodeConfig, QuorumConfig, Token, Voter,
    Voters,
};
use wire::ErrorCode;
use wire::frame::decode_request_header;
use wire::ids::{BrokerId, Uuid};
use wire::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use wire::records_slot::concat;

use super::hanging::{Gate, HangingDisk};
use crate::common::{self, NOW};

/// How far one step goes.
const STEP_MS: i64 = 5;
/// How long a message takes.
const LATENCY_MS: i64 = 1;
/// And a slow one.
const SLOW_MS: i64 = 100;

/// One machine.
pub(crate) struct Host {
    pub(crate) disk: SimDisk,
    /// What holds up writes to it.
    pub(crate) gate: Arc<Gate>,
    /// What waits for that: the thread that applies does.
    to_apply: VecDeque<ApplyBatch>,
    /// `None` while it is down.
    pub(crate) node: Option<Node>,
    life: u64,
    /// Where its controller listens.
    pub(crate) port: u16,
    /// `tidelog.log.dirs.abandoned`
    abandoned: Vec<Uuid>,
    /// `tidelog.cluster.id`
    pub(crate) cluster_id: Option<String>,
    pub(crate) ready: bool,
    pub(crate) may_stop: bool,
    pub(crate) fatal: Option<String>,
}

/// On its way to a host's plane.
struct Mail {
    due: i64,
    to: usize,
    life: u64,
    event: ControlEvent,
}

/// Who waits for the answer that a host gives to a token.
struct Waiting {
    from: usize,
    to: usize,
    life: u64,
    id: u64,
    version: i16,
    request: ControlRequest,
}

/// All of them.
pub(crate) struct World {
    pub(crate) now: i64,
    pub(crate) hosts: Vec<Host>,
    pub(crate) snapshot_bytes: u64,
    /// Pairs that do not reach each other.
    pub(crate) cut: BTreeSet<(usize, usize)>,
    /// Those whose fetches take long to arrive.
    pub(crate) slow_fetches: BTreeSet<usize>,
    mail: VecDeque<Mail>,
    waiting: BTreeMap<Token, Waiting>,
    pub(crate) answers: BTreeMap<Token, ControlResponse>,
    next_token: Token,
    asked_at_random: usize,
    /// Who has registered with another node, and under which epoch it says it stopped before.
    pub(crate) registrations: Vec<(usize, i64)>,
    /// How often a voter has said that it is reached elsewhere.
    pub(crate) moves: usize,
}

impl World {
    /// `count` machines with empty disks and one configuration, switched on.
    pub(crate) fn new(count: usize, seed: u64) -> Self {
        let mut world = Self::off(count, seed);
        world.start_all();
        world
    }

    /// Three machines that take snapshots often and have made 30 topics, and who leads them.
    pub(crate) fn with_snapshots(seed: u64) -> (Self, usize) {
        let mut world = Self::off(3, seed);
        world.snapshot_bytes = 2_000;
        world.start_all();
        let leader = world.settle();
        world.create_some(leader, 0..30);
        (world, leader)
    }

    /// As [`Self::with_snapshots`], after the time for which the log keeps what snapshots stand
    /// for: a fresh disk has to take one. There are 60 topics by then.
    pub(crate) fn with_a_snapshot_to_take(seed: u64) -> (Self, usize) {
        let (mut world, _) = Self::with_snapshots(seed);
        world.now += 8 * 24 * 3_600_000;
        world.run(3_000);
        let leader = world.settle();
        world.create_some(leader, 30..60);
        (world, leader)
    }

    /// The same machines, switched off.
    pub(crate) fn off(count: usize, seed: u64) -> Self {
        let host = |at: usize| Host {
            disk: SimDisk::new(seed + at as u64),
            gate: Arc::default(),
            to_apply: VecDeque::new(),
            node: None,
            life: 0,
            port: 9093,
            abandoned: Vec::new(),
            cluster_id: None,
            ready: false,
            may_stop: false,
            fatal: None,
        };
        Self {
            now: NOW,
            hosts: (0..count).map(host).collect(),
            snapshot_bytes: 20 << 20,
            cut: BTreeSet::new(),
            slow_fetches: BTreeSet::new(),
            mail: VecDeque::new(),
            waiting: BTreeMap::new(),
            answers: BTreeMap::new(),
            next_token: 0,
            asked_at_random: 0,
            registrations: Vec::new(),
            moves: 0,
        }
    }

    pub(crate) fn start_all(&mut self) {
        (0..self.hosts.len()).for_each(|at| self.start(at));
    }

    pub(crate) fn config(&self, at: usize) -> NodeConfig {
        let voters = (0..self.hosts.len()).map(|at| Voter {
            id: BrokerId(at as i32),
            directory: Uuid::ZERO,
            endpoints: vec![self.endpoint(at)],
        });
        let mut config = common::config(&["/data"]);
        config.node_id = BrokerId(at as i32);
        config.settings.node_id = BrokerId(at as i32);
        config.abandoned_log_dirs.clone_from(&self.hosts[at].abandoned);
        config.cluster_id.clone_from(&self.hosts[at].cluster_id);
        config.metadata_snapshot_bytes = self.snapshot_bytes;
        config.quorum = QuorumConfig {
            bootstrap: Bootstrap::Static(Voters::new(voters.collect())),
            auto_join: true,
            endpoints: vec![self.endpoint(at)],
            ..QuorumConfig::alone()
        };
        config
    }

    /// Where a machine's controller listens now.
    pub(crate) fn endpoint(&self, at: usize) -> ControllerEndpoint {
        let (listener, host) = ("CONTROLLER".to_owned(), format!("node-{at}"));
        ControllerEndpoint { listener, host, port: self.hosts[at].port }
    }

    /// Switches a machine on.
    pub(crate) fn start(&mut self, at: usize) {
        let config = self.config(at);
        let (now, next) = (self.now, self.next_token);
        let host = &mut self.hosts[at];
        let (disk, gate) = (host.disk.clone(), Arc::clone(&host.gate));
        let disk: Arc<dyn Disk> = Arc::new(HangingDisk { disk, gate });
        host.to_apply.clear();
        host.life += 1;
        host.ready = false;
        let seed = (at as u64) << 32 | host.life << 16 | next;
        host.node = Some(Node::open(config, disk, now, seed).unwrap());
    }

    /// Tells a node to stop, and waits until it may.
    pub(crate) fn stop_gently(&mut self, at: usize) {
        self.tell(at, ControlEvent::Shutdown);
        self.until("it may stop", 5_000, |world| world.hosts[at].may_stop);
    }

    /// Power fails: what was not synced may be lost.
    pub(crate) fn kill(&mut self, at: usize) {
        self.hosts[at].node = None;
        self.hosts[at].disk.crash();
        self.hosts[at].life += 1;
        // Its connections are reset.
        for (token, waiting) in std::mem::take(&mut self.waiting) {
            if waiting.to == at {
                let event = ControlEvent::Failed { id: waiting.id, refused: false };
                self.post(LATENCY_MS, waiting.from, waiting.life, event);
            } else {
                self.waiting.insert(token, waiting);
            }
        }
    }

    /// The disk is replaced by an empty one.
    pub(crate) fn wipe(&mut self, at: usize) {
        // What only that disk held is given up by name.
        let image = self.node(at).image();
        let registered = image.brokers.get(BrokerId(at as i32));
        self.hosts[at].abandoned = registered.map_or(Vec::new(), |broker| broker.log_dirs.clone());
        self.kill(at);
        self.hosts[at].disk = SimDisk::new(at as u64 + 1_000);
    }

    pub(crate) fn node(&self, at: usize) -> &Node {
        self.hosts[at].node.as_ref().unwrap()
    }

    /// Those that are up and, as they know, follow or are the same leader, if all agree on one.
    pub(crate) fn leader(&self) -> Option<usize> {
        let mut known = self.hosts.iter().filter_map(|host| host.node.as_ref());
        let first = known.next()?.control_status();
        let leader = usize::try_from(first.leader?.0).unwrap();
        let same = known.all(|node| node.control_status().leader == first.leader);
        (same && self.hosts[leader].node.is_some()).then_some(leader)
    }

    /// Lets time pass until `done`, or fails after `limit_ms`.
    pub(crate) fn until(&mut self, what: &str, limit_ms: i64, done: impl Fn(&Self) -> bool) -> i64 {
        let begun = self.now;
        while !done(self) {
            let late = self.now - begun >= limit_ms;
            assert!(!late, "not within {limit_ms} ms: {what}: {}", self.describe());
            self.step();
        }
        self.now - begun
    }

    /// How things stand, for who reads of a failure.
    fn describe(&self) -> String {
        let one = |host: &Host| {
            let Some(node) = &host.node else { return "down".to_owned() };
            let (status, image) = (node.control_status(), node.image());
            let active = image.brokers.iter().filter(|broker| broker.is_active()).count();
            format!(
                "epoch {} leader {:?}, {} brokers, {active} active, {} topics, cluster {:?}, ready \
                 {}, fatal {:?}",
                status.epoch.0,
                status.leader,
                image.brokers.len(),
                image.topics.len(),
                image.cluster_id(),
                host.ready,
                host.fatal
            )
        };
        self.hosts.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    pub(crate) fn run(&mut self, ms: i64) {
        let end = self.now + ms;
        while self.now < end {
            self.step();
        }
    }

    fn step(&mut self) {
        self.now += STEP_MS;
        while let Some(at) = self.mail.iter().position(|mail| mail.due <= self.now) {
            let Some(mail) = self.mail.remove(at) else { break };
            if self.hosts[mail.to].node.is_some() && self.hosts[mail.to].life == mail.life {
                self.tell(mail.to, mail.event);
            }
        }
        for at in 0..self.hosts.len() {
            self.apply_what_waits(at);
            self.tell(at, ControlEvent::Tick);
        }
    }

    /// Asks as one of the host's own clients.
    pub(crate) fn ask(&mut self, at: usize, request: impl Into<ControlRequest>) -> Token {
        let (token, request) = (self.token(), request.into());
        let version = *request.key().versions().end();
        self.tell(at, ControlEvent::Ask { token, asker: Asker::own(version), request });
        token
    }

    /// Asks for a topic of one partition, and waits for the answer.
    pub(crate) fn create(&mut self, at: usize, name: &str) -> ErrorCode {
        let token = self.ask(at, create_request(name));
        self.until("an answer", 40_000, |world| world.answers.contains_key(&token));
        code_of(&self.answers[&token])
    }

    /// Makes `topic-<n>` for each of these.
    fn create_some(&mut self, at: usize, numbers: Range<usize>) {
        for n in numbers {
            assert_eq!(self.create(at, &format!("topic-{n}")), ErrorCode::None);
        }
    }

    fn token(&mut self) -> Token {
        self.next_token += 1;
        self.next_token
    }

    pub(crate) fn tell(&mut self, at: usize, event: ControlEvent) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let Some(node) = &self.hosts[at].node else { return };
            for effect in node.control(self.now, event) {
                self.carry_out(at, effect, &mut events);
            }
        }
    }

    fn carry_out(&mut self, at: usize, effect: ControlEffect, events: &mut VecDeque<ControlEvent>) {
        let now = self.now;
        match effect {
            ControlEffect::Send { id, to, version, request, timeout_ms } => {
                self.send(at, id, to, version, request, timeout_ms);
            }
            ControlEffect::Probe { id, broker, timeout_ms, .. } => {
                self.probe(at, id, broker, timeout_ms);
            }
            ControlEffect::Respond { token, response } => self.respond(at, token, response),
            ControlEffect::Apply(batch) if self.hosts[at].gate.is_closed() => {
                self.hosts[at].to_apply.push_back(batch);
            }
            ControlEffect::Apply(batch) => self.apply(at, batch, events),
            ControlEffect::LoadLogs => {
                self.node(at).load_logs(now).unwrap();
                events.push_back(ControlEvent::LogsLoaded);
            }
            ControlEffect::Ready => self.hosts[at].ready = true,
            ControlEffect::MayStop => self.hosts[at].may_stop = true,
            ControlEffect::Fatal { why } => self.hosts[at].fatal = Some(why),
        }
    }

    fn apply(&mut self, at: usize, batch: ApplyBatch, events: &mut VecDeque<ControlEvent>) {
        let applied = self.node(at).apply(self.now, batch);
        events.push_back(ControlEvent::Applied { upto: applied.upto });
        for (token, response) in applied.then {
            self.respond(at, token, response);
        }
    }

    fn apply_what_waits(&mut self, at: usize) {
        while !self.hosts[at].gate.is_closed() {
            let Some(batch) = self.hosts[at].to_apply.pop_front() else { return };
            let mut events = VecDeque::new();
            self.apply(at, batch, &mut events);
            events.into_iter().for_each(|event| self.tell(at, event));
        }
    }

    fn reach(&self, one: usize, other: usize) -> bool {
        !self.cut.contains(&(one.min(other), one.max(other)))
    }

    fn send(
        &mut self,
        from: usize,
        id: u64,
        to: Destination,
        version: i16,
        request: ControlRequest,
        timeout_ms: i64,
    ) {
        let (to, port) = match to {
            Destination::Node { id, endpoints } => {
                assert!(!endpoints.is_empty(), "{id} is nowhere");
                (usize::try_from(id.0).unwrap(), endpoints[0].port)
            }
            Destination::Server(place) => (place, self.hosts[place].port),
            Destination::Bootstrap => {
                self.asked_at_random += 1;
                let to = self.asked_at_random % self.hosts.len();
                (to, self.hosts[to].port)
            }
        };
        self.moves += usize::from(matches!(request, ControlRequest::UpdateRaftVoter(_)));
        if let ControlRequest::BrokerRegistration(registration) = &request {
            self.registrations.push((from, registration.previous_broker_epoch));
        }
        let life = self.hosts[from].life;
        if !self.reach(from, to) {
            let event = ControlEvent::Failed { id, refused: false };
            return self.post(timeout_ms, from, life, event);
        }
        if self.hosts[to].node.is_none() || self.hosts[to].port != port {
            let event = ControlEvent::Failed { id, refused: true };
            return self.post(LATENCY_MS, from, life, event);
        }
        let frame = concat(request.encode(0, None, version).unwrap()).slice(4..);
        let (header, mut body) = decode_request_header(frame).unwrap();
        let read = ControlRequest::decode(header.key, version, &mut body).unwrap().unwrap();
        let token = self.token();
        self.waiting.insert(token, Waiting { from, to, life, id, version, request });
        let asker = Asker { listener: ListenerKind::Controller, version, ..Asker::own(version) };
        let late = matches!(read, ControlRequest::Fetch(_)) && self.slow_fetches.contains(&from);
        let event = ControlEvent::Ask { token, asker, request: read };
        let latency = if late { SLOW_MS } else { LATENCY_MS };
        self.post(latency, to, self.hosts[to].life, event);
        // Whatever becomes of it, the asker hears of it.
        self.post(timeout_ms, from, life, ControlEvent::Failed { id, refused: false });
    }

    fn probe(&mut self, from: usize, id: u64, broker: BrokerId, timeout_ms: i64) {
        let to = usize::try_from(broker.0).unwrap();
        let life = self.hosts[from].life;
        let refused = self.reach(from, to) && self.hosts[to].node.is_none();
        let delay = if refused { LATENCY_MS } else { timeout_ms };
        self.post(delay, from, life, ControlEvent::Failed { id, refused });
    }

    fn post(&mut self, delay_ms: i64, to: usize, life: u64, event: ControlEvent) {
        self.mail.push_back(Mail { due: self.now + delay_ms, to, life, event });
    }

    fn respond(&mut self, at: usize, token: Token, response: ControlResponse) {
        let Some(waiting) = self.waiting.remove(&token) else {
            assert!(self.answers.insert(token, response).is_none(), "answered twice");
            return;
        };
        if !self.reach(at, waiting.from) {
            return;
        }
        let frame = concat(response.encode(0, waiting.version).unwrap()).slice(4..);
        let key = waiting.request.key();
        let read = ControlResponse::decode(key, waiting.version, 0, frame).unwrap().unwrap();
        let event = ControlEvent::Answer { id: waiting.id, response: read };
        self.post(LATENCY_MS, waiting.from, waiting.life, event);
    }

    /// Waits until all that are up serve and agree.
    pub(crate) fn settle(&mut self) -> usize {
        self.until("all serve", 10_000, |world| {
            world.leader().is_some()
                && world.hosts.iter().all(|host| host.node.is_none() || host.ready)
        });
        self.leader().unwrap()
    }

    /// Waits until all that are up show the same image as the leader.
    pub(crate) fn agree(&mut self) {
        self.until("all agree", 10_000, |world| {
            let Some(leader) = world.leader() else { return false };
            let truth = world.node(leader).image();
            let up = world.hosts.iter().filter_map(|host| host.node.as_ref());
            up.into_iter().all(|node| *node.image() == *truth)
        });
    }
}

pub(crate) fn create_request(name: &str) -> CreateTopicsRequest {
    let topic = CreatableTopic {
        name: name.to_owned(),
        num_partitions: 3,
        replication_factor: 1,
        ..Default::default()
    };
    CreateTopicsRequest { topics: vec![topic], ..Default::default() }
}

pub(crate) fn code_of(answer: &ControlResponse) -> ErrorCode {
    match answer {
        ControlResponse::CreateTopics(answer) => {
            ErrorCode::from_i16(answer.topics[0].error_code).unwrap()
        }
        other => panic!("{other:?}"),
    }
}
