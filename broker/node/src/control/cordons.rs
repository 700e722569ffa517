//! Log directories that are to take no new partitions (`cordoned.log.dirs`, KIP-1066): this broker
//! says so to the controller, which places nothing on a broker whose every directory is cordoned,
//! and chooses others among its own itself.

use std::path::Path;

use metadata::control::brokers;
use metadata::features::CORDONS_FROM;
use wire::ids::Uuid;

use super::lifecycle::LifecycleEvent;
use super::plane::Plane;

/// The key, which one broker has, changed while it runs.
const KEY: &str = "cordoned.log.dirs";
/// In the place of a path: all of them.
const ALL: &str = "*";

impl Plane {
    /// The directories that are cordoned, as they are set now; `None` while the cluster's
    /// `metadata.version` has no word for it. The directories themselves hear of it.
    fn cordoned(&self) -> Option<Vec<Uuid>> {
        let image = self.log.image();
        if image.features.metadata_version() < CORDONS_FROM {
            return None;
        }
        let set = self.settings.broker.layers(image, self.own.id).value(KEY);
        let set = set.map(|setting| setting.text).unwrap_or_default();
        let named = |path: &Path| {
            let mut entries = set.split(',').map(str::trim).filter(|entry| !entry.is_empty());
            entries.any(|entry| entry == ALL || Path::new(entry) == path)
        };
        let mut cordoned = Vec::new();
        for dir in self.dirs.dirs() {
            let closed = named(dir.path());
            dir.set_cordoned(closed);
            cordoned.extend(dir.id().filter(|_| closed));
        }
        Some(cordoned)
    }

    /// For the next heartbeat.
    pub(super) fn cordons(&self) -> Option<LifecycleEvent> {
        self.cordoned().map(LifecycleEvent::Cordoned)
    }

    /// A node that is alone sends itself no heartbeats: it writes down what has changed.
    pub(super) fn follow_cordons(&mut self) {
        if !self.config.is_alone() || !self.leads_ready() {
            return;
        }
        let Some(cordoned) = self.cordoned() else { return };
        let own = self.own.id;
        self.write(|ctx| {
            let Some(broker) = ctx.image.brokers.get(own) else { return Vec::new() };
            brokers::cordoned(broker, Some(&cordoned)).into_iter().collect()
        });
    }
}
