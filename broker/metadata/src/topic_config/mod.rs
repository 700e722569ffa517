//! Topic configuration: which keys exist, what they mean, which values are legal.
//!
//! One table (`table::TABLE`) serves the control plane (validation, the configs that CreateTopics
//! and DescribeConfigs answer) and whoever turns a topic's configuration into a log's. A value is
//! resolved in Kafka's order: the topic's own, then the broker's synonym, then the default.

mod check;
mod table;
mod value;

use std::collections::BTreeMap;

use crate::broker_config::Layers;
pub use check::Check;
pub use table::TABLE;
pub use value::{Kind, Value};

/// One topic configuration key.
#[derive(Debug)]
pub struct Def {
    /// The topic's key.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// The default, in the form in which a user would write it.
    pub default: &'static str,
    /// Which values are legal.
    pub check: Check,
    /// The broker's keys that set the default, the strongest first.
    pub synonyms: &'static [Synonym],
    /// What the key does, for people.
    pub doc: &'static str,
}

/// A broker key that gives a topic key its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synonym {
    /// The broker's key.
    pub name: &'static str,
    /// How many of the topic key's units one unit of the broker key is.
    pub factor: i64,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No such key.
    #[error("Unknown topic config name: {name}")]
    UnknownName {
        /// The key as given.
        name: String,
    },
    /// A key was given the null value.
    #[error("Null value not supported for topic configs: {name}")]
    NullValue {
        /// The key.
        name: String,
    },
    /// The value does not fit the key.
    #[error("Invalid value {value} for configuration {name}: {why}")]
    InvalidValue {
        /// The key.
        name: &'static str,
        /// The value as given.
        value: String,
        /// What was expected.
        why: String,
    },
    /// Two keys contradict each other.
    #[error("{why}")]
    Conflict {
        /// Which keys, and how.
        why: String,
    },
}

/// Where an effective value comes from; the numbers are those of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum Source {
    /// Set on the topic.
    Topic = 1,
    /// Set on the broker while it runs.
    DynamicBroker = 2,
    /// Set on all brokers while they run.
    DynamicDefault = 3,
    /// Set in the broker's configuration.
    StaticBroker = 4,
    /// Set nowhere.
    Default = 5,
    /// The level of one of the broker's loggers.
    Logger = 6,
    /// Set on a subscription to clients' metrics.
    ClientMetrics = 7,
    /// Set on the group.
    Group = 8,
}

/// One key with the value that holds for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    /// The topic's key.
    pub name: &'static str,
    /// The value as text.
    pub text: String,
    /// The value, parsed.
    pub value: Value,
    /// Where it comes from.
    pub source: Source,
    /// The broker's key that it comes from; `None` when the broker sets none.
    pub synonym: Option<&'static Synonym>,
}

/// The values that hold for a topic that sets nothing: the broker's synonyms over the defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Defaults {
    values: BTreeMap<&'static str, Effective>,
}

/// All keys of a topic with the values that hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    values: BTreeMap<&'static str, Effective>,
}

/// The definition of a topic key.
pub fn find(name: &str) -> Option<&'static Def> {
    TABLE.binary_search_by(|def| def.name.cmp(name)).ok().and_then(|at| TABLE.get(at))
}

impl Def {
    /// Parses and checks a value of this key.
    ///
    /// # Errors
    /// Says what was expected instead.
    pub fn parse(&self, text: &str) -> Result<Value, ConfigError> {
        Value::parse(self.kind, text).and_then(|v| self.check.accept(&v).map(|()| v)).map_err(
            |why| ConfigError::InvalidValue { name: self.name, value: text.to_owned(), why },
        )
    }
}

impl Defaults {
    /// Resolves every key against the broker's configuration; `broker` gives the value of a broker
    /// key that is set.
    ///
    /// # Errors
    /// A broker key has a value that the topic key does not allow.
    pub fn from_broker(broker: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut values = BTreeMap::new();
        for def in TABLE {
            let set = def
                .synonyms
                .iter()
                .find_map(|synonym| broker(synonym.name).map(|text| (synonym, text)));
            let synonym = set.as_ref().map(|(synonym, _)| *synonym);
            let (text, source) = match set {
                Some((synonym, text)) => (synonym.convert(def, &text)?, Source::StaticBroker),
                None => (def.default.to_owned(), Source::Default),
            };
            let value = def.parse(&text)?;
            values.insert(def.name, Effective { name: def.name, text, value, source, synonym });
        }
        Ok(Self { values })
    }

    /// The same, under what is set on brokers while they run. What was accepted then and is no
    /// value any more is passed over: the broker must still start.
    #[must_use]
    pub fn under(&self, layers: &Layers<'_>) -> Self {
        let mut values = self.values.clone();
        for def in TABLE {
            let names: Vec<&str> = def.synonyms.iter().map(|synonym| synonym.name).collect();
            let Some((name, source, text)) = layers.first(&names) else { continue };
            let synonym = def.synonyms.iter().find(|synonym| synonym.name == name);
            let Some(synonym) = synonym else { continue };
            let Ok(text) = synonym.convert(def, text) else { continue };
            let Ok(value) = def.parse(&text) else { continue };
            let synonym = Some(synonym);
            values.insert(def.name, Effective { name: def.name, text, value, source, synonym });
        }
        Self { values }
    }

    /// The default that holds for a key.
    pub fn get(&self, name: &str) -> Option<&Effective> {
        self.values.get(name)
    }

    /// Checks a topic's own settings, by name, by value and against each other.
    ///
    /// # Errors
    /// Says which setting is refused and why.
    pub fn validate<'a>(
        &self,
        overrides: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Resolved, ConfigError> {
        let mut values = self.values.clone();
        for (name, text) in overrides {
            let def =
                find(name).ok_or_else(|| ConfigError::UnknownName { name: name.to_owned() })?;
            let value = def.parse(text)?;
            values.insert(def.name, Effective::of_topic(def, text, value));
        }
        let resolved = Resolved { values };
        check::across(&resolved)?;
        Ok(resolved)
    }

    /// The values of a topic whose settings were accepted when they were made. A setting that
    /// this version does not know or no longer accepts is passed over: a log must still open.
    pub fn resolve<'a>(&self, overrides: impl IntoIterator<Item = (&'a str, &'a str)>) -> Resolved {
        let mut values = self.values.clone();
        for (name, text) in overrides {
            let Some(def) = find(name) else { continue };
            let Ok(value) = def.parse(text) else { continue };
            values.insert(def.name, Effective::of_topic(def, text, value));
        }
        Resolved { values }
    }
}

impl Source {
    /// The number of the protocol.
    pub fn code(self) -> i8 {
        self as i8
    }
}

impl Effective {
    fn of_topic(def: &Def, text: &str, value: Value) -> Self {
        let (text, source) = (text.to_owned(), Source::Topic);
        Self { name: def.name, text, value, source, synonym: None }
    }
}

impl Synonym {
    fn convert(&self, def: &Def, text: &str) -> Result<String, ConfigError> {
        if self.factor == 1 {
            return Ok(text.to_owned());
        }
        let why = || ConfigError::InvalidValue {
            name: def.name,
            value: text.to_owned(),
            why: format!("Not a number of type LONG, as {} needs", self.name),
        };
        let units: i64 = text.trim().parse().map_err(|_| why())?;
        // A negative number means "no limit" and has no unit.
        let scaled = if units < 0 { units } else { units.saturating_mul(self.factor) };
        Ok(scaled.to_string())
    }
}

impl Resolved {
    /// All keys in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Effective> {
        self.values.values()
    }

    /// One key.
    pub fn get(&self, name: &str) -> Option<&Effective> {
        self.values.get(name)
    }

    /// The value of a numeric key; `fallback` for a key that is not one.
    pub fn long(&self, name: &str, fallback: i64) -> i64 {
        match self.values.get(name).map(|e| &e.value) {
            Some(Value::Long(v)) => *v,
            Some(Value::Int(v)) => i64::from(*v),
            _ => fallback,
        }
    }

    /// The value of an INT key; `fallback` for a key that is not one.
    pub fn int(&self, name: &str, fallback: i32) -> i32 {
        match self.values.get(name).map(|e| &e.value) {
            Some(Value::Int(v)) => *v,
            _ => fallback,
        }
    }

    /// The value of a DOUBLE key; `fallback` for a key that is not one.
    pub fn double(&self, name: &str, fallback: f64) -> f64 {
        match self.values.get(name).map(|e| &e.value) {
            Some(Value::Double(v)) => *v,
            _ => fallback,
        }
    }

    /// The value of a BOOLEAN key; `false` for a key that is not one.
    pub fn boolean(&self, name: &str) -> bool {
        matches!(self.values.get(name).map(|e| &e.value), Some(Value::Boolean(true)))
    }

    /// The value of a STRING key; empty for a key that is not one.
    pub fn string(&self, name: &str) -> &str {
        match self.values.get(name).map(|e| &e.value) {
            Some(Value::String(v)) => v,
            _ => "",
        }
    }

    /// Whether a LIST key names `item`.
    pub fn list_has(&self, name: &str, item: &str) -> bool {
        match self.values.get(name).map(|e| &e.value) {
            Some(Value::List(items)) => items.iter().any(|i| i == item),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
