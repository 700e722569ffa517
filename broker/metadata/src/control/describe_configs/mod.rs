//! DescribeConfigs: what holds for a resource, and where it comes from.

mod broker;
mod group;
mod topic;

use std::collections::BTreeMap;

use wire::ErrorCode;
use wire::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
    DescribeConfigsSynonym,
};

use super::configs::BROKER_LOGGER;
use super::{Refusal, Settings};
use crate::broker_config::Setting;
use crate::image::{Image, ResourceKind};
use crate::topic_config::Source;

/// What a description is made from.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The state.
    pub image: &'a Image,
    /// The configuration.
    pub settings: &'a Settings,
    /// The broker's loggers and their levels.
    pub loggers: &'a BTreeMap<String, String>,
}

/// Answers a DescribeConfigs request; each resource stands for itself, but for kinds that do not
/// exist, which spoil the whole request, as in Kafka.
pub fn describe_configs(
    subject: &Subject<'_>,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let known = |kind: i8| kind == BROKER_LOGGER || ResourceKind::from_i8(kind).is_some();
    let stranger = request.resources.iter().find(|resource| !known(resource.resource_type));
    let describe = |resource: &DescribeConfigsResource| {
        let described = match stranger {
            Some(stranger) => Err(invalid(format!(
                "Unexpected resource type {} for resource {}",
                stranger.resource_type, stranger.resource_name
            ))),
            None => describe_one(subject, request, resource),
        };
        let (code, message, configs) = match described {
            Ok(configs) => (ErrorCode::None, Some(String::new()), configs),
            Err(refusal) => (refusal.code, Some(refusal.message), Vec::new()),
        };
        DescribeConfigsResult {
            error_code: code.code(),
            error_message: message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            configs,
        }
    };
    let results = request.resources.iter().map(describe).collect();
    DescribeConfigsResponse { results, ..Default::default() }
}

fn describe_one(
    subject: &Subject<'_>,
    request: &DescribeConfigsRequest,
    resource: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    let name = &resource.resource_name;
    let mut described = match ResourceKind::from_i8(resource.resource_type) {
        Some(ResourceKind::Topic) => topic::describe(subject, name)?,
        Some(ResourceKind::Broker) if name.is_empty() => broker::describe_all(subject),
        Some(ResourceKind::Broker) => broker::describe_one(subject, name)?,
        Some(ResourceKind::Group) => group::describe_group(subject, name)?,
        Some(ResourceKind::ClientMetrics) => group::describe_client_metrics(subject, name)?,
        None => broker::describe_loggers(subject, name)?,
    };
    // No key at all is every key, as in Kafka.
    if let Some(keys) = resource.configuration_keys.as_ref().filter(|keys| !keys.is_empty()) {
        described.retain(|described| keys.contains(&described.name));
    }
    for one in &mut described {
        if !request.include_synonyms {
            one.synonyms = Vec::new();
        }
        if !request.include_documentation {
            one.documentation = None;
        }
    }
    Ok(described)
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, message)
}

/// Settings as the protocol tells them.
fn told(settings: Vec<Setting>, sensitive: bool) -> Vec<DescribeConfigsSynonym> {
    let tell = |setting: Setting| DescribeConfigsSynonym {
        name: setting.name,
        value: (!sensitive).then_some(setting.text),
        source: setting.source.code(),
    };
    settings.into_iter().map(tell).collect()
}

/// The source of a value is that of the strongest setting that is told.
fn source_of(synonyms: &[DescribeConfigsSynonym]) -> i8 {
    synonyms.first().map_or(Source::Default.code(), |first| first.source)
}
