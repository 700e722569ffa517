//! Which nodes refuse connections: their processes are gone, until one of them answers again.

use std::collections::{BTreeMap, BTreeSet};

use quorum::{Destination, Voters};
use wire::ids::BrokerId;

/// What connections say of other nodes.
#[derive(Debug, Default)]
pub(super) struct Absent {
    /// Whom each question on its way went to.
    asked: BTreeMap<u64, BrokerId>,
    gone: BTreeSet<BrokerId>,
}

impl Absent {
    pub(super) fn asked(&mut self, question: u64, whom: &Destination) {
        if let Destination::Node { id, .. } = whom {
            self.asked.insert(question, *id);
        }
    }

    pub(super) fn answered(&mut self, question: u64) {
        if let Some(node) = self.asked.remove(&question) {
            self.gone.remove(&node);
        }
    }

    pub(super) fn failed(&mut self, question: u64, refused: bool) {
        if let Some(node) = self.asked.remove(&question)
            && refused
        {
            self.gone.insert(node);
        }
    }

    /// Whether so many voters are gone that nothing is decided until one comes back.
    pub(super) fn lack_majority(&self, voters: &Voters) -> bool {
        let gone = voters.iter().filter(|voter| self.gone.contains(&voter.id)).count();
        voters.len().saturating_sub(gone) < voters.majority()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorum::Voter;
    use wire::ids::Uuid;

    #[test]
    fn a_majority_is_missed_until_one_answers() {
        let voter = |id| Voter { id: BrokerId(id), directory: Uuid::ZERO, endpoints: Vec::new() };
        let voters = Voters::new(vec![voter(1), voter(2), voter(3)]);
        let node = |id| Destination::Node { id: BrokerId(id), endpoints: Vec::new() };
        let mut absent = Absent::default();
        for (question, id) in [(1, 2), (2, 3), (3, 2), (4, 3), (5, 2)] {
            absent.asked(question, &node(id));
        }
        absent.asked(6, &Destination::Bootstrap);
        absent.failed(1, true);
        absent.failed(1, true);
        absent.failed(6, true);
        absent.failed(2, false);
        assert!(!absent.lack_majority(&voters), "one of three is gone, another only slow");
        absent.failed(4, true);
        assert!(absent.lack_majority(&voters));
        absent.answered(3);
        assert!(!absent.lack_majority(&voters), "one is back");
        absent.failed(5, true);
        assert!(absent.lack_majority(&voters));
    }
}
