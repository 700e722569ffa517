//! This broker's registration, carried out: its questions go to the active controller, which may be
//! this node.

use std::sync::Arc;

use metadata::Image;
use storage::directory::LogDirs;
use wire::ids::Uuid;

use super::asking::Reply;
use super::forwarding::Sent;
use super::held_up::HeldUp;
use super::lifecycle::{Lifecycle, LifecycleEffect, LifecycleEvent};
use super::plane::Plane;
use super::{ControlEffect, ControlRequest, ControlResponse};
use crate::error::Error;

/// Which log directories this broker registers, given the state of the cluster.
pub(crate) type RegisteredDirs = Arc<dyn Fn(&Image) -> Result<Vec<Uuid>, Error> + Send + Sync>;

/// The registration and what it asks of the disk.
pub(crate) struct Registrar {
    lifecycle: Lifecycle,
    registered: RegisteredDirs,
    dirs: Arc<LogDirs>,
    /// Whether this broker's image has been current once.
    caught_up: bool,
    /// Appends that the disk holds up.
    held_up: HeldUp,
    /// Answers that have come in.
    events: Vec<LifecycleEvent>,
}

impl Registrar {
    pub(crate) fn new(
        lifecycle: Lifecycle,
        registered: RegisteredDirs,
        dirs: Arc<LogDirs>,
    ) -> Self {
        let held_up = HeldUp::new();
        Self { lifecycle, registered, dirs, caught_up: false, held_up, events: Vec::new() }
    }

    /// Which of the registered directories are not in service: one may have been out of reach when
    /// the node started.
    fn offline(&self, registered: &[Uuid]) -> Vec<Uuid> {
        let serving = self.dirs.dirs().iter().filter(|dir| !dir.is_offline());
        let serving: Vec<Uuid> = serving.filter_map(|dir| dir.id()).collect();
        registered.iter().filter(|id| !serving.contains(id)).copied().collect()
    }
}

impl Plane {
    /// This broker's epoch; -1 before it is registered.
    pub(crate) fn broker_epoch(&self) -> i64 {
        self.registrar.as_ref().map_or(-1, |registrar| registrar.lifecycle.epoch())
    }

    /// What watches the appends of this broker, when it is time to look.
    pub(crate) fn held_up_due(&mut self, now_ms: i64) -> Option<&mut HeldUp> {
        let held_up = &mut self.registrar.as_mut()?.held_up;
        held_up.is_due(now_ms).then_some(held_up)
    }

    pub(super) fn registrar_answered(&mut self, response: ControlResponse) {
        let Some(registrar) = &mut self.registrar else { return };
        registrar.events.push(match response {
            ControlResponse::BrokerRegistration(answer) => LifecycleEvent::Registered(answer),
            ControlResponse::BrokerHeartbeat(answer) => LifecycleEvent::HeartbeatAnswered(answer),
            _ => LifecycleEvent::Failed,
        });
    }

    pub(super) fn registrar_failed(&mut self) {
        if let Some(registrar) = &mut self.registrar {
            registrar.events.push(LifecycleEvent::Failed);
        }
    }

    pub(super) fn logs_loaded(&mut self) {
        if let Some(registrar) = &mut self.registrar {
            registrar.events.push(LifecycleEvent::LogsLoaded);
        }
    }

    pub(super) fn shut_down(&mut self) {
        match &mut self.registrar {
            Some(registrar) => registrar.events.push(LifecycleEvent::Shutdown),
            None => {
                // A controller alone hands over; a node that is the whole quorum has nobody to.
                if !self.config.is_alone() {
                    self.step(quorum::Event::Resign);
                    self.settle();
                }
                self.effects.push(ControlEffect::MayStop);
            }
        }
    }

    /// Tells the registration how things stand, and does what it asks for.
    pub(super) fn follow_registration(&mut self) {
        let known = self.leads_ready() || self.controller().is_some();
        let applied = self.applied;
        let whole = self.log.image_end() >= self.log.quorum.log_end();
        let current = known && whole && self.log.image().cluster_id().is_some();
        let now = self.now_ms;
        let pointless = self.stop_is_noticed_by_nobody();
        let cordons = self.registrar.as_ref().and_then(|_| self.cordons());
        let Some(registrar) = &mut self.registrar else { return };
        registrar.caught_up |= current;
        let mut events = std::mem::take(&mut registrar.events);
        events.push(LifecycleEvent::LeaderKnown(known && registrar.caught_up));
        events.push(LifecycleEvent::Applied(applied));
        events.push(LifecycleEvent::Deserted(pointless));
        let known = self.log.image().brokers.get(self.own.id);
        if let Some(known) = known.filter(|known| known.epoch == registrar.lifecycle.epoch()) {
            let offline = registrar.offline(&known.log_dirs);
            if !offline.is_empty() {
                events.push(LifecycleEvent::DirectoriesOffline(offline));
            }
        }
        events.push(LifecycleEvent::HeldUp(registrar.held_up.is_held_up()));
        events.extend(cordons);
        events.push(LifecycleEvent::Tick);
        let mut effects = Vec::new();
        for event in events {
            effects.extend(registrar.lifecycle.step(now, event));
        }
        for effect in effects {
            self.carry_out(effect);
            self.settle();
        }
    }

    /// Whether a controlled shutdown would serve nobody: no other broker could take over, or no
    /// controller can decide that one does.
    fn stop_is_noticed_by_nobody(&self) -> bool {
        let own = self.own.id;
        let brokers = &self.log.image().brokers;
        !brokers.iter().any(|other| other.id != own && other.is_active())
            || self.absent.lack_majority(self.log.quorum.voters())
    }

    fn carry_out(&mut self, effect: LifecycleEffect) {
        match effect {
            LifecycleEffect::Register(mut request) => {
                let Some(registrar) = &self.registrar else { return };
                match (registrar.registered)(self.log.image()) {
                    Ok(dirs) => request.log_dirs = dirs,
                    Err(error) => {
                        let why = error.to_string();
                        return self.effects.push(ControlEffect::Fatal { why });
                    }
                }
                request.cluster_id = self.log.image().cluster_id().unwrap_or_default().to_owned();
                self.ask_controller(request.into());
            }
            LifecycleEffect::Heartbeat(request) => self.ask_controller(request.into()),
            LifecycleEffect::LoadLogs => self.effects.push(ControlEffect::LoadLogs),
            LifecycleEffect::Ready => self.effects.push(ControlEffect::Ready),
            LifecycleEffect::MayStop => {
                self.step(quorum::Event::Resign);
                self.settle();
                self.effects.push(ControlEffect::MayStop);
            }
            LifecycleEffect::Fatal(why) => self.effects.push(ControlEffect::Fatal { why }),
        }
    }

    /// Asks the active controller for this broker itself.
    fn ask_controller(&mut self, request: ControlRequest) {
        if self.leads_ready() {
            let version = *request.key().versions().end();
            self.decide(Reply::Registrar, version, request);
        } else if let Some((leader, to)) = self.controller() {
            self.send(Sent::Registrar(leader), to, request);
        } else {
            self.registrar_failed();
        }
    }
}
