//! From one generation to the next.

use std::collections::BTreeMap;

use wire::ErrorCode;

use super::{Env, Group, Initial, JoinPhase, Member, State};
use crate::message::{join_error, sync_error};
use crate::{Record, Response};

impl Group {
    /// The membership changed: begin a rebalance, or go on with the one under way.
    pub(super) fn rebalance(&mut self, env: &mut Env<'_>) {
        if self.state != State::Preparing {
            self.prepare(env);
        }
        self.maybe_complete_join(env);
    }

    fn prepare(&mut self, env: &mut Env<'_>) {
        // Whoever waits for the assignment of the old generation waits in vain.
        for member in self.members.values_mut() {
            if let Some(waiter) = member.sync.take() {
                let response = sync_error(ErrorCode::RebalanceInProgress);
                env.out.reply(waiter.token, Response::Sync(response));
            }
        }
        let timeout = self.rebalance_timeout_ms();
        let first = self.state == State::Empty;
        self.enter(State::Preparing, env.now_ms);
        let (wait, initial) = if first {
            // The first generation waits a little for others, and a little more for each that
            // comes, but not beyond the members' own timeout.
            let delay = i64::from(env.config.initial_rebalance_delay_ms).min(timeout);
            let remaining_ms = timeout.saturating_sub(delay);
            (delay, Some(Initial { remaining_ms, newcomer: false }))
        } else {
            (timeout, None)
        };
        let deadline_ms = env.now_ms.saturating_add(wait);
        self.join = Some(JoinPhase { deadline_ms, initial });
    }

    /// Ends the join phase when nobody is missing any more, or when its time is up.
    pub(super) fn maybe_complete_join(&mut self, env: &mut Env<'_>) {
        let Some(join) = self.join.as_mut() else { return };
        if join.deadline_ms <= env.now_ms {
            if let Some(initial) = join.initial.as_mut().filter(|i| i.newcomer) {
                let delay = i64::from(env.config.initial_rebalance_delay_ms);
                let more = delay.min(initial.remaining_ms);
                initial.newcomer = false;
                initial.remaining_ms = initial.remaining_ms.saturating_sub(more);
                if more > 0 {
                    join.deadline_ms = env.now_ms.saturating_add(more);
                    return;
                }
            }
            self.complete_join(env);
            return;
        }
        let all_joined = self.members.values().all(|member| member.join.is_some());
        if join.initial.is_none() && all_joined && self.pending_members.is_empty() {
            self.complete_join(env);
        } else if self.members.is_empty() && self.pending_members.is_empty() {
            // Everyone left again before the first generation.
            self.complete_join(env);
        }
    }

    /// The next generation, of those who joined.
    fn complete_join(&mut self, env: &mut Env<'_>) {
        // Who did not come back is out; a static member stays until its session ends.
        let gone = |m: &Member| m.join.is_none() && m.instance_id.is_none();
        self.members.retain(|_, member| !gone(member));
        if self.leader.as_ref().is_none_or(|id| !self.has_joined(id)) {
            let joined = self.members.values().find(|m| m.join.is_some());
            self.leader = joined.map(|member| member.id.clone());
        }
        if self.leader.is_none() && !self.members.is_empty() {
            // Only static members are left and none is back yet: wait on.
            let deadline_ms = env.now_ms.saturating_add(self.rebalance_timeout_ms().max(1));
            self.join = Some(JoinPhase { deadline_ms, initial: None });
            return;
        }
        // After the last number Kafka, too, begins again.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.protocol = None;
            self.leader = None;
            self.enter(State::Empty, env.now_ms);
            let value = self.to_value(env.now_ms, |_| bytes::Bytes::new());
            env.out.record(Record::group(&self.id, Some(&value)));
            return;
        }
        self.protocol = self.select_protocol();
        self.enter(State::Completing, env.now_ms);
        self.pending_sync = self.members.keys().cloned().collect();
        let timeout = self.rebalance_timeout_ms();
        self.sync_deadline_ms = Some(env.now_ms.saturating_add(timeout));
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let Some(member) = self.members.get_mut(&id) else { continue };
            member.is_new = false;
            member.heard(env.now_ms);
            if let Some(waiter) = member.join.take() {
                let response = self.joined(&id);
                env.out.reply(waiter.token, Response::Join(response));
            }
        }
    }

    fn has_joined(&self, id: &str) -> bool {
        self.members.get(id).is_some_and(|member| member.join.is_some())
    }

    /// The longest time that a member asks for.
    fn rebalance_timeout_ms(&self) -> i64 {
        self.members.values().map(|m| i64::from(m.rebalance_timeout_ms)).max().unwrap_or(0)
    }

    /// The protocol that most members prefer among those that all can do; of equals, the one
    /// that the leader prefers.
    fn select_protocol(&self) -> Option<String> {
        let common = |name: &str| self.members.values().all(|member| member.supports(name));
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let vote = member.protocols.iter().map(|(name, _)| name.as_str()).find(|n| common(n));
            if let Some(name) = vote {
                *votes.entry(name).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id));
        let by_leader = leader.into_iter().flat_map(|m| m.protocols.iter().map(|(n, _)| n));
        let mut ranked = by_leader.map(String::as_str).chain(votes.keys().copied());
        ranked.find(|name| votes.get(name) == Some(&most)).map(str::to_owned)
    }

    /// Takes a member out; whatever it waited for is answered with `code`. The rebalance is the
    /// caller's.
    pub(super) fn remove_member(&mut self, env: &mut Env<'_>, id: &str, code: ErrorCode) -> bool {
        let Some(member) = self.members.remove(id) else { return false };
        self.pending_sync.remove(id);
        if let Some(waiter) = member.join {
            let response = join_error(waiter.version, id.to_owned(), code);
            env.out.reply(waiter.token, Response::Join(response));
        }
        if let Some(waiter) = member.sync {
            env.out.reply(waiter.token, Response::Sync(sync_error(code)));
        }
        if self.leader.as_deref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
        true
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, env: &mut Env<'_>) {
        let now_ms = env.now_ms;
        let due = |deadline: i64| deadline <= now_ms;
        let pending_before = self.pending_members.len();
        self.pending_members.retain(|_, until| !due(*until));
        let mut changed = pending_before != self.pending_members.len();
        let mut left = false;
        let expired = |m: &&Member| m.deadline().is_some_and(due);
        let mut out: Vec<String> =
            self.members.values().filter(expired).map(|m| m.id.clone()).collect();
        if self.sync_deadline_ms.is_some_and(due) {
            // Who has not asked for its assignment in all that time holds the others up.
            self.sync_deadline_ms = None;
            out.extend(std::mem::take(&mut self.pending_sync));
        }
        for id in out {
            left |= self.remove_member(env, &id, ErrorCode::UnknownMemberId);
        }
        if left && self.state != State::Empty {
            self.rebalance(env);
            changed = false;
        }
        if changed || self.join.is_some_and(|join| due(join.deadline_ms)) {
            self.maybe_complete_join(env);
        }
    }
}
