//! ListGroups: all groups, filtered by state and type.

use wire::messages::list_groups_request::ListGroupsRequest;
use wire::messages::list_groups_response::ListGroupsResponse;

use crate::dispatch::{Answer, Call};

pub(crate) fn handle(call: &Call, request: ListGroupsRequest) -> Answer<ListGroupsResponse> {
    let listed = call.broker.node.list_groups(&request.states_filter, &request.types_filter);
    Answer::Now(match listed {
        Ok(groups) => ListGroupsResponse { groups, ..ListGroupsResponse::default() },
        Err(error) => {
            ListGroupsResponse { error_code: error.code(), ..ListGroupsResponse::default() }
        }
    })
}
