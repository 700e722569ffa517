//! DescribeGroups: groups with their members.

use wire::messages::describe_groups_request::DescribeGroupsRequest;
use wire::messages::describe_groups_response::DescribeGroupsResponse;

use crate::dispatch::{Answer, Call};
use crate::handlers::authorized;

/// From here on a client may ask what it may do.
const VERSION_WITH_OPERATIONS: i16 = 3;

pub(crate) fn handle(
    call: &Call,
    request: DescribeGroupsRequest,
) -> Answer<DescribeGroupsResponse> {
    let asked = request.include_authorized_operations && call.version >= VERSION_WITH_OPERATIONS;
    let operations = if asked { authorized::GROUP } else { authorized::NOT_ASKED };
    let groups = request.groups.iter().map(|group| {
        let mut described = call.broker.node.describe_group(group, call.version);
        described.authorized_operations = operations;
        described
    });
    let groups = groups.collect();
    Answer::Now(DescribeGroupsResponse { groups, ..DescribeGroupsResponse::default() })
}
