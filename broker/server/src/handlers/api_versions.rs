//! ApiVersions: what this broker serves. The first request of every client.

use metadata::features::{KRAFT_VERSION_FEATURE, SUPPORTED};
use wire::messages::api_versions_request::ApiVersionsRequest;
use wire::messages::api_versions_response::{
    ApiVersion, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use wire::{ApiKey, ErrorCode};

use crate::dispatch::{Answer, Call, apis};

/// From here on clients say what they are.
const VERSION_WITH_SOFTWARE_NAME: i16 = 3;

const VERSION_WITH_LEVEL_ZERO: i16 = 4;

pub(crate) fn handle(call: &Call, request: ApiVersionsRequest) -> Answer<ApiVersionsResponse> {
    Answer::Now(answer(call, &request, served()))
}

/// On a controller's listener: what is served there.
pub(crate) fn handle_for_controller(
    call: &Call,
    request: ApiVersionsRequest,
) -> Answer<ApiVersionsResponse> {
    let version = |key: &ApiKey| {
        let versions = apis::served_by_controller(*key)?;
        let (min_version, max_version) = (*versions.start(), *versions.end());
        Some(ApiVersion { api_key: key.code(), min_version, max_version })
    };
    let served = apis::SERVED_BY_CONTROLLER.iter().filter_map(version).collect();
    Answer::Now(answer(call, &request, served))
}

fn answer(
    call: &Call,
    request: &ApiVersionsRequest,
    api_keys: Vec<ApiVersion>,
) -> ApiVersionsResponse {
    if call.version >= VERSION_WITH_SOFTWARE_NAME
        && !(is_software_name(&request.client_software_name)
            && is_software_name(&request.client_software_version))
    {
        return failed(ErrorCode::InvalidRequest);
    }
    if !is_meant_for_us(call, request) {
        return failed(ErrorCode::RebootstrapRequired);
    }
    let node = &call.broker.node;
    // The offset first: an epoch never promises more than the features beside it have.
    let (epoch, image) = (node.image_offset(), node.image());
    // This one stands in the quorum's records.
    let kraft_version = (KRAFT_VERSION_FEATURE, node.control_status().kraft_version);
    // A cluster that comes from Kafka may stand at levels that are not served here.
    let level = |(name, level): (&str, i16)| {
        let level = level.min(SUPPORTED.iter().find(|known| known.name == name)?.max);
        (level > 0).then(|| FinalizedFeatureKey {
            name: name.to_owned(),
            max_version_level: level,
            min_version_level: level,
        })
    };
    let levels = image.features.iter().chain([kraft_version]).filter_map(level);
    ApiVersionsResponse {
        api_keys,
        supported_features: features(call.version),
        finalized_features_epoch: epoch.0,
        finalized_features: levels.collect(),
        ..ApiVersionsResponse::default()
    }
}

/// The answer, at version 0, to a version of ApiVersions that is not served.
pub(crate) fn unsupported_version() -> ApiVersionsResponse {
    let mut response = failed(ErrorCode::UnsupportedVersion);
    response.api_keys = served();
    response.api_keys.retain(|api| api.api_key == ApiKey::ApiVersions.code());
    response
}

fn failed(error: ErrorCode) -> ApiVersionsResponse {
    ApiVersionsResponse { error_code: error.code(), ..ApiVersionsResponse::default() }
}

fn served() -> Vec<ApiVersion> {
    let version = |key: &ApiKey| {
        let versions = apis::served(*key)?;
        Some(ApiVersion {
            api_key: key.code(),
            min_version: apis::advertised_min(*key, &versions),
            max_version: *versions.end(),
        })
    };
    apis::SERVED.iter().filter_map(version).collect()
}

/// The features that clients of this version can read: those before version 4 stumble over a lowest
/// level of 0.
fn features(version: i16) -> Vec<SupportedFeatureKey> {
    let readable = SUPPORTED.iter().filter(|f| f.min > 0 || version >= VERSION_WITH_LEVEL_ZERO);
    readable
        .map(|feature| SupportedFeatureKey {
            name: feature.name.to_owned(),
            min_version: feature.min,
            max_version: feature.max,
        })
        .collect()
}

/// A client that knows its cluster and broker (version 5) learns when it has reached another one.
fn is_meant_for_us(call: &Call, request: &ApiVersionsRequest) -> bool {
    let node = &call.broker.node;
    let cluster = request.cluster_id.as_deref();
    cluster.is_none_or(|id| id == node.cluster_id())
        && (request.node_id < 0 || request.node_id == node.node_id().0)
}

/// Letters, digits, `-` and `.`; a letter or digit at both ends.
fn is_software_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-' || *byte == b'.';
    ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names_are_checked_as_kafka_does() {
        for good in ["apache-kafka-java", "4.3.1", "x", "librdkafka", "a.-b"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-", "a-", ".a", "a b", "\u{e9}", "a_b"] {
            assert!(!is_software_name(bad), "{bad}");
        }
    }

    #[test]
    fn an_unknown_version_learns_the_range_of_api_versions_alone() {
        let response = unsupported_version();
        assert_eq!(response.error_code, 35);
        let range = ApiVersion { api_key: 18, min_version: 0, max_version: 5 };
        assert_eq!(response.api_keys, [range]);
    }
}
