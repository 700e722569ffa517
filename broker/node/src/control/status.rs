//! How the quorum stands, for those who only look.

use std::sync::Arc;

use wire::ids::{BrokerId, LeaderEpoch};

use super::plane::Plane;
use crate::node::Node;
use crate::notice::Notice;

/// The quorum as this node knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControlStatus {
    /// The active controller, if it is known.
    pub leader: Option<BrokerId>,
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// The level of `kraft.version`.
    pub kraft_version: i16,
    /// The voters, and where each is reached.
    pub voters: Vec<quorum::Voter>,
    /// What is odd about the ids of the clusters that the configured controllers belong to.
    pub stranger: Option<String>,
}

impl Node {
    /// How the quorum stands. Cheap.
    #[must_use]
    pub fn control_status(&self) -> Arc<ControlStatus> {
        self.status.load_full()
    }

    /// Shows how the quorum stands after a step of the plane.
    pub(crate) fn show_status(&self, plane: &Plane) {
        let quorum = &plane.log.quorum;
        let mut voters: Vec<quorum::Voter> = quorum.voters().iter().cloned().collect();
        // A node that is alone tells nobody where it is reached, so its log does not say.
        for own in voters.iter_mut().filter(|one| one.id == self.node_id()) {
            own.endpoints.clone_from(&self.config.quorum.endpoints);
        }
        let stranger = plane.stranger().cloned();
        let (leader, epoch) = (quorum.leader(), quorum.epoch());
        let kraft_version = quorum.kraft_version();
        let next = ControlStatus { leader, epoch, kraft_version, voters, stranger };
        let known = self.status.load();
        if let Some(text) = next.stranger.as_ref().filter(|_| known.stranger != next.stranger) {
            self.notices.push(Notice::OtherCluster { text: text.clone() });
        }
        if **known != next {
            self.status.store(Arc::new(next));
        }
    }
}
