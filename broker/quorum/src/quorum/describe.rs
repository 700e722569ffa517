//! What `DescribeQuorum` answers with.

use wire::ids::{BrokerId, LeaderEpoch, Offset};

use super::Quorum;
use super::state::State;
use crate::ReplicaKey;

/// How long an observer that fetches no more is told of, as in Kafka.
const OBSERVER_MS: i64 = 300_000;

/// The quorum as its leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The leader.
    pub leader: BrokerId,
    /// Its epoch.
    pub epoch: LeaderEpoch,
    /// Everything below is committed.
    pub high_watermark: Offset,
    /// The voters, in the order of their ids.
    pub voters: Vec<ReplicaStatus>,
    /// Who else fetches.
    pub observers: Vec<ReplicaStatus>,
}

/// How far a replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// Which.
    pub replica: ReplicaKey,
    /// The end of its log; -1 when it has not fetched.
    pub end: Offset,
    /// When it last fetched, as time given to `step`; -1 when it has not.
    pub fetched_at_ms: i64,
    /// When it last had all that the leader has; -1 when never.
    pub caught_up_at_ms: i64,
}

impl Quorum {
    /// The answer to `DescribeQuorum`; `None` when this node does not lead.
    pub fn describe(&self) -> Option<Description> {
        let State::Leader(leader) = &self.state else { return None };
        let offset = self.wall_ms.saturating_sub(self.now());
        let status = |replica: ReplicaKey| match leader.replicas.get(&replica) {
            _ if replica.may_be(&self.config.key()) => ReplicaStatus {
                replica,
                end: self.log.end(),
                fetched_at_ms: self.wall_ms,
                caught_up_at_ms: self.wall_ms,
            },
            Some(progress) => ReplicaStatus {
                replica,
                end: progress.end,
                fetched_at_ms: progress.fetched_at.saturating_add(offset),
                caught_up_at_ms: progress.caught_up_at.map_or(-1, |at| at.saturating_add(offset)),
            },
            None => {
                ReplicaStatus { replica, end: Offset(-1), fetched_at_ms: -1, caught_up_at_ms: -1 }
            }
        };
        let voters = self.voters();
        let known = |voter: ReplicaKey| {
            let mut keys = leader.replicas.keys().filter(|key| key.is(&voter));
            keys.next().copied().unwrap_or(voter)
        };
        let oldest = self.now().saturating_sub(OBSERVER_MS);
        let others = leader.replicas.iter().filter(|(key, _)| voters.find(key).is_none());
        let heard = others.filter(|(_, progress)| progress.fetched_at >= oldest);
        let observers = heard.map(|(key, _)| key);
        Some(Description {
            leader: self.config.node,
            epoch: leader.epoch,
            high_watermark: self.high_watermark,
            voters: voters.iter().map(|voter| status(known(voter.key()))).collect(),
            observers: observers.map(|key| status(*key)).collect(),
        })
    }
}
