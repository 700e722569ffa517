//! What leaves the node: never before `quorum-state` is on disk, and each question by a name that
//! its answer is known by.

use wire::ErrorCode;
use wire::ids::{BrokerId, LeaderEpoch};

use super::{Quorum, Role, Stop};
use crate::clock::Ms;
use crate::{Body, Destination, Effect, ElectionState, Request, Response, SnapshotId};

/// The most messages that wait for `quorum-state`; more are as good as lost on the network.
const HELD_MAX: usize = 4096;

/// A question on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Vote {
        pre_vote: bool,
    },
    BeginEpoch,
    EndEpoch,
    /// Who leads? A fetch of which only that is taken from the answer: it was not asked at the
    /// end of the log.
    Find,
    Fetch,
    FetchSnapshot {
        id: SnapshotId,
        position: u64,
    },
    Join,
    Move,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    /// `None`: one of the bootstrap servers.
    pub(super) to: Option<BrokerId>,
    pub(super) what: Asked,
    pub(super) epoch: LeaderEpoch,
    pub(super) expires_at: Ms,
}

impl Quorum {
    /// Brings the election state to disk when it has changed.
    pub(super) fn save(&mut self) {
        self.election.static_voters = match self.kraft_version() {
            0 => self.voters().iter().map(|voter| voter.id).collect(),
            _ => Vec::new(),
        };
        if self.saving.is_none() && self.saved != self.election {
            self.saving = Some(self.election.clone());
            self.out.push(Effect::PersistState { file: self.election.to_bytes() });
        }
    }

    pub(super) fn state_persisted(&mut self) -> Result<(), Stop> {
        let Some(saved) = self.saving.take() else {
            return Err(Stop::Unexpected("StatePersisted"));
        };
        self.saved = saved;
        self.save();
        if self.is_saved() {
            let held = std::mem::take(&mut self.held);
            for effect in held {
                let effect = self.still_true(effect);
                self.out.extend(effect);
            }
            self.vote_for_self()?;
        }
        Ok(())
    }

    /// Whether all that this node has promised is on its disk.
    pub(super) fn is_saved(&self) -> bool {
        self.saving.is_none() && self.saved == self.election
    }

    pub(super) fn saved(&self) -> &ElectionState {
        &self.saved
    }

    /// An answer that promises bytes of the log is void once another leads: the log may be cut.
    /// A question of an earlier role is not asked any more.
    fn still_true(&self, effect: Effect) -> Option<Effect> {
        match effect {
            Effect::Respond { token, mut response } => {
                let bytes = matches!(response.body, Body::Fetch(_) | Body::FetchSnapshot(_));
                let leads = response.epoch == self.election.epoch && self.role() == Role::Leader;
                if bytes && !leads {
                    response.error = ErrorCode::NotLeaderOrFollower;
                    response.body = Body::Empty;
                }
                Some(Effect::Respond { token, response })
            }
            Effect::Send { id, .. } if !self.sent.contains_key(&id) => None,
            other => Some(other),
        }
    }

    fn leave(&mut self, effect: Effect) {
        if self.is_saved() {
            self.out.push(effect);
        } else if self.held.len() < HELD_MAX {
            self.held.push(effect);
        }
    }

    pub(super) fn respond(&mut self, token: u64, error: ErrorCode, body: Body) {
        let leader = self.leader();
        let endpoints = leader.map(|id| self.endpoints_of(id)).unwrap_or_default();
        let epoch = self.election.epoch;
        let response = Response { error, epoch, leader, endpoints, body };
        // What the answer says rests on the election state: see that it is on its way to disk.
        self.save();
        self.leave(Effect::Respond { token, response });
    }

    pub(super) fn refuse(&mut self, token: u64, error: ErrorCode) {
        self.respond(token, error, Body::Empty);
    }

    /// Asks a node, unless the same question is on its way already.
    pub(super) fn send(&mut self, to: Option<BrokerId>, what: Asked, request: Request) -> bool {
        if self.is_asked(to, what) {
            return false;
        }
        self.save();
        self.next_id = self.next_id.wrapping_add(1);
        let id = self.next_id;
        let expires_at = self.now().saturating_add(self.config.request_timeout_ms);
        let epoch = self.election.epoch;
        self.sent.insert(id, Sent { to, what, epoch, expires_at });
        let to = match to {
            Some(id) => Destination::Node { id, endpoints: self.endpoints_of(id) },
            None => Destination::Bootstrap,
        };
        self.leave(Effect::Send { id, to, request });
        true
    }

    fn is_asked(&self, to: Option<BrokerId>, what: Asked) -> bool {
        self.sent.values().any(|sent| sent.to == to && sent.what == what)
    }

    pub(super) fn is_asking(&self, what: impl Fn(Asked) -> bool) -> bool {
        self.sent.values().any(|sent| what(sent.what))
    }

    /// Questions whose time is over are as good as failed.
    pub(super) fn expire_requests(&mut self) {
        let now = self.now();
        let over: Vec<u64> =
            self.sent.iter().filter(|(_, s)| s.expires_at <= now).map(|(id, _)| *id).collect();
        for id in over {
            self.request_failed(id, false);
        }
    }
}
