//! LeaveGroup, of one member or of several.

use wire::ErrorCode;
use wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use wire::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};

use super::{Env, Group, State};

/// From this version on, several members leave at once.
const SEVERAL_MEMBERS_VERSION: i16 = 3;

/// Who leaves, for any version.
pub(crate) fn leaving(request: &LeaveGroupRequest, version: i16) -> Vec<MemberIdentity> {
    if version >= SEVERAL_MEMBERS_VERSION {
        return request.members.clone();
    }
    vec![MemberIdentity { member_id: request.member_id.clone(), ..Default::default() }]
}

/// The answer for any version, from the error of each member.
pub(crate) fn left(
    members: Vec<MemberIdentity>,
    codes: &[ErrorCode],
    version: i16,
) -> LeaveGroupResponse {
    if version < SEVERAL_MEMBERS_VERSION {
        let error_code = codes.first().copied().unwrap_or(ErrorCode::None).code();
        return LeaveGroupResponse { error_code, ..Default::default() };
    }
    let answer = |(member, code): (MemberIdentity, &ErrorCode)| MemberResponse {
        member_id: member.member_id,
        group_instance_id: member.group_instance_id,
        error_code: code.code(),
    };
    let members = members.into_iter().zip(codes).map(answer).collect();
    LeaveGroupResponse { members, ..Default::default() }
}

impl Group {
    /// Takes members out; gives the error of each.
    pub(crate) fn leave(
        &mut self,
        env: &mut Env<'_>,
        members: &[MemberIdentity],
    ) -> Vec<ErrorCode> {
        let codes: Vec<ErrorCode> = members.iter().map(|m| self.leave_one(env, m)).collect();
        if codes.contains(&ErrorCode::None) {
            match self.state {
                State::Stable | State::Completing => self.rebalance(env),
                State::Preparing => self.join_went_on(env),
                State::Empty => {}
            }
        }
        codes
    }

    fn leave_one(&mut self, env: &mut Env<'_>, member: &MemberIdentity) -> ErrorCode {
        let instance = member.group_instance_id.as_deref();
        let id = match &member.member_id {
            // Tools name the static id alone.
            id if id.is_empty() => {
                let found = instance.and_then(|instance| self.by_instance(instance));
                found.map(|member| member.id.clone()).unwrap_or_default()
            }
            id if self.pending_members.remove(id).is_some() => return ErrorCode::None,
            id => match self.check_instance(id, instance) {
                Ok(()) => id.clone(),
                Err(code) => return code,
            },
        };
        match self.remove_member(env, &id, ErrorCode::UnknownMemberId) {
            true => ErrorCode::None,
            false => ErrorCode::UnknownMemberId,
        }
    }
}
