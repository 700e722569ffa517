//! The plane: one event in, the effects out. Nothing here waits but the metadata log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use metadata::Image;
use metadata::control::Settings;
use quorum::{Clock, Endpoint, Event, ReplicaKey};
use storage::directory::LogDirs;
use storage::disk::DiskError;
use wire::ErrorCode;
use wire::ids::Offset;

use super::absent::Absent;
use super::asking::Asked;
use super::claims::Claims;
use super::enrolment::Enrolment;
use super::forwarding::{Forward, Sent};
use super::leading::Lead;
use super::neighbours::Neighbours;
use super::registration::Registrar;
use super::showing::Showing;
use super::{
    ApplyBatch, ControlEffect, ControlEvent, ControlRequest, ControlResponse, ListenerKind, Token,
};
use crate::config::QuorumConfig;
use crate::error::Error;
use crate::metadata_log::{MetadataLog, Outcome};
use crate::random::Random;

/// How long the metadata log is left alone after its disk has refused a write.
const HEAL_WAIT_MS: i64 = 1_000;

/// All of the control plane's state. One lock holds it.
pub(crate) struct Plane {
    /// The time as given, which stamps records. It may be set back.
    pub(super) now_ms: i64,
    /// What has passed since the first event; waits go by it.
    pub(super) clock: Clock,
    pub(super) random: Random,
    pub(super) log: MetadataLog,
    pub(super) settings: Settings,
    pub(super) config: QuorumConfig,
    /// This node with its metadata directory.
    pub(super) own: ReplicaKey,
    pub(super) cluster_id: Option<String>,
    started: bool,
    /// The disk has refused a write; the log is loaded again at this time or at the next call.
    broken: Option<i64>,
    /// What went wrong, for the node to act on.
    failures: Vec<Error>,
    /// While it leads.
    pub(super) lead: Option<Lead>,
    pub(super) next_name: u64,
    /// Who asked what of the quorum, by the quorum's name of it.
    pub(super) asked: BTreeMap<u64, Asked>,
    /// Whom this node has asked what.
    pub(super) sent: BTreeMap<u64, Sent>,
    pub(super) absent: Absent,
    /// What waits for an active controller.
    pub(super) parked: VecDeque<Forward>,
    /// Answers of the controller that this broker's image does not show yet.
    pub(super) showing: Showing,
    pub(super) registrar: Option<Registrar>,
    pub(super) enrolment: Option<Enrolment>,
    /// Of a node that knew its cluster at its start.
    pub(super) neighbours: Option<Neighbours>,
    pub(crate) claims: Claims,
    /// The log directories of this node's broker.
    pub(super) dirs: Arc<LogDirs>,
    /// The image in force contains everything before.
    pub(super) applied: Offset,
    /// What was handed out to be applied.
    handed: Offset,
    /// Answers that leave when the image shows what they tell of.
    then: Vec<(Token, ControlResponse)>,
    outcomes: VecDeque<Outcome>,
    pub(super) effects: Vec<ControlEffect>,
}

/// What a plane begins with.
pub(crate) struct PlaneArgs {
    pub(crate) random: Random,
    pub(crate) log: MetadataLog,
    pub(crate) settings: Settings,
    pub(crate) config: QuorumConfig,
    pub(crate) own: ReplicaKey,
    pub(crate) cluster_id: Option<String>,
    pub(crate) registrar: Option<Registrar>,
    pub(crate) enrolment: Option<Enrolment>,
    pub(crate) dirs: Arc<LogDirs>,
}

impl Plane {
    pub(crate) fn new(args: PlaneArgs) -> Self {
        let PlaneArgs {
            random,
            log,
            settings,
            config,
            own,
            cluster_id,
            registrar,
            enrolment,
            dirs,
        } = args;
        let applied = log.image_end();
        let neighbours = Neighbours::of(cluster_id.clone(), own.id, &config);
        Self {
            now_ms: 0,
            clock: Clock::default(),
            random,
            log,
            settings,
            config,
            own,
            cluster_id,
            started: false,
            broken: None,
            failures: Vec::new(),
            lead: None,
            next_name: 0,
            asked: BTreeMap::new(),
            sent: BTreeMap::new(),
            absent: Absent::default(),
            parked: VecDeque::new(),
            showing: Showing::default(),
            registrar,
            enrolment,
            neighbours,
            claims: Claims::default(),
            dirs,
            applied,
            handed: applied,
            then: Vec::new(),
            outcomes: VecDeque::new(),
            effects: Vec::new(),
        }
    }

    /// Takes an event and says what to do about it.
    pub(crate) fn take(&mut self, now_ms: i64, event: ControlEvent) -> Vec<ControlEffect> {
        self.clock.advance(now_ms);
        self.now_ms = now_ms;
        if self.broken.is_some() {
            self.heal();
        } else if !self.started {
            self.started = true;
            self.step(Event::Start);
        }
        match event {
            ControlEvent::Tick => self.tick(),
            ControlEvent::Ask { token, asker, request } => self.ask(token, asker, request),
            ControlEvent::Gone { token } => self.gone(token),
            ControlEvent::Answer { id, response } => self.answered(id, response),
            ControlEvent::Failed { id, refused } => self.failed(id, refused),
            ControlEvent::Applied { upto } => self.note_applied(upto),
            ControlEvent::LogsLoaded => self.logs_loaded(),
            ControlEvent::Shutdown => self.shut_down(),
        }
        self.settle();
        self.follow_registration();
        self.settle();
        self.follow_enrolment();
        self.settle();
        self.follow_cordons();
        self.settle();
        self.forward_parked();
        self.settle();
        self.show_answers();
        self.hand_out_answers();
        std::mem::take(&mut self.effects)
    }

    /// What went wrong since the last call.
    pub(crate) fn take_failures(&mut self) -> Vec<Error> {
        std::mem::take(&mut self.failures)
    }

    /// Why a snapshot of the metadata waits, once.
    pub(crate) fn take_late_snapshot(&mut self) -> Option<DiskError> {
        self.log.late.take_news()
    }

    /// The quorum.
    pub(crate) fn quorum(&self) -> &quorum::Quorum {
        &self.log.quorum
    }

    /// The plane's randomness.
    pub(crate) fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// The committed state.
    pub(crate) fn image(&self) -> &Image {
        self.log.image()
    }

    /// Whether the metadata log is out of order.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// The image in force contains everything before.
    pub(crate) fn applied(&self) -> Offset {
        self.applied
    }

    /// The image in force contains everything before `upto`.
    pub(crate) fn note_applied(&mut self, upto: Offset) {
        self.applied = self.applied.max(upto);
    }

    /// Begins, on a node that is alone: it leads, and its state is whole.
    pub(crate) fn start_alone(&mut self, now_ms: i64) -> Result<(), Error> {
        self.clock.advance(now_ms);
        self.now_ms = now_ms;
        self.started = true;
        self.step(Event::Start);
        self.settle();
        self.effects.clear();
        match self.failures.pop() {
            Some(error) => Err(error),
            None if self.leads_ready() => Ok(()),
            None => Err(Error::ControllerStopped),
        }
    }

    /// What was handed out so far is in the image that the node begins with.
    pub(crate) fn begin_applied(&mut self) {
        self.effects.clear();
        self.applied = self.log.image_end();
        self.handed = self.applied;
    }

    /// Clean stop; whether all of the metadata log is on the disk.
    pub(crate) fn close(&mut self) -> Result<bool, Error> {
        self.log.close()
    }

    /// The cluster's id is known from now on.
    pub(crate) fn learn_cluster(&mut self, cluster_id: &str) {
        self.cluster_id = Some(cluster_id.to_owned());
        self.log.learn_cluster(cluster_id);
    }

    fn tick(&mut self) {
        self.step(Event::Tick);
        self.settle();
        self.fence_overdue();
        self.probe_silent();
        self.expire_parked();
        self.follow_neighbours();
    }

    pub(super) fn next_name(&mut self) -> u64 {
        self.next_name = self.next_name.wrapping_add(1);
        self.next_name
    }

    /// Steps the quorum; what comes out is dealt with by `settle`.
    pub(super) fn step(&mut self, event: Event) {
        let mut out = Vec::new();
        let result = self.log.step(self.now_ms, event, &mut out);
        self.outcomes.extend(out);
        if let Err(error) = result {
            self.settle();
            self.broke(error);
        }
    }

    /// Proposes records; gives the offset of the last of them once they are in the log, or what an
    /// operator should know.
    pub(super) fn propose(&mut self, records: Vec<bytes::Bytes>) -> Result<Offset, String> {
        let name = self.next_name();
        let mut out = Vec::new();
        let result = self.log.step(self.now_ms, Event::Propose { token: name, records }, &mut out);
        let mut taken = Err(Error::ControllerStopped.to_string());
        for outcome in out {
            match outcome {
                Outcome::Accepted { token, last } if token == name => taken = Ok(last),
                Outcome::Refused { token, why } if token == name => {
                    taken = Err(why.to_string());
                }
                other => self.outcomes.push_back(other),
            }
        }
        match result {
            Ok(()) => taken,
            Err(error) => {
                let told = error.to_string();
                self.settle();
                self.broke(error);
                Err(told)
            }
        }
    }

    /// Deals with what the quorum has said until it says nothing more.
    pub(super) fn settle(&mut self) {
        while let Some(outcome) = self.outcomes.pop_front() {
            match outcome {
                Outcome::Send { id, to, request } => self.send_quorum(id, to, request),
                Outcome::Respond { token, response } => self.respond_quorum(token, response),
                Outcome::Elected { epoch, start } => self.elected(epoch, start),
                Outcome::Deposed => self.deposed(),
                // Proposals are answered where they are made.
                Outcome::Accepted { .. } | Outcome::Refused { .. } => {}
                Outcome::Committed { upto, image, delta } => {
                    let next = image.clone();
                    let then = Vec::new();
                    self.handed = upto;
                    let batch = ApplyBatch { upto, next, delta, then };
                    self.effects.push(ControlEffect::Apply(batch));
                    self.committed(upto, &image);
                }
            }
        }
    }

    /// Answers that tell this broker's own clients of a change leave when its image shows it.
    pub(super) fn answer_when_applied(&mut self, token: Token, response: ControlResponse) {
        self.then.push((token, response));
    }

    fn hand_out_answers(&mut self) {
        if self.then.is_empty() {
            return;
        }
        let mut then = std::mem::take(&mut self.then);
        let batches = self.effects.iter_mut().rev().filter_map(|effect| match effect {
            ControlEffect::Apply(batch) => Some(batch),
            _ => None,
        });
        if let Some(batch) = { batches }.next() {
            batch.then.append(&mut then);
        } else if self.handed > self.applied {
            let (upto, next) = (self.handed, self.log.image().clone());
            let batch = ApplyBatch { upto, next, delta: Default::default(), then };
            self.effects.push(ControlEffect::Apply(batch));
        } else {
            let respond = |(token, response)| ControlEffect::Respond { token, response };
            self.effects.extend(then.into_iter().map(respond));
        }
    }

    /// The disk has refused, or the quorum has stopped: nobody who waits for it waits on.
    fn broke(&mut self, error: Error) {
        let why = error.to_string();
        let heals = error.disk_error().is_some_and(DiskError::heals);
        self.broken = Some(self.clock.now().saturating_add(HEAL_WAIT_MS));
        self.failures.push(error);
        self.outcomes.clear();
        self.give_up_proposals(ErrorCode::KafkaStorageError, &why);
        for (_, asked) in std::mem::take(&mut self.asked) {
            let refused = asked.request.refused(ErrorCode::NotLeaderOrFollower, &why);
            self.reply(asked.reply, refused);
        }
        self.sent.retain(|_, sent| !matches!(sent, Sent::Quorum(_)));
        if !heals && !self.config.is_alone() {
            self.effects.push(ControlEffect::Fatal { why });
        }
    }

    /// After a failed write: what is on disk decides what was appended.
    fn heal(&mut self) {
        let due = self.broken.is_none_or(|at| self.config.is_alone() || self.clock.now() >= at);
        if !due {
            return;
        }
        match self.log.heal() {
            Ok(()) => {
                self.broken = None;
                self.step(Event::Start);
                self.settle();
            }
            Err(error) => {
                self.broken = Some(self.clock.now().saturating_add(HEAL_WAIT_MS));
                self.failures.push(error);
            }
        }
    }

    /// Where others reach this node as a controller.
    pub(super) fn endpoints(&self) -> &[Endpoint] {
        &self.config.endpoints
    }
}

/// Whether a question came from this broker's own handlers.
pub(super) fn is_own(listener: ListenerKind) -> bool {
    listener == ListenerKind::Client
}

/// The refusal of a node that is not the active controller.
pub(super) fn not_controller(request: &ControlRequest) -> ControlResponse {
    request.refused(ErrorCode::NotController, "This is not the active controller.")
}
