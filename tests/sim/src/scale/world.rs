//! Three controllers, their brokers, one client, and the network between them, by a clock that
//! passes from event to event.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use metadata::control::Settings;
use metadata::topic_config::Defaults;
use node::{
    Asker, Bootstrap, ControlEffect, ControlEvent, ControlRequest, ControlResponse,
    ControllerEndpoint, Destination, ListenerKind, LogLimits, Node, NodeConfig, QuorumConfig,
    Roles, Token, Voter, Voters,
};
use storage::disk::sim::SimDisk;
use wire::api_key::ApiKey;
use wire::frame::decode_request_header;
use wire::ids::{BrokerId, Uuid};
use wire::records_slot::{Piece, concat};

use super::broker::{Broker, Errand};
use super::costs::{Costs, Kind, processor_time};

pub(super) const CONTROLLERS: usize = 3;
const TICK_MS: i64 = 10;
const NETWORK_MS: i64 = 1;
/// After this long without an answer a broker asks again.
const PATIENCE_MS: i64 = 1_000;
const BEGIN: i64 = 1_700_000_000_000;

/// One controller.
pub(super) struct Controller {
    disk: SimDisk,
    pub(super) node: Option<Node>,
    life: u64,
    pub(super) costs: Costs,
}

/// Who asks a controller.
#[derive(Clone, Copy)]
enum Party {
    Controller { at: usize, life: u64, id: u64 },
    Broker { at: usize, life: u64, errand: Errand, serial: u64 },
    Client,
}

struct Waiting {
    party: Party,
    version: i16,
    key: ApiKey,
}

enum Mail {
    Tick {
        at: usize,
        life: u64,
    },
    /// A frame of a request.
    Ask {
        at: usize,
        party: Party,
        frame: Vec<Piece>,
    },
    /// A frame of an answer, or `None` for the lack of one.
    Answer {
        from: usize,
        party: Party,
        key: ApiKey,
        version: i16,
        frame: Option<Vec<Piece>>,
    },
    /// The request of a controller is given up.
    Late {
        at: usize,
        life: u64,
        id: u64,
    },
    Errand {
        at: usize,
        life: u64,
        errand: Errand,
    },
    Impatient {
        at: usize,
        life: u64,
        errand: Errand,
        serial: u64,
    },
}

pub(super) struct World {
    pub(super) now: i64,
    heartbeat_ms: i64,
    session_ms: i64,
    pub(super) controllers: Vec<Controller>,
    pub(super) brokers: Vec<Broker>,
    cluster: String,
    /// Whoever asks a controller that is down hears so at once; else hears nothing.
    refuses: bool,
    mail: BTreeMap<(i64, u64), Mail>,
    posted: u64,
    waiting: BTreeMap<Token, Waiting>,
    /// Of a broker's errands those that are under way.
    under_way: BTreeMap<(usize, Errand), u64>,
    /// What the client was told.
    pub(super) answers: VecDeque<ControlResponse>,
    pub(super) fencings: u64,
}

impl World {
    pub(super) fn new(brokers: usize, racks: usize, heartbeat_ms: i64, session_ms: i64) -> Self {
        let controller = |at| Controller {
            disk: SimDisk::new(at),
            node: None,
            life: 0,
            costs: Costs::default(),
        };
        let broker = |at: usize| Broker::new((CONTROLLERS + at) as i32, at % racks);
        let mut world = Self {
            now: BEGIN,
            heartbeat_ms,
            session_ms,
            controllers: (0..CONTROLLERS as u64).map(controller).collect(),
            brokers: (0..brokers).map(broker).collect(),
            cluster: String::new(),
            refuses: true,
            mail: BTreeMap::new(),
            posted: 0,
            waiting: BTreeMap::new(),
            under_way: BTreeMap::new(),
            answers: VecDeque::new(),
            fencings: 0,
        };
        (0..CONTROLLERS).for_each(|at| world.start_controller(at));
        world
    }

    pub(super) fn elapsed(&self) -> i64 {
        self.now - BEGIN
    }

    fn config(&self, at: usize) -> NodeConfig {
        let voters = (0..CONTROLLERS).map(|at| Voter {
            id: BrokerId(at as i32),
            directory: Uuid::ZERO,
            endpoints: vec![endpoint(at)],
        });
        let mut settings = Settings::new(Defaults::from_broker(|_| None).unwrap());
        settings.node_id = BrokerId(at as i32);
        NodeConfig {
            node_id: BrokerId(at as i32),
            rack: None,
            log_dirs: vec![PathBuf::from("/data")],
            abandoned_log_dirs: Vec::new(),
            accepted_losses: Default::default(),
            metadata_log_dir: None,
            cluster_id: None,
            quorum: QuorumConfig {
                roles: Roles { broker: false, controller: true },
                bootstrap: Bootstrap::Static(Voters::new(voters.collect())),
                endpoints: vec![endpoint(at)],
                session_timeout_ms: self.session_ms,
                heartbeat_interval_ms: self.heartbeat_ms,
                ..QuorumConfig::alone()
            },
            endpoints: Vec::new(),
            settings,
            log_limits: LogLimits::default(),
            groups: coordinator::Config::default(),
            fetch_session_slots: 10,
            recovery_threads: 1,
            delete_delay_ms: 60_000,
            // As by default.
            metadata_snapshot_bytes: 20 << 20,
            metadata_snapshot_interval_ms: 3_600_000,
        }
    }

    pub(super) fn start_controller(&mut self, at: usize) {
        let config = self.config(at);
        let controller = &mut self.controllers[at];
        let disk = Arc::new(controller.disk.clone());
        controller.node = Some(Node::open(config, disk, self.now, at as u64 + 7).unwrap());
        controller.life += 1;
        let life = controller.life;
        self.post(TICK_MS, Mail::Tick { at, life });
    }

    /// kill -9 of a controller. `refuses`: its host is up and says that nobody listens.
    pub(super) fn kill_controller(&mut self, at: usize, refuses: bool) {
        self.refuses = refuses;
        self.controllers[at].node = None;
        self.controllers[at].life += 1;
        // Tokens are the world's own, and of a node that is down nobody will answer.
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            if refuses {
                self.no_answer(at, &waiting);
            }
        }
    }

    fn no_answer(&mut self, from: usize, waiting: &Waiting) {
        let Waiting { party, version, key } = *waiting;
        self.post(NETWORK_MS, Mail::Answer { from, party, key, version, frame: None });
    }

    pub(super) fn start_broker(&mut self, at: usize) {
        self.brokers[at].start();
        let life = self.brokers[at].life;
        // They did not all start in one moment, and do not beat in one.
        let spread = (at as i64 * 7_919) % self.heartbeat_ms;
        for errand in [Errand::Fetch, Errand::Beat] {
            self.under_way.remove(&(at, errand));
            self.post(1 + spread, Mail::Errand { at, life, errand });
        }
    }

    pub(super) fn stop_broker(&mut self, at: usize) {
        self.brokers[at].up = false;
        self.brokers[at].life += 1;
    }

    /// The active controller that a majority knows.
    pub(super) fn leader(&self) -> Option<usize> {
        let up = self.controllers.iter().filter_map(|one| one.node.as_ref());
        let known = up.map(|node| node.control_status());
        let newest = known.filter(|status| status.leader.is_some()).max_by_key(|s| s.epoch)?;
        let at = usize::try_from(newest.leader?.0).unwrap();
        self.controllers[at].node.is_some().then_some(at)
    }

    pub(super) fn node(&self, at: usize) -> &Node {
        self.controllers[at].node.as_ref().unwrap()
    }

    pub(super) fn learn_cluster(&mut self, id: &str) {
        self.cluster = id.to_owned();
    }

    /// Bytes on a controller's disk: its metadata log, nearly all of them.
    pub(super) fn disk_bytes(&self, at: usize) -> u64 {
        self.controllers[at].disk.used()
    }

    /// The costs of one controller since they were asked for last.
    pub(super) fn take_costs(&mut self, at: usize) -> Costs {
        std::mem::take(&mut self.controllers[at].costs)
    }

    /// A client asks a controller.
    pub(super) fn ask(&mut self, at: usize, request: &ControlRequest) {
        let version = *request.key().versions().end();
        let frame = request.encode(0, Some("client"), version).unwrap();
        self.post(NETWORK_MS, Mail::Ask { at, party: Party::Client, frame });
    }

    pub(super) fn until(&mut self, what: &str, limit_ms: i64, done: impl Fn(&Self) -> bool) -> i64 {
        let began = self.now;
        while !done(self) {
            assert!(self.now < began + limit_ms, "not within {limit_ms} ms: {what}");
            self.run(TICK_MS);
        }
        self.now - began
    }

    pub(super) fn run(&mut self, ms: i64) {
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

    fn post(&mut self, delay_ms: i64, mail: Mail) {
        self.posted += 1;
        self.mail.insert((self.now + delay_ms, self.posted), mail);
    }

    fn deliver(&mut self, mail: Mail) {
        match mail {
            Mail::Tick { at, life } if self.controllers[at].life == life => {
                self.post(TICK_MS, Mail::Tick { at, life });
                self.tell(at, Kind::Ticks, Duration::ZERO, ControlEvent::Tick);
            }
            Mail::Ask { at, party, frame } => self.asked(at, party, frame),
            Mail::Answer { from, party, key, version, frame } => {
                self.answered(from, party, key, version, frame);
            }
            Mail::Late { at, life, id } if self.controllers[at].life == life => {
                let failed = ControlEvent::Failed { id, refused: false };
                self.tell(at, Kind::Quorum, Duration::ZERO, failed);
            }
            Mail::Errand { at, life, errand } if self.brokers[at].life == life => {
                self.run_errand(at, errand);
            }
            Mail::Impatient { at, life, errand, serial }
                if self.waits_for(at, life, errand, serial) =>
            {
                let from = self.brokers[at].leader;
                self.broker_hears(at, errand, from, None);
            }
            _ => {}
        }
    }

    fn run_errand(&mut self, at: usize, errand: Errand) {
        let broker = &self.brokers[at];
        let (life, leader) = (broker.life, broker.leader);
        let request = broker.request(errand, &self.cluster);
        let version = *request.key().versions().end();
        let frame = request.encode(0, Some("broker"), version).unwrap();
        self.posted += 1;
        let serial = self.posted;
        self.under_way.insert((at, errand), serial);
        let party = Party::Broker { at, life, errand, serial };
        self.post(NETWORK_MS, Mail::Ask { at: leader, party, frame });
        self.post(PATIENCE_MS, Mail::Impatient { at, life, errand, serial });
    }

    fn asked(&mut self, at: usize, party: Party, frame: Vec<Piece>) {
        let frame = concat(frame).slice(4..);
        if self.controllers[at].node.is_none() {
            if self.refuses {
                let (header, _) = decode_request_header(frame).unwrap();
                let (key, version) = (header.key, header.version);
                self.no_answer(at, &Waiting { party, version, key });
            }
            return;
        }
        self.posted += 1;
        let token = self.posted;
        let began = processor_time();
        let (header, mut body) = decode_request_header(frame).unwrap();
        let (key, version) = (header.key, header.version);
        let request = ControlRequest::decode(key, version, &mut body).unwrap().unwrap();
        let reading = processor_time() - began;
        self.waiting.insert(token, Waiting { party, version, key });
        let kind = match key {
            ApiKey::Fetch => Kind::Fetches,
            ApiKey::BrokerHeartbeat => Kind::Heartbeats,
            ApiKey::BrokerRegistration => Kind::Registrations,
            ApiKey::CreateTopics => Kind::Topics,
            _ => Kind::Quorum,
        };
        let asker = Asker { listener: ListenerKind::Controller, ..Asker::own(version) };
        self.tell(at, kind, reading, ControlEvent::Ask { token, asker, request });
    }

    /// `spent` went into it before.
    fn tell(&mut self, at: usize, kind: Kind, mut spent: Duration, event: ControlEvent) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let Some(node) = &self.controllers[at].node else { return };
            let began = processor_time();
            let effects = node.control(self.now, event);
            let mut applying = Duration::ZERO;
            let mut to_send = Vec::new();
            for effect in effects {
                match effect {
                    ControlEffect::Apply(batch) => {
                        let began = processor_time();
                        let applied = self.node(at).apply(self.now, batch);
                        assert!(applied.then.is_empty(), "no clients of its own");
                        events.push_back(ControlEvent::Applied { upto: applied.upto });
                        applying += processor_time() - began;
                    }
                    ControlEffect::Respond { token, response } => {
                        let Some(waiting) = self.waiting.remove(&token) else { continue };
                        let frame = response.encode(0, waiting.version).unwrap();
                        to_send.push((waiting, frame));
                    }
                    ControlEffect::Send { id, to, version, request, timeout_ms } => {
                        let frame = request.encode(0, None, version).unwrap();
                        self.send(at, id, to, frame, timeout_ms);
                    }
                    // Nobody listens there, and nobody says so.
                    ControlEffect::Probe { id, timeout_ms, .. } => {
                        let life = self.controllers[at].life;
                        self.post(timeout_ms.max(1), Mail::Late { at, life, id });
                    }
                    ControlEffect::Fatal { why } => panic!("controller {at}: {why}"),
                    _ => {}
                }
            }
            let took = processor_time() - began - applying + std::mem::take(&mut spent);
            let costs = &mut self.controllers[at].costs;
            costs.add(kind, took);
            if !applying.is_zero() {
                costs.add(Kind::Apply, applying);
            }
            for (Waiting { party, version, key }, frame) in to_send {
                let frame = Some(frame);
                self.post(NETWORK_MS, Mail::Answer { from: at, party, key, version, frame });
            }
        }
    }

    fn send(&mut self, from: usize, id: u64, to: Destination, frame: Vec<Piece>, timeout_ms: i64) {
        let at = match to {
            Destination::Node { id, .. } => usize::try_from(id.0).unwrap(),
            Destination::Bootstrap => (id as usize) % CONTROLLERS,
            Destination::Server(place) => place,
        };
        let life = self.controllers[from].life;
        let party = Party::Controller { at: from, life, id };
        self.post(timeout_ms.max(1), Mail::Late { at: from, life, id });
        self.post(NETWORK_MS, Mail::Ask { at, party, frame });
    }

    fn answered(
        &mut self,
        from: usize,
        party: Party,
        key: ApiKey,
        version: i16,
        frame: Option<Vec<Piece>>,
    ) {
        let answer = frame.map(|frame| {
            let frame = concat(frame).slice(4..);
            ControlResponse::decode(key, version, 0, frame).unwrap().unwrap()
        });
        match party {
            Party::Client => self.answers.extend(answer),
            Party::Controller { at, life, id } if self.controllers[at].life == life => {
                let event = match answer {
                    Some(response) => ControlEvent::Answer { id, response },
                    None => ControlEvent::Failed { id, refused: true },
                };
                self.tell(at, Kind::Quorum, Duration::ZERO, event);
            }
            Party::Broker { at, life, errand, serial }
                if self.waits_for(at, life, errand, serial) =>
            {
                self.broker_hears(at, errand, from, answer);
            }
            _ => {}
        }
    }

    fn waits_for(&self, at: usize, life: u64, errand: Errand, serial: u64) -> bool {
        self.brokers[at].life == life && self.under_way.get(&(at, errand)) == Some(&serial)
    }

    fn broker_hears(
        &mut self,
        at: usize,
        errand: Errand,
        from: usize,
        answer: Option<ControlResponse>,
    ) {
        self.under_way.remove(&(at, errand));
        let broker = &mut self.brokers[at];
        let (life, served) = (broker.life, !broker.fenced);
        let pause = broker.answered(self.now, from, CONTROLLERS, answer);
        self.fencings += u64::from(served && broker.fenced);
        let pause = pause.unwrap_or(self.heartbeat_ms);
        self.post(pause, Mail::Errand { at, life, errand });
    }
}

fn endpoint(at: usize) -> ControllerEndpoint {
    let (listener, host) = ("CONTROLLER".to_owned(), format!("controller-{at}"));
    ControllerEndpoint { listener, host, port: 9093 }
}
