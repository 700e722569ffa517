//! The node around its control plane: events in, effects out, and what is committed put in force.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metadata::{Delta, Image, TopicChange};
use storage::directory::LogDirs;
use wire::ErrorCode;
use wire::ids::Offset;

use super::plane::Plane;
use super::{
    Applied, ApplyBatch, Asker, ControlEffect, ControlEvent, ControlRequest, ControlResponse,
};
use crate::error::Error;
use crate::node::Node;
use crate::notice::Notice;
use crate::random::Random;

/// The caller's name of a question that is answered before the call returns.
const AT_ONCE: super::Token = super::Token::MAX;

/// What puts changes in force, one at a time. Its lock comes before the plane's.
#[derive(Debug)]
pub(crate) struct Applying {
    /// Names the directories of what was deleted.
    pub(crate) random: Random,
    /// Whether the logs of the image's partitions were loaded: before that nothing is started.
    pub(crate) loaded: bool,
}

impl Node {
    /// Takes an event and says what to do about it. One thread calls this; it waits for the
    /// metadata log's disk.
    pub fn control(&self, now_ms: i64, event: ControlEvent) -> Vec<ControlEffect> {
        let mut plane = self.plane();
        if let Some(held_up) = plane.held_up_due(now_ms) {
            held_up.look(self.partitions.appends_under_way().into_iter());
        }
        let mut effects = plane.take(now_ms, event);
        self.follow(&mut plane, &mut effects);
        effects
    }

    /// Puts committed changes in force: starts and stops partitions, publishes the image. Blocks
    /// on the disk.
    pub fn apply(&self, now_ms: i64, batch: ApplyBatch) -> Applied {
        let mut applying = self.applying();
        let ApplyBatch { upto, next, delta, then } = batch;
        self.put_in_force(now_ms, &mut applying, (next, upto), &delta);
        Applied { upto, then }
    }

    /// Lets the metadata log take the snapshot that is due, if one is, on a node that is alone.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// The disk refused; the next decision tries again.
    pub fn metadata_tick(&self, now_ms: i64) -> Result<(), Error> {
        self.control_alone(now_ms, ControlEvent::Tick);
        match self.plane().is_broken() {
            true => Err(Error::ControllerStopped),
            false => Ok(()),
        }
    }

    /// Asks a node that is alone, which has answered when this returns. Blocks on the disk.
    pub(crate) fn ask_alone(
        &self,
        now_ms: i64,
        version: i16,
        request: ControlRequest,
    ) -> ControlResponse {
        let refused =
            request.refused(ErrorCode::NotController, "This node is not alone: ask its plane.");
        if !self.config.quorum.is_alone() {
            return refused;
        }
        let ask = ControlEvent::Ask { token: AT_ONCE, asker: Asker::own(version), request };
        let effects = self.control_alone(now_ms, ask);
        let answer = effects.into_iter().find_map(|effect| match effect {
            ControlEffect::Respond { token: AT_ONCE, response } => Some(response),
            _ => None,
        });
        answer.unwrap_or(refused)
    }

    /// As [`Self::control`], and puts in force what was decided: for who drives a node that is
    /// alone without threads of its own for that.
    fn control_alone(&self, now_ms: i64, event: ControlEvent) -> Vec<ControlEffect> {
        // Held throughout: changes are put in force in the order in which they were decided.
        let mut applying = self.applying();
        let mut plane = self.plane();
        let mut effects = plane.take(now_ms, event);
        self.follow(&mut plane, &mut effects);
        let mut left = Vec::new();
        for effect in effects {
            let ControlEffect::Apply(batch) = effect else {
                left.push(effect);
                continue;
            };
            let ApplyBatch { upto, next, delta, then } = batch;
            self.put_in_force(now_ms, &mut applying, (next, upto), &delta);
            plane.note_applied(upto);
            let respond = |(token, response)| ControlEffect::Respond { token, response };
            left.extend(then.into_iter().map(respond));
        }
        left
    }

    /// What the plane's steps mean to the rest of the node.
    fn follow(&self, plane: &mut Plane, effects: &mut Vec<ControlEffect>) {
        for error in plane.take_failures() {
            self.metadata_failed(&error);
        }
        if let Some(error) = plane.take_late_snapshot() {
            self.notices.push(Notice::Upkeep { error });
        }
        if let Some(text) = plane.log.not_taken.take_news() {
            self.notices.push(Notice::NotTaken { text });
        }
        if let Some(text) = plane.claims.take_news() {
            self.notices.push(Notice::OtherCluster { text });
        }
        self.show_status(plane);
        self.broker_epoch.store(self.own_epoch(plane), Ordering::Relaxed);
        if let Err(error) = self.meet_cluster(plane) {
            effects.push(ControlEffect::Fatal { why: error.to_string() });
        }
    }

    fn own_epoch(&self, plane: &Plane) -> i64 {
        match plane.broker_epoch() {
            -1 => self.broker_epoch.load(Ordering::Relaxed),
            epoch => epoch,
        }
    }

    /// The metadata log says which cluster this is: the directories of a fresh node learn it, those
    /// of another cluster end it.
    fn meet_cluster(&self, plane: &mut Plane) -> Result<(), Error> {
        let entries = plane.image().kept.access_control_entries();
        if entries > 0 {
            return Err(Error::AccessControl(entries));
        }
        let Some(log) = plane.image().cluster_id() else { return Ok(()) };
        let met = self.cluster_id.get();
        if let Some(known) = met.or(self.config.cluster_id.as_ref()).filter(|known| *known != log) {
            return Err(Error::TwoClusters { own: known.clone(), log: log.to_owned() });
        }
        if met.is_some() {
            return Ok(());
        }
        let log = log.to_owned();
        for dirs in self.metadata_dirs.iter().chain([&*self.dirs]) {
            // Every directory has its id already: no randomness is used.
            dirs.format(&log, &mut || 0)?;
        }
        plane.learn_cluster(&log);
        let _ = self.cluster_id.set(log);
        Ok(())
    }

    /// The metadata log was refused by its disk: unless that heals, its directory goes offline
    /// like any other.
    fn metadata_failed(&self, error: &Error) {
        self.notices.push(Notice::ControllerStopped { why: error.to_string() });
        let Some(disk_error) = error.disk_error() else { return };
        let all = self.dirs.dirs().iter().chain(self.metadata_dirs.iter().flat_map(LogDirs::dirs));
        for dir in all.filter(|dir| disk_error.path.starts_with(dir.path())) {
            dir.note_failure(disk_error);
        }
        self.follow_offline_dirs();
    }

    fn put_in_force(
        &self,
        now_ms: i64,
        applying: &mut Applying,
        (next, upto): (Image, Offset),
        delta: &Delta,
    ) {
        let succeeded = succeeded(&next, delta);
        let taken = |name: &str| succeeded.contains(name);
        let mut gone = BTreeSet::new();
        if applying.loaded {
            // Their directories are about to be those of others.
            let random = &mut applying.random;
            gone = self.stop_deleted(now_ms, delta, &taken, &mut || random.u128());
            self.start_changed(now_ms, &next, delta);
        }
        self.image.store(Arc::new(next));
        self.image_end.store(upto.0, Ordering::Release);
        if !applying.loaded {
            return;
        }
        let random = &mut applying.random;
        let free = |name: &str| !taken(name);
        gone.append(&mut self.stop_deleted(now_ms, delta, &free, &mut || random.u128()));
        self.forget_group_offsets(now_ms, &gone);
    }

    pub(crate) fn plane(&self) -> MutexGuard<'_, Plane> {
        // A decision changes nothing before it is committed, and the log guards itself.
        held(&self.plane)
    }

    pub(crate) fn applying(&self) -> MutexGuard<'_, Applying> {
        held(&self.applying)
    }
}

/// The names of deleted topics that others have taken over already.
fn succeeded(next: &Image, delta: &Delta) -> BTreeSet<String> {
    let names = delta.topics.values().filter_map(|change| match change {
        TopicChange::Deleted { before } => Some(&before.name),
        TopicChange::Changed { .. } => None,
    });
    let taken = names.filter(|name| next.topics.by_name(name).is_some());
    taken.map(|name| name.to_string()).collect()
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
