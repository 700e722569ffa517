//! IncrementalAlterConfigs for topics.

use std::collections::{BTreeMap, BTreeSet};

use wire::ErrorCode;
use wire::messages::config_record::ConfigRecord;
use wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, IncrementalAlterConfigsRequest,
};
use wire::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
};

use super::{Context, Decision, Refusal};
use crate::image::{Resource, ResourceKind};
use crate::topic_config::{self, Kind};
use wire::messages::metadata_records::MetadataRecord;

/// Decides an IncrementalAlterConfigs request; each resource stands for itself.
pub fn incremental_alter_configs(
    ctx: &Context<'_>,
    request: &IncrementalAlterConfigsRequest,
) -> Decision<IncrementalAlterConfigsResponse> {
    let mut records = Vec::new();
    let mut responses = Vec::with_capacity(request.resources.len());
    for (at, resource) in request.resources.iter().enumerate() {
        let same = |other: &AlterConfigsResource| {
            other.resource_type == resource.resource_type
                && other.resource_name == resource.resource_name
        };
        let repeats = request.resources.iter().take(at).any(same);
        let decided = if repeats {
            let message = "Each resource must appear at most once.";
            Err(Refusal::new(ErrorCode::InvalidRequest, message))
        } else {
            alter_one(ctx, resource)
        };
        let mut response = AlterConfigsResourceResponse {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            ..Default::default()
        };
        match decided {
            Ok(changes) if !request.validate_only => records.extend(changes),
            Ok(_) => {}
            Err(refusal) => {
                response.error_code = refusal.code.code();
                response.error_message = Some(refusal.message);
            }
        }
        responses.push(response);
    }
    let response = IncrementalAlterConfigsResponse { responses, ..Default::default() };
    Decision { records, response }
}

fn alter_one(
    ctx: &Context<'_>,
    resource: &AlterConfigsResource,
) -> Result<Vec<MetadataRecord>, Refusal> {
    let topic = &resource.resource_name;
    if ResourceKind::from_i8(resource.resource_type) != Some(ResourceKind::Topic) {
        let message = format!(
            "This version alters the configuration of topics only, not of resource type {}.",
            resource.resource_type
        );
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    if ctx.image.topics.id_of(topic).is_none() {
        let message = format!("The topic '{topic}' does not exist.");
        return Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, message));
    }
    let before = ctx.image.configs.get(&Resource::topic(topic)).cloned().unwrap_or_default();
    let mut after: BTreeMap<String, String> = (*before).clone();
    let mut seen = BTreeSet::new();
    for change in &resource.configs {
        if !seen.insert(change.name.as_str()) {
            let message = "Error due to duplicate config keys";
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
        alter_key(ctx, &mut after, change.config_operation, &change.name, change.value.as_deref())?;
    }
    let pairs = after.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    let invalid =
        |err: topic_config::ConfigError| Refusal::new(ErrorCode::InvalidConfig, err.to_string());
    ctx.settings.topic_defaults.validate(pairs).map_err(invalid)?;
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changed = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    Ok(changed
        .map(|key| {
            MetadataRecord::Config(ConfigRecord {
                resource_type: ResourceKind::Topic as i8,
                resource_name: topic.clone(),
                name: key.clone(),
                value: after.get(key).cloned(),
            })
        })
        .collect())
}

/// Applies one operation: 0 set, 1 delete, 2 append to a list, 3 subtract from a list.
fn alter_key(
    ctx: &Context<'_>,
    settings: &mut BTreeMap<String, String>,
    operation: i8,
    name: &str,
    value: Option<&str>,
) -> Result<(), Refusal> {
    if operation == 1 {
        settings.remove(name);
        return Ok(());
    }
    let Some(value) = value else {
        let message = format!("Null value not supported for topic configs: {name}");
        return Err(Refusal::new(ErrorCode::InvalidConfig, message));
    };
    if operation == 0 {
        settings.insert(name.to_owned(), value.to_owned());
        return Ok(());
    }
    if !matches!(operation, 2 | 3) {
        let message = format!("Unknown config operation {operation}");
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    if topic_config::find(name).is_none_or(|def| def.kind != Kind::List) {
        let message = format!("Can't append or subtract: {name} is not a list.");
        return Err(Refusal::new(ErrorCode::InvalidConfig, message));
    }
    let default = ctx.settings.topic_defaults.get(name).map(|e| e.text.clone());
    let current = settings.get(name).cloned().or(default).unwrap_or_default();
    let split = |text: &str| -> Vec<String> {
        text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
    };
    let mut items = split(&current);
    let given = split(value);
    if operation == 2 {
        items.extend(given.into_iter().filter(|item| !split(&current).contains(item)));
    } else {
        items.retain(|item| !given.contains(item));
    }
    settings.insert(name.to_owned(), items.join(","));
    Ok(())
}
