//! How far the high watermark may stand: the lowest log end over the *maximal* in-sync set.
//!
//! A proposed expansion counts at once, until it is known refused; a shrink counts only once it
//! is known committed (KIP-497). `min.insync.replicas` is checked against the committed set. With
//! one replica all of this comes down to the leader's own log end.

use std::collections::BTreeMap;

use wire::ids::{BrokerId, Offset};

/// The in-sync replicas as the leader knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Isr {
    committed: Vec<BrokerId>,
    proposed: Option<Vec<BrokerId>>,
}

impl Isr {
    /// The set the controller has committed, nothing proposed.
    #[must_use]
    pub fn committed(replicas: Vec<BrokerId>) -> Self {
        Self { committed: replicas, proposed: None }
    }

    /// The set that counts for `min.insync.replicas`.
    #[must_use]
    pub fn committed_replicas(&self) -> &[BrokerId] {
        &self.committed
    }

    /// The leader has asked the controller for `replicas`; the answer is out.
    pub fn propose(&mut self, replicas: Vec<BrokerId>) {
        self.proposed = Some(replicas);
    }

    /// The controller refused the proposal.
    pub fn refused(&mut self) {
        self.proposed = None;
    }

    /// The controller committed `replicas`, which ends any proposal.
    pub fn commit(&mut self, replicas: Vec<BrokerId>) {
        self.committed = replicas;
        self.proposed = None;
    }

    /// Whether `broker` holds the high watermark back.
    #[must_use]
    pub fn counts(&self, broker: BrokerId) -> bool {
        self.committed.contains(&broker)
            || self.proposed.as_ref().is_some_and(|proposed| proposed.contains(&broker))
    }

    /// The high watermark, given the leader's log end and what each follower is known to have
    /// fetched up to. It never goes back below `current`. A counting follower that has not
    /// fetched yet holds it where it is.
    #[must_use]
    pub fn high_watermark(
        &self,
        current: Offset,
        leader: BrokerId,
        leader_end: Offset,
        follower_ends: &BTreeMap<BrokerId, Offset>,
    ) -> Offset {
        let all = self.committed.iter().chain(self.proposed.iter().flatten());
        let lowest = all
            .filter(|broker| **broker != leader)
            .map(|broker| follower_ends.get(broker).copied().unwrap_or(current))
            .fold(leader_end, Offset::min);
        lowest.max(current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(raw: &[i32]) -> Vec<BrokerId> {
        raw.iter().copied().map(BrokerId).collect()
    }

    fn check(isr: &Isr, ends: &[(i32, i64)], expect: i64) {
        let ends = ends.iter().map(|(id, end)| (BrokerId(*id), Offset(*end))).collect();
        let found = isr.high_watermark(Offset(5), BrokerId(1), Offset(20), &ends);
        assert_eq!(found, Offset(expect), "{isr:?} {ends:?}");
    }

    #[test]
    fn one_replica_stands_at_its_own_end() {
        check(&Isr::committed(ids(&[1])), &[], 20);
    }

    #[test]
    fn expansion_counts_at_once_and_shrink_only_when_committed() {
        let mut isr = Isr::committed(ids(&[1, 2]));
        check(&isr, &[(2, 15), (3, 9)], 15);
        isr.propose(ids(&[1, 2, 3]));
        check(&isr, &[(2, 15), (3, 9)], 9);
        isr.refused();
        check(&isr, &[(2, 15), (3, 9)], 15);
        isr.propose(ids(&[1]));
        check(&isr, &[(2, 15)], 15);
        isr.commit(ids(&[1]));
        check(&isr, &[(2, 15)], 20);
    }

    #[test]
    fn it_never_goes_back_and_waits_for_the_unknown() {
        let isr = Isr::committed(ids(&[1, 2]));
        check(&isr, &[(2, 3)], 5);
        check(&isr, &[], 5);
    }
}
