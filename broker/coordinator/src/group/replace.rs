//! A static member that comes back without its id: it takes the place of its former self.

use wire::ErrorCode;
use wire::messages::group_metadata_value::GroupMetadataValue;

use super::{Env, Group, Joining, Member, State};
use crate::message::{join_error, sync_error};
use crate::{Record, Response};

/// From this version on, a leader is told to leave the assignment as it is.
const SKIP_ASSIGNMENT_VERSION: i16 = 9;

/// Who takes whose place.
#[derive(Debug)]
pub(super) struct Replacing {
    former: String,
    member: Member,
}

impl Group {
    /// Puts the newcomer in the place of `former`. In a stable group, as long as the choice of the
    /// protocol stays the same, it gets that one's assignment and nobody else notices.
    pub(super) fn replace(
        &mut self,
        env: &mut Env<'_>,
        joining: &Joining<'_>,
        former: &str,
    ) -> Result<(), ErrorCode> {
        let leader = self.leader.clone();
        let id = joining.new_member_id.as_str();
        let Some(member) = self.successor(env, joining, former) else {
            return Err(ErrorCode::UnknownMemberId);
        };
        let Some(mut old) = self.substitute(former, member) else {
            return Err(ErrorCode::UnknownMemberId);
        };
        if self.state == State::Stable && self.select_protocol() == self.protocol {
            let told = joining.waiter.version >= SKIP_ASSIGNMENT_VERSION;
            let mut response = self.joined(id);
            if told {
                response.skip_assignment = self.leader.as_deref() == Some(id);
            } else {
                // An older client would assign anew if it believed that it leads.
                response.leader = leader.unwrap_or_default();
                response.members = Vec::new();
            }
            let value = self.to_value(|member| member.assignment.clone());
            // The former member stands until the record is replayed.
            let member = self.substitute(id, old);
            self.replacing = member.map(|m| Replacing { former: former.to_owned(), member: m });
            if !env.out.record(Record::group(&self.id, Some(&value))) {
                return Err(ErrorCode::InvalidRequest);
            }
            env.out.reply(joining.waiter.token, Response::Join(response));
            return Ok(());
        }
        fence(env, &mut old);
        if let Some(member) = self.members.get_mut(id) {
            member.join = Some(joining.waiter);
        }
        // With the assignment under way the leader would answer for an id that is gone.
        self.rebalance(env);
        Ok(())
    }

    /// What was decided is written: the newcomer takes its place.
    pub(super) fn finish_replacing(&mut self, value: &GroupMetadataValue) {
        let written = |replacing: &mut Replacing| {
            value.members.iter().any(|stored| stored.member_id == replacing.member.id)
        };
        if let Some(Replacing { former, member }) = self.replacing.take_if(written) {
            self.substitute(&former, member);
        }
    }

    /// The former member with another id, and what it asks for now.
    fn successor(&self, env: &Env<'_>, joining: &Joining<'_>, former: &str) -> Option<Member> {
        let old = self.members.get(former)?;
        let mut member = Member {
            id: joining.new_member_id.clone(),
            instance_id: old.instance_id.clone(),
            client_id: old.client_id.clone(),
            client_host: old.client_host.clone(),
            rebalance_timeout_ms: joining.rebalance_timeout_ms(),
            session_timeout_ms: joining.request.session_timeout_ms,
            protocols: joining.protocols(),
            assignment: old.assignment.clone(),
            join: None,
            sync: None,
            is_new: false,
            session_deadline_ms: 0,
        };
        member.heard(env.now_ms);
        Some(member)
    }

    /// Puts one member in the place of another, and gives that one back.
    fn substitute(&mut self, id: &str, by: Member) -> Option<Member> {
        let old = self.members.remove(id)?;
        if self.leader.as_deref() == Some(id) {
            self.leader = Some(by.id.clone());
        }
        if self.pending_sync.remove(id) {
            self.pending_sync.insert(by.id.clone());
        }
        self.members.insert(by.id.clone(), by);
        Some(old)
    }
}

/// Tells a member that another has its static id now.
fn fence(env: &mut Env<'_>, member: &mut Member) {
    let code = ErrorCode::FencedInstanceId;
    if let Some(waiter) = member.join.take() {
        let response = join_error(waiter.version, member.id.clone(), code);
        env.out.reply(waiter.token, Response::Join(response));
    }
    if let Some(waiter) = member.sync.take() {
        env.out.reply(waiter.token, Response::Sync(sync_error(code)));
    }
}
