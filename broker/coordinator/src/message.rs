//! What goes into a shard and what comes out of it.

use wire::ErrorCode;
use wire::messages::delete_groups_response::DeletableGroupResult;
use wire::messages::heartbeat_request::HeartbeatRequest;
use wire::messages::heartbeat_response::HeartbeatResponse;
use wire::messages::join_group_request::JoinGroupRequest;
use wire::messages::join_group_response::JoinGroupResponse;
use wire::messages::leave_group_request::LeaveGroupRequest;
use wire::messages::leave_group_response::LeaveGroupResponse;
use wire::messages::offset_commit_request::OffsetCommitRequest;
use wire::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use wire::messages::offset_delete_request::OffsetDeleteRequest;
use wire::messages::offset_delete_response::OffsetDeleteResponse;
use wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use wire::messages::offset_fetch_response::OffsetFetchResponseGroup;
use wire::messages::sync_group_request::SyncGroupRequest;
use wire::messages::sync_group_response::SyncGroupResponse;

use crate::{Error, Record};

/// The caller's name for a request: its reply carries it.
pub type Token = u64;

/// A request for one group.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// JoinGroup.
    Join(JoinGroupRequest),
    /// SyncGroup.
    Sync(SyncGroupRequest),
    /// Heartbeat.
    Heartbeat(HeartbeatRequest),
    /// LeaveGroup.
    Leave(LeaveGroupRequest),
    /// OffsetCommit.
    OffsetCommit(OffsetCommitRequest),
    /// One group of an OffsetFetch of any version (`fetch_groups` makes them).
    OffsetFetch(OffsetFetchRequestGroup),
    /// OffsetDelete.
    OffsetDelete(OffsetDeleteRequest),
    /// One group of a DeleteGroups.
    DeleteGroup(String),
}

/// The answer to a request of the same name.
#[derive(Debug, Clone, PartialEq)]
pub enum Response {
    /// JoinGroup.
    Join(JoinGroupResponse),
    /// SyncGroup.
    Sync(SyncGroupResponse),
    /// Heartbeat.
    Heartbeat(HeartbeatResponse),
    /// LeaveGroup.
    Leave(LeaveGroupResponse),
    /// OffsetCommit.
    OffsetCommit(OffsetCommitResponse),
    /// One group of an OffsetFetch (`fetch_response` puts them together).
    OffsetFetch(OffsetFetchResponseGroup),
    /// OffsetDelete.
    OffsetDelete(OffsetDeleteResponse),
    /// One group of a DeleteGroups.
    DeleteGroup(DeletableGroupResult),
}

/// An answer for whoever asked under the token.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// As given with the request.
    pub token: Token,
    /// The answer.
    pub response: Response,
}

/// What was decided.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// To be appended in one batch, then replayed.
    pub records: Vec<Record>,
    /// To be released once everything appended so far is committed.
    pub replies: Vec<Reply>,
}

impl Decision {
    /// The replies to give when the append of the records was refused.
    pub fn refused(self, code: ErrorCode) -> Vec<Reply> {
        let refuse = |reply: Reply| Reply { response: reply.response.refuse(code), ..reply };
        self.replies.into_iter().map(refuse).collect()
    }

    pub(crate) fn reply(&mut self, token: Token, response: Response) {
        self.replies.push(Reply { token, response });
    }

    /// Adds a record. One that does not encode (a name longer than the wire has room for) is
    /// answered as an error by whoever asked for it.
    pub(crate) fn record(&mut self, record: Result<Record, Error>) -> bool {
        match record {
            Ok(record) => {
                self.records.push(record);
                true
            }
            Err(_) => false,
        }
    }
}

impl Request {
    /// The group that the request is about.
    pub fn group(&self) -> &str {
        match self {
            Self::Join(r) => &r.group_id,
            Self::Sync(r) => &r.group_id,
            Self::Heartbeat(r) => &r.group_id,
            Self::Leave(r) => &r.group_id,
            Self::OffsetCommit(r) => &r.group_id,
            Self::OffsetFetch(r) => &r.group_id,
            Self::OffsetDelete(r) => &r.group_id,
            Self::DeleteGroup(group) => group,
        }
    }

    /// Whether the request may be about the group without a name, which the oldest clients used
    /// to keep offsets.
    pub(crate) fn takes_unnamed_group(&self) -> bool {
        match self {
            Self::OffsetCommit(_) | Self::OffsetFetch(_) | Self::DeleteGroup(_) => true,
            Self::Join(_)
            | Self::Sync(_)
            | Self::Heartbeat(_)
            | Self::Leave(_)
            | Self::OffsetDelete(_) => false,
        }
    }

    /// The answer that refuses the whole request.
    pub fn refuse(&self, version: i16, code: ErrorCode) -> Response {
        let error_code = code.code();
        match self {
            Self::Join(r) => Response::Join(join_error(version, r.member_id.clone(), code)),
            Self::Sync(_) => Response::Sync(sync_error(code)),
            Self::Heartbeat(_) => Response::Heartbeat(heartbeat(code)),
            Self::Leave(_) => {
                Response::Leave(LeaveGroupResponse { error_code, ..Default::default() })
            }
            Self::OffsetCommit(r) => Response::OffsetCommit(commit_error(r, code)),
            Self::OffsetFetch(r) => Response::OffsetFetch(OffsetFetchResponseGroup {
                group_id: r.group_id.clone(),
                error_code,
                ..Default::default()
            }),
            Self::OffsetDelete(_) => Response::OffsetDelete(delete_error(code)),
            Self::DeleteGroup(group) => Response::DeleteGroup(DeletableGroupResult {
                group_id: group.clone(),
                error_code,
                ..Default::default()
            }),
        }
    }
}

impl Response {
    /// The same answer, turned into a refusal of everything in it.
    pub fn refuse(self, code: ErrorCode) -> Self {
        let error_code = code.code();
        match self {
            Self::Join(r) => Self::Join(JoinGroupResponse {
                error_code,
                generation_id: -1,
                leader: String::new(),
                skip_assignment: false,
                members: Vec::new(),
                ..r
            }),
            Self::Sync(_) => Self::Sync(sync_error(code)),
            Self::Heartbeat(_) => Self::Heartbeat(heartbeat(code)),
            Self::Leave(r) => Self::Leave(LeaveGroupResponse { error_code, ..r }),
            Self::OffsetCommit(mut r) => {
                for partition in r.topics.iter_mut().flat_map(|t| t.partitions.iter_mut()) {
                    if partition.error_code == 0 {
                        partition.error_code = error_code;
                    }
                }
                Self::OffsetCommit(r)
            }
            Self::OffsetFetch(r) => {
                Self::OffsetFetch(OffsetFetchResponseGroup { error_code, topics: Vec::new(), ..r })
            }
            Self::OffsetDelete(_) => Self::OffsetDelete(delete_error(code)),
            Self::DeleteGroup(r) => Self::DeleteGroup(DeletableGroupResult { error_code, ..r }),
        }
    }
}

pub(crate) fn join_error(version: i16, member_id: String, code: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: code.code(),
        generation_id: -1,
        protocol_name: if version >= 7 { None } else { Some(String::new()) },
        member_id,
        ..Default::default()
    }
}

pub(crate) fn sync_error(code: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code: code.code(), ..Default::default() }
}

pub(crate) fn heartbeat(code: ErrorCode) -> HeartbeatResponse {
    HeartbeatResponse { error_code: code.code(), ..Default::default() }
}

pub(crate) fn delete_error(code: ErrorCode) -> OffsetDeleteResponse {
    OffsetDeleteResponse { error_code: code.code(), ..Default::default() }
}

pub(crate) fn commit_error(request: &OffsetCommitRequest, code: ErrorCode) -> OffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: code.code(),
            })
            .collect(),
    });
    OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}
