//! Describing and changing settings.

use wire::ErrorCode;
use wire::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use wire::messages::describe_configs_response::DescribeConfigsResourceResult;
use wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use crate::client::Client;
use crate::error::Error;

/// What can be configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigResource {
    /// A topic.
    Topic(String),
    /// One broker.
    Broker(i32),
    /// All brokers, where they have no word of their own.
    BrokerDefaults,
    /// The log levels of one broker.
    BrokerLogger(i32),
    /// A group.
    Group(String),
    /// A subscription to clients' metrics.
    ClientMetrics(String),
}

impl ConfigResource {
    /// How the protocol calls it.
    fn kind(&self) -> i8 {
        match self {
            Self::Topic(_) => 2,
            Self::Broker(_) | Self::BrokerDefaults => 4,
            Self::BrokerLogger(_) => 8,
            Self::ClientMetrics(_) => 16,
            Self::Group(_) => 32,
        }
    }

    /// Its name; the brokers' defaults have none.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Topic(name) | Self::Group(name) | Self::ClientMetrics(name) => name.clone(),
            Self::Broker(id) | Self::BrokerLogger(id) => id.to_string(),
            Self::BrokerDefaults => String::new(),
        }
    }

    /// The broker that alone can answer.
    fn broker(&self) -> Option<i32> {
        match self {
            Self::Broker(id) | Self::BrokerLogger(id) => Some(*id),
            _ => None,
        }
    }

    fn about(&self) -> String {
        match self {
            Self::Topic(name) => format!("settings of topic {name}"),
            Self::Broker(id) => format!("settings of broker {id}"),
            Self::BrokerDefaults => "the brokers' default settings".to_owned(),
            Self::BrokerLogger(id) => format!("log levels of broker {id}"),
            Self::Group(name) => format!("settings of group {name}"),
            Self::ClientMetrics(name) => format!("settings of client metrics {name}"),
        }
    }

    fn check(&self, code: i16, message: Option<&str>) -> Result<(), Error> {
        match self {
            Self::Topic(name) if code == ErrorCode::UnknownTopicOrPartition.code() => {
                Err(Error::NoTopic { topic: name.clone() })
            }
            _ => Error::check(code, message, self.about()),
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    /// The topic itself.
    Topic,
    /// The broker itself, set at run time.
    Broker,
    /// All brokers, set at run time.
    BrokerDefaults,
    /// The broker's configuration file.
    File,
    /// What holds when nobody says anything.
    Default,
    /// A log level set at run time.
    BrokerLogger,
    /// The client metrics subscription itself.
    ClientMetrics,
    /// The group itself.
    Group,
    /// The broker does not say.
    Unknown,
}

impl ConfigSource {
    fn of(code: i8) -> Self {
        match code {
            1 => Self::Topic,
            2 => Self::Broker,
            3 => Self::BrokerDefaults,
            4 => Self::File,
            5 => Self::Default,
            6 => Self::BrokerLogger,
            7 => Self::ClientMetrics,
            8 => Self::Group,
            _ => Self::Unknown,
        }
    }
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The key.
    pub name: String,
    /// The value; none when it is secret.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether it can only be set in a file.
    pub read_only: bool,
    /// Whether the value is kept secret.
    pub sensitive: bool,
    /// All that speak about it, the one that counts first.
    pub synonyms: Vec<ConfigSynonym>,
}

/// A word about a setting, perhaps overruled by another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The key there.
    pub name: String,
    /// The value.
    pub value: Option<String>,
    /// Who says so.
    pub source: ConfigSource,
}

/// A change of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigChange {
    /// Give it this value.
    Set(String, String),
    /// Take back what was set.
    Unset(String),
    /// Add these, separated by commas, to a list.
    Append(String, String),
    /// Take these, separated by commas, out of a list.
    Subtract(String, String),
}

impl ConfigChange {
    /// The key.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Set(name, _)
            | Self::Unset(name)
            | Self::Append(name, _)
            | Self::Subtract(name, _) => name,
        }
    }

    /// The value; none when it is taken back.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        match self {
            Self::Unset(_) => None,
            Self::Set(_, value) | Self::Append(_, value) | Self::Subtract(_, value) => Some(value),
        }
    }

    /// How the protocol calls it.
    fn operation(&self) -> i8 {
        match self {
            Self::Set(..) => 0,
            Self::Unset(_) => 1,
            Self::Append(..) => 2,
            Self::Subtract(..) => 3,
        }
    }
}

impl Client {
    /// The settings of a resource; all of them, or those named.
    ///
    /// # Errors
    /// There is no such resource, or the cluster does not answer in time.
    pub async fn describe_configs(
        &self,
        resource: &ConfigResource,
        keys: Option<Vec<String>>,
    ) -> Result<Vec<ConfigEntry>, Error> {
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: resource.kind(),
                resource_name: resource.name(),
                configuration_keys: keys,
            }],
            include_synonyms: true,
            ..DescribeConfigsRequest::default()
        };
        let response = self.call_some(resource.broker(), &request, self.deadline()).await?;
        let result = response.results.into_iter().next();
        let result = result.ok_or_else(|| Error::Missing { about: resource.about() })?;
        resource.check(result.error_code, result.error_message.as_deref())?;
        let mut configs: Vec<ConfigEntry> = result.configs.into_iter().map(entry).collect();
        configs.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(configs)
    }

    /// The keys that a resource may have, as far as the cluster says.
    ///
    /// # Errors
    /// As [`Client::describe_configs`].
    pub async fn config_keys(&self, resource: &ConfigResource) -> Result<Vec<String>, Error> {
        let mut configs = self.describe_configs(resource, None).await?;
        if *resource == ConfigResource::BrokerDefaults {
            // Of them only what is set is told; a broker tells what there is.
            let view = self.refresh(&[], false, self.deadline()).await?;
            if let Some(id) = view.brokers.keys().next() {
                configs.extend(self.describe_configs(&ConfigResource::Broker(*id), None).await?);
            }
        }
        Ok(configs.into_iter().map(|config| config.name).collect())
    }

    /// Changes settings of a resource, all or none. With `validate_only` they are only judged.
    ///
    /// # Errors
    /// A key or value is refused, or the cluster does not answer in time.
    pub async fn alter_configs(
        &self,
        resource: &ConfigResource,
        changes: &[ConfigChange],
        validate_only: bool,
    ) -> Result<(), Error> {
        let configs = changes.iter().map(|change| AlterableConfig {
            name: change.name().to_owned(),
            config_operation: change.operation(),
            value: change.value().map(str::to_owned),
        });
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: resource.kind(),
                resource_name: resource.name(),
                configs: configs.collect(),
            }],
            validate_only,
        };
        let response = self.call_some(resource.broker(), &request, self.deadline()).await?;
        let result = response.responses.into_iter().next();
        let result = result.ok_or_else(|| Error::Missing { about: resource.about() })?;
        resource.check(result.error_code, result.error_message.as_deref())
    }
}

fn entry(result: DescribeConfigsResourceResult) -> ConfigEntry {
    let synonyms = result.synonyms.into_iter().map(|synonym| ConfigSynonym {
        name: synonym.name,
        value: synonym.value,
        source: ConfigSource::of(synonym.source),
    });
    ConfigEntry {
        name: result.name,
        value: result.value.filter(|_| !result.is_sensitive),
        source: ConfigSource::of(result.config_source),
        read_only: result.read_only,
        sensitive: result.is_sensitive,
        synonyms: synonyms.collect(),
    }
}
