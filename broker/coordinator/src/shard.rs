//! The groups of one partition of `__consumer_offsets`.

mod offsets;

use std::collections::{BTreeMap, BTreeSet};

use metadata::Image;
use wire::ErrorCode;
use wire::messages::join_group_request::JoinGroupRequest;
use wire::messages::leave_group_request::LeaveGroupRequest;

use crate::config::MEMBER_BYTES_MAX;
use crate::group::leave::{leaving, left};
use crate::group::{Env, Group, Joining, Member, Waiter};
use crate::message::heartbeat;
use crate::offsets::{Offsets, fetch};
use crate::records::Parsed;
use crate::{Config, Decision, Error, Record, Reply, Request, Response, Token};

/// From this version on, SyncGroup says which protocol the member believes in.
const PROTOCOL_REQUIRED_VERSION: i16 = 5;

/// What a request comes with.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The time.
    pub now_ms: i64,
    /// The version of the request, and so of its answer.
    pub version: i16,
    /// The client's own name.
    pub client_id: &'a str,
    /// Where it connects from, as Kafka writes it (`/127.0.0.1`).
    pub client_host: &'a str,
    /// The cluster's state.
    pub image: &'a Image,
    /// Fresh randomness, for the id of a new member.
    pub random: u128,
}

/// The coordinator of the groups of one partition.
#[derive(Debug)]
pub struct Shard {
    config: Config,
    loaded: bool,
    groups: BTreeMap<String, Group>,
    offsets: BTreeMap<String, Offsets>,
    /// When each group wants to be looked at; never later than its next deadline.
    wakes: BTreeSet<(i64, String)>,
    /// What the members of all groups take.
    member_bytes: usize,
}

impl Shard {
    /// An empty shard that has yet to load.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            loaded: false,
            groups: BTreeMap::new(),
            offsets: BTreeMap::new(),
            wakes: BTreeSet::new(),
            member_bytes: 0,
        }
    }

    /// Whether loading has ended: before that, everything is refused.
    pub fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Every record of the partition has been replayed; members get a whole session from now.
    pub fn finish_loading(&mut self, now_ms: i64) {
        self.loaded = true;
        // Nobody waits yet and nobody is turned away: there is nothing to write or to answer.
        let mut out = Decision::default();
        for group in self.groups.values_mut() {
            group.loaded(&mut Env { now_ms, config: &self.config, out: &mut out });
        }
        let ids: Vec<String> = self.groups.keys().cloned().collect();
        for id in ids {
            self.wake(&id);
        }
    }

    /// Applies a record: at load, and right after a decision's records were appended.
    ///
    /// # Errors
    /// The record is not one of `__consumer_offsets`.
    pub fn replay(&mut self, record: &Record) -> Result<(), Error> {
        match record.parse()? {
            Parsed::Offset { key, value: Some(value) } => {
                let of_group = self.offsets.entry(key.group).or_default();
                of_group.insert(key.topic, key.partition, value);
            }
            Parsed::Offset { key, value: None } => {
                if let Some(of_group) = self.offsets.get_mut(&key.group) {
                    of_group.remove(&key.topic, key.partition);
                    if of_group.is_empty() {
                        self.offsets.remove(&key.group);
                    }
                }
            }
            Parsed::Group { group, value: Some(value) } => {
                match self.groups.get_mut(&group).filter(|_| self.loaded) {
                    Some(live) => live.replay(&value),
                    None => {
                        let restored =
                            Group::restore(&group, &value, value.current_state_timestamp);
                        self.remove(&group);
                        self.groups.insert(group.clone(), restored);
                    }
                }
                if self.loaded {
                    self.wake(&group);
                }
            }
            Parsed::Group { group, value: None } => {
                self.remove(&group);
            }
            Parsed::Unknown => {}
        }
        Ok(())
    }

    /// Decides a request. No reply under `token` means that one comes later.
    pub fn handle(&mut self, ctx: &Context<'_>, token: Token, request: &Request) -> Decision {
        let mut out = Decision::default();
        if let Err(code) = self.admit(ctx.version, request) {
            out.reply(token, request.refuse(ctx.version, code));
            return out;
        }
        match request {
            Request::Join(join) => self.join(ctx, token, join, &mut out),
            Request::Sync(sync) => {
                let waiter = Waiter { token, version: ctx.version };
                match self.with_group(ctx, &mut out, &sync.group_id, |group, env| {
                    group.sync(env, waiter, sync);
                }) {
                    Some(()) => {}
                    None => {
                        out.reply(token, request.refuse(ctx.version, ErrorCode::UnknownMemberId));
                    }
                }
            }
            Request::Heartbeat(beat) => {
                let code = match self.groups.get_mut(&beat.group_id) {
                    Some(group) => {
                        let env = Env { now_ms: ctx.now_ms, config: &self.config, out: &mut out };
                        group.heartbeat(&env, beat)
                    }
                    None => ErrorCode::UnknownMemberId,
                };
                self.wake_for(&beat.group_id, &beat.member_id);
                out.reply(token, Response::Heartbeat(heartbeat(code)));
            }
            Request::Leave(leave) => self.leave(ctx, token, leave, &mut out),
            Request::OffsetCommit(commit) => self.commit(ctx, token, commit, &mut out),
            Request::OffsetFetch(wanted) => {
                let offsets = self.offsets.get(&wanted.group_id);
                let response = fetch(ctx.image, ctx.version, offsets, wanted);
                out.reply(token, Response::OffsetFetch(response));
            }
            Request::OffsetDelete(delete) => self.delete_offsets(ctx, token, delete, &mut out),
            Request::DeleteGroup(group) => self.delete(token, group, &mut out),
        }
        out
    }

    /// Does what is due at `now_ms`.
    pub fn tick(&mut self, now_ms: i64) -> Decision {
        let mut out = Decision::default();
        while let Some((at, id)) = self.wakes.first().cloned() {
            if at > now_ms {
                break;
            }
            self.wakes.pop_first();
            if let Some(group) = self.groups.get_mut(&id) {
                group.wake_at_ms = i64::MAX;
                group.tick(&mut Env { now_ms, config: &self.config, out: &mut out });
            }
            self.settle(&id);
        }
        out
    }

    /// When `tick` wants to be called next; calling it earlier does no harm.
    pub fn next_deadline(&self) -> Option<i64> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// Whoever asked under this token about a group is gone.
    pub fn cancel(&mut self, now_ms: i64, group: &str, token: Token) {
        if let Some(of_token) = self.groups.get_mut(group) {
            of_token.cancel(token, now_ms);
        }
        self.wake(group);
    }

    /// The shard is lost to this node: everyone who waits is told so, and the shard is over.
    pub fn abandon(self, code: ErrorCode) -> Vec<Reply> {
        let mut out = Decision::default();
        for member in self.groups.into_values().flat_map(|group| group.members.into_values()) {
            if let Some(waiter) = member.join {
                let response = crate::message::join_error(waiter.version, member.id, code);
                out.reply(waiter.token, Response::Join(response));
            }
            if let Some(waiter) = member.sync {
                let response = crate::message::sync_error(code);
                out.reply(waiter.token, Response::Sync(response));
            }
        }
        out.replies
    }

    pub(crate) fn group(&self, id: &str) -> Option<&Group> {
        self.groups.get(id)
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    pub(crate) fn has_offsets(&self, id: &str) -> bool {
        self.offsets.contains_key(id)
    }

    pub(crate) fn all_offsets(&self) -> impl Iterator<Item = (&String, &Offsets)> {
        self.offsets.iter()
    }

    pub(crate) fn groups_with_offsets_only(&self) -> impl Iterator<Item = &str> {
        self.offsets.keys().map(String::as_str).filter(|id| !self.groups.contains_key(*id))
    }

    fn admit(&self, version: i16, request: &Request) -> Result<(), ErrorCode> {
        if let Request::Sync(sync) = request
            && version >= PROTOCOL_REQUIRED_VERSION
            && (sync.protocol_type.is_none() || sync.protocol_name.is_none())
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        if request.group().is_empty() && !request.takes_unnamed_group() {
            return Err(ErrorCode::InvalidGroupId);
        }
        if let Request::Join(join) = request {
            let allowed = self.config.session_timeout_ms_min..=self.config.session_timeout_ms_max;
            if !allowed.contains(&join.session_timeout_ms) {
                return Err(ErrorCode::InvalidSessionTimeout);
            }
        }
        match request {
            _ if self.loaded => Ok(()),
            // Whether the member is known shows when loading has ended; till then it may live.
            Request::Heartbeat(_) => Err(ErrorCode::None),
            _ => Err(ErrorCode::CoordinatorLoadInProgress),
        }
    }

    /// Lets a group act, if it exists.
    fn with_group<T>(
        &mut self,
        ctx: &Context<'_>,
        out: &mut Decision,
        id: &str,
        act: impl FnOnce(&mut Group, &mut Env<'_>) -> T,
    ) -> Option<T> {
        let group = self.groups.get_mut(id)?;
        let done = act(group, &mut Env { now_ms: ctx.now_ms, config: &self.config, out });
        self.settle(id);
        Some(done)
    }

    fn join(
        &mut self,
        ctx: &Context<'_>,
        token: Token,
        request: &JoinGroupRequest,
        out: &mut Decision,
    ) {
        let id = &request.group_id;
        if let Err(code) = self.admit_member(request) {
            let response = Request::Join(request.clone()).refuse(ctx.version, code);
            return out.reply(token, response);
        }
        if !self.groups.contains_key(id) {
            self.groups.insert(id.clone(), Group::new(id, ctx.now_ms));
        }
        let base = request.group_instance_id.as_deref().unwrap_or(ctx.client_id);
        let joining = Joining {
            waiter: Waiter { token, version: ctx.version },
            request,
            client_id: ctx.client_id,
            client_host: ctx.client_host,
            new_member_id: format!("{base}-{}", uuid_text(ctx.random)),
        };
        self.with_group(ctx, out, id, |group, env| group.join(env, &joining));
    }

    fn leave(
        &mut self,
        ctx: &Context<'_>,
        token: Token,
        request: &LeaveGroupRequest,
        out: &mut Decision,
    ) {
        let members = leaving(request, ctx.version);
        let codes = self
            .with_group(ctx, out, &request.group_id, |group, env| group.leave(env, &members))
            .unwrap_or_else(|| vec![ErrorCode::UnknownMemberId; members.len()]);
        out.reply(token, Response::Leave(left(members, &codes, ctx.version)));
    }

    /// Whether there is a group to join, or room for one, and room for the member.
    fn admit_member(&self, request: &JoinGroupRequest) -> Result<(), ErrorCode> {
        if !request.member_id.is_empty() && !self.groups.contains_key(&request.group_id) {
            return Err(ErrorCode::UnknownMemberId);
        }
        let bytes = request.protocols.iter().map(|protocol| protocol.metadata.len());
        let bytes = bytes.sum::<usize>().saturating_add(self.member_bytes);
        if bytes > MEMBER_BYTES_MAX || self.is_full_for(&request.group_id) {
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        Ok(())
    }

    /// After a group acted: forget it if it says nothing, else see to its next deadline.
    fn settle(&mut self, id: &str) {
        if self.groups.get(id).is_some_and(Group::is_vain) {
            self.remove(id);
            return;
        }
        self.wake(id);
    }

    fn remove(&mut self, id: &str) {
        if let Some(gone) = self.groups.remove(id) {
            self.member_bytes = self.member_bytes.saturating_sub(gone.weighed_bytes);
            self.wakes.remove(&(gone.wake_at_ms, id.to_owned()));
        }
    }

    /// After a member was heard of, which puts its deadline off as a rule: then the wake stays as
    /// it is. A newcomer's first sign of life ends its long wait for a generation.
    pub(super) fn wake_for(&mut self, id: &str, member: &str) {
        let Some(group) = self.groups.get(id) else { return };
        let deadline = group.members.get(member).and_then(Member::deadline);
        if deadline.is_some_and(|deadline| deadline < group.wake_at_ms) {
            self.wake(id);
        }
    }

    fn wake(&mut self, id: &str) {
        let Some(group) = self.groups.get_mut(id) else { return };
        let weight = group.weight_bytes();
        let others = self.member_bytes.saturating_sub(group.weighed_bytes);
        self.member_bytes = others.saturating_add(weight);
        group.weighed_bytes = weight;
        let next = group.next_deadline().unwrap_or(i64::MAX);
        if next == group.wake_at_ms {
            return;
        }
        self.wakes.remove(&(group.wake_at_ms, id.to_owned()));
        group.wake_at_ms = next;
        if next != i64::MAX {
            self.wakes.insert((next, id.to_owned()));
        }
    }
}

/// A random id in the form in which Java prints one.
fn uuid_text(random: u128) -> String {
    let bits = u128::from_be_bytes(wire::ids::Uuid::from_random(random).0);
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    let parts = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)];
    parts.join("-")
}

#[cfg(test)]
mod tests;
