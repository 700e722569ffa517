//! OffsetCommit: how far a group has read.

use coordinator::{Request, Response};
use wire::messages::offset_commit_request::OffsetCommitRequest;
use wire::messages::offset_commit_response::OffsetCommitResponse;

use super::ask;
use crate::dispatch::{Answer, Call};

pub(crate) fn handle(call: &Call, request: OffsetCommitRequest) -> Answer<OffsetCommitResponse> {
    ask(call, Request::OffsetCommit(request), |response| match response {
        Response::OffsetCommit(response) => Some(response),
        _ => None,
    })
}
