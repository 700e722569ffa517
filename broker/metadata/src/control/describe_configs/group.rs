//! What holds for a group, and for a subscription to clients' metrics.

use wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsSynonym,
};

use super::super::Refusal;
use super::{Subject, invalid, source_of, told};
use crate::broker_config::Def;
use crate::group_config;
use crate::image::{Resource, ResourceKind};
use crate::topic_config::Source;

/// What holds for a group, whether there is one of this name or not.
pub(super) fn describe_group(
    subject: &Subject<'_>,
    name: &str,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    if name.is_empty() {
        return Err(invalid("Group name must not be empty"));
    }
    let Subject { image, settings, .. } = subject;
    let layers = settings.broker.layers(image, settings.node_id);
    let own = Resource::group(name);
    let describe = |def: &Def| {
        let of_broker = group_config::broker_key(def.name);
        let default = layers.value(&of_broker).map(|setting| setting.text);
        let default = default.or_else(|| def.default.map(str::to_owned));
        let broker = match settings.broker.find(&of_broker) {
            Some(_) => told(layers.settings(&of_broker), false),
            None => told_default(def),
        };
        let set = image.configs.value(&own, def.name);
        describe_key(def, set, default, Source::Group, broker)
    };
    Ok(group_config::GROUP.iter().map(describe).collect())
}

/// What holds for a subscription, whether there is one of this name or not.
pub(super) fn describe_client_metrics(
    subject: &Subject<'_>,
    name: &str,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    if name.is_empty() {
        return Err(invalid("Client metrics subscription name must not be empty"));
    }
    let own = Resource { kind: ResourceKind::ClientMetrics, name: name.to_owned() };
    let describe = |def: &Def| {
        let set = subject.image.configs.value(&own, def.name);
        let default = def.default.map(str::to_owned);
        describe_key(def, set, default, Source::ClientMetrics, Vec::new())
    };
    Ok(group_config::CLIENT_METRICS.iter().map(describe).collect())
}

fn told_default(def: &Def) -> Vec<DescribeConfigsSynonym> {
    let tell = |value: &str| DescribeConfigsSynonym {
        name: def.name.to_owned(),
        value: Some(value.to_owned()),
        source: Source::Default.code(),
    };
    def.default.map(tell).into_iter().collect()
}

fn describe_key(
    def: &Def,
    set: Option<&str>,
    default: Option<String>,
    source: Source,
    mut synonyms: Vec<DescribeConfigsSynonym>,
) -> DescribeConfigsResourceResult {
    let text = set.map(str::to_owned).or(default).unwrap_or_default();
    let value = def.parse(&text).map_or(text, |value| value.to_string());
    if set.is_some() {
        let value = Some(value.clone());
        let name = def.name.to_owned();
        synonyms.insert(0, DescribeConfigsSynonym { name, value, source: source.code() });
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
