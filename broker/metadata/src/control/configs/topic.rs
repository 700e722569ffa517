//! What is set on a topic.

use wire::ErrorCode;
use wire::messages::config_record::ConfigRecord;

use super::{Alteration, Altered};
use crate::control::{Context, Refusal};
use crate::image::Resource;
use crate::topic_config::{self, Kind};
use crate::topic_name;

pub(super) fn alter(ctx: &Context<'_>, one: &Alteration<'_>) -> Result<Vec<ConfigRecord>, Refusal> {
    let resource = Resource::topic(one.name);
    let altered = Altered::new(ctx, &resource, one, list_default)?;
    if one.name.is_empty() {
        let message = "Default topic resources are not allowed.";
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    topic_name::validate(one.name)
        .map_err(|err| Refusal::new(ErrorCode::InvalidTopicException, err.to_string()))?;
    let pairs = altered.after.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let invalid =
        |err: topic_config::ConfigError| Refusal::new(ErrorCode::InvalidConfig, err.to_string());
    let defaults = ctx.settings.topic_defaults_in(ctx.image);
    defaults.validate(pairs).map_err(invalid)?;
    if ctx.image.topics.id_of(one.name).is_none() {
        let message = format!("The topic '{}' does not exist.", one.name);
        return Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, message));
    }
    Ok(altered.records(&resource))
}

/// A list that is not set grows from the definition's default, as in Kafka, not from the broker's.
fn list_default(key: &str) -> Result<String, Refusal> {
    match topic_config::find(key) {
        Some(def) if def.kind == Kind::List => Ok(def.default.to_owned()),
        _ => {
            let message = format!("Can't append to or subtract from {key}: it is not a list.");
            Err(Refusal::new(ErrorCode::InvalidConfig, message))
        }
    }
}
