//! ListConfigResources: what can be configured.

use metadata::control::list_config_resources::list_config_resources;
use wire::messages::list_config_resources_request::ListConfigResourcesRequest;
use wire::messages::list_config_resources_response::ListConfigResourcesResponse;

use crate::dispatch::{Answer, Call};

pub(crate) fn handle(
    call: &Call,
    request: ListConfigResourcesRequest,
) -> Answer<ListConfigResourcesResponse> {
    Answer::Now(list_config_resources(&call.broker.node.image(), &request, call.version))
}
