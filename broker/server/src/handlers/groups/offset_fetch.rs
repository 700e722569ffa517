//! OffsetFetch: how far groups have read. A request may name several groups, each with its own
//! shard.

use coordinator::{Request, Response, fetch_groups, fetch_refused, fetch_response};
use wire::ErrorCode;
use wire::messages::offset_fetch_request::OffsetFetchRequest;
use wire::messages::offset_fetch_response::OffsetFetchResponse;

use super::ask_all;
use crate::dispatch::{Answer, Call};

pub(crate) fn handle(call: &Call, request: OffsetFetchRequest) -> Answer<OffsetFetchResponse> {
    let version = call.version;
    let groups = fetch_groups(&request, version);
    // What a group has is answered once: many answers could be more than there is memory.
    let mut ids: Vec<&str> = groups.iter().map(|group| group.group_id.as_str()).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|two| two.first() == two.last()) {
        return Answer::Now(fetch_refused(&request, ErrorCode::InvalidRequest, version));
    }
    let asked = groups.into_iter().map(Request::OffsetFetch).collect();
    ask_all(call, asked, move |answers| {
        let one = |answer| match answer {
            Response::OffsetFetch(group) => Some(group),
            _ => None,
        };
        let groups: Option<Vec<_>> = answers.into_iter().map(one).collect();
        Some(fetch_response(&request, groups?, version))
    })
}
