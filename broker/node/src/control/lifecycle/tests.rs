//! A broker against a real controller's decisions, over a network that loses and delays.

use std::collections::VecDeque;

use metadata::control::brokers::{Registration, fence_brokers};
use metadata::control::{features, requests};
use metadata::{Image, MetadataRecord};
use proptest::prelude::*;
use wire::ids::BrokerId;

use super::super::heartbeats::Heartbeats;
use super::*;

const SESSION_MS: i64 = 1_500;
const HEARTBEAT_MS: i64 = 300;
const TICK_MS: i64 = 10;

/// A broker under test, and what it has asked for.
struct Node {
    id: i32,
    lifecycle: Lifecycle,
    /// The question that is out, and when it gets there.
    out: Option<(LifecycleEffect, i64)>,
    seen: Vec<&'static str>,
    fatal: Option<String>,
    loading_since: Option<i64>,
}

/// A controller and brokers.
struct World {
    /// What has passed.
    now: i64,
    /// What the clocks show beyond that.
    skew: i64,
    image: Image,
    end: i64,
    beats: Heartbeats,
    leader: bool,
    nodes: Vec<Node>,
    /// Milliseconds a question takes, in turn; lost when negative.
    delays: VecDeque<i64>,
}

fn registration(id: i32, run: u8) -> BrokerRegistrationRequest {
    Registration {
        id: BrokerId(id),
        incarnation: Uuid([run; 16]),
        cluster_id: Some("cluster".to_owned()),
        endpoints: Vec::new(),
        features: Registration::own_features(),
        rack: None,
        log_dirs: vec![Uuid([100 + run; 16])],
        previous_epoch: -1,
    }
    .to_request()
}

impl World {
    fn new() -> Self {
        let empty = Image::default();
        let records = features::bootstrap(&empty, "cluster");
        let image = empty.apply(&records).unwrap().0;
        let mut beats = Heartbeats::new(SESSION_MS, 300);
        beats.begin(0, &image);
        let (nodes, delays) = (Vec::new(), VecDeque::new());
        Self { now: 0, skew: 0, image, end: 10, beats, leader: true, nodes, delays }
    }

    fn start(&mut self, id: i32, run: u8) -> usize {
        let lifecycle = Lifecycle::new(registration(id, run), HEARTBEAT_MS);
        let (seen, out) = (Vec::new(), None);
        self.nodes.push(Node { id, lifecycle, out, seen, fatal: None, loading_since: None });
        self.nodes.len() - 1
    }

    fn write(&mut self, records: &[MetadataRecord]) {
        self.image = self.image.apply(records).unwrap().0;
        self.end += records.len() as i64;
    }

    /// The controller answers.
    fn answer(&mut self, question: &LifecycleEffect) -> LifecycleEvent {
        if !self.leader {
            return LifecycleEvent::Failed;
        }
        match question {
            LifecycleEffect::Register(request) => {
                let id = BrokerId(request.broker_id);
                let alive = self.beats.is_alive(self.wall(), id);
                let decision = requests::register_broker(&self.image, request, self.end, alive);
                self.write(&decision.records);
                if decision.response.error_code == 0 {
                    self.beats.contact(self.wall(), id, None);
                }
                LifecycleEvent::Registered(decision.response)
            }
            LifecycleEffect::Heartbeat(request) => {
                let id = BrokerId(request.broker_id);
                let seen = self.beats.all_have_seen(id, &self.image);
                let decision = requests::broker_heartbeat(&self.image, request, seen);
                self.write(&decision.records);
                if decision.response.should_shut_down {
                    self.beats.forget(id);
                } else if decision.response.error_code == 0 {
                    self.beats.contact(self.wall(), id, Some(request.current_metadata_offset));
                    if request.want_shut_down {
                        self.beats.stopping(id, self.end);
                    }
                }
                LifecycleEvent::HeartbeatAnswered(decision.response)
            }
            other => panic!("not a question: {other:?}"),
        }
    }

    /// Lets `ms` pass.
    fn pass(&mut self, ms: i64) {
        for _ in 0..ms / TICK_MS {
            self.now += TICK_MS;
            if self.leader {
                let overdue = self.beats.overdue(self.wall(), &self.image);
                let records = fence_brokers(&self.image, &overdue).records;
                self.write(&records);
            }
            for at in 0..self.nodes.len() {
                self.tick(at);
            }
        }
    }

    fn tick(&mut self, at: usize) {
        if self.nodes[at].out.as_ref().is_some_and(|(_, due)| *due <= self.now) {
            let (question, _) = self.nodes[at].out.take().unwrap();
            let event = self.answer(&question);
            // A quarter of all answers are lost on their way when questions are.
            let lost = self.delays.front().is_some_and(|delay| delay % 4 == 3);
            let failed = LifecycleEvent::Failed;
            self.step(at, if lost { failed } else { event });
        }
        if self.nodes[at].loading_since.is_some_and(|since| self.now - since >= 200) {
            self.nodes[at].loading_since = None;
            self.step(at, LifecycleEvent::LogsLoaded);
        }
        let applied = Offset(self.end);
        self.step(at, LifecycleEvent::LeaderKnown(self.leader));
        self.step(at, LifecycleEvent::Applied(applied));
        self.step(at, LifecycleEvent::Tick);
        let node = &self.nodes[at];
        let current = self.image.brokers.get(BrokerId(node.id));
        if current.is_some_and(|b| b.is_active() && b.epoch == node.lifecycle.epoch()) {
            let loaded = node.seen.contains(&"load") && node.loading_since.is_none();
            assert!(loaded, "nobody is sent to a broker whose logs are not loaded");
        }
    }

    fn step(&mut self, at: usize, event: LifecycleEvent) {
        let wall = self.wall();
        let effects = self.nodes[at].lifecycle.step(wall, event);
        for effect in effects {
            let delay = self.delays.pop_front().unwrap_or(0);
            let node = &mut self.nodes[at];
            match effect {
                LifecycleEffect::Register(_) | LifecycleEffect::Heartbeat(_) => {
                    assert!(node.out.is_none(), "one question at a time");
                    assert!(!node.seen.contains(&"stopped"), "it has stopped");
                    if delay < 0 {
                        self.step(at, LifecycleEvent::Failed);
                    } else {
                        node.out = Some((effect, self.now + delay));
                    }
                }
                LifecycleEffect::LoadLogs => {
                    assert!(!node.seen.contains(&"load"), "logs are loaded once");
                    node.seen.push("load");
                    node.loading_since = Some(self.now);
                }
                LifecycleEffect::Ready => {
                    assert!(!node.seen.contains(&"ready"), "ready is said once");
                    node.seen.push("ready");
                }
                LifecycleEffect::MayStop => node.seen.push("stopped"),
                LifecycleEffect::Fatal(why) => node.fatal = Some(why),
            }
        }
    }

    fn wall(&self) -> i64 {
        self.now + self.skew
    }

    fn serves(&self, id: i32) -> bool {
        self.image.brokers.get(BrokerId(id)).is_some_and(|broker| broker.is_active())
    }
}

#[test]
fn a_broker_registers_loads_serves_and_stops() {
    let mut world = World::new();
    let one = world.start(1, 1);
    let two = world.start(2, 2);
    world.pass(150);
    assert_eq!(world.nodes[one].seen, ["load"]);
    assert!(!world.serves(1), "not before its logs are loaded");
    world.pass(400);
    assert_eq!(world.nodes[one].seen, ["load", "ready"]);
    assert!(world.serves(1) && world.serves(2));
    world.step(one, LifecycleEvent::Shutdown);
    world.pass(1_000);
    assert_eq!(world.nodes[one].seen.last(), Some(&"stopped"));
    assert!(!world.serves(1) && world.serves(2));
    assert_eq!(world.nodes[one].lifecycle.step(world.now + 1, LifecycleEvent::Tick), []);
    // The next run need not wait for the session of the one that stopped.
    let again = world.start(1, 3);
    world.pass(700);
    assert_eq!(world.nodes[again].seen, ["load", "ready"]);
    assert_eq!(world.nodes[two].fatal, None);
}

#[test]
fn a_broker_whose_disk_holds_up_writes_is_fenced_until_it_goes_on() {
    let mut world = World::new();
    let one = world.start(1, 1);
    world.pass(700);
    assert!(world.serves(1));
    world.step(one, LifecycleEvent::HeldUp(true));
    world.pass(SESSION_MS + HEARTBEAT_MS + 100);
    assert!(!world.serves(1), "it looks gone, so that nobody waits for it");
    world.step(one, LifecycleEvent::HeldUp(false));
    world.pass(500);
    assert!(world.serves(1));
    // It may leave in the meantime.
    world.step(one, LifecycleEvent::HeldUp(true));
    world.step(one, LifecycleEvent::Shutdown);
    world.pass(1_000);
    assert_eq!(world.nodes[one].seen, ["load", "ready", "stopped"]);
}

#[test]
fn a_second_process_under_one_id_is_refused_by_name() {
    let mut world = World::new();
    let first = world.start(1, 1);
    world.pass(700);
    let second = world.start(1, 9);
    world.pass(DUPLICATE_MS + 1_000);
    let why = world.nodes[second].fatal.clone().unwrap();
    assert_eq!(why, "another broker with node.id 1 is part of the cluster");
    assert_eq!(world.nodes[second].seen, Vec::<&str>::new());
    assert_eq!(world.nodes[first].fatal, None);
    assert!(world.serves(1));
}

#[test]
fn a_run_that_was_replaced_ends() {
    let mut world = World::new();
    let first = world.start(1, 1);
    world.pass(700);
    // It is paused; its session passes, another run takes its place.
    let paused = world.nodes.remove(first);
    world.pass(SESSION_MS + 100);
    assert!(!world.serves(1), "fenced");
    let second = world.start(1, 2);
    world.pass(700);
    assert_eq!(world.nodes[second].seen, ["load", "ready"]);
    world.nodes.push(paused);
    world.pass(1_000);
    assert!(world.nodes[1].fatal.is_some());
    assert_eq!(world.nodes[second].fatal, None);
}

#[test]
fn a_broker_that_was_overdue_serves_again() {
    let mut world = World::new();
    let one = world.start(1, 1);
    world.pass(700);
    let paused = world.nodes.remove(one);
    world.pass(SESSION_MS + 100);
    assert!(!world.serves(1));
    world.nodes.push(paused);
    world.pass(400);
    assert!(world.serves(1));
    assert_eq!(world.nodes[0].seen, ["load", "ready"]);
}

#[test]
fn a_broker_stops_when_nobody_leads() {
    let mut world = World::new();
    let one = world.start(1, 1);
    world.pass(700);
    world.leader = false;
    world.step(one, LifecycleEvent::Shutdown);
    world.pass(LEADERLESS_STOP_MS - 100);
    assert_eq!(world.nodes[one].seen, ["load", "ready"]);
    world.pass(200);
    assert_eq!(world.nodes[one].seen, ["load", "ready", "stopped"]);
    // One that never was registered does not wait at all.
    let two = world.start(2, 2);
    world.pass(50);
    world.step(two, LifecycleEvent::Shutdown);
    assert_eq!(world.nodes[two].seen, ["stopped"]);
}

#[test]
fn a_broker_whom_nobody_is_left_to_miss_stops_soon() {
    let mut world = World::new();
    let one = world.start(1, 1);
    world.pass(700);
    world.leader = false;
    // While it serves this means nothing.
    world.step(one, LifecycleEvent::Deserted(true));
    world.pass(2 * DESERTED_STOP_MS);
    world.step(one, LifecycleEvent::Shutdown);
    for (deserted, ms) in [(true, DESERTED_STOP_MS - 50), (false, 2 * DESERTED_STOP_MS)] {
        world.step(one, LifecycleEvent::Deserted(deserted));
        world.pass(ms);
        assert_eq!(world.nodes[one].seen, ["load", "ready"], "{deserted}");
    }
    world.step(one, LifecycleEvent::Deserted(true));
    world.pass(DESERTED_STOP_MS + 50);
    assert_eq!(world.nodes[one].seen, ["load", "ready", "stopped"]);
}

#[test]
fn refusals_that_nothing_mends_are_fatal() {
    for (change, word) in [
        ((|r| r.cluster_id = "other".to_owned()) as fn(&mut BrokerRegistrationRequest), "INCONS"),
        (|r| r.log_dirs.clear(), "INVALID_REGISTRATION"),
        (|r| r.features[2].max_supported_version = 8, "UNSUPPORTED_VERSION"),
    ] {
        let mut world = World::new();
        let one = world.start(1, 1);
        let mut request = registration(1, 1);
        change(&mut request);
        world.nodes[one].lifecycle = Lifecycle::new(request, HEARTBEAT_MS);
        world.pass(100);
        let why = world.nodes[one].fatal.clone().unwrap();
        assert!(why.contains(word), "{why}");
    }
}

#[test]
fn a_broken_directory_is_told_at_once() {
    let mut world = World::new();
    let one = world.start(1, 1);
    world.pass(700);
    let told = LifecycleEvent::DirectoriesOffline(vec![Uuid([8; 16])]);
    world.nodes[one].out = None;
    let asking = world.nodes[one].lifecycle.step(world.now, LifecycleEvent::Failed);
    assert_eq!(asking, []);
    let effects = world.nodes[one].lifecycle.step(world.now, told);
    let [LifecycleEffect::Heartbeat(request)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(request.offline_log_dirs, [Uuid([8; 16])]);
    assert_eq!(world.nodes[one].lifecycle.step(world.now, LifecycleEvent::Tick), []);
}

/// What goes wrong meanwhile.
#[derive(Debug, Clone)]
enum Trouble {
    /// The controller moves: nobody leads for a while, and nothing is known of heartbeats then.
    Move(i64),
    /// Everybody's clock jumps.
    Jump(i64),
    /// Time passes.
    Pass(i64),
    /// One broker is stopped.
    Stop(usize),
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        2 => (0i64..3_000).prop_map(Trouble::Move),
        1 => prop_oneof![-5_000_000i64..5_000_000, -900i64..900].prop_map(Trouble::Jump),
        4 => (10i64..2_500).prop_map(Trouble::Pass),
        1 => (0usize..3).prop_map(Trouble::Stop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    /// Whatever was lost on the way: once questions are answered again, every broker that was not
    /// stopped serves, and every broker that was stopped may stop.
    #[test]
    fn brokers_come_and_go_whatever_is_lost(
        delays in prop::collection::vec(-3i64..400, 0..120),
        troubles in prop::collection::vec(trouble(), 0..12),
    ) {
        let mut world = World::new();
        world.delays = delays.into();
        for (id, run) in [(1, 1), (2, 2), (3, 3)] {
            world.start(id, run);
        }
        let mut stopped = [false; 3];
        for trouble in troubles {
            match trouble {
                Trouble::Move(ms) => {
                    world.leader = false;
                    world.pass(ms);
                    world.leader = true;
                    world.beats = Heartbeats::new(SESSION_MS, 300);
                    world.beats.begin(world.wall(), &world.image);
                }
                Trouble::Jump(ms) => world.skew += ms,
                Trouble::Pass(ms) => world.pass(ms),
                Trouble::Stop(at) => {
                    stopped[at] = true;
                    world.step(at, LifecycleEvent::Shutdown);
                }
            }
        }
        world.delays.clear();
        world.pass(8_000);
        for (node, stopped) in world.nodes.iter().zip(stopped) {
            prop_assert_eq!(&node.fatal, &None, "broker {}", node.id);
            let done = node.seen.iter().filter(|what| **what == "stopped").count();
            prop_assert_eq!(done, usize::from(stopped), "broker {}: {:?}", node.id, node.seen);
            prop_assert_eq!(world.serves(node.id), !stopped, "broker {}", node.id);
            prop_assert!(stopped || node.seen[..] == ["load", "ready"]);
        }
    }
}
