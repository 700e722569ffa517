//! LeaveGroup: members go.

use coordinator::{Request, Response};
use wire::messages::leave_group_request::LeaveGroupRequest;
use wire::messages::leave_group_response::LeaveGroupResponse;

use super::ask;
use crate::dispatch::{Answer, Call};

pub(crate) fn handle(call: &Call, request: LeaveGroupRequest) -> Answer<LeaveGroupResponse> {
    ask(call, Request::Leave(request), |response| match response {
        Response::Leave(response) => Some(response),
        _ => None,
    })
}
