//! What must hold of the cluster at every moment: of each node as it stands, and of all of them
//! beside the truth (`truth.rs`).

use std::collections::BTreeMap;

use node::{QuorumState, Role};
use quorum::Voter;
use storage::disk::sim::SimDisk;
use wire::ids::{BrokerId, LeaderEpoch, Offset};

use crate::logs::LogView;
use crate::truth::{Committer, Holder, Truth};

/// A node in this life.
#[derive(Default)]
struct Seen {
    shown: Offset,
    epoch: LeaderEpoch,
    high_watermark: Offset,
    led: Option<LeaderEpoch>,
    voters: Vec<Voter>,
    view: LogView,
}

#[derive(Default)]
pub(crate) struct Oracle {
    leaders: BTreeMap<LeaderEpoch, BrokerId>,
    nodes: BTreeMap<usize, Seen>,
    pub(crate) truth: Truth,
}

impl Oracle {
    pub(crate) fn started(&mut self, at: usize) {
        self.nodes.remove(&at);
    }

    /// After each step of a node: one leader per epoch, whoever is asked; neither epoch nor high
    /// watermark falls; what its disk holds agrees with all others.
    pub(crate) fn stands(
        &mut self,
        at: usize,
        state: QuorumState,
        voters: &[Voter],
        disk: &SimDisk,
        holders: &[Holder],
    ) {
        let QuorumState { leader, epoch, high_watermark, role, .. } = state;
        if role == Role::Stopped {
            return;
        }
        let is_first = !self.nodes.contains_key(&at);
        let seen = self.nodes.entry(at).or_default();
        assert!(epoch >= seen.epoch, "node {at} falls back to epoch {epoch}");
        let back = high_watermark < seen.high_watermark;
        assert!(!back, "node {at}: the high watermark falls to {high_watermark}");
        (seen.epoch, seen.high_watermark) = (epoch, high_watermark);
        if let Some(leader) = leader {
            let known = *self.leaders.entry(epoch).or_insert(leader);
            assert_eq!(known, leader, "two leaders of epoch {epoch}");
        }
        let leads = role == Role::Leader;
        let news = seen.view.look(disk);
        let leading = leads.then_some(high_watermark);
        self.truth.seen(at, &seen.view, disk, leading, news.batches);
        if leads && seen.led != Some(epoch) {
            seen.led = Some(epoch);
            self.truth.elected(at, &seen.view, epoch.0);
        }
        // It may have resigned since, in the same step.
        let leads = self.leaders.get(&epoch) == Some(&BrokerId(at as i32));
        let by = match (leads, is_first) {
            (true, _) => Committer::Leader(epoch.0),
            // It may have made a snapshot of what it committed, and lost its power, in one step.
            (false, true) => Committer::FormerLife,
            (false, false) => Committer::Nobody,
        };
        let committed = (high_watermark.0, by);
        // They may have changed since, in the same step.
        let before = std::mem::replace(&mut seen.voters, voters.to_vec());
        let either = [&before[..], voters];
        self.truth.committed(at, (&seen.view, disk), committed, either, holders);
        for (id, file) in news.snapshots {
            self.truth.is_replay(at, id, file);
        }
    }

    /// None goes back.
    pub(crate) fn shows(&mut self, at: usize, upto: Offset, image: &metadata::Image) {
        let seen = self.nodes.entry(at).or_default();
        assert!(upto >= seen.shown, "node {at} shows {upto} after {}", seen.shown);
        seen.shown = upto;
        self.truth.shows(at, upto.0, image);
    }

    pub(crate) fn epochs(&self) -> u64 {
        self.leaders.len() as u64
    }

    /// The highest epoch that has a leader.
    pub(crate) fn last_epoch(&self) -> LeaderEpoch {
        self.leaders.last_key_value().map(|(epoch, _)| *epoch).unwrap_or_default()
    }
}
