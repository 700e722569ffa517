//! ListConfigResources: what can be configured.

use wire::ErrorCode;
use wire::messages::list_config_resources_request::ListConfigResourcesRequest;
use wire::messages::list_config_resources_response::{ConfigResource, ListConfigResourcesResponse};

use super::configs::BROKER_LOGGER;
use crate::image::{Image, ResourceKind};

/// Answers a ListConfigResources request of any version; version 0 knows of client metrics alone.
pub fn list_config_resources(
    image: &Image,
    request: &ListConfigResourcesRequest,
    version: i16,
) -> ListConfigResourcesResponse {
    let metrics = ResourceKind::ClientMetrics as i8;
    let all = [
        ResourceKind::Topic as i8,
        ResourceKind::Broker as i8,
        BROKER_LOGGER,
        metrics,
        ResourceKind::Group as i8,
    ];
    let known: &[i8] = if version == 0 { &[metrics] } else { &all };
    let wanted =
        |kind: &i8| request.resource_types.is_empty() || request.resource_types.contains(kind);
    if request.resource_types.iter().any(|kind| !known.contains(kind)) {
        let error_code = ErrorCode::UnsupportedVersion.code();
        return ListConfigResourcesResponse { error_code, ..Default::default() };
    }
    let mut config_resources = Vec::new();
    for kind in known.iter().copied().filter(wanted) {
        let names = names(image, kind).into_iter();
        config_resources.extend(
            names.map(|resource_name| ConfigResource { resource_name, resource_type: kind }),
        );
    }
    ListConfigResourcesResponse { config_resources, ..Default::default() }
}

/// Topics and brokers are all listed, the others once something is set on them.
fn names(image: &Image, kind: i8) -> Vec<String> {
    match ResourceKind::from_i8(kind) {
        Some(ResourceKind::Topic) => image.topics.iter().map(|t| t.name.to_string()).collect(),
        Some(kind @ (ResourceKind::Group | ResourceKind::ClientMetrics)) => {
            let of_kind = image.configs.iter().filter(|(resource, _)| resource.kind == kind);
            of_kind.map(|(resource, _)| resource.name.clone()).collect()
        }
        Some(ResourceKind::Broker) | None => {
            image.brokers.iter().map(|broker| broker.id.to_string()).collect()
        }
    }
}
