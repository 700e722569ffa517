//! Every key there is, and which known key a misspelt one may have meant.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use metadata::broker_config::base_of_listener_key;
use strsim::levenshtein;

use super::def::Def;
use super::error::{ConfigError, Source};
use super::keys;

const TABLES: &[&[Def]] = &[
    keys::node::KEYS,
    keys::quorum::KEYS,
    keys::log::KEYS,
    keys::coordinator::KEYS,
    keys::tidelog::KEYS,
    keys::accepted_cluster::KEYS,
    keys::accepted_groups::KEYS,
    keys::accepted_runtime::KEYS,
    keys::accepted_security::KEYS,
];

/// Beginnings of names that Kafka passes to its plugins as they are.
const PLUGIN_PREFIXES: &[&str] = &["rsm.config.", "rlmm.config.", "config.providers."];

/// A key with this beginning belongs to one listener: `listener.name.NAME.KEY`.
const LISTENER_PREFIX: &str = "listener.name.";

/// The keys that single listeners can have for themselves here.
const OF_LISTENERS: &[&str] = &["max.connections", "max.connection.creation.rate"];

static BY_NAME: LazyLock<BTreeMap<&'static str, &'static Def>> =
    LazyLock::new(|| all().map(|def| (def.name, def)).collect());

/// What a name means to the broker.
#[derive(Debug)]
pub(super) enum Meaning {
    /// A key of the tables.
    Known(&'static Def),
    /// A key of the tables, for one listener.
    Listener(&'static Def),
    /// A key for one listener or for one of Kafka's plugins: accepted without meaning.
    Accepted,
}

/// Every key, in the order of the tables.
pub fn all() -> impl Iterator<Item = &'static Def> {
    TABLES.iter().copied().flatten()
}

/// The key of this name.
pub fn find(name: &str) -> Option<&'static Def> {
    BY_NAME.get(name).copied()
}

/// What `name`, read at `at`, means.
pub(super) fn meaning(name: &str, at: &Source) -> Result<Meaning, ConfigError> {
    if let Some(def) = find(name) {
        return Ok(Meaning::Known(def));
    }
    if is_of_listener(name)
        && let Some(def) = base_of_listener_key(name).and_then(find)
    {
        return Ok(Meaning::Listener(def));
    }
    if PLUGIN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || of_listener(name) {
        return Ok(Meaning::Accepted);
    }
    let (key, at) = (name.to_owned(), at.clone());
    if let Some(removed) = keys::removed::REMOVED.iter().find(|removed| removed.is(name)) {
        return Err(ConfigError::RemovedKey { key, at, instead: removed.instead });
    }
    if let Some(def) = all().find(|def| def.topic == Some(name)) {
        return Err(ConfigError::TopicKey { key, at, broker: def.name });
    }
    Err(ConfigError::UnknownKey { nearest: nearest(name), key, at })
}

/// Whether a name is of a key that a single listener can have for itself here.
pub(super) fn is_of_listener(name: &str) -> bool {
    base_of_listener_key(name).is_some_and(|base| OF_LISTENERS.contains(&base))
}

fn of_listener(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(LISTENER_PREFIX) else {
        return false;
    };
    // The listener's name has no dot; SASL keys carry the mechanism between it and the key.
    let mut rest = rest;
    while let Some((_, tail)) = rest.split_once('.') {
        if find(tail).is_some() {
            return true;
        }
        rest = tail;
    }
    false
}

/// The known key that looks most like `name`, when one looks like it at all.
fn nearest(name: &str) -> Option<&'static str> {
    let folded = fold(name);
    let allowed = (folded.chars().count() / 4).max(2);
    all()
        .map(|def| (levenshtein(&folded, &fold(def.name)), def.name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// Case and separators are what people get wrong most; they do not count.
fn fold(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '-'], ".")
}
