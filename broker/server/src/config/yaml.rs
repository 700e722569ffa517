//! A configuration file in YAML: one flat map of Kafka keys to scalars or lists of scalars.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use serde_saphyr::options::DuplicateKeyPolicy;

/// A value of the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum YamlValue {
    /// A scalar as text, or a list of scalars joined by commas.
    Text(String),
    /// Nothing: the key stays at its default.
    Null,
    /// A map, which has no place here.
    Map,
}

/// The entries of `text` in its order, each with its line and those of a key that comes twice too;
/// the message names the place when it is not YAML.
pub(super) fn parse(text: &str) -> Result<Vec<(String, YamlValue, usize)>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::PassThrough };
    let entries: Option<Entries> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?;
    Ok(entries.map(|entries| entries.0).unwrap_or_default())
}

/// The map as a list.
struct Entries(Vec<(String, YamlValue, usize)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a flat map of Kafka keys to values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Spanned<YamlValue>>()? {
            let line = usize::try_from(value.referenced.line()).unwrap_or_default();
            entries.push((key, value.value, line));
        }
        Ok(Entries(entries))
    }
}

impl<'de> Deserialize<'de> for YamlValue {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

fn shown<E>(value: impl fmt::Display) -> Result<YamlValue, E> {
    Ok(YamlValue::Text(value.to_string()))
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = YamlValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true, false, or a list of them")
    }

    fn visit_bool<E>(self, value: bool) -> Result<YamlValue, E> {
        shown(value)
    }

    fn visit_i64<E>(self, value: i64) -> Result<YamlValue, E> {
        shown(value)
    }

    fn visit_u64<E>(self, value: u64) -> Result<YamlValue, E> {
        shown(value)
    }

    fn visit_f64<E>(self, value: f64) -> Result<YamlValue, E> {
        shown(value)
    }

    fn visit_str<E>(self, value: &str) -> Result<YamlValue, E> {
        shown(value)
    }

    fn visit_unit<E>(self) -> Result<YamlValue, E> {
        Ok(YamlValue::Null)
    }

    fn visit_none<E>(self) -> Result<YamlValue, E> {
        Ok(YamlValue::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<YamlValue, A::Error> {
        let mut texts = Vec::new();
        while let Some(value) = list.next_element::<YamlValue>()? {
            match value {
                YamlValue::Text(text) => texts.push(text),
                YamlValue::Null => {}
                YamlValue::Map => return Ok(YamlValue::Map),
            }
        }
        Ok(YamlValue::Text(texts.join(",")))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<YamlValue, A::Error> {
        while map.next_entry::<de::IgnoredAny, de::IgnoredAny>()?.is_some() {}
        Ok(YamlValue::Map)
    }
}
