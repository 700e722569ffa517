//! The layers of a configuration laid over each other: which value each key has, and from where.
//!
//! Later layers win: defaults, what `tidelog dev` sets, the file, the environment, `--set`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::def::{Def, Kind, Role, Value};
use super::error::{ConfigError, ConfigErrors, Source};
use super::registry::{self, Meaning};
use super::{properties, yaml};

/// Only variables that begin so are configuration.
const ENVIRONMENT_PREFIX: &str = "TIDELOG_CFG_";

/// Where a configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// What `tidelog dev` sets before anything else.
    pub dev: Vec<(&'static str, String)>,
    /// The file, if any.
    pub file: Option<PathBuf>,
    /// The environment; variables without the prefix are passed over.
    pub environment: Vec<(OsString, OsString)>,
    /// The arguments of `--set`.
    pub set: Vec<String>,
}

/// A setting as it was given.
#[derive(Debug, Clone)]
struct Setting {
    key: String,
    value: String,
    at: Source,
}

/// A key's value and where it was set.
#[derive(Debug, Clone)]
pub struct Held {
    /// The value.
    pub value: Value,
    /// The value as it was written.
    pub text: String,
    /// Where it was set.
    pub at: Source,
}

/// Something the operator should read once at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Keys that are accepted and change nothing.
    NoMeaning(Vec<String>),
    /// A key that Kafka calls deprecated, and what replaces it.
    Deprecated(String, &'static str),
    /// A key that one layer or one file sets twice; the last one holds.
    Repeated(String),
    /// Anything else.
    Plain(String),
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoMeaning(keys) => {
                write!(f, "accepted without meaning here: {}", keys.join(", "))
            }
            Self::Deprecated(key, instead) => write!(f, "{key} is deprecated: use {instead}"),
            Self::Repeated(key) => write!(f, "{key} is set more than once: the last one holds"),
            Self::Plain(text) => f.write_str(text),
        }
    }
}

/// Every key that is set or has a default, with what there is to tell about them.
#[derive(Debug, Clone)]
pub struct Resolved {
    values: BTreeMap<&'static str, Held>,
    /// What is set under names that have no definition: of single listeners, of plugins.
    others: BTreeMap<String, String>,
    /// What the operator should read once at start.
    pub notes: Vec<Note>,
}

impl Resolved {
    /// Reads all layers and lays them over each other.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn read(layers: &Layers) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let mut notes = Vec::new();
        let mut settings: Vec<Setting> = layers
            .dev
            .iter()
            .map(|(key, value)| Setting {
                key: (*key).to_owned(),
                value: value.clone(),
                at: Source::Dev,
            })
            .collect();
        if let Some(path) = &layers.file {
            let of_file = read_file(path, &mut errors);
            note_repeated(&of_file, &mut notes);
            settings.extend(of_file);
        }
        settings.extend(read_environment(&layers.environment, &mut errors));
        settings.extend(read_set(&layers.set, &mut errors));
        let resolved = Self::lay(settings, notes, &mut errors);
        if errors.is_empty() { Ok(resolved) } else { Err(ConfigErrors(errors)) }
    }

    fn lay(settings: Vec<Setting>, notes: Vec<Note>, errors: &mut Vec<ConfigError>) -> Self {
        let mut resolved = Self { values: BTreeMap::new(), others: BTreeMap::new(), notes };
        let mut without_meaning = Vec::new();
        for def in registry::all() {
            let Some(text) = def.default else { continue };
            if let Ok(value) = def.parse(text) {
                let held = Held { value, text: text.to_owned(), at: Source::Default };
                resolved.values.insert(def.name, held);
            }
        }
        for Setting { key, value, at } in settings {
            match registry::meaning(&key, &at) {
                Err(error) => errors.push(error),
                Ok(Meaning::Accepted) => {
                    push_once(&mut without_meaning, &key);
                    resolved.others.insert(key, value);
                }
                Ok(Meaning::Listener(def)) => match def.parse(&value) {
                    Ok(_) => drop(resolved.others.insert(key, value)),
                    Err(expected) => {
                        errors.push(ConfigError::Invalid { key, value, at, expected });
                    }
                },
                Ok(Meaning::Known(def)) => {
                    match def.role {
                        Role::Applied => {}
                        Role::Accepted => push_once(&mut without_meaning, &key),
                        Role::Deprecated(instead) => {
                            resolved.notes.push(Note::Deprecated(key, instead));
                        }
                    }
                    match def.parse(&value) {
                        Ok(parsed) => {
                            let held = Held { value: parsed, text: value, at };
                            resolved.values.insert(def.name, held);
                        }
                        Err(expected) => errors.push(invalid(def, &value, at, expected)),
                    }
                }
            }
        }
        if !without_meaning.is_empty() {
            without_meaning.sort();
            resolved.notes.push(Note::NoMeaning(without_meaning));
        }
        resolved
    }

    /// What the key holds and where it was set; `None` when it is unset.
    #[must_use]
    pub fn held(&self, name: &str) -> Option<&Held> {
        self.values.get(name)
    }

    /// Where the key was set.
    #[must_use]
    pub fn at(&self, name: &str) -> Source {
        self.held(name).map_or(Source::Default, |held| held.at.clone())
    }

    /// A key and its value, with where it was set.
    pub(super) fn placed(&self, key: &str, value: impl std::fmt::Display) -> String {
        format!("{key}={value} ({})", self.at(key))
    }

    /// Whether some layer sets the key.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.held(name).is_some_and(|held| held.at != Source::Default)
    }

    /// What some layer wrote for the key.
    pub(super) fn set_text(&self, name: &str) -> Option<String> {
        self.held(name).filter(|held| held.at != Source::Default).map(|held| held.text.clone())
    }

    /// Names of single listeners' keys that are acted on, where there is such a listener.
    pub(super) fn listener_keys(&self) -> impl Iterator<Item = &str> {
        let names = self.others.keys().map(String::as_str);
        names.filter(|name| registry::is_of_listener(name))
    }

    /// Everything that some layer sets, as it was written.
    pub(super) fn all_set(&self) -> BTreeMap<String, String> {
        let set = self.values.iter().filter(|(_, held)| held.at != Source::Default);
        let set = set.map(|(name, held)| ((*name).to_owned(), held.text.clone()));
        set.chain(self.others.clone()).collect()
    }

    /// The number that the key holds, if it is set.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<i64>, ConfigError> {
        match self.held(name).map(|held| &held.value) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(*number)),
            Some(_) => Err(ConfigError::Undefined { name }),
        }
    }

    /// The number of a key that has a default, as the type the caller wants.
    pub(super) fn get<T: TryFrom<i64>>(&self, name: &'static str) -> Result<T, ConfigError> {
        let undefined = ConfigError::Undefined { name };
        let Some(number) = self.number(name)? else {
            return Err(undefined);
        };
        T::try_from(number).map_err(|_| undefined)
    }

    /// The switch that the key holds.
    pub(super) fn flag(&self, name: &'static str) -> Result<bool, ConfigError> {
        match self.held(name).map(|held| &held.value) {
            Some(Value::Boolean(value)) => Ok(*value),
            _ => Err(ConfigError::Undefined { name }),
        }
    }

    /// The text that the key holds; an empty one counts as unset.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<String>, ConfigError> {
        match self.held(name).map(|held| &held.value) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(ConfigError::Undefined { name }),
        }
    }

    /// The list that the key holds; empty when it is unset.
    pub(super) fn list(&self, name: &'static str) -> Result<Vec<String>, ConfigError> {
        match self.held(name).map(|held| &held.value) {
            None => Ok(Vec::new()),
            Some(Value::List(list)) => Ok(list.clone()),
            Some(_) => Err(ConfigError::Undefined { name }),
        }
    }
}

fn invalid(def: &Def, value: &str, at: Source, expected: String) -> ConfigError {
    let value = if def.kind == Kind::Password { "********" } else { value };
    ConfigError::Invalid { key: def.name.to_owned(), value: value.to_owned(), at, expected }
}

fn push_once(keys: &mut Vec<String>, key: &str) {
    if !keys.iter().any(|known| known == key) {
        keys.push(key.to_owned());
    }
}

fn note_repeated(settings: &[Setting], notes: &mut Vec<Note>) {
    let mut seen = std::collections::BTreeSet::new();
    for setting in settings {
        let note = Note::Repeated(setting.key.clone());
        if !seen.insert(&setting.key) && !notes.contains(&note) {
            notes.push(note);
        }
    }
}

fn read_file(path: &Path, errors: &mut Vec<ConfigError>) -> Vec<Setting> {
    let read = || -> Result<Vec<Setting>, ConfigError> {
        let path = path.to_owned();
        let bytes = std::fs::read(&path)
            .map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        let text =
            String::from_utf8(bytes).map_err(|_| ConfigError::NotUtf8 { path: path.clone() })?;
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("properties") => from_properties(&path, &text),
            Some("yaml" | "yml") => from_yaml(&path, &text),
            _ => Err(ConfigError::FileType { path }),
        }
    };
    read().unwrap_or_else(|error| {
        errors.push(error);
        Vec::new()
    })
}

fn from_properties(path: &Path, text: &str) -> Result<Vec<Setting>, ConfigError> {
    let entries = properties::parse(text)
        .map_err(|bad| ConfigError::BadEscape { path: path.to_owned(), line: bad.line })?;
    let setting = |entry: properties::Entry| Setting {
        key: entry.key,
        value: entry.value,
        at: Source::File { path: path.to_owned(), line: Some(entry.line) },
    };
    Ok(entries.into_iter().map(setting).collect())
}

fn from_yaml(path: &Path, text: &str) -> Result<Vec<Setting>, ConfigError> {
    let entries = yaml::parse(text)
        .map_err(|message| ConfigError::Yaml { path: path.to_owned(), message })?;
    let mut settings = Vec::new();
    let mut lines = BTreeMap::new();
    for (key, value, line) in entries {
        let at = Source::File { path: path.to_owned(), line: (line > 0).then_some(line) };
        // The lines of a YAML map have no order that could say which of the two holds.
        if let Some(first) = lines.insert(key.clone(), line) {
            return Err(ConfigError::Twice { key, at, first });
        }
        match value {
            yaml::YamlValue::Text(value) => settings.push(Setting { key, value, at }),
            yaml::YamlValue::Null => {}
            yaml::YamlValue::Map => return Err(ConfigError::NotFlat { key, at }),
        }
    }
    Ok(settings)
}

fn read_environment(
    variables: &[(OsString, OsString)],
    errors: &mut Vec<ConfigError>,
) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (name, value) in variables {
        let name = name.to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(ENVIRONMENT_PREFIX) else {
            continue;
        };
        let key = rest.to_ascii_lowercase().replace("__", "\0").replace('_', ".");
        let key = key.replace('\0', "_");
        match value.to_str() {
            Some(value) => settings.push(Setting {
                key,
                value: value.to_owned(),
                at: Source::Environment(name),
            }),
            None => errors.push(ConfigError::EnvironmentNotUtf8 { name }),
        }
    }
    // The environment has no order of its own.
    settings.sort_by(|left, right| left.key.cmp(&right.key));
    settings
}

fn read_set(arguments: &[String], errors: &mut Vec<ConfigError>) -> Vec<Setting> {
    let mut settings = Vec::new();
    for argument in arguments {
        match argument.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => settings.push(Setting {
                key: key.trim().to_owned(),
                value: value.to_owned(),
                at: Source::Set,
            }),
            _ => errors.push(ConfigError::BadSet { text: argument.clone() }),
        }
    }
    settings
}
