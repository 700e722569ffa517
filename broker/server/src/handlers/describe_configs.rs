//! DescribeConfigs: what holds for topics.

use metadata::control::describe_configs::describe_configs;
use wire::messages::describe_configs_request::DescribeConfigsRequest;
use wire::messages::describe_configs_response::DescribeConfigsResponse;

use crate::dispatch::{Answer, Call};

pub(crate) fn handle(
    call: &Call,
    request: DescribeConfigsRequest,
) -> Answer<DescribeConfigsResponse> {
    let node = &call.broker.node;
    Answer::Now(describe_configs(&node.image(), &node.config().settings, &request))
}
