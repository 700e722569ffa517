//! `tidelog config describe|set|unset`.

use client::{Client, ConfigChange, ConfigEntry, ConfigResource, ConfigSource, ConfigSynonym};
use serde_json::{Value, json};

use super::common::{ClusterArgs, Output, OutputArgs, line, misspelt, pair, print, table};
use super::config_docs;
use super::failure::Failure;
use super::nearest::nearest;

/// Arguments of `tidelog config`.
#[derive(Debug, clap::Args)]
pub(super) struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show settings and where they come from.
    Describe(Describe),
    /// Give settings a value.
    Set(Set),
    /// Take back what was set, so that the default holds again.
    Unset(Unset),
    /// Print every key that there is, as Markdown.
    Docs(config_docs::Docs),
}

/// What is configured.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Entity {
    /// A topic.
    #[arg(long, short = 't', value_name = "NAME")]
    topic: Option<String>,
    /// One broker.
    #[arg(long, short = 'b', value_name = "ID")]
    broker: Option<i32>,
    /// All brokers, where they have no word of their own.
    #[arg(long)]
    broker_defaults: bool,
    /// The log levels of one broker.
    #[arg(long, value_name = "ID")]
    broker_logger: Option<i32>,
    /// A group.
    #[arg(long, short = 'g', value_name = "NAME")]
    group: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Describe {
    #[command(flatten)]
    entity: Entity,
    /// Defaults and what the broker's file says, too; otherwise only what was set.
    #[arg(long)]
    all: bool,
    /// Only these keys, wherever their values come from. May be repeated.
    #[arg(long, short = 'k', value_name = "KEY")]
    key: Vec<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
struct Set {
    /// The settings, as in retention.ms=3600000.
    #[arg(required_unless_present_any = ["append", "subtract"], value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Add to a setting that is a list, as in cleanup.policy=compact. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    append: Vec<String>,
    /// Take out of a setting that is a list. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    subtract: Vec<String>,
    #[command(flatten)]
    entity: Entity,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
struct Unset {
    /// The keys.
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    entity: Entity,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
struct ChangeArgs {
    /// Only ask whether the cluster would do it.
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Config {
    pub(super) fn run(self) -> Result<(), Failure> {
        let text = match self.action {
            Action::Describe(describe) => describe.run()?,
            Action::Set(set) => {
                let changes = set.changes()?;
                set.change.run(&set.entity, &changes)?
            }
            Action::Unset(unset) => {
                let changes: Vec<_> = unset.keys.into_iter().map(ConfigChange::Unset).collect();
                unset.change.run(&unset.entity, &changes)?
            }
            Action::Docs(docs) => return docs.run(),
        };
        print(&text)
    }
}

/// What a pair of key and value asks for.
type Change = fn(String, String) -> ConfigChange;

impl Set {
    fn changes(&self) -> Result<Vec<ConfigChange>, Failure> {
        let mut changes = Vec::new();
        let kinds: [(&str, &[String], Change); 3] = [
            ("KEY=VALUE", &self.settings, ConfigChange::Set),
            ("--append KEY=VALUE", &self.append, ConfigChange::Append),
            ("--subtract KEY=VALUE", &self.subtract, ConfigChange::Subtract),
        ];
        for (form, settings, change) in kinds {
            for setting in settings {
                let (name, value) = pair(form, setting)?;
                changes.push(change(name, value));
            }
        }
        Ok(changes)
    }
}

impl Entity {
    fn resource(&self) -> ConfigResource {
        let topic = self.topic.clone().map(ConfigResource::Topic);
        topic
            .or_else(|| self.broker.map(ConfigResource::Broker))
            .or_else(|| self.broker_logger.map(ConfigResource::BrokerLogger))
            .or_else(|| self.group.clone().map(ConfigResource::Group))
            .unwrap_or(ConfigResource::BrokerDefaults)
    }
}

/// The kind of a resource, as JSON calls it.
fn kind(resource: &ConfigResource) -> &'static str {
    match resource {
        ConfigResource::Topic(_) => "topic",
        ConfigResource::Broker(_) => "broker",
        ConfigResource::BrokerDefaults => "broker-defaults",
        ConfigResource::BrokerLogger(_) => "broker-logger",
        ConfigResource::Group(_) => "group",
        ConfigResource::ClientMetrics(_) => "client-metrics",
    }
}

fn source(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::Topic => "topic",
        ConfigSource::Broker => "broker",
        ConfigSource::BrokerDefaults => "broker-defaults",
        ConfigSource::File => "file",
        ConfigSource::Default => "default",
        ConfigSource::BrokerLogger => "broker-logger",
        ConfigSource::ClientMetrics => "client-metrics",
        ConfigSource::Group => "group",
        ConfigSource::Unknown => "unknown",
    }
}

/// Whether somebody set the value at run time.
fn is_set(entry: &ConfigEntry) -> bool {
    !matches!(entry.source, ConfigSource::Default | ConfigSource::File | ConfigSource::Unknown)
}

/// Whether the resource itself says the value.
fn is_own(entry: &ConfigEntry, resource: &ConfigResource) -> bool {
    match resource {
        // A topic's and a group's settings stand on those of the brokers.
        ConfigResource::Topic(_) => entry.source == ConfigSource::Topic,
        ConfigResource::Group(_) => entry.source == ConfigSource::Group,
        _ => is_set(entry),
    }
}

impl Describe {
    fn run(self) -> Result<String, Failure> {
        let resource = self.entity.resource();
        let keys = (!self.key.is_empty()).then(|| self.key.clone());
        let mut configs = self
            .cluster
            .run(async |client| Ok(client.describe_configs(&resource, keys).await?))?;
        let missing = self.key.iter().find(|key| !configs.iter().any(|one| one.name == **key));
        if let Some(key) = missing {
            let known = self.cluster.run(async |client| Ok(client.config_keys(&resource).await?));
            return Err(no_setting(key, &known.unwrap_or_default()));
        }
        configs.retain(|entry| self.all || !self.key.is_empty() || is_own(entry, &resource));
        if self.output.output == Output::Json {
            return Ok(line(&json!({
                "type": kind(&resource),
                "name": resource.name(),
                "configs": configs.iter().map(shown).collect::<Vec<_>>(),
            })));
        }
        let row = |entry: &ConfigEntry| {
            let value = entry.value.clone().unwrap_or_else(|| "(hidden)".to_owned());
            let read_only = if entry.read_only { "read-only" } else { "" };
            let source = source(entry.source).to_owned();
            vec![entry.name.clone(), value, source, read_only.to_owned()]
        };
        let rows: Vec<_> = configs.iter().map(row).collect();
        if rows.is_empty() {
            eprintln!("nothing is set; --all shows the defaults");
        }
        Ok(table(&["KEY", "VALUE", "SOURCE", ""], &rows))
    }
}

fn shown(entry: &ConfigEntry) -> Value {
    let synonym = |one: &ConfigSynonym| {
        let (name, value) = (&one.name, &one.value);
        json!({"name": name, "value": value, "source": source(one.source)})
    };
    json!({
        "name": entry.name,
        "value": entry.value,
        "source": source(entry.source),
        "read_only": entry.read_only,
        "sensitive": entry.sensitive,
        "synonyms": entry.synonyms.iter().map(synonym).collect::<Vec<_>>(),
    })
}

/// A key that is not there, with the one that was probably meant.
fn no_setting(key: &str, known: &[String]) -> Failure {
    let meant = nearest(key, known.iter().map(String::as_str)).map(str::to_owned);
    Failure::NoSetting { key: key.to_owned(), meant }
}

/// Refuses to take back what nobody can have set: the cluster would call that done.
async fn check_known(
    client: &Client,
    resource: &ConfigResource,
    changes: &[ConfigChange],
) -> Result<(), Failure> {
    let unset = |change: &&ConfigChange| matches!(change, ConfigChange::Unset(_));
    let mut keys = changes.iter().filter(unset).map(ConfigChange::name).peekable();
    if keys.peek().is_none() || matches!(resource, ConfigResource::BrokerLogger(_)) {
        return Ok(());
    }
    // Who may not be told the keys may still change them.
    let Ok(known) = client.config_keys(resource).await else { return Ok(()) };
    // What a listener or a plugin may be told is in no list before it is set.
    let any = |key: &&str| key.starts_with("listener.name.") || known.iter().any(|one| one == key);
    match keys.find(|key| !any(key)) {
        Some(key) => Err(no_setting(key, &known)),
        None => Ok(()),
    }
}

/// A refusal of a key that is not there says which one was probably meant.
async fn explained(
    client: &Client,
    resource: &ConfigResource,
    changes: &[ConfigChange],
    source: client::Error,
) -> Failure {
    let refused = [wire::ErrorCode::InvalidConfig, wire::ErrorCode::InvalidRequest];
    if source.code().is_none_or(|code| !refused.contains(&code)) {
        return source.into();
    }
    let known = client.config_keys(resource).await.unwrap_or_default();
    misspelt(source, changes.iter().map(ConfigChange::name), known.iter().map(String::as_str))
}

impl ChangeArgs {
    fn run(self, entity: &Entity, changes: &[ConfigChange]) -> Result<String, Failure> {
        let resource = entity.resource();
        self.cluster.run(async |client| {
            check_known(client, &resource, changes).await?;
            match client.alter_configs(&resource, changes, self.validate_only).await {
                Ok(()) => Ok(()),
                Err(error) => Err(explained(client, &resource, changes, error).await),
            }
        })?;
        if self.output.output == Output::Json {
            let one = |change: &ConfigChange| {
                let (name, value) = (change.name(), change.value());
                json!({"name": name, "value": value, "operation": operation(change)})
            };
            return Ok(line(&json!({
                "type": kind(&resource),
                "name": resource.name(),
                "changed": !self.validate_only,
                "configs": changes.iter().map(one).collect::<Vec<_>>(),
            })));
        }
        let would = if self.validate_only { "would " } else { "" };
        let text = changes.iter().map(|change| {
            let value = change.value().map(|value| format!("={value}")).unwrap_or_default();
            format!("{would}{} {}{value}\n", operation(change), change.name())
        });
        Ok(text.collect())
    }
}

fn operation(change: &ConfigChange) -> &'static str {
    match change {
        ConfigChange::Set(..) => "set",
        ConfigChange::Unset(_) => "unset",
        ConfigChange::Append(..) => "append",
        ConfigChange::Subtract(..) => "subtract",
    }
}
