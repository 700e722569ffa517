//! What holds for a broker, for all brokers, and for a broker's loggers.

use wire::messages::describe_configs_response::DescribeConfigsResourceResult;

use super::super::Refusal;
use super::{Subject, invalid, source_of, told};
use crate::broker_config::{Def, Kind, Layers, Update};
use crate::image::Resource;
use crate::topic_config::Source;

/// What is set on all brokers at once.
pub(super) fn describe_all(subject: &Subject<'_>) -> Vec<DescribeConfigsResourceResult> {
    let Subject { image, settings, .. } = subject;
    let keys = &settings.broker;
    let layers = keys.layers(image, settings.node_id);
    let Some(set) = image.configs.get(&Resource::all_brokers()) else { return Vec::new() };
    // What lies there besides is no configuration: the cluster's id, for instance.
    let set = set.iter().filter(|(name, _)| !keys.is_private(name));
    let describe = |(name, value): (&String, &String)| {
        let def = keys.find_for_listener(name);
        let mut described = describe_key(&layers, name, def, Some(value.clone()));
        described.synonyms.retain(|one| one.source == Source::DynamicDefault.code());
        described.config_source = source_of(&described.synonyms);
        described
    };
    set.map(describe).collect()
}

/// Everything that holds for one broker, which must be this one.
pub(super) fn describe_one(
    subject: &Subject<'_>,
    name: &str,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    let Subject { image, settings, .. } = subject;
    let node = settings.node_id;
    match broker_id(name)? {
        id if id == node.0 => {}
        _ => {
            return Err(invalid(format!(
                "Unexpected broker id, expected {node} or empty string, but received {name}"
            )));
        }
    }
    let keys = &settings.broker;
    let layers = keys.layers(image, node);
    let told = |def: &Def, text: String| match def.parse(&text) {
        Ok(value) => value.to_string(),
        Err(_) => text,
    };
    let shown = |def: &&Def| {
        !def.internal || layers.value(def.name).is_some_and(|set| set.source != Source::Default)
    };
    let defined = keys.defs().filter(shown).map(|def| {
        let value = layers.value(def.name).map(|setting| told(def, setting.text));
        describe_key(&layers, def.name, Some(def), value)
    });
    let others = layers.undefined().into_iter().filter(|name| !keys.is_private(name));
    let others = others.map(|name| {
        // A listener's key is shown as what it is a case of; what nobody knows is not.
        let def = keys.find_for_listener(name);
        let value = def.zip(layers.first(&[name]));
        let value = value.map(|(def, (_, _, text))| told(def, text.to_owned()));
        describe_key(&layers, name, def, value)
    });
    Ok(defined.chain(others).collect())
}

/// The levels of this broker's loggers.
pub(super) fn describe_loggers(
    subject: &Subject<'_>,
    name: &str,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    if name.is_empty() {
        return Err(invalid("Broker id must not be empty"));
    }
    let node = subject.settings.node_id;
    if broker_id(name)? != node.0 {
        return Err(invalid(format!("Unexpected broker id, expected {node} but received {name}")));
    }
    let describe = |(logger, level): (&String, &String)| DescribeConfigsResourceResult {
        name: logger.clone(),
        value: Some(level.clone()),
        config_source: Source::Logger.code(),
        ..Default::default()
    };
    Ok(subject.loggers.iter().map(describe).collect())
}

fn broker_id(name: &str) -> Result<i32, Refusal> {
    name.parse().map_err(|_| invalid(format!("Broker id must be an integer, but it is: {name}")))
}

fn describe_key(
    layers: &Layers<'_>,
    name: &str,
    def: Option<&Def>,
    value: Option<String>,
) -> DescribeConfigsResourceResult {
    // What nobody defined may be a secret.
    let is_sensitive = def.is_none_or(|def| def.kind == Kind::Password);
    let synonyms = told(layers.settings(name), is_sensitive);
    DescribeConfigsResourceResult {
        name: name.to_owned(),
        value: value.filter(|_| !is_sensitive),
        read_only: def.is_none_or(|def| def.update == Update::ReadOnly || def.name != name),
        config_source: source_of(&synonyms),
        is_sensitive,
        synonyms,
        config_type: def.map_or(0, |def| def.kind.code()),
        documentation: def.map(|def| def.doc.to_owned()),
    }
}
