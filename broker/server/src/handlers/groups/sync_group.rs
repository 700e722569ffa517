//! SyncGroup: a member asks for its assignment; the answer waits for the leader's.

use coordinator::{Request, Response};
use wire::messages::sync_group_request::SyncGroupRequest;
use wire::messages::sync_group_response::SyncGroupResponse;

use super::ask;
use crate::dispatch::{Answer, Call};

pub(crate) fn handle(call: &Call, request: SyncGroupRequest) -> Answer<SyncGroupResponse> {
    ask(call, Request::Sync(request), |response| match response {
        Response::Sync(response) => Some(response),
        _ => None,
    })
}
