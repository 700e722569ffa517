//! `tidelog topic create|list|describe|add-partitions|offsets|delete-records|delete`.

mod records;

use std::collections::BTreeMap;
use std::fmt::Write;

use client::{NewTopic, TopicDescription};
use serde_json::{Value, json};
use server::config::reference::topic_keys;

use super::common::{ClusterArgs, Output, OutputArgs, YesArgs, line, misspelt, pair, print, table};
use super::failure::Failure;

/// Arguments of `tidelog topic`.
#[derive(Debug, clap::Args)]
pub(super) struct Topic {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a topic.
    Create(Create),
    /// List the topics.
    List(List),
    /// Show a topic's partitions and settings.
    Describe(Named),
    /// Give a topic more partitions.
    AddPartitions(AddPartitions),
    /// Show first and next offsets, or those at a time.
    Offsets(records::Offsets),
    /// Delete the oldest records of partitions.
    DeleteRecords(records::DeleteRecords),
    /// Delete topics with all of their records.
    Delete(Delete),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The topic's name.
    name: String,
    /// How many partitions; the broker's num.partitions when not said.
    #[arg(long, short = 'p', value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// How many replicas; the broker's default.replication.factor when not said.
    #[arg(long, short = 'r', value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// The brokers of each partition's replicas, the preferred leader first: 0:1,1:0 is two
    /// partitions on brokers 0 and 1.
    #[arg(long, value_name = "ID:ID...,ID:ID...", value_parser = Assignment::parse,
          conflicts_with_all = ["partitions", "replication_factor"])]
    replica_assignment: Option<Assignment>,
    /// A setting of the topic, as in retention.ms=3600000. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    config: Vec<String>,
    /// Succeed when there is a topic of this name already.
    #[arg(long)]
    if_not_exists: bool,
    /// Only ask whether the cluster would do it.
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
struct List {
    /// Show the topics that the cluster keeps for itself, too.
    #[arg(long)]
    internal: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
struct Named {
    /// The topic's name.
    name: String,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
struct AddPartitions {
    /// The topic's name.
    name: String,
    /// How many partitions it is to have in all.
    #[arg(long, short = 'p', value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// Only ask whether the cluster would do it.
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
struct Delete {
    /// The topics' names.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    yes: YesArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Brokers by partition.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Assignment(Vec<Vec<i32>>);

impl Assignment {
    fn parse(text: &str) -> Result<Self, String> {
        let id = |id: &str| id.trim().parse().ok().filter(|id: &i32| *id >= 0);
        let brokers = |one: &str| one.split(':').map(id).collect::<Option<Vec<i32>>>();
        let partitions: Option<Vec<_>> = text.split(',').map(brokers).collect();
        partitions.map(Self).ok_or_else(|| format!("{text}: expected broker ids as in 0:1,1:0"))
    }
}

impl Topic {
    pub(super) fn run(self) -> Result<(), Failure> {
        let text = match self.action {
            Action::Create(create) => create.run()?,
            Action::List(list) => list.run()?,
            Action::Describe(named) => named.describe()?,
            Action::AddPartitions(add) => add.run()?,
            Action::Offsets(offsets) => offsets.run()?,
            Action::DeleteRecords(delete) => delete.run()?,
            Action::Delete(delete) => delete.run()?,
        };
        print(&text)
    }
}

impl Create {
    fn run(self) -> Result<String, Failure> {
        let mut configs = BTreeMap::new();
        for setting in &self.config {
            let (key, value) = pair("--config KEY=VALUE", setting)?;
            configs.insert(key, value);
        }
        let topic = NewTopic {
            name: self.name.clone(),
            partitions: self.partitions,
            replication_factor: self.replication_factor,
            assignment: self.replica_assignment.clone().map(|one| one.0).unwrap_or_default(),
            configs,
        };
        if self.validate_only {
            return self.validate(&topic);
        }
        let created = self.cluster.run(async |client| {
            let made = match client.create_topic(&topic).await {
                Ok(_) => true,
                Err(error) if self.if_not_exists && exists(&error) => false,
                Err(error) => return Err(refused(&topic, error)),
            };
            // The next command finds it, wherever it asks.
            client.await_topic(&topic.name).await?;
            Ok((made, client.describe_topic(&topic.name).await?))
        })?;
        let (made, description) = created;
        Ok(match self.output.output {
            Output::Json => line(&json!({"created": made, "topic": shown(&description)})),
            Output::Table if made => {
                let (name, count) = (&description.name, description.partitions.len());
                format!("created {name}: partitions {count}, replicas {}\n", replicas(&description))
            }
            Output::Table => format!("{} is there already\n", description.name),
        })
    }
}

impl Create {
    fn validate(&self, topic: &NewTopic) -> Result<String, Failure> {
        let would = self.cluster.run(async |client| {
            client.validate_topic(topic).await.map_err(|error| refused(topic, error))
        })?;
        if self.output.output == Output::Json {
            return Ok(line(&json!({
                "created": false,
                "name": would.name,
                "partitions": would.partitions,
                "replicas": would.replication_factor,
            })));
        }
        let number = |number: Option<i32>| number.map_or("?".to_owned(), |one| one.to_string());
        let (partitions, replicas) =
            (number(would.partitions), number(would.replication_factor.map(i32::from)));
        Ok(format!("would create {}: partitions {partitions}, replicas {replicas}\n", would.name))
    }
}

/// A refused key is answered with the one that was probably meant.
fn refused(topic: &NewTopic, error: client::Error) -> Failure {
    if error.code() != Some(wire::ErrorCode::InvalidConfig) {
        return error.into();
    }
    misspelt(error, topic.configs.keys().map(String::as_str), topic_keys())
}

fn exists(error: &client::Error) -> bool {
    error.code() == Some(wire::ErrorCode::TopicAlreadyExists)
}

fn replicas(topic: &TopicDescription) -> usize {
    topic.partitions.first().map_or(0, |partition| partition.replicas.len())
}

impl List {
    fn run(self) -> Result<String, Failure> {
        let mut topics = self.cluster.run(async |client| Ok(client.list_topics().await?))?;
        topics.retain(|topic| self.internal || !topic.internal);
        Ok(match self.output.output {
            Output::Json => line(&Value::Array(topics.iter().map(shown).collect())),
            Output::Table => {
                let row = |topic: &TopicDescription| {
                    let count = topic.partitions.len().to_string();
                    vec![topic.name.clone(), count, replicas(topic).to_string(), topic.id.clone()]
                };
                let rows: Vec<_> = topics.iter().map(row).collect();
                table(&["NAME", "PARTITIONS", "REPLICAS", "ID"], &rows)
            }
        })
    }
}

impl Named {
    fn describe(self) -> Result<String, Failure> {
        let topic =
            self.cluster.run(async |client| Ok(client.describe_topic(&self.name).await?))?;
        if self.output.output == Output::Json {
            return Ok(line(&shown(&topic)));
        }
        let mut text = format!("name: {}\nid: {}\n", topic.name, topic.id);
        for config in &topic.configs {
            let value = config.value.as_deref().unwrap_or("(hidden)");
            // Writing to a String cannot fail.
            let _ = writeln!(text, "config: {}={value}", config.name);
        }
        let list = |ids: &[i32]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let rows: Vec<_> = topic
            .partitions
            .iter()
            .map(|one| {
                let leader = one.leader.map_or_else(|| "none".to_owned(), |id| id.to_string());
                vec![one.index.to_string(), leader, list(&one.replicas), list(&one.in_sync)]
            })
            .collect();
        text.push_str(&table(&["PARTITION", "LEADER", "REPLICAS", "IN SYNC"], &rows));
        Ok(text)
    }
}

impl AddPartitions {
    fn run(self) -> Result<String, Failure> {
        self.cluster.run(async |client| {
            client.grow_topic(&self.name, self.partitions, self.validate_only).await?;
            if !self.validate_only {
                client.await_topic(&self.name).await?;
            }
            Ok(())
        })?;
        let done = if self.validate_only { "would have" } else { "has" };
        Ok(match self.output.output {
            Output::Json => line(&json!({
                "name": self.name,
                "partitions": self.partitions,
                "changed": !self.validate_only,
            })),
            Output::Table => format!("{} {done} {} partitions\n", self.name, self.partitions),
        })
    }
}

impl Delete {
    fn run(self) -> Result<String, Failure> {
        let names = self.names.join(", ");
        self.yes.ask(&format!("delete {names} with all records"))?;
        self.cluster.run(async |client| {
            for name in &self.names {
                client.delete_topic(name).await?;
            }
            Ok(())
        })?;
        Ok(match self.output.output {
            Output::Json => line(&json!({"deleted": self.names})),
            Output::Table => self.names.iter().map(|name| format!("deleted {name}\n")).collect(),
        })
    }
}

fn shown(topic: &TopicDescription) -> Value {
    let configs: serde_json::Map<String, Value> =
        topic.configs.iter().map(|config| (config.name.clone(), json!(config.value))).collect();
    let partition = |one: &client::PartitionDescription| {
        json!({
            "partition": one.index,
            "leader": one.leader,
            "replicas": one.replicas,
            "in_sync": one.in_sync,
        })
    };
    json!({
        "name": topic.name,
        "id": topic.id,
        "internal": topic.internal,
        "partitions": topic.partitions.iter().map(partition).collect::<Vec<_>>(),
        "configs": configs,
    })
}
