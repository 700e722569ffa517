//! The controller: one decision at a time, durable before it counts.

use std::sync::{Arc, MutexGuard, PoisonError};

use metadata::control::{Context, Decision};
use metadata::{Delta, Image, MetadataRecord};
use storage::directory::LogDirs;

use crate::error::Error;
use crate::metadata_log::MetadataLog;
use crate::node::Node;
use crate::notice::Notice;
use crate::random::Random;

/// What decisions are made with and written to. One lock serialises them.
pub(crate) struct Controller {
    pub(crate) random: Random,
    pub(crate) log: MetadataLog,
    /// The records of a write that failed: before the next decision the log is loaded again, if
    /// it can be, and tells whether they are in it.
    broken: Option<Vec<MetadataRecord>>,
}

impl Controller {
    pub(crate) fn new(log: MetadataLog, random: Random) -> Self {
        Self { random, log, broken: None }
    }

    /// Decides over `image` and commits; the image in force is the caller's business. Used while
    /// the node comes up.
    pub(crate) fn decide_alone<R>(
        &mut self,
        now_ms: i64,
        settings: &metadata::control::Settings,
        image: &mut Image,
        decide: impl FnOnce(&mut Context<'_>, i64) -> Decision<R>,
    ) -> Result<R, Error> {
        let decision = self.decision(settings, image, decide);
        if !decision.records.is_empty() {
            *image = self.log.commit(now_ms, image, &decision.records)?.0;
        }
        Ok(decision.response)
    }

    fn decision<R>(
        &mut self,
        settings: &metadata::control::Settings,
        image: &Image,
        decide: impl FnOnce(&mut Context<'_>, i64) -> Decision<R>,
    ) -> Decision<R> {
        let next_offset = self.log.end_offset().0;
        let random = &mut self.random;
        let mut context = Context { image, settings, random: &mut || random.u128() };
        decide(&mut context, next_offset)
    }
}

impl Node {
    /// Decides, commits, and puts the outcome in force before it returns the answer.
    pub(crate) fn decide<R>(
        &self,
        now_ms: i64,
        decide: impl FnOnce(&mut Context<'_>) -> Decision<R>,
    ) -> Result<R, Error> {
        let mut controller = self.controller();
        self.heal(now_ms, &mut controller)?;
        let image = self.image.load_full();
        let settings = &self.config.settings;
        let decision = controller.decision(settings, &image, |context, _| decide(context));
        if !decision.records.is_empty() {
            self.put_in_force(now_ms, &mut controller, &image, &decision.records)?;
        }
        Ok(decision.response)
    }

    /// Lets the metadata log take the snapshot that is due, if one is. Blocks on the disk.
    ///
    /// # Errors
    /// The disk refused; the next decision tries again.
    pub fn metadata_tick(&self, now_ms: i64) -> Result<(), Error> {
        let mut controller = self.controller();
        self.heal(now_ms, &mut controller)?;
        let image = self.image.load_full();
        let done = controller.log.tick(now_ms, &image);
        if let Some(error) = controller.log.late.take_news() {
            self.notices.push(Notice::Upkeep { error });
        }
        if let Err(error) = &done {
            controller.broken = Some(Vec::new());
            self.metadata_failed(error);
        }
        done
    }

    fn put_in_force(
        &self,
        now_ms: i64,
        controller: &mut Controller,
        image: &Image,
        records: &[MetadataRecord],
    ) -> Result<(), Error> {
        let committed = controller.log.commit(now_ms, image, records);
        if let Err(error) = &committed
            && !matches!(error, Error::Replay(_) | Error::ProposalRefused(_))
        {
            controller.broken = Some(records.to_vec());
            self.metadata_failed(error);
        }
        let (next, delta) = committed?;
        self.publish(now_ms, controller, next, &delta);
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

    fn publish(&self, now_ms: i64, controller: &mut Controller, next: Image, delta: &Delta) {
        self.start_changed(now_ms, &next, delta);
        self.image.store(Arc::new(next));
        let random = &mut controller.random;
        let gone = self.stop_deleted(now_ms, delta, &mut || random.u128());
        self.forget_group_offsets(now_ms, &gone);
    }

    /// After a failed write: what is on disk decides what was committed.
    fn heal(&self, now_ms: i64, controller: &mut Controller) -> Result<(), Error> {
        let Some(records) = controller.broken.take() else { return Ok(()) };
        let healed = match controller.log.heal(now_ms) {
            Ok(healed) => healed,
            Err(error) => {
                controller.broken = Some(records);
                return Err(error);
            }
        };
        let known = self.image.load_full();
        if healed != *known {
            // Then the failed batch reached the disk after all, and nothing else can have.
            let (next, delta) = known.apply(&records)?;
            if healed != next {
                controller.broken = Some(records);
                return Err(Error::ControllerStopped);
            }
            self.publish(now_ms, controller, next, &delta);
        }
        Ok(())
    }

    pub(crate) fn controller(&self) -> MutexGuard<'_, Controller> {
        // A decision changes nothing before it is committed, and the log guards itself.
        self.controller.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
