//! DeleteGroups: groups without members go, with their offsets.

use std::collections::BTreeSet;

use coordinator::{Request, Response};
use wire::messages::delete_groups_request::DeleteGroupsRequest;
use wire::messages::delete_groups_response::DeleteGroupsResponse;

use super::ask_all;
use crate::dispatch::{Answer, Call};

pub(crate) fn handle(call: &Call, request: DeleteGroupsRequest) -> Answer<DeleteGroupsResponse> {
    let mut seen = BTreeSet::new();
    let once = request.groups_names.into_iter().filter(|group| seen.insert(group.clone()));
    let asked = once.map(Request::DeleteGroup).collect();
    ask_all(call, asked, |answers| {
        let one = |answer| match answer {
            Response::DeleteGroup(result) => Some(result),
            _ => None,
        };
        let results: Option<Vec<_>> = answers.into_iter().map(one).collect();
        Some(DeleteGroupsResponse { results: results?, ..DeleteGroupsResponse::default() })
    })
}
