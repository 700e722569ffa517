//! The broker's own keys, set in its file, for all brokers at once, or for one broker while it
//! runs: which of them holds.
//!
//! ```text
//! one broker's record > the record for all brokers > the file > the default
//! ```
//!
//! Where one setting has keys of several units (`log.retention.ms`, `.minutes`, `.hours`), a key
//! of a stronger layer hides all of them in the weaker ones.

mod def;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wire::ids::BrokerId;

pub use def::{
    Check, Def, Kind, Role, Update, boolean, class, double, int, list, long, short, text, unset,
};
pub(crate) use value::java_double;
pub use value::{Value, address_counts};

use crate::image::{Image, Resource};
use crate::topic_config::Source;

/// Names of one setting in several units, the finest first.
const UNITS: &[&[&str]] = &[
    &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
    &["log.roll.ms", "log.roll.hours"],
    &["log.roll.jitter.ms", "log.roll.jitter.hours"],
];
const FLUSH_MS: &[&str] = &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"];

/// Every key of the broker, and what its file sets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BrokerKeys {
    defs: Arc<BTreeMap<&'static str, &'static Def>>,
    set: Arc<BTreeMap<String, String>>,
}

/// The layers in which a broker's keys are set, the strongest first.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'a> {
    keys: &'a BrokerKeys,
    broker: Option<&'a Arc<BTreeMap<String, String>>>,
    all: Option<&'a Arc<BTreeMap<String, String>>>,
}

/// A value with the layer that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key that is set.
    pub name: String,
    /// Its value as it was written.
    pub text: String,
    /// The layer.
    pub source: Source,
}

/// The keys that say the same as `name`, the strongest first; `name` itself is among them.
pub fn synonyms(name: &str) -> Vec<&str> {
    if name == "log.flush.interval.ms" {
        return FLUSH_MS.to_vec();
    }
    if let Some(units) = UNITS.iter().find(|units| units.contains(&name)) {
        return units.to_vec();
    }
    match base_of_listener_key(name) {
        Some(base) => vec![name, base],
        None => vec![name],
    }
}

/// The key that `listener.name.NAME.KEY` sets for one listener.
pub fn base_of_listener_key(name: &str) -> Option<&str> {
    name.strip_prefix("listener.name.")?.split_once('.').map(|(_, base)| base)
}

impl BrokerKeys {
    /// Of these definitions; `set` is what the broker's file, environment and arguments set.
    pub fn new(
        defs: impl IntoIterator<Item = &'static Def>,
        set: BTreeMap<String, String>,
    ) -> Self {
        let defs = defs.into_iter().map(|def| (def.name, def)).collect();
        Self { defs: Arc::new(defs), set: Arc::new(set) }
    }

    /// The definition of a key.
    pub fn find(&self, name: &str) -> Option<&'static Def> {
        self.defs.get(name).copied()
    }

    /// Whether a name set on brokers is state of our own beside the users' keys: the cluster's id,
    /// for instance.
    pub fn is_private(&self, name: &str) -> bool {
        let fixed = |def: &Def| def.update == Update::ReadOnly;
        name.starts_with("tidelog.") && self.find(name).is_none_or(fixed)
    }

    /// The definition of a key, or of the one that a listener's key is a case of.
    pub fn find_for_listener(&self, name: &str) -> Option<&'static Def> {
        self.find(name).or_else(|| self.find(base_of_listener_key(name)?))
    }

    /// Every definition, in the order of the names.
    pub fn defs(&self) -> impl Iterator<Item = &'static Def> {
        self.defs.values().copied()
    }

    /// The layers that hold for a broker.
    pub fn layers<'a>(&'a self, image: &'a Image, broker: BrokerId) -> Layers<'a> {
        Layers {
            keys: self,
            broker: image.configs.get(&Resource::broker(broker)),
            all: image.configs.get(&Resource::all_brokers()),
        }
    }
}

impl<'a> Layers<'a> {
    /// The same, as if `configs` were set on the broker, or on all of them.
    pub fn with(self, for_all: bool, configs: &'a Arc<BTreeMap<String, String>>) -> Self {
        match for_all {
            true => Self { all: Some(configs), ..self },
            false => Self { broker: Some(configs), ..self },
        }
    }

    fn get(&self, source: Source, name: &str) -> Option<&'a str> {
        match source {
            Source::DynamicBroker | Source::DynamicDefault if self.keys.is_private(name) => None,
            Source::DynamicBroker => self.broker?.get(name).map(String::as_str),
            Source::DynamicDefault => self.all?.get(name).map(String::as_str),
            Source::StaticBroker => self.keys.set.get(name).map(String::as_str),
            Source::Default => self.keys.find(name)?.default,
            Source::Topic | Source::Group | Source::ClientMetrics | Source::Logger => None,
        }
    }

    /// The value of a key and where it comes from; `None` for a key that nothing sets.
    pub fn value(&self, name: &str) -> Option<Setting> {
        let same = synonyms(name);
        let set = [Source::DynamicBroker, Source::DynamicDefault, Source::StaticBroker];
        for source in set {
            if let Some(text) = self.get(source, name) {
                return Some(Setting { name: name.to_owned(), text: text.to_owned(), source });
            }
            if same.iter().any(|same| self.get(source, same).is_some()) {
                break;
            }
        }
        let text = self.get(Source::Default, name)?;
        let (name, text) = (name.to_owned(), text.to_owned());
        Some(Setting { name, text, source: Source::Default })
    }

    /// The value that the strongest of several keys has in the strongest layer that sets any.
    pub fn first<'n>(&self, names: &[&'n str]) -> Option<(&'n str, Source, &'a str)> {
        [Source::DynamicBroker, Source::DynamicDefault, Source::StaticBroker].into_iter().find_map(
            |source| names.iter().find_map(|name| Some((*name, source, self.get(source, name)?))),
        )
    }

    /// The value that holds for a listener: its own, in whatever layer, or the broker's.
    pub fn of_listener(&self, listener: &str, name: &str) -> Option<String> {
        let own = format!("listener.name.{}.{name}", listener.to_ascii_lowercase());
        match self.first(&[&own]) {
            Some((_, _, text)) => Some(text.to_owned()),
            None => self.value(name).map(|setting| setting.text),
        }
    }

    /// Names that have no definition and are set on this broker, in its file or while it runs.
    pub fn undefined(&self) -> Vec<&'a str> {
        let dynamic = self.broker.into_iter().chain(self.all).flat_map(|set| set.keys());
        let names: BTreeSet<&str> =
            self.keys.set.keys().chain(dynamic).map(String::as_str).collect();
        names.into_iter().filter(|name| self.keys.find(name).is_none()).collect()
    }

    /// Everything that sets a key or one that says the same, the strongest first, as Kafka tells
    /// it: what comes before the first setting of the key itself is left out.
    pub fn settings(&self, name: &str) -> Vec<Setting> {
        let same = synonyms(name);
        let layers =
            [Source::DynamicBroker, Source::DynamicDefault, Source::StaticBroker, Source::Default];
        let mut all = Vec::new();
        for source in layers {
            for name in &same {
                let Some(text) = self.get(source, name) else { continue };
                let name = (*name).to_owned();
                all.push(Setting { name, text: text.to_owned(), source });
            }
        }
        all.into_iter().skip_while(|setting| setting.name != name).collect()
    }
}
