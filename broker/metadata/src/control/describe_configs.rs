//! DescribeConfigs: what holds for a topic, and where it comes from.

use wire::ErrorCode;
use wire::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
    DescribeConfigsSynonym,
};

use super::{Refusal, Settings};
use crate::image::{Image, ResourceKind};
use crate::topic_config::{self, Def, Effective, Source};
use crate::topic_name;

/// Answers a DescribeConfigs request; each resource stands for itself.
pub fn describe_configs(
    image: &Image,
    settings: &Settings,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let describe = |resource: &DescribeConfigsResource| {
        let described = describe_topic(image, settings, request, resource);
        let (code, message, configs) = match described {
            Ok(configs) => (ErrorCode::None, None, configs),
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

fn describe_topic(
    image: &Image,
    settings: &Settings,
    request: &DescribeConfigsRequest,
    resource: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    let name = &resource.resource_name;
    if ResourceKind::from_i8(resource.resource_type) != Some(ResourceKind::Topic) {
        let message = format!(
            "This version describes the configuration of topics only, not of resource type {}.",
            resource.resource_type
        );
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    topic_name::validate(name)
        .map_err(|err| Refusal::new(ErrorCode::InvalidTopicException, err.to_string()))?;
    if image.topics.id_of(name).is_none() {
        let message = format!("The topic '{name}' does not exist.");
        return Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, message));
    }
    let wanted = |key: &str| match &resource.configuration_keys {
        Some(keys) => keys.iter().any(|wanted| wanted == key),
        None => true,
    };
    let resolved = settings.topic_defaults.resolve(image.configs.of_topic(name));
    let described = resolved.iter().filter(|effective| wanted(effective.name));
    Ok(described
        .filter_map(|effective| {
            let def = topic_config::find(effective.name)?;
            Some(describe_key(settings, request, def, effective))
        })
        .collect())
}

fn describe_key(
    settings: &Settings,
    request: &DescribeConfigsRequest,
    def: &'static Def,
    effective: &Effective,
) -> DescribeConfigsResourceResult {
    DescribeConfigsResourceResult {
        name: effective.name.to_owned(),
        value: Some(effective.text.clone()),
        read_only: false,
        config_source: effective.source.code(),
        is_sensitive: false,
        synonyms: match request.include_synonyms {
            true => synonyms(settings, def, effective),
            false => Vec::new(),
        },
        config_type: def.kind.code(),
        documentation: request.include_documentation.then(|| def.doc.to_owned()),
    }
}

/// Everything that sets the key, the strongest first: the topic, the broker's key, its default.
fn synonyms(
    settings: &Settings,
    def: &'static Def,
    effective: &Effective,
) -> Vec<DescribeConfigsSynonym> {
    let one = |name: &str, value: String, source: Source| DescribeConfigsSynonym {
        name: name.to_owned(),
        value: Some(value),
        source: source.code(),
    };
    let mut all = Vec::new();
    if effective.source == Source::Topic {
        all.push(one(def.name, effective.text.clone(), Source::Topic));
    }
    let broker = settings.topic_defaults.get(def.name);
    if let Some((set, synonym)) = broker.and_then(|set| Some((set, set.synonym?))) {
        all.push(one(synonym.name, synonym.in_own_unit(&set.text), Source::StaticBroker));
    }
    // Of several broker keys the weakest is the one that has a default of its own.
    if let Some(weakest) = def.synonyms.last() {
        all.push(one(weakest.name, weakest.in_own_unit(def.default), Source::Default));
    }
    all
}
