//! JoinGroup.

use bytes::Bytes;
use wire::ErrorCode;
use wire::messages::join_group_request::JoinGroupRequest;
use wire::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};

use super::{Env, Group, Member, State, Waiter};
use crate::Response;
use crate::config::NEW_MEMBER_JOIN_TIMEOUT_MS;
use crate::message::join_error;

/// From this version on, a newcomer without an id is given one and asked to come back with it.
const MEMBER_ID_REQUIRED_VERSION: i16 = 4;

/// A join, with what the connection says of who asks.
pub(crate) struct Joining<'a> {
    pub(crate) waiter: Waiter,
    pub(crate) request: &'a JoinGroupRequest,
    pub(crate) client_id: &'a str,
    pub(crate) client_host: &'a str,
    /// The id that a newcomer gets.
    pub(crate) new_member_id: String,
}

impl Joining<'_> {
    pub(super) fn protocols(&self) -> Vec<(String, Bytes)> {
        let pair = |p: &wire::messages::join_group_request::JoinGroupRequestProtocol| {
            (p.name.clone(), p.metadata.clone())
        };
        self.request.protocols.iter().map(pair).collect()
    }

    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        // The oldest version has no timeout of its own.
        match self.request.rebalance_timeout_ms {
            -1 => self.request.session_timeout_ms,
            timeout => timeout,
        }
    }
}

impl Group {
    /// Takes a join; answers at once only what does not wait for the others.
    pub(crate) fn join(&mut self, env: &mut Env<'_>, joining: &Joining<'_>) {
        if let Err((member_id, code)) = self.try_join(env, joining) {
            let version = joining.waiter.version;
            let response = join_error(version, member_id, code);
            env.out.reply(joining.waiter.token, Response::Join(response));
        }
    }

    fn try_join(
        &mut self,
        env: &mut Env<'_>,
        joining: &Joining<'_>,
    ) -> Result<(), (String, ErrorCode)> {
        let request = joining.request;
        let member_id = request.member_id.as_str();
        let refuse = |code| Err((member_id.to_owned(), code));
        if !self.has_room(env, member_id) {
            self.turn_away(env, member_id);
            return Err((String::new(), ErrorCode::GroupMaxSizeReached));
        }
        if !self.supports(&request.protocol_type, &joining.protocols()) {
            return refuse(ErrorCode::InconsistentGroupProtocol);
        }
        if member_id.is_empty() {
            return self.join_newcomer(env, joining);
        }
        let instance = request.group_instance_id.as_deref();
        if self.pending_members.contains_key(member_id) {
            if instance.is_some() {
                // A static member never gets an id in advance.
                return refuse(ErrorCode::UnknownMemberId);
            }
            self.add_member(env, joining, member_id.to_owned());
            return Ok(());
        }
        if let Err(code) = self.check_instance(member_id, instance) {
            return refuse(code);
        }
        if !self.members.contains_key(member_id) {
            return refuse(ErrorCode::UnknownMemberId);
        }
        self.rejoin(env, joining);
        Ok(())
    }

    /// Whether the group takes a member. While members come back, those count who have: a group
    /// that became too small for its members loses the last ones.
    fn has_room(&self, env: &Env<'_>, id: &str) -> bool {
        let max = env.config.group_members_max;
        match self.state {
            State::Empty => true,
            State::Preparing => self.has_joined(id) || self.joined_count() < max,
            State::Completing | State::Stable => {
                self.members.contains_key(id) || self.members.len() < max
            }
        }
    }

    fn turn_away(&mut self, env: &mut Env<'_>, id: &str) {
        let pending = self.pending_members.remove(id).is_some();
        if self.remove_member(env, id, ErrorCode::GroupMaxSizeReached) || pending {
            self.join_went_on(env);
        }
    }

    fn join_newcomer(
        &mut self,
        env: &mut Env<'_>,
        joining: &Joining<'_>,
    ) -> Result<(), (String, ErrorCode)> {
        let id = joining.new_member_id.clone();
        let request = joining.request;
        if let Some(instance) = &request.group_instance_id {
            if let Some(former) = self.by_instance(instance).map(|member| member.id.clone()) {
                let refuse = |code| (String::new(), code);
                return self.replace(env, joining, &former).map_err(refuse);
            }
        } else if joining.waiter.version >= MEMBER_ID_REQUIRED_VERSION {
            let until = env.now_ms.saturating_add(i64::from(request.session_timeout_ms));
            self.pending_members.insert(id.clone(), until);
            return Err((id, ErrorCode::MemberIdRequired));
        }
        self.add_member(env, joining, id);
        Ok(())
    }

    fn add_member(&mut self, env: &mut Env<'_>, joining: &Joining<'_>, id: String) {
        let request = joining.request;
        self.pending_members.remove(&id);
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone());
        }
        if self.leader.is_none() {
            self.leader = Some(id.clone());
        }
        let member = Member {
            id: id.clone(),
            instance_id: request.group_instance_id.clone(),
            client_id: joining.client_id.to_owned(),
            client_host: joining.client_host.to_owned(),
            rebalance_timeout_ms: joining.rebalance_timeout_ms(),
            session_timeout_ms: request.session_timeout_ms,
            protocols: joining.protocols(),
            assignment: Bytes::new(),
            join: Some(joining.waiter),
            sync: None,
            is_new: true,
            session_deadline_ms: env.now_ms.saturating_add(NEW_MEMBER_JOIN_TIMEOUT_MS),
        };
        self.members.insert(id, member);
        if let Some(initial) = self.join.as_mut().and_then(|join| join.initial.as_mut()) {
            initial.newcomer = true;
        }
        self.rebalance(env);
    }

    fn rejoin(&mut self, env: &mut Env<'_>, joining: &Joining<'_>) {
        let id = joining.request.member_id.as_str();
        let protocols = joining.protocols();
        let same = self.members.get(id).is_some_and(|member| member.protocols == protocols);
        let leads = self.leader.as_deref() == Some(id);
        let current = match self.state {
            State::Completing => same,
            // A leader that joins again wants a new assignment.
            State::Stable => same && !leads,
            State::Preparing | State::Empty => false,
        };
        if current {
            // It missed the answer: the generation stands.
            let response = self.joined(id);
            env.out.reply(joining.waiter.token, Response::Join(response));
            return;
        }
        if let Some(member) = self.members.get_mut(id) {
            member.protocols = protocols;
            member.rebalance_timeout_ms = joining.rebalance_timeout_ms();
            member.session_timeout_ms = joining.request.session_timeout_ms;
            if let Some(earlier) = member.join.replace(joining.waiter) {
                // The member asked twice; only the later question gets the generation.
                let code = ErrorCode::RebalanceInProgress;
                let response = join_error(earlier.version, id.to_owned(), code);
                env.out.reply(earlier.token, Response::Join(response));
            }
        }
        self.rebalance(env);
    }

    /// Whether a member with these protocols fits the group as it is, the member's own earlier
    /// protocols included.
    fn supports(&self, kind: &str, protocols: &[(String, Bytes)]) -> bool {
        if self.state == State::Empty {
            return !kind.is_empty() && !protocols.is_empty();
        }
        let common = |name: &String| self.members.values().all(|member| member.supports(name));
        self.protocol_type.as_deref() == Some(kind) && protocols.iter().any(|(n, _)| common(n))
    }

    /// The answer that tells a member of the generation; the leader is told of all members.
    pub(super) fn joined(&self, id: &str) -> JoinGroupResponse {
        let leads = self.leader.as_deref() == Some(id);
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let member = |member: &Member| JoinGroupResponseMember {
            member_id: member.id.clone(),
            group_instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol),
        };
        JoinGroupResponse {
            error_code: ErrorCode::None.code(),
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: Some(protocol.to_owned()),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: id.to_owned(),
            members: match leads {
                true => self.members.values().map(member).collect(),
                false => Vec::new(),
            },
            ..Default::default()
        }
    }
}
