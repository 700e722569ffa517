//! This broker's registration with the active controller, from start to stop.
//!
//! ```text
//! Registering ── registered ──> CatchingUp ── applied ──> Loading ── loaded ──> Fenced
//!      ^                                                                          │ unfenced
//!      └──────── another epoch is in force ─────────┐                             v
//! Stopped <── agreed, or nobody to ask ── Stopping <┴── shutdown ───────────── Running
//! ```
//!
//! One question is out at a time; an answer that is lost is asked for again. While the logs load,
//! heartbeats say that the broker wants to stay fenced: its session lives, nobody is sent to it.

use quorum::Clock;
use wire::ErrorCode;
use wire::ids::{Offset, Uuid};
use wire::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use wire::messages::broker_heartbeat_response::BrokerHeartbeatResponse;
use wire::messages::broker_registration_request::BrokerRegistrationRequest;
use wire::messages::broker_registration_response::BrokerRegistrationResponse;

/// How long a question that was refused or lost waits before it is asked again.
const RETRY_MS: i64 = 100;
/// How long a heartbeat waits while something is about to change.
const EAGER_MS: i64 = 50;
/// How long a broker that never was registered waits for another under its id to be gone.
const DUPLICATE_MS: i64 = 60_000;
/// How long a broker that stops waits for somebody to ask.
const LEADERLESS_STOP_MS: i64 = 3_000;
/// How long it waits when its leaving in order would serve nobody.
const DESERTED_STOP_MS: i64 = 300;
/// The most that one event moves the clock: one that jumps stops nothing and hurries nothing.
const STEP_MS_MAX: i64 = 500;

/// What happened.
#[derive(Debug)]
pub(super) enum LifecycleEvent {
    /// Time has passed.
    Tick,
    /// Whether an active controller is known.
    LeaderKnown(bool),
    /// Whether nobody would be served by a controlled shutdown.
    Deserted(bool),
    /// This broker's image has everything before this offset.
    Applied(Offset),
    /// The registration was answered.
    Registered(BrokerRegistrationResponse),
    /// The heartbeat was answered.
    HeartbeatAnswered(BrokerHeartbeatResponse),
    /// The question that is out will have no answer.
    Failed,
    /// The logs are loaded, their partitions started.
    LogsLoaded,
    /// Log directories that are out of service; they stay so until the next start.
    DirectoriesOffline(Vec<Uuid>),
    /// Whether the disk holds up what clients write.
    HeldUp(bool),
    /// The log directories that are to take no new partitions.
    Cordoned(Vec<Uuid>),
    /// The process is to stop.
    Shutdown,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum LifecycleEffect {
    /// Ask the active controller; an answer, or `Failed`, follows.
    Register(BrokerRegistrationRequest),
    /// Ask the active controller; an answer, or `Failed`, follows.
    Heartbeat(BrokerHeartbeatRequest),
    /// Load the logs that the image assigns to this broker; `LogsLoaded` follows. Comes once.
    LoadLogs,
    /// Clients may come. Comes once.
    Ready,
    /// The process may stop. Comes once, and nothing after it.
    MayStop,
    /// The broker cannot be part of the cluster.
    Fatal(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Registering,
    CatchingUp,
    Loading,
    Fenced,
    Running,
    Stopping,
    Stopped,
}

/// Where the broker stands.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    state: State,
    registration: BrokerRegistrationRequest,
    heartbeat_ms: i64,
    clock: Clock,
    /// This run's epoch; -1 before it is registered.
    epoch: i64,
    leader: bool,
    /// Since when no controller is known.
    leaderless_since: Option<i64>,
    /// Since when it is the last one, as far as it sees.
    deserted_since: Option<i64>,
    applied: Offset,
    offline: Vec<Uuid>,
    /// Unknown while the cluster has no word for it.
    cordoned: Option<Vec<Uuid>>,
    loaded: bool,
    ready: bool,
    asking: bool,
    next_at: i64,
    /// Since when another run under this id is in the way.
    duplicate_since: Option<i64>,
    /// The disk holds up what clients write.
    held_up: bool,
}

impl Lifecycle {
    /// Begins with what the broker says of itself; its `previous_broker_epoch` is the epoch under
    /// which it stopped cleanly, or -1.
    pub(crate) fn new(registration: BrokerRegistrationRequest, heartbeat_ms: i64) -> Self {
        Self {
            state: State::Registering,
            registration,
            heartbeat_ms,
            clock: Clock::capped(STEP_MS_MAX),
            epoch: -1,
            leader: false,
            leaderless_since: None,
            deserted_since: None,
            applied: Offset(0),
            offline: Vec::new(),
            cordoned: None,
            loaded: false,
            ready: false,
            asking: false,
            next_at: 0,
            duplicate_since: None,
            held_up: false,
        }
    }

    /// This run's epoch; -1 before it is registered.
    pub(super) fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Takes an event and says what to do about it.
    pub(super) fn step(&mut self, now_ms: i64, event: LifecycleEvent) -> Vec<LifecycleEffect> {
        self.clock.advance(now_ms);
        let mut effects = Vec::new();
        if self.state == State::Stopped {
            return effects;
        }
        match event {
            LifecycleEvent::Tick => {}
            LifecycleEvent::HeldUp(held_up) => self.held_up = held_up,
            LifecycleEvent::LeaderKnown(known) => self.leader_known(known),
            LifecycleEvent::Applied(upto) => self.applied = upto,
            LifecycleEvent::Deserted(deserted) => {
                let since = self.deserted_since.unwrap_or(self.clock.now());
                let stopping = self.state == State::Stopping;
                self.deserted_since = (deserted && stopping).then_some(since);
            }
            LifecycleEvent::Registered(answer) => self.registered(&answer, &mut effects),
            LifecycleEvent::HeartbeatAnswered(answer) => self.heard(&answer, &mut effects),
            LifecycleEvent::Failed => {
                self.asking = false;
                self.again_in(RETRY_MS);
            }
            LifecycleEvent::LogsLoaded => {
                self.loaded = true;
                if self.state == State::Loading {
                    self.enter(State::Fenced);
                }
            }
            LifecycleEvent::DirectoriesOffline(dirs) => {
                for dir in dirs {
                    if !self.offline.contains(&dir) {
                        self.offline.push(dir);
                        self.again_in(0);
                    }
                }
            }
            LifecycleEvent::Cordoned(dirs) => {
                if self.cordoned.as_ref() != Some(&dirs) {
                    self.cordoned = Some(dirs);
                    self.again_in(0);
                }
            }
            // Nobody knows of a broker that is not registered.
            LifecycleEvent::Shutdown if self.epoch < 0 => self.stop(&mut effects),
            LifecycleEvent::Shutdown => self.enter(State::Stopping),
        }
        self.go_on(&mut effects);
        effects
    }

    fn leader_known(&mut self, known: bool) {
        if known && !self.leader {
            // Whoever leads now has yet to hear of this broker.
            self.again_in(0);
        }
        self.leader = known;
        self.leaderless_since = (!known).then(|| self.leaderless_since.unwrap_or(self.clock.now()));
    }

    fn registered(
        &mut self,
        answer: &BrokerRegistrationResponse,
        effects: &mut Vec<LifecycleEffect>,
    ) {
        self.asking = false;
        if self.state != State::Registering {
            return;
        }
        let id = self.registration.broker_id;
        let code = ErrorCode::from_i16(answer.error_code).unwrap_or(ErrorCode::UnknownServerError);
        match code {
            ErrorCode::None => {
                self.epoch = answer.broker_epoch;
                // Should this run register again: it has lost nothing of what it had.
                self.registration.previous_broker_epoch = self.epoch;
                self.duplicate_since = None;
                self.enter(if self.loaded { State::Fenced } else { State::CatchingUp });
                return;
            }
            ErrorCode::DuplicateBrokerRegistration => {
                let since = *self.duplicate_since.get_or_insert(self.clock.now());
                // A run that was registered and is not any more has been replaced for good.
                if self.epoch >= 0 || self.clock.now() - since >= DUPLICATE_MS {
                    let why = format!("another broker with node.id {id} is part of the cluster");
                    effects.push(LifecycleEffect::Fatal(why));
                }
            }
            ErrorCode::InconsistentClusterId
            | ErrorCode::InvalidRegistration
            | ErrorCode::UnsupportedVersion
            | ErrorCode::BrokerIdNotRegistered => {
                let why = format!("the controller refuses to register broker {id}: {code}");
                effects.push(LifecycleEffect::Fatal(why));
            }
            _ => {}
        }
        self.again_in(RETRY_MS);
    }

    fn heard(&mut self, answer: &BrokerHeartbeatResponse, effects: &mut Vec<LifecycleEffect>) {
        self.asking = false;
        self.again_in(self.heartbeat_ms);
        let code = ErrorCode::from_i16(answer.error_code).unwrap_or(ErrorCode::UnknownServerError);
        let stopping = self.state == State::Stopping;
        match code {
            ErrorCode::None => {}
            // It is another run's registration now, or nobody's.
            ErrorCode::StaleBrokerEpoch | ErrorCode::BrokerIdNotRegistered if stopping => {
                return self.stop(effects);
            }
            ErrorCode::StaleBrokerEpoch => return self.enter(State::Registering),
            ErrorCode::BrokerIdNotRegistered => {
                let id = self.registration.broker_id;
                let why = format!("broker {id} was unregistered while it ran");
                return effects.push(LifecycleEffect::Fatal(why));
            }
            _ => return self.again_in(RETRY_MS),
        }
        match self.state {
            State::Fenced if answer.is_fenced => self.again_in(EAGER_MS),
            State::Fenced => {
                self.state = State::Running;
                if !self.ready {
                    self.ready = true;
                    effects.push(LifecycleEffect::Ready);
                }
            }
            State::Stopping if answer.should_shut_down => self.stop(effects),
            State::Stopping => self.again_in(EAGER_MS),
            _ => {}
        }
    }

    /// What follows from where things stand.
    fn go_on(&mut self, effects: &mut Vec<LifecycleEffect>) {
        if self.state == State::CatchingUp && self.applied.0 > self.epoch {
            self.state = State::Loading;
            effects.push(LifecycleEffect::LoadLogs);
        }
        let for_long = |since: Option<i64>, ms: i64| {
            since.is_some_and(|since| self.clock.now().saturating_sub(since) >= ms)
        };
        let in_vain = for_long(self.leaderless_since, LEADERLESS_STOP_MS)
            || for_long(self.deserted_since, DESERTED_STOP_MS);
        if self.state == State::Stopping && in_vain {
            self.stop(effects);
        }
        if self.asking
            || !self.leader
            || self.clock.now() < self.next_at
            || self.state == State::Stopped
        {
            return;
        }
        if self.held_up && matches!(self.state, State::Fenced | State::Running) {
            // On purpose: clients are to be told that the broker is gone, not to wait for its disk.
            return;
        }
        self.asking = true;
        effects.push(if self.state == State::Registering {
            LifecycleEffect::Register(self.registration.clone())
        } else {
            LifecycleEffect::Heartbeat(self.heartbeat())
        });
    }

    fn heartbeat(&self) -> BrokerHeartbeatRequest {
        BrokerHeartbeatRequest {
            broker_id: self.registration.broker_id,
            broker_epoch: self.epoch,
            current_metadata_offset: self.applied.0 - 1,
            want_fence: !self.loaded,
            want_shut_down: self.state == State::Stopping,
            offline_log_dirs: self.offline.clone(),
            cordoned_log_dirs: self.cordoned.clone(),
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.again_in(0);
    }

    fn stop(&mut self, effects: &mut Vec<LifecycleEffect>) {
        self.state = State::Stopped;
        effects.push(LifecycleEffect::MayStop);
    }

    fn again_in(&mut self, ms: i64) {
        self.next_at = self.clock.now().saturating_add(ms);
    }
}

#[cfg(test)]
mod tests;
