//! SyncGroup.

use std::collections::BTreeMap;

use bytes::Bytes;
use wire::ErrorCode;
use wire::messages::sync_group_request::SyncGroupRequest;
use wire::messages::sync_group_response::SyncGroupResponse;

use super::{Env, Group, State, Waiter};
use crate::message::sync_error;
use crate::{Record, Response};

impl Group {
    /// Takes a sync; answers at once unless the leader's assignment is still to come.
    pub(crate) fn sync(&mut self, env: &mut Env<'_>, waiter: Waiter, request: &SyncGroupRequest) {
        if let Err(code) = self.try_sync(env, waiter, request) {
            env.out.reply(waiter.token, Response::Sync(sync_error(code)));
        }
    }

    fn try_sync(
        &mut self,
        env: &mut Env<'_>,
        waiter: Waiter,
        request: &SyncGroupRequest,
    ) -> Result<(), ErrorCode> {
        let id = request.member_id.as_str();
        let instance = request.group_instance_id.as_deref();
        self.check_member(id, instance, request.generation_id)?;
        let differs = |theirs: &Option<String>, ours: &Option<String>| {
            theirs.is_some() && ours.is_some() && theirs != ours
        };
        if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let leads = self.leader.as_deref() == Some(id);
        match self.state {
            State::Empty => return Err(ErrorCode::UnknownMemberId),
            State::Preparing => return Err(ErrorCode::RebalanceInProgress),
            State::Stable | State::Completing => {}
        }
        let state = self.state;
        self.pending_sync.remove(id);
        if self.pending_sync.is_empty() {
            self.sync_deadline_ms = None;
        }
        let Some(member) = self.members.get_mut(id) else {
            return Err(ErrorCode::UnknownMemberId);
        };
        if state == State::Stable {
            let assignment = member.assignment.clone();
            env.out.reply(waiter.token, Response::Sync(self.synced(assignment)));
            return Ok(());
        }
        if let Some(earlier) = member.sync.replace(waiter) {
            let response = sync_error(ErrorCode::RebalanceInProgress);
            env.out.reply(earlier.token, Response::Sync(response));
        }
        if leads {
            self.assign(env, request)?;
        }
        Ok(())
    }

    /// Writes the leader's assignment and answers everyone who waits for it. The group is stable
    /// once the record is replayed; should the append be refused, it still waits for a sync.
    fn assign(&mut self, env: &mut Env<'_>, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        let given: BTreeMap<&str, &Bytes> =
            request.assignments.iter().map(|a| (a.member_id.as_str(), &a.assignment)).collect();
        let of = |id: &str| given.get(id).map(|bytes| (*bytes).clone()).unwrap_or_default();
        let value = self.to_value(|member| of(&member.id));
        if !env.out.record(Record::group(&self.id, Some(&value))) {
            if let Some(member) = self.members.get_mut(&request.member_id) {
                member.sync = None;
            }
            return Err(ErrorCode::InvalidRequest);
        }
        let mut replies = Vec::new();
        for member in self.members.values_mut() {
            if let Some(waiter) = member.sync.take() {
                // While it waited its session stood still.
                member.heard(env.now_ms);
                replies.push((waiter.token, of(&member.id)));
            }
        }
        for (token, assignment) in replies {
            env.out.reply(token, Response::Sync(self.synced(assignment)));
        }
        Ok(())
    }

    fn synced(&self, assignment: Bytes) -> SyncGroupResponse {
        SyncGroupResponse {
            error_code: ErrorCode::None.code(),
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            assignment,
            ..Default::default()
        }
    }
}
