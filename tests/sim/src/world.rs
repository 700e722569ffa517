//! The cluster: hosts with their disks and clocks, the queue of what happens next, the network
//! that carries the bytes of the wire, and the clients.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use metadata::control::Settings;
use metadata::topic_config::Defaults;
use node::{
    Asker, Bootstrap, ControlEffect, ControlEvent, ControlRequest, ControlResponse,
    ControllerEndpoint, Destination, Endpoint, ListenerKind, LogLimits, Node, NodeConfig,
    QuorumConfig, Token, Voter, Voters,
};
use storage::disk::Disk;
use storage::disk::sim::{Random, SimDisk};
use wire::ErrorCode;
use wire::frame::decode_request_header;
use wire::ids::{BrokerId, Uuid};
use wire::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use wire::records_slot::concat;

use crate::oracle::Oracle;

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
    life: u64,
    pub(crate) clock_offset: i64,
    /// The longest that its disk holds it up at each event.
    pub(crate) slow_ms: i64,
    busy_until: i64,
    ready: bool,
}

/// What the network does to messages.
#[derive(Default)]
pub(crate) struct Network {
    /// One-way: from, to.
    pub(crate) blocked: BTreeSet<(usize, usize)>,
    /// In a thousand.
    pub(crate) loss: u64,
    pub(crate) doubles: u64,
    pub(crate) delay_ms_max: i64,
}

/// On its way to a host's plane.
struct Mail {
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Create,
    Delete,
}

/// A client that waits for its answer.
pub(crate) struct Client {
    at: usize,
    life: u64,
    act: Act,
    name: String,
}

/// What happened in a run.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) events: u64,
    pub(crate) epochs: u64,
    pub(crate) kills: u64,
    pub(crate) kills_in_a_write: u64,
    pub(crate) cuts: u64,
    pub(crate) clock_jumps: u64,
    pub(crate) confirmed: u64,
    pub(crate) refused: u64,
}

impl Counts {
    fn fields(&mut self) -> [&mut u64; 8] {
        [
            &mut self.events,
            &mut self.epochs,
            &mut self.kills,
            &mut self.kills_in_a_write,
            &mut self.cuts,
            &mut self.clock_jumps,
            &mut self.confirmed,
            &mut self.refused,
        ]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let mut other = other.clone();
        for (mine, theirs) in self.fields().into_iter().zip(other.fields()) {
            *mine += *theirs;
        }
    }

    pub(crate) fn all_happened(&mut self) -> bool {
        self.fields().into_iter().all(|count| *count > 0)
    }
}

pub(crate) struct World {
    pub(crate) random: Random,
    now: i64,
    pub(crate) hosts: Vec<Host>,
    pub(crate) network: Network,
    pub(crate) oracle: Oracle,
    pub(crate) counts: Counts,
    pub(crate) clients: BTreeMap<Token, Client>,
    /// By name whether it is there; `None` while that is not known.
    pub(crate) topics: BTreeMap<String, Option<bool>>,
    pub(crate) last_code: Option<ErrorCode>,
    pub(crate) trace: VecDeque<String>,
    tracing: bool,
    /// Stands for all that happened.
    pub(crate) history: u64,
    mail: BTreeMap<(i64, u64), Mail>,
    posted: u64,
    waiting: BTreeMap<Token, Waiting>,
    next_token: Token,
}

impl World {
    pub(crate) fn new(seed: u64, tracing: bool) -> Self {
        let mut random = Random::new(seed);
        let count = [1, 3, 3, 3, 5][random.below(5) as usize];
        let hosts = (0..count).map(|_| Host {
            disk: SimDisk::new(random.next_u64()),
            node: None,
            life: 0,
            clock_offset: 0,
            slow_ms: 0,
            busy_until: 0,
            ready: false,
        });
        let mut world = Self {
            hosts: hosts.collect(),
            random,
            now: BEGIN,
            network: Network { delay_ms_max: 2, ..Network::default() },
            oracle: Oracle::default(),
            counts: Counts::default(),
            clients: BTreeMap::new(),
            topics: BTreeMap::new(),
            last_code: None,
            trace: VecDeque::new(),
            tracing,
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

    fn note(&mut self, line: impl FnOnce() -> String) {
        let line = format!("{} {}", self.elapsed(), line());
        let mut hasher = DefaultHasher::new();
        (self.history, &line).hash(&mut hasher);
        self.history = hasher.finish();
        if self.tracing {
            self.trace.push_back(line);
            if self.trace.len() > TRACE_LINES {
                self.trace.pop_front();
            }
        }
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
            abandoned_log_dirs: Vec::new(),
            accepted_losses: BTreeSet::new(),
            metadata_log_dir: None,
            cluster_id: None,
            quorum: QuorumConfig {
                bootstrap: Bootstrap::Static(Voters::new(voters.collect())),
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
        let now = self.now + self.hosts[at].clock_offset;
        let host = &mut self.hosts[at];
        let disk: Arc<dyn Disk> = Arc::new(host.disk.clone());
        host.life += 1;
        host.ready = false;
        match Node::open(config, disk, now, seed) {
            Ok(node) => host.node = Some(node),
            // The power goes again while it starts.
            Err(_) if host.disk.is_down() => return self.kill(at),
            Err(error) => panic!("node {at} does not start: {error}"),
        }
        self.oracle.started(at);
        let life = self.hosts[at].life;
        self.post(TICK_MS, at, life, ControlEvent::Tick);
    }

    /// Starts a host if it is down, or about to be.
    pub(crate) fn revive(&mut self, at: usize) {
        if self.hosts[at].disk.is_down() {
            self.kill(at);
        }
        // A power loss that was to come does not.
        self.hosts[at].disk.crash_after(u64::MAX);
        if self.hosts[at].node.is_none() {
            self.start(at);
        }
    }

    /// The power fails: what was not synced may be lost.
    pub(crate) fn kill(&mut self, at: usize) {
        self.note(|| format!("kill {at}"));
        self.counts.kills += 1;
        let host = &mut self.hosts[at];
        host.node = None;
        host.disk.crash();
        host.life += 1;
        // Whoever waits for its answer sees the connection break; its clients never know.
        for (token, waiting) in std::mem::take(&mut self.waiting) {
            if waiting.to == at {
                let event = ControlEvent::Failed { id: waiting.id, refused: false };
                self.post(2, waiting.from, waiting.life, event);
            } else {
                self.waiting.insert(token, waiting);
            }
        }
        self.clients.retain(|_, client| client.at != at);
    }

    pub(crate) fn node(&self, at: usize) -> &Node {
        self.hosts[at].node.as_ref().unwrap()
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.hosts.iter().filter_map(|host| host.node.as_ref())
    }

    /// The leader that a majority knows.
    pub(crate) fn leader(&self) -> Option<usize> {
        let known = self.nodes().map(|node| node.control_status());
        let newest = known.filter(|status| status.leader.is_some()).max_by_key(|s| s.epoch)?;
        let agree = self.nodes().filter(|node| {
            let status = node.control_status();
            (status.epoch, status.leader) == (newest.epoch, newest.leader)
        });
        let majority = self.hosts.len() / 2 + 1;
        (agree.count() >= majority).then_some(usize::try_from(newest.leader?.0).unwrap())
    }

    pub(crate) fn all_serve(&self) -> bool {
        let ready = self.hosts.iter().all(|host| host.node.is_some() && host.ready);
        let active = |node: &Node| {
            let image = node.image();
            image.brokers.iter().filter(|broker| broker.is_active()).count() == self.hosts.len()
        };
        ready && self.leader().is_some() && self.nodes().all(active)
    }

    pub(crate) fn all_agree(&self) -> bool {
        let truth = self.node(0).image();
        self.nodes().all(|node| *node.image() == *truth)
    }

    pub(crate) fn describe(&self) -> String {
        let one = |host: &Host| {
            let Some(node) = &host.node else { return "down".to_owned() };
            let (status, image) = (node.control_status(), node.image());
            let active = image.brokers.iter().filter(|broker| broker.is_active()).count();
            let (epoch, leader, topics) = (status.epoch, status.leader, image.topics.len());
            format!("{epoch} led by {leader:?}, {active} active, {topics} topics, {}", host.ready)
        };
        self.hosts.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    /// Lets time pass until something holds, or fails.
    pub(crate) fn until(&mut self, what: &str, limit_ms: i64, done: impl Fn(&Self) -> bool) {
        let end = self.now + limit_ms;
        while !done(self) {
            assert!(self.now < end, "not within {limit_ms} ms: {what}");
            self.run(TICK_MS);
        }
    }

    pub(crate) fn run(&mut self, ms: i64) {
        let end = self.now + ms;
        while let Some(entry) = self.mail.first_entry() {
            if entry.key().0 > end {
                break;
            }
            let ((due, _), mail) = entry.remove_entry();
            self.now = self.now.max(due);
            self.deliver(mail);
        }
        self.now = end;
    }

    fn deliver(&mut self, mail: Mail) {
        let Mail { to, life, event } = mail;
        let host = &mut self.hosts[to];
        if host.node.is_none() || host.life != life {
            return;
        }
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

    fn tell(&mut self, at: usize, event: ControlEvent) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now = self.now + self.hosts[at].clock_offset;
            let Some(node) = &self.hosts[at].node else { return };
            self.counts.events += 1;
            let effects = node.control(now, event);
            if self.hosts[at].disk.is_down() {
                self.counts.kills_in_a_write += 1;
                return self.kill(at);
            }
            let status = self.node(at).control_status();
            self.oracle.stands(at, &status);
            for effect in effects {
                self.carry_out(at, effect, &mut events);
            }
        }
    }

    fn carry_out(&mut self, at: usize, effect: ControlEffect, events: &mut VecDeque<ControlEvent>) {
        let now = self.now + self.hosts[at].clock_offset;
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
            ControlEffect::Apply(batch) => {
                let applied = self.node(at).apply(now, batch);
                if self.hosts[at].disk.is_down() {
                    self.counts.kills_in_a_write += 1;
                    return self.kill(at);
                }
                self.note(|| format!("{at} shows {}", applied.upto));
                let node = self.hosts[at].node.as_ref().unwrap();
                self.oracle.shows(at, node, applied.upto);
                events.push_back(ControlEvent::Applied { upto: applied.upto });
                for (token, response) in applied.then {
                    self.respond(at, token, response);
                }
            }
            ControlEffect::LoadLogs => {
                let loaded = self.node(at).load_logs(now);
                if self.hosts[at].disk.is_down() {
                    return self.kill(at);
                }
                loaded.unwrap();
                events.push_back(ControlEvent::LogsLoaded);
            }
            ControlEffect::Ready => self.hosts[at].ready = true,
            ControlEffect::MayStop => {}
            ControlEffect::Fatal { why } => panic!("node {at} cannot go on: {why}"),
        }
    }

    fn post(&mut self, delay_ms: i64, to: usize, life: u64, event: ControlEvent) {
        self.posted += 1;
        self.mail.insert((self.now + delay_ms, self.posted), Mail { to, life, event });
    }

    fn delay(&mut self) -> i64 {
        1 + self.random.below(self.network.delay_ms_max.max(1) as u64) as i64
    }

    fn passes(&mut self, from: usize, to: usize) -> bool {
        let lost = self.random.below(1_000) < self.network.loss;
        !lost && !self.network.blocked.contains(&(from, to))
    }

    fn probe(&mut self, from: usize, id: u64, broker: BrokerId, timeout_ms: i64) {
        let to = usize::try_from(broker.0).unwrap();
        let life = self.hosts[from].life;
        let refused = self.passes(from, to) && self.hosts[to].node.is_none();
        let delay = if refused { self.delay() } else { timeout_ms.max(1) };
        self.post(delay, from, life, ControlEvent::Failed { id, refused });
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
        let to = match to {
            Destination::Node { id, .. } => usize::try_from(id.0).unwrap(),
            Destination::Bootstrap => self.random.below(self.hosts.len() as u64) as usize,
        };
        let life = self.hosts[from].life;
        // Whatever becomes of it, the asker hears of it.
        self.post(timeout_ms.max(1), from, life, ControlEvent::Failed { id, refused: false });
        let copies = 1 + usize::from(self.random.below(1_000) < self.network.doubles);
        for _ in 0..copies {
            if !self.passes(from, to) {
                continue;
            }
            let delay = self.delay();
            if self.hosts[to].node.is_none() {
                self.post(delay, from, life, ControlEvent::Failed { id, refused: true });
                continue;
            }
            let frame = concat(request.encode(0, None, version).unwrap()).slice(4..);
            let (header, mut body) = decode_request_header(frame).unwrap();
            let read = ControlRequest::decode(header.key, version, &mut body).unwrap().unwrap();
            let token = self.token();
            let asked = request.clone();
            self.waiting.insert(token, Waiting { from, to, life, id, version, request: asked });
            let own = Asker::own(version);
            let asker = Asker { listener: ListenerKind::Controller, ..own };
            let event = ControlEvent::Ask { token, asker, request: read };
            self.post(delay, to, self.hosts[to].life, event);
        }
    }

    fn token(&mut self) -> Token {
        self.next_token += 1;
        self.next_token
    }

    fn respond(&mut self, at: usize, token: Token, response: ControlResponse) {
        self.note(|| format!("{at} answers {token} {:?}", response.key()));
        let Some(waiting) = self.waiting.remove(&token) else {
            return self.answered(token, &response);
        };
        if !self.passes(at, waiting.from) {
            return;
        }
        let frame = concat(response.encode(0, waiting.version).unwrap()).slice(4..);
        let key = waiting.request.key();
        let read = ControlResponse::decode(key, waiting.version, 0, frame).unwrap().unwrap();
        let event = ControlEvent::Answer { id: waiting.id, response: read };
        let delay = self.delay();
        self.post(delay, waiting.from, waiting.life, event);
    }

    /// A client of a node asks. One at a time has to do with a topic.
    pub(crate) fn client(&mut self, at: usize, act: Act, name: String) {
        if self.clients.values().any(|client| client.name == name) {
            return;
        }
        self.note(|| format!("a client at {at}: {act:?} {name}"));
        let token = self.token();
        let life = self.hosts[at].life;
        // Until the answer, and for ever without one, it may be there or not.
        self.topics.insert(name.clone(), None);
        let request = match act {
            Act::Create => create_request(&name),
            Act::Delete => delete_request(&name),
        };
        self.clients.insert(token, Client { at, life, act, name });
        let version = *request.key().versions().end();
        let event = ControlEvent::Ask { token, asker: Asker::own(version), request };
        self.post(0, at, life, event);
    }

    fn answered(&mut self, token: Token, response: &ControlResponse) {
        // The client has gone with the node that it asked, in an earlier life.
        let Some(client) = self.clients.remove(&token) else { return };
        assert_eq!(client.life, self.hosts[client.at].life);
        let code = code_of(response);
        self.last_code = Some(code);
        self.note(|| format!("{:?} {}: {code}", client.act, client.name));
        let known = match (client.act, code) {
            (Act::Create, ErrorCode::None) => Some(true),
            (Act::Delete, ErrorCode::None) => Some(false),
            _ => None,
        };
        match known {
            Some(there) => {
                self.counts.confirmed += 1;
                self.topics.insert(client.name, Some(there));
            }
            None => self.counts.refused += 1,
        }
    }
}

fn create_request(name: &str) -> ControlRequest {
    let topic = CreatableTopic {
        name: name.to_owned(),
        num_partitions: 2,
        replication_factor: 1,
        ..Default::default()
    };
    CreateTopicsRequest { topics: vec![topic], timeout_ms: 8_000, ..Default::default() }.into()
}

fn delete_request(name: &str) -> ControlRequest {
    let topic = DeleteTopicState { name: Some(name.to_owned()), ..Default::default() };
    DeleteTopicsRequest { topics: vec![topic], timeout_ms: 8_000, ..Default::default() }.into()
}

fn code_of(answer: &ControlResponse) -> ErrorCode {
    let code = match answer {
        ControlResponse::CreateTopics(answer) => answer.topics[0].error_code,
        ControlResponse::DeleteTopics(answer) => answer.responses[0].error_code,
        other => panic!("{other:?}"),
    };
    ErrorCode::from_i16(code).unwrap()
}

fn endpoint(at: usize) -> ControllerEndpoint {
    let (listener, host) = ("CONTROLLER".to_owned(), format!("node-{at}"));
    ControllerEndpoint { listener, host, port: 9093 }
}
