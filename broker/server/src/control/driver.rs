//! The two threads: events in, effects carried out.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use node::{Applied, ApplyBatch, ControlEffect, ControlEvent, Node};
use tracing::{error, info};

use super::queue::Next;
use super::{Control, Progress};
use crate::clock::Clock;
use crate::error::Error;
use crate::peers::Peers;

/// Time passes this often for a quorum of several: a fraction of its shortest pause.
const TICK: Duration = Duration::from_millis(10);
/// And this often for a node alone, whose snapshots are all there is to look after.
const TICK_ALONE: Duration = Duration::from_secs(1);

/// What the threads drive: the node, or a test's stand-in.
pub(crate) trait Plane: Send + Sync + 'static {
    /// [`Node::control`]
    fn control(&self, now_ms: i64, event: ControlEvent) -> Vec<ControlEffect>;
    /// [`Node::apply`]
    fn apply(&self, now_ms: i64, batch: ApplyBatch) -> Applied;
    /// [`Node::load_logs`], and what the logs hold.
    ///
    /// # Errors
    /// Why the broker cannot come up, for people.
    fn load(&self, now_ms: i64) -> Result<(), String>;
    /// Whether there is nobody else in the quorum.
    fn is_alone(&self) -> bool;
}

impl Plane for Node {
    fn control(&self, now_ms: i64, event: ControlEvent) -> Vec<ControlEffect> {
        Self::control(self, now_ms, event)
    }

    fn apply(&self, now_ms: i64, batch: ApplyBatch) -> Applied {
        Self::apply(self, now_ms, batch)
    }

    fn load(&self, now_ms: i64) -> Result<(), String> {
        Self::load_logs(self, now_ms).map_err(|error| error.to_string())
    }

    fn is_alone(&self) -> bool {
        self.config().quorum.is_alone()
    }
}

/// Work that may wait for the disks of partitions.
enum Work {
    Apply(Box<ApplyBatch>),
    Load,
}

/// The threads at work.
#[derive(Debug)]
pub(crate) struct ControlThreads {
    control: Control,
    driver: JoinHandle<()>,
    applier: JoinHandle<()>,
}

impl ControlThreads {
    /// Starts both. `changed` is called after each change that was put in force, `loaded` once the
    /// logs are loaded; both on the thread that applies. `stepped` is called on the other one,
    /// after each step, with the time at which that began.
    pub(crate) fn start<P: Plane>(
        control: &Control,
        plane: Arc<P>,
        clock: Arc<dyn Clock>,
        peers: Peers,
        changed: impl Fn() + Send + 'static,
        loaded: impl Fn() + Send + 'static,
        stepped: impl Fn(Instant) + Send + 'static,
    ) -> Result<Self, Error> {
        let (to_apply, work) = channel();
        let applier = Applier {
            control: control.clone(),
            plane: Arc::clone(&plane),
            clock: Arc::clone(&clock),
        };
        let applier = spawn("tidelog-apply", move || applier.run(&work, &changed, &loaded))?;
        let stepped = Box::new(stepped);
        let driver = Driver { control: control.clone(), plane, clock, peers, to_apply, stepped };
        let driver = spawn("tidelog-quorum", move || driver.run())?;
        Ok(Self { control: control.clone(), driver, applier })
    }

    /// Ends both; what was not decided yet is void.
    pub(crate) fn stop(self) {
        self.control.close();
        for (name, thread) in [("tidelog-quorum", self.driver), ("tidelog-apply", self.applier)] {
            if thread.join().is_err() {
                error!("the thread {name} failed");
            }
        }
    }
}

fn spawn(
    name: &'static str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, Error> {
    let failed = |source| Error::Runtime { part: name, source };
    Builder::new().name(name.to_owned()).spawn(work).map_err(failed)
}

/// Says that the node cannot go on when its thread ends by a panic: nobody would vote or beat for
/// it any more, and it would look alive.
struct Alarm(Control, &'static str);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let why = format!("the thread {} failed", self.1);
            self.0.note(|progress: &mut Progress| progress.fatal = Some(why));
            self.0.close();
        }
    }
}

struct Driver<P> {
    control: Control,
    plane: Arc<P>,
    clock: Arc<dyn Clock>,
    peers: Peers,
    to_apply: Sender<Work>,
    stepped: Box<dyn Fn(Instant) + Send>,
}

impl<P: Plane> Driver<P> {
    fn run(self) {
        let _alarm = Alarm(self.control.clone(), "tidelog-quorum");
        let tick = if self.plane.is_alone() { TICK_ALONE } else { TICK };
        // The first tick comes at once: the quorum has timers to set.
        let mut tick_at = Instant::now();
        loop {
            match self.control.shared.queue.next(tick_at) {
                Next::Closed => return,
                Next::Event(event) if self.control.is_wanted(&event) => self.step(*event),
                Next::Event(_) | Next::Late => {}
            }
            let now = Instant::now();
            if now >= tick_at {
                tick_at = now + tick;
                self.step(ControlEvent::Tick);
            }
        }
    }

    fn step(&self, event: ControlEvent) {
        let began = Instant::now();
        let effects = self.plane.control(self.clock.now_ms(), event);
        (self.stepped)(began);
        for effect in effects {
            self.carry_out(effect);
        }
    }

    fn carry_out(&self, effect: ControlEffect) {
        match effect {
            ControlEffect::Send { id, to, version, request, timeout_ms } => {
                let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or_default());
                self.peers.send(&self.control, id, to, version, request, timeout);
            }
            ControlEffect::Probe { id, broker, host, port, timeout_ms } => {
                let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or_default());
                self.peers.probe(&self.control, id, broker, (host, port), timeout);
            }
            ControlEffect::Respond { token, response } => self.control.respond(token, response),
            // The other thread ends after this one; when it has failed, it has said so.
            ControlEffect::Apply(batch) => drop(self.to_apply.send(Work::Apply(Box::new(batch)))),
            ControlEffect::LoadLogs => drop(self.to_apply.send(Work::Load)),
            ControlEffect::Ready => {
                self.control.note(|progress| progress.ready = true);
            }
            ControlEffect::MayStop => self.control.note(|progress| progress.may_stop = true),
            ControlEffect::Fatal { why } => {
                error!("the node cannot go on: {why}");
                self.control.note(|progress| progress.fatal = Some(why));
            }
        }
    }
}

struct Applier<P> {
    control: Control,
    plane: Arc<P>,
    clock: Arc<dyn Clock>,
}

impl<P: Plane> Applier<P> {
    /// Until the control thread has ended.
    fn run(self, work: &Receiver<Work>, changed: &dyn Fn(), loaded: &dyn Fn()) {
        let _alarm = Alarm(self.control.clone(), "tidelog-apply");
        while let Ok(work) = work.recv() {
            match work {
                Work::Apply(batch) => {
                    let applied = self.plane.apply(self.clock.now_ms(), *batch);
                    changed();
                    self.control.tell(ControlEvent::Applied { upto: applied.upto });
                    for (token, response) in applied.then {
                        self.control.respond(token, response);
                    }
                }
                Work::Load => match self.plane.load(self.clock.now_ms()) {
                    Ok(()) => {
                        info!("logs are loaded");
                        loaded();
                        self.control.tell(ControlEvent::LogsLoaded);
                    }
                    Err(why) => {
                        error!("the logs cannot be loaded: {why}");
                        self.control.note(|progress| progress.fatal = Some(why));
                    }
                },
            }
        }
    }
}
