//! OffsetDelete: forgets how far a group has read of some topics.

use coordinator::{Request, Response};
use wire::messages::offset_delete_request::OffsetDeleteRequest;
use wire::messages::offset_delete_response::OffsetDeleteResponse;

use super::ask;
use crate::dispatch::{Answer, Call};

pub(crate) fn handle(call: &Call, request: OffsetDeleteRequest) -> Answer<OffsetDeleteResponse> {
    ask(call, Request::OffsetDelete(request), |response| match response {
        Response::OffsetDelete(response) => Some(response),
        _ => None,
    })
}
