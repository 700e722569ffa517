//! What must hold of the cluster at every moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use metadata::Image;
use node::{ControlStatus, Node};
use wire::ids::{BrokerId, LeaderEpoch, Offset};

#[derive(Default)]
pub(crate) struct Oracle {
    leaders: BTreeMap<LeaderEpoch, BrokerId>,
    /// The image at an offset of the metadata log, as the first broker showed it.
    truth: BTreeMap<Offset, Arc<Image>>,
    /// How far each host's image is, and the epoch that it was last in, in this life.
    shown: BTreeMap<usize, (Offset, LeaderEpoch)>,
}

impl Oracle {
    pub(crate) fn started(&mut self, at: usize) {
        self.shown.remove(&at);
    }

    /// One leader per epoch, whoever is asked; no epoch falls.
    pub(crate) fn stands(&mut self, at: usize, status: &ControlStatus) {
        let shown = self.shown.entry(at).or_insert((Offset(0), LeaderEpoch(0)));
        assert!(status.epoch >= shown.1, "node {at} falls back to epoch {}", status.epoch);
        shown.1 = status.epoch;
        if let Some(leader) = status.leader {
            let known = *self.leaders.entry(status.epoch).or_insert(leader);
            assert_eq!(known, leader, "two leaders of epoch {}", status.epoch);
        }
    }

    /// One image per offset, and none goes back.
    pub(crate) fn shows(&mut self, at: usize, node: &Node, upto: Offset) {
        let shown = self.shown.entry(at).or_insert((Offset(0), LeaderEpoch(0)));
        assert!(upto >= shown.0, "node {at} shows {upto} after {}", shown.0);
        shown.0 = upto;
        let image = node.image();
        let known = self.truth.entry(upto).or_insert_with(|| Arc::clone(&image));
        assert!(**known == *image, "node {at} shows another cluster at offset {upto}");
    }

    pub(crate) fn epochs(&self) -> u64 {
        self.leaders.len() as u64
    }
}
