//! DescribeConfigs: what holds for topics, brokers, loggers, groups.

use metadata::control::describe_configs::{Subject, describe_configs};
use wire::messages::describe_configs_request::DescribeConfigsRequest;
use wire::messages::describe_configs_response::DescribeConfigsResponse;

use crate::dispatch::{Answer, Call};

pub(crate) fn handle(
    call: &Call,
    request: DescribeConfigsRequest,
) -> Answer<DescribeConfigsResponse> {
    let node = &call.broker.node;
    let (image, loggers) = (node.image(), crate::logging::levels::levels());
    let settings = &node.config().settings;
    Answer::Now(describe_configs(&Subject { image: &image, settings, loggers: &loggers }, &request))
}
