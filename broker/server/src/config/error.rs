//! What can be wrong with a configuration. Every message says where, and what to do.

use std::fmt;
use std::path::PathBuf;

/// Where a setting was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The key's own default.
    Default,
    /// What the `dev` command sets.
    Dev,
    /// A file, with the line where the setting begins when it is known.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from one.
        line: Option<usize>,
    },
    /// An environment variable.
    Environment(String),
    /// `--set` on the command line.
    Set,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Dev => f.write_str("tidelog dev"),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Set => f.write_str("--set"),
        }
    }
}

/// One thing wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is neither YAML nor properties by its name.
    #[error("{path}: the name of a configuration file ends in .yaml, .yml or .properties")]
    FileType {
        /// The file.
        path: PathBuf,
    },
    /// The file is not text in UTF-8.
    #[error("{path}: the file is not UTF-8")]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// A malformed `\u` escape in a properties file.
    #[error("{path}:{line}: \\u must be followed by four hexadecimal digits")]
    BadEscape {
        /// The file.
        path: PathBuf,
        /// The line, counted from one.
        line: usize,
    },
    /// The YAML parser refused the file.
    #[error("{path}: {message}")]
    Yaml {
        /// The file.
        path: PathBuf,
        /// What the parser says, with the place.
        message: String,
    },
    /// A key of a YAML file holds a map.
    #[error(
        "{at}: {key} holds a map; the file is one flat map of Kafka keys, \
         write {key}.<rest of the key>: value"
    )]
    NotFlat {
        /// The key.
        key: String,
        /// Where.
        at: Source,
    },
    /// A key stands in a YAML file twice.
    #[error("{at}: {key} stands on line {first} already; leave one of them")]
    Twice {
        /// The key.
        key: String,
        /// Where it comes again.
        at: Source,
        /// The line where it came first.
        first: usize,
    },
    /// An environment variable that is not UTF-8.
    #[error("environment variable {name} is not UTF-8")]
    EnvironmentNotUtf8 {
        /// The variable's name.
        name: String,
    },
    /// A `--set` without an equals sign.
    #[error("--set {text}: expected KEY=VALUE")]
    BadSet {
        /// What was given.
        text: String,
    },
    /// A key that neither Kafka nor Tidelog knows.
    #[error("{at}: unknown key {key}{}", nearest_words(*.nearest))]
    UnknownKey {
        /// The key.
        key: String,
        /// Where.
        at: Source,
        /// The known key that looks most like it.
        nearest: Option<&'static str>,
    },
    /// A topic's key where a broker's belongs.
    #[error("{at}: {key} is a key of topics; the broker's default for it is {broker}")]
    TopicKey {
        /// The key.
        key: String,
        /// Where.
        at: Source,
        /// The broker's key.
        broker: &'static str,
    },
    /// A key that Kafka 4 no longer has.
    #[error("{at}: {key} is gone since Kafka 4: {instead}")]
    RemovedKey {
        /// The key.
        key: String,
        /// Where.
        at: Source,
        /// What takes its place.
        instead: &'static str,
    },
    /// A value that the key does not allow.
    #[error("{at}: {key}={value}: expected {expected}")]
    Invalid {
        /// The key.
        key: String,
        /// The value; stars for a password.
        value: String,
        /// Where.
        at: Source,
        /// What the key expects.
        expected: String,
    },
    /// Two settings that exclude each other.
    #[error("{first} and {second} contradict each other: {why}")]
    Conflict {
        /// One key, with its value and where it was set.
        first: String,
        /// The other key, with its value and where it was set.
        second: String,
        /// Why they do not go together.
        why: &'static str,
    },
    /// A setting whose meaning this version cannot give and must not pretend to give.
    #[error("{at}: {key}={value}: {why}")]
    Unsupported {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// Where.
        at: Source,
        /// What is missing.
        why: &'static str,
    },
    /// A value that holds for topics is none that a topic may have.
    #[error("the default of topics is refused: {0}")]
    Topic(#[from] metadata::topic_config::ConfigError),
    /// The code asked for a key that the tables do not hold: a defect of Tidelog.
    #[error("defect: {name} is not defined as it is used")]
    Undefined {
        /// The key.
        name: &'static str,
    },
}

fn nearest_words(nearest: Option<&'static str>) -> String {
    nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

/// Everything that is wrong with a configuration, so that one start shows all of it.
#[derive(Debug)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}
