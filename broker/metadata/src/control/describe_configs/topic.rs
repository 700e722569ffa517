//! What holds for a topic.

use wire::ErrorCode;
use wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsSynonym,
};

use super::super::Refusal;
use super::{Subject, source_of, told};
use crate::broker_config::Layers;
use crate::topic_config::{self, Def, Effective, Source};
use crate::topic_name;

pub(super) fn describe(
    subject: &Subject<'_>,
    name: &str,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    topic_name::validate(name)
        .map_err(|err| Refusal::new(ErrorCode::InvalidTopicException, err.to_string()))?;
    let Subject { image, settings, .. } = subject;
    if image.topics.id_of(name).is_none() {
        let message = format!("The topic '{name}' does not exist.");
        return Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, message));
    }
    let layers = settings.broker.layers(image, settings.node_id);
    let resolved = settings.topic_defaults.under(&layers).resolve(image.configs.of_topic(name));
    let describe = |effective: &Effective| {
        let def = topic_config::find(effective.name)?;
        Some(describe_key(&layers, def, effective))
    };
    Ok(resolved.iter().filter_map(describe).collect())
}

fn describe_key(
    layers: &Layers<'_>,
    def: &'static Def,
    effective: &Effective,
) -> DescribeConfigsResourceResult {
    let value = effective.value.to_string();
    // Kafka tells the settings under the first of the broker's keys.
    let of_broker = def.synonyms.first().map(|synonym| layers.settings(synonym.name));
    let mut synonyms = told(of_broker.unwrap_or_default(), false);
    if effective.source == Source::Topic {
        let own = DescribeConfigsSynonym {
            name: def.name.to_owned(),
            value: Some(value.clone()),
            source: Source::Topic.code(),
        };
        synonyms.insert(0, own);
    }
    DescribeConfigsResourceResult {
        name: def.name.to_owned(),
        value: Some(value),
        read_only: false,
        config_source: source_of(&synonyms),
        is_sensitive: false,
        synonyms,
        config_type: def.kind.code(),
        documentation: Some(def.doc.to_owned()),
    }
}
