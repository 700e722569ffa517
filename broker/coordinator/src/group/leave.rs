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
        let before = self.members.len();
        let codes: Vec<ErrorCode> = members.iter().map(|m| self.leave_one(env, m)).collect();
        if self.members.len() < before && self.state != State::Empty {
            self.rebalance(env);
        } else {
            // One that never came back with its id is no longer waited for.
            self.maybe_complete_join(env);
        }
        codes
    }

    fn leave_one(&mut self, env: &mut Env<'_>, member: &MemberIdentity) -> ErrorCode {
        let mut id = member.member_id.clone();
        if let Some(instance) = &member.group_instance_id {
            match self.by_instance(instance) {
                None => return ErrorCode::UnknownMemberId,
                // Tools name the static id alone.
                Some(found) if id.is_empty() => id.clone_from(&found.id),
                Some(found) if found.id != id => return ErrorCode::FencedInstanceId,
                Some(_) => {}
            }
        }
        let pending = self.pending_members.remove(&id).is_some();
        if pending || self.remove_member(env, &id, ErrorCode::UnknownMemberId) {
            return ErrorCode::None;
        }
        ErrorCode::UnknownMemberId
    }
}
