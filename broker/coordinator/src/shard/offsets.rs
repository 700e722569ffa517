//! What is kept of a group besides its members: commits, and how offsets and groups go.

use std::collections::BTreeSet;

use wire::ErrorCode;
use wire::ids::Uuid;
use wire::messages::delete_groups_response::DeletableGroupResult;
use wire::messages::offset_commit_request::OffsetCommitRequest;
use wire::messages::offset_delete_request::{OffsetDeleteRequest, OffsetDeleteRequestTopic};
use wire::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

use super::{Context, Shard};
use crate::config::{DELETE_ENTRIES_MAX, GROUPS_MAX};
use crate::group::{Group, State};
use crate::message::{commit_error, delete_error};
use crate::offsets::{Commit, Offsets, exists, expired, find};
use crate::{Decision, Record, Response, Token};

/// From this version on, a commit to a group that does not exist says so.
const NOT_FOUND_VERSION: i16 = 9;

impl Shard {
    /// Decides to forget what was committed for topics that are gone: a topic of the same name
    /// made later begins without offsets.
    pub fn forget_topics(&self, names: &BTreeSet<String>) -> Decision {
        let mut out = Decision::default();
        for (group, offsets) in &self.offsets {
            for (topic, partitions) in offsets.topics().filter(|(t, _)| names.contains(*t)) {
                for partition in partitions.keys() {
                    out.record(Record::offset(group, topic, *partition, None));
                }
            }
        }
        out
    }

    /// Decides what has outlived the retention: offsets of groups without members, offsets of
    /// topics that a stable group no longer subscribes to, and groups that keep nothing any more.
    pub fn expire(&self, now_ms: i64) -> Decision {
        let mut out = Decision::default();
        for (id, offsets) in &self.offsets {
            let group = self.groups.get(id);
            let all_gone = self.expire_offsets(now_ms, id, group, offsets, &mut out);
            if all_gone && group.is_some_and(Group::is_idle) {
                out.record(Record::group(id, None));
            }
        }
        let bare = self.groups.values().filter(|group| !self.offsets.contains_key(&group.id));
        for group in bare.filter(|group| group.is_idle()) {
            out.record(Record::group(&group.id, None));
        }
        out
    }

    /// Says whether no offset is left.
    fn expire_offsets(
        &self,
        now_ms: i64,
        id: &str,
        group: Option<&Group>,
        offsets: &Offsets,
        out: &mut Decision,
    ) -> bool {
        let mut all_gone = true;
        for (topic, partition, value) in offsets.iter() {
            let since_ms = match group {
                Some(group) if group.subscribes_to(topic) => None,
                Some(group) => group.offsets_kept_since(value.commit_timestamp),
                None => Some(value.commit_timestamp),
            };
            if since_ms.is_some_and(|since_ms| expired(value, since_ms, now_ms, &self.config)) {
                out.record(Record::offset(id, topic, partition, None));
            } else {
                all_gone = false;
            }
        }
        all_gone
    }

    pub(super) fn commit(
        &mut self,
        ctx: &Context<'_>,
        token: Token,
        request: &OffsetCommitRequest,
        out: &mut Decision,
    ) {
        if self.is_full_for(&request.group_id) {
            let response = commit_error(request, ErrorCode::GroupMaxSizeReached);
            return out.reply(token, Response::OffsetCommit(response));
        }
        let commit = Commit {
            image: ctx.image,
            config: &self.config,
            version: ctx.version,
            now_ms: ctx.now_ms,
        };
        let group = self.groups.get_mut(&request.group_id);
        let simple = self.offsets.contains_key(&request.group_id);
        let check = || match group {
            Some(group) => check_commit(group, ctx.now_ms, request),
            // Without members there is no generation; whoever names none keeps offsets only.
            None if request.generation_id_or_member_epoch < 0 => Ok(()),
            None if simple => Err(ErrorCode::UnknownMemberId),
            None if ctx.version >= NOT_FOUND_VERSION => Err(ErrorCode::GroupIdNotFound),
            None => Err(ErrorCode::IllegalGeneration),
        };
        let response = commit.decide(request, check, out);
        self.wake_for(&request.group_id, &request.member_id);
        out.reply(token, Response::OffsetCommit(response));
    }

    pub(super) fn delete_offsets(
        &self,
        ctx: &Context<'_>,
        token: Token,
        request: &OffsetDeleteRequest,
        out: &mut Decision,
    ) {
        let id = &request.group_id;
        let group = self.groups.get(id);
        let entries: usize = request.topics.iter().map(|topic| topic.partitions.len()).sum();
        let refused = match group {
            Some(group) if group.state != State::Empty && !group.is_of_consumers() => {
                Some(ErrorCode::NonEmptyGroup)
            }
            None if !self.offsets.contains_key(id) => Some(ErrorCode::GroupIdNotFound),
            _ if entries > DELETE_ENTRIES_MAX => Some(ErrorCode::InvalidRequest),
            _ => None,
        };
        let response = match refused {
            Some(code) => delete_error(code),
            None => {
                let one = |topic| self.delete_of_topic(ctx, id, group, topic, out);
                let topics = request.topics.iter().map(one).collect();
                OffsetDeleteResponse { topics, ..Default::default() }
            }
        };
        out.reply(token, Response::OffsetDelete(response));
    }

    fn delete_of_topic(
        &self,
        ctx: &Context<'_>,
        id: &str,
        group: Option<&Group>,
        topic: &OffsetDeleteRequestTopic,
        out: &mut Decision,
    ) -> OffsetDeleteResponseTopic {
        let found = find(ctx.image, &topic.name, Uuid::ZERO, ctx.version);
        let offsets = self.offsets.get(id);
        let mut delete = |index: i32| {
            exists(&found, index)?;
            if group.is_some_and(|group| group.subscribes_to(&topic.name)) {
                return Err(ErrorCode::GroupSubscribedToTopic);
            }
            if offsets.is_some_and(|offsets| offsets.get(&topic.name, index).is_some()) {
                out.record(Record::offset(id, &topic.name, index, None));
            }
            Ok(())
        };
        let partitions = topic.partitions.iter().map(|partition| OffsetDeleteResponsePartition {
            partition_index: partition.partition_index,
            error_code: delete(partition.partition_index).err().unwrap_or(ErrorCode::None).code(),
        });
        let partitions = partitions.collect();
        OffsetDeleteResponseTopic { name: topic.name.clone(), partitions }
    }

    pub(super) fn delete(&mut self, token: Token, id: &str, out: &mut Decision) {
        let code = match self.groups.get(id) {
            Some(group) if group.state != State::Empty => ErrorCode::NonEmptyGroup,
            None if !self.offsets.contains_key(id) => ErrorCode::GroupIdNotFound,
            _ => {
                for (topic, partition, _) in
                    self.offsets.get(id).into_iter().flat_map(Offsets::iter)
                {
                    out.record(Record::offset(id, topic, partition, None));
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

    /// Whether the shard has as many groups as it keeps, and this is not one of them.
    pub(super) fn is_full_for(&self, id: &str) -> bool {
        let known = self.groups.contains_key(id) || self.offsets.contains_key(id);
        // A group with members and offsets counts twice: it is twice as large.
        !known && self.groups.len().saturating_add(self.offsets.len()) >= GROUPS_MAX
    }
}

/// Whether who commits may commit: a member of the generation, or anyone who names no generation
/// as long as the group has no members. A member that commits lives.
fn check_commit(
    group: &mut Group,
    now_ms: i64,
    request: &OffsetCommitRequest,
) -> Result<(), ErrorCode> {
    let generation = request.generation_id_or_member_epoch;
    if generation < 0 && group.state == State::Empty {
        return Ok(());
    }
    let instance = request.group_instance_id.as_deref();
    if generation < 0 && request.member_id.is_empty() && instance.is_none() {
        return Err(ErrorCode::UnknownMemberId);
    }
    group.check_member(&request.member_id, instance, generation)?;
    if group.state == State::Completing {
        return Err(ErrorCode::RebalanceInProgress);
    }
    if let Some(member) = group.members.get_mut(&request.member_id) {
        member.heard(now_ms);
    }
    Ok(())
}
