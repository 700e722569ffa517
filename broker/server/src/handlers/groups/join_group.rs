//! JoinGroup: a member comes; the answer waits for the other members.

use coordinator::{Request, Response};
use wire::messages::join_group_request::JoinGroupRequest;
use wire::messages::join_group_response::JoinGroupResponse;

use super::ask;
use crate::dispatch::{Answer, Call};

pub(crate) fn handle(call: &Call, request: JoinGroupRequest) -> Answer<JoinGroupResponse> {
    ask(call, Request::Join(request), |response| match response {
        Response::Join(response) => Some(response),
        _ => None,
    })
}
