//! Heartbeat: a member lives.

use coordinator::{Request, Response};
use wire::messages::heartbeat_request::HeartbeatRequest;
use wire::messages::heartbeat_response::HeartbeatResponse;

use super::ask;
use crate::dispatch::{Answer, Call};

pub(crate) fn handle(call: &Call, request: HeartbeatRequest) -> Answer<HeartbeatResponse> {
    ask(call, Request::Heartbeat(request), |response| match response {
        Response::Heartbeat(response) => Some(response),
        _ => None,
    })
}
