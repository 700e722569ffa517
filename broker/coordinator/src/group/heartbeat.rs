//! Heartbeat.

use wire::ErrorCode;
use wire::messages::heartbeat_request::HeartbeatRequest;

use super::{Env, Group, State};

impl Group {
    /// Takes a heartbeat; gives the error of the answer.
    pub(crate) fn heartbeat(&mut self, env: &Env<'_>, request: &HeartbeatRequest) -> ErrorCode {
        let id = request.member_id.as_str();
        let instance = request.group_instance_id.as_deref();
        if let Err(code) = self.check_member(id, instance, request.generation_id) {
            return code;
        }
        if let Some(member) = self.members.get_mut(id) {
            member.heard(env.now_ms);
        }
        match self.state {
            State::Empty => ErrorCode::UnknownMemberId,
            State::Preparing => ErrorCode::RebalanceInProgress,
            // Between its join and its sync a member may already send heartbeats.
            State::Completing | State::Stable => ErrorCode::None,
        }
    }
}
