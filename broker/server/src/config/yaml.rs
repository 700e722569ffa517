//! A configuration file in YAML: one flat map of Kafka keys to scalars or lists of scalars.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

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

/// The entries of `text`, each with its line; the message names the place when it is not YAML.
pub(super) fn parse(text: &str) -> Result<Vec<(String, YamlValue, usize)>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let map: Option<BTreeMap<String, Spanned<YamlValue>>> =
        serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let mut entries: Vec<_> = map
        .unwrap_or_default()
        .into_iter()
        .map(|(key, value)| {
            let line = usize::try_from(value.referenced.line()).unwrap_or_default();
            (key, value.value, line)
        })
        .collect();
    entries.sort_by_key(|(_, _, line)| *line);
    Ok(entries)
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
