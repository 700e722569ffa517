//! What is kept of a group besides its members: commits, deletion.

use std::collections::BTreeSet;

use wire::ErrorCode;
use wire::messages::delete_groups_response::DeletableGroupResult;
use wire::messages::offset_commit_request::OffsetCommitRequest;

use super::{Context, Shard};
use crate::group::State;
use crate::message::commit_error;
use crate::offsets::Commit;
use crate::{Decision, Record, Response, Token};

impl Shard {
    /// Decides to forget what was committed for topics that are gone: a topic of the same name
    /// made later begins without offsets.
    pub fn forget_topics(&self, names: &BTreeSet<String>) -> Decision {
        let mut out = Decision::default();
        for (group, offsets) in &self.offsets {
            for (topic, partition) in offsets.keys().filter(|(topic, _)| names.contains(topic)) {
                out.record(Record::offset(group, topic, *partition, None));
            }
        }
        out
    }

    pub(super) fn commit(
        &mut self,
        ctx: &Context<'_>,
        token: Token,
        request: &OffsetCommitRequest,
        out: &mut Decision,
    ) {
        let response = match self.check_commit(ctx.now_ms, request) {
            Ok(()) => {
                let commit = Commit {
                    image: ctx.image,
                    config: &self.config,
                    version: ctx.version,
                    now_ms: ctx.now_ms,
                };
                commit.decide(request, out)
            }
            Err(code) => commit_error(request, code),
        };
        out.reply(token, Response::OffsetCommit(response));
    }

    /// Whether who commits may commit: a member of the generation, or anyone who names no
    /// generation as long as the group has no members.
    fn check_commit(
        &mut self,
        now_ms: i64,
        request: &OffsetCommitRequest,
    ) -> Result<(), ErrorCode> {
        let generation = request.generation_id_or_member_epoch;
        let Some(group) = self.groups.get_mut(&request.group_id) else {
            return if generation < 0 { Ok(()) } else { Err(ErrorCode::IllegalGeneration) };
        };
        if generation < 0 && group.state == State::Empty {
            return Ok(());
        }
        let instance = request.group_instance_id.as_deref();
        if generation < 0 && request.member_id.is_empty() && instance.is_none() {
            return Err(ErrorCode::UnknownMemberId);
        }
        group.check_member(&request.member_id, instance, generation)?;
        if let Some(member) = group.members.get_mut(&request.member_id) {
            member.heard(now_ms);
        }
        match group.state {
            State::Completing => Err(ErrorCode::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    pub(super) fn delete(&mut self, token: Token, id: &str, out: &mut Decision) {
        let code = match self.groups.get(id) {
            Some(group) if group.state != State::Empty => ErrorCode::NonEmptyGroup,
            None if !self.offsets.contains_key(id) => ErrorCode::GroupIdNotFound,
            _ => {
                for (topic, partition) in self.offsets.get(id).into_iter().flat_map(|o| o.keys()) {
                    out.record(Record::offset(id, topic, *partition, None));
                }
                out.record(Record::group(id, None));
                ErrorCode::None
            }
        };
        let result = DeletableGroupResult {
            group_id: id.to_owned(),
            error_code: code.code(),
            ..Default::default()
        };
        out.reply(token, Response::DeleteGroup(result));
    }
}
