//! From one generation to the next.

use std::collections::BTreeMap;

use wire::ErrorCode;

use super::{Env, Group, Initial, JoinPhase, Member, State};
use crate::message::{join_error, sync_error};
use crate::{Record, Response};

impl Group {
    /// The membership changed: begin a rebalance, or go on with the one under way.
    pub(super) fn rebalance(&mut self, env: &mut Env<'_>) {
        match self.state {
            State::Preparing => self.join_went_on(env),
            State::Empty | State::Completing | State::Stable => self.prepare(env),
        }
    }

    fn prepare(&mut self, env: &mut Env<'_>) {
        // Whoever waits for the assignment of the old generation waits in vain.
        for member in self.members.values_mut() {
            if self.state == State::Completing {
                member.assignment = bytes::Bytes::new();
            }
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
            let delay = i64::from(env.config.initial_rebalance_delay_ms);
            let remaining_ms = timeout.saturating_sub(delay).max(0);
            (delay, Some(Initial { remaining_ms, newcomer: false }))
        } else {
            (timeout, None)
        };
        let deadline_ms = env.now_ms.saturating_add(wait);
        self.join = Some(JoinPhase { deadline_ms, initial });
        self.join_went_on(env);
    }

    /// Ends the join phase when nobody is missing any more; a group's first one takes its time.
    pub(super) fn join_went_on(&mut self, env: &mut Env<'_>) {
        if self.join.is_some_and(|join| join.initial.is_none()) {
            self.complete_if_all_joined(env);
        }
    }

    fn complete_if_all_joined(&mut self, env: &mut Env<'_>) {
        let all = self.pending_members.is_empty() && self.joined_count() == self.members.len();
        if self.state == State::Preparing && all {
            self.complete_join(env);
        }
    }

    /// The time of the join phase is up: it ends, or a group's first one is extended for
    /// newcomers.
    fn join_time_is_up(&mut self, env: &mut Env<'_>) {
        let Some(join) = self.join.as_mut() else { return };
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
            self.subscribed = self.read_subscriptions();
            self.enter(State::Empty, env.now_ms);
            let value = self.to_value(|_| bytes::Bytes::new());
            env.out.record(Record::group(&self.id, Some(&value)));
            return;
        }
        self.protocol = self.select_protocol();
        self.subscribed = self.read_subscriptions();
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

    pub(super) fn has_joined(&self, id: &str) -> bool {
        self.members.get(id).is_some_and(|member| member.join.is_some())
    }

    /// How many wait for the next generation.
    pub(super) fn joined_count(&self) -> usize {
        self.members.values().filter(|member| member.join.is_some()).count()
    }

    /// The longest time that a member asks for.
    fn rebalance_timeout_ms(&self) -> i64 {
        self.members.values().map(|m| i64::from(m.rebalance_timeout_ms)).max().unwrap_or(0)
    }

    /// The protocol that most members prefer among those that all can do; of equals, the one
    /// that the leader prefers.
    pub(super) fn select_protocol(&self) -> Option<String> {
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
            let response = join_error(waiter.version, String::new(), code);
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
        let mut left = pending_before != self.pending_members.len();
        let expired = |m: &&Member| m.deadline().is_some_and(due);
        let mut silent: Vec<String> =
            self.members.values().filter(expired).map(|m| m.id.clone()).collect();
        if self.sync_deadline_ms.is_some_and(due) {
            // Who has not asked for its assignment in all that time holds the others up.
            self.sync_deadline_ms = None;
            silent.extend(std::mem::take(&mut self.pending_sync));
        }
        let mut removed = false;
        for id in silent {
            removed |= self.remove_member(env, &id, ErrorCode::UnknownMemberId);
        }
        left |= removed;
        if removed && self.state != State::Preparing {
            self.rebalance(env);
        } else if left {
            self.complete_if_all_joined(env);
        }
        if self.join.is_some_and(|join| due(join.deadline_ms)) {
            self.join_time_is_up(env);
        }
    }

    /// The group was loaded: its members have a whole session to be heard of. If it has more than
    /// it may, they come back in a rebalance, where the last ones are turned away.
    pub(crate) fn loaded(&mut self, env: &mut Env<'_>) {
        for member in self.members.values_mut() {
            member.heard(env.now_ms);
        }
        if self.members.len() > env.config.group_members_max {
            self.rebalance(env);
        }
    }
}
