//! What is set on a broker, or on all of them, while they run.

use std::sync::Arc;

use wire::ErrorCode;
use wire::ids::BrokerId;
use wire::messages::config_record::ConfigRecord;

use super::{Alteration, Altered, Configs};
use crate::broker_config::{BrokerKeys, Kind, Layers, Update, base_of_listener_key};
use crate::control::{Context, Refusal};
use crate::image::Resource;

/// Sizes of pools: one change at most doubles or halves them, as in Kafka.
const POOLS: &[&str] = &[
    "background.threads",
    "log.cleaner.threads",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
];
/// Keys of single listeners that all brokers can have.
const LISTENER_KEYS_FOR_ALL: &[&str] =
    &["max.connections", "max.connection.creation.rate", "num.network.threads"];
/// Limits of listeners that cannot become nothing: nobody could come and raise them again.
const NEVER_ZERO: &[&str] = &["max.connections", "max.connection.creation.rate"];
/// Keys that Kafka changes while it runs and this broker does not.
const FIXED: &[&str] = &["listeners", "listener.security.protocol.map"];

pub(super) fn alter(ctx: &Context<'_>, one: &Alteration<'_>) -> Result<Vec<ConfigRecord>, Refusal> {
    let keys = &ctx.settings.broker;
    let broker = match one.name {
        "" => None,
        name => Some(known_broker(ctx, name)?),
    };
    let resource = broker.map_or_else(Resource::all_brokers, Resource::broker);
    let mut altered = Altered::new(ctx, &resource, one, |key| list_default(keys, key))?;
    let own = |key: &String| !keys.is_private(key);
    altered.before.retain(|key, _| own(key));
    if !one.replaces {
        let named = |key: &str| one.changes.iter().any(|change| change.name == key);
        altered.after.retain(|key, _| own(key) || named(key));
    }
    validate(ctx, broker, &altered)?;
    Ok(altered.records(&resource))
}

/// The broker of this name, which has to be registered. That it was asked itself is looked at where
/// the request came in: the controller decides for all.
pub(in crate::control) fn known_broker(ctx: &Context<'_>, name: &str) -> Result<BrokerId, Refusal> {
    let Ok(id) = name.parse::<i32>().map(BrokerId) else {
        let message = format!("Node id must be an integer, but it is: {name}");
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    };
    if ctx.image.brokers.get(id).is_some() || id == ctx.settings.node_id {
        return Ok(id);
    }
    let message = format!("No broker with id {id} found.");
    Err(Refusal::new(ErrorCode::BrokerIdNotRegistered, message))
}

fn list_default(keys: &BrokerKeys, key: &str) -> Result<String, Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidConfig, message));
    match keys.find(key) {
        Some(def) if def.kind == Kind::List => Ok(def.default.unwrap_or_default().to_owned()),
        Some(_) => {
            invalid(format!("Config value append or subtract is not allowed for config key: {key}"))
        }
        None => invalid(format!("Unknown config name: {key}")),
    }
}

/// `broker` is the one that is changed; `None` for all.
fn validate(ctx: &Context<'_>, broker: Option<BrokerId>, altered: &Altered) -> Result<(), Refusal> {
    let for_all = broker.is_none();
    let keys = &ctx.settings.broker;
    let after = &altered.after;
    let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    let named = |what: &dyn Fn(&str) -> bool| -> Option<String> {
        let names: Vec<&str> = after.keys().map(String::as_str).filter(|name| what(name)).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let update = |name: &str| keys.find(name).map(|def| def.update);
    let fixed = |name: &str| update(name) == Some(Update::ReadOnly) || keys.is_private(name);
    if let Some(names) = named(&fixed) {
        return invalid(format!("Cannot update these configs dynamically: [{names}]"));
    }
    let stores = ["ssl.keystore.", "ssl.truststore.", "ssl.key.password"];
    let security = |name: &str| stores.iter().any(|store| name.starts_with(store));
    if let Some(names) = named(&security) {
        return invalid(format!(
            "These security configs can be dynamically updated only per-listener using the \
             listener prefix: [{names}]"
        ));
    }
    check_types(keys, after)?;
    let one_broker = |name: &str| match base_of_listener_key(name) {
        Some(base) => !LISTENER_KEYS_FOR_ALL.contains(&base),
        None => update(name) == Some(Update::PerBroker),
    };
    if for_all && let Some(names) = named(&one_broker) {
        return invalid(format!(
            "Cannot update these configs at default cluster level, broker id must be specified: \
             [{names}]"
        ));
    }
    let broker = broker.unwrap_or(ctx.settings.node_id);
    let now = keys.layers(ctx.image, broker);
    let changed = Arc::new(after.clone());
    check_change(ctx, broker, now, now.with(for_all, &changed))
}

fn check_types(keys: &BrokerKeys, after: &Configs) -> Result<(), Refusal> {
    for (name, value) in after {
        let def = keys.find_for_listener(name);
        let Some(Err(expected)) = def.map(|def| def.parse(value)) else { continue };
        let shown = match def.map(|def| def.kind) {
            Some(Kind::Password) => "[hidden]",
            _ => value,
        };
        let message =
            format!("Invalid value {shown} for configuration {name}: expected {expected}");
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    Ok(())
}

/// What a value may not be because of the one in force, or of others.
fn check_change(
    ctx: &Context<'_>,
    broker: BrokerId,
    now: Layers<'_>,
    next: Layers<'_>,
) -> Result<(), Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    let number = |layers: Layers<'_>, name: &str| -> Option<i64> {
        layers.value(name)?.text.trim().parse().ok()
    };
    for name in POOLS {
        let (Some(old), Some(new)) = (number(now, name), number(next, name)) else { continue };
        if new != old && new < old / 2 {
            return invalid(format!(
                "Dynamic thread count update validation failed for {name}={new}: value should be \
                 at least half the current value {old}"
            ));
        }
        if new > old.saturating_mul(2) {
            return invalid(format!(
                "Dynamic thread count update validation failed for {name}={new}: value should not \
                 be greater than double the current value {old}"
            ));
        }
    }
    for name in FIXED {
        let text = |layers: Layers<'_>| layers.value(name).map(|setting| setting.text);
        if text(next) != text(now) {
            return invalid(format!("{name} changes with a restart only"));
        }
    }
    check_listeners(ctx, broker, now, next)?;
    for (local, all) in [
        ("log.local.retention.ms", "retention.ms"),
        ("log.local.retention.bytes", "retention.bytes"),
    ] {
        let most = ctx.settings.topic_defaults.under(&next);
        let most = most.get(all).and_then(|most| most.text.parse::<i64>().ok()).unwrap_or(-1);
        let Some(local_most) = number(next, local) else { continue };
        if most > -1 && local_most != -2 && (local_most == -1 || local_most > most) {
            return invalid(format!(
                "Invalid value {local_most} for configuration {local}: Value must not be more than \
                 {all} of the broker: {most}"
            ));
        }
    }
    Ok(())
}

fn check_listeners(
    ctx: &Context<'_>,
    broker: BrokerId,
    now: Layers<'_>,
    next: Layers<'_>,
) -> Result<(), Refusal> {
    let node = ctx.image.brokers.get(broker);
    for endpoint in node.iter().flat_map(|node| &node.endpoints) {
        for key in NEVER_ZERO {
            let value = |layers: Layers<'_>| layers.of_listener(&endpoint.listener, key);
            let next = value(next);
            let zero = next.as_ref().is_some_and(|text| text.trim().parse() == Ok(0));
            if zero && next != value(now) {
                let message = format!("Invalid {key} 0 of listener {}", endpoint.listener);
                return Err(Refusal::new(ErrorCode::InvalidRequest, message));
            }
        }
    }
    Ok(())
}
