//! `tidelog group list|describe|lag|reset|delete|delete-offsets`.

mod csv;
mod describe;
mod plan;
mod progress;
mod reset;

use std::collections::BTreeMap;

use client::{Client, ListedGroup};
use serde_json::{Value, json};

use super::common::{ClusterArgs, Output, OutputArgs, YesArgs, line, print, table};
use super::failure::Failure;
use super::place::{Places, resolve};

/// Arguments of `tidelog group`.
#[derive(Debug, clap::Args)]
pub(super) struct Group {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the groups.
    List(List),
    /// Show a group: its state, its members, what they have, where they are.
    Describe(describe::Describe),
    /// Show how far groups are behind.
    Lag(describe::Lag),
    /// Let a group without members go on from elsewhere.
    Reset(Box<reset::Reset>),
    /// Delete groups with their offsets.
    Delete(Delete),
    /// Delete a group's offsets for some topics.
    DeleteOffsets(DeleteOffsets),
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only groups in this state, such as Stable or Empty. May be repeated.
    #[arg(long, value_name = "STATE")]
    state: Vec<String>,
    /// Only groups of this type, such as classic or consumer. May be repeated.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Vec<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
struct Delete {
    /// The groups.
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    #[command(flatten)]
    yes: YesArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
struct DeleteOffsets {
    /// The group.
    group: String,
    /// A topic, or some of its partitions as in orders:0,3. May be repeated.
    #[arg(long, short = 't', required = true, value_name = "TOPIC[:N,N...]",
          value_parser = Places::parse)]
    topic: Vec<Places>,
    #[command(flatten)]
    yes: YesArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Which groups a command is about.
#[derive(Debug, clap::Args)]
struct Which {
    /// The groups.
    #[arg(value_name = "GROUP", required_unless_present = "all_groups")]
    groups: Vec<String>,
    /// All groups of consumers.
    #[arg(long, conflicts_with = "groups")]
    all_groups: bool,
}

impl Group {
    pub(super) fn run(self) -> Result<(), Failure> {
        let text = match self.action {
            Action::List(list) => list.run()?,
            Action::Describe(describe) => describe.run()?,
            Action::Lag(lag) => lag.run()?,
            Action::Reset(reset) => reset.run()?,
            Action::Delete(delete) => delete.run()?,
            Action::DeleteOffsets(delete) => delete.run()?,
        };
        print(&text)
    }
}

impl Which {
    async fn names(&self, client: &Client) -> Result<Vec<String>, Failure> {
        if !self.all_groups {
            return Ok(self.groups.clone());
        }
        let groups = client.list_groups().await?;
        Ok(groups.into_iter().filter(is_of_consumers).map(|group| group.id).collect())
    }
}

/// Groups that only keep offsets have no protocol type.
fn is_of_consumers(group: &ListedGroup) -> bool {
    matches!(group.protocol_type.as_str(), "consumer" | "")
}

impl List {
    fn run(self) -> Result<String, Failure> {
        let mut groups = self.cluster.run(async |client| Ok(client.list_groups().await?))?;
        let wanted = |wanted: &[String], is: &str| {
            wanted.is_empty() || wanted.iter().any(|one| one.eq_ignore_ascii_case(is))
        };
        groups.retain(|group| wanted(&self.state, &group.state) && wanted(&self.kind, &group.kind));
        if self.output.output == Output::Json {
            let shown = |group: &ListedGroup| {
                json!({
                    "group": group.id,
                    "type": group.kind,
                    "protocol_type": group.protocol_type,
                    "state": group.state,
                })
            };
            return Ok(line(&Value::Array(groups.iter().map(shown).collect())));
        }
        let row = |group: ListedGroup| vec![group.id, group.state, group.kind, group.protocol_type];
        let rows: Vec<_> = groups.into_iter().map(row).collect();
        Ok(table(&["GROUP", "STATE", "TYPE", "PROTOCOL"], &rows))
    }
}

impl Delete {
    fn run(self) -> Result<String, Failure> {
        self.yes.ask(&format!("delete {} with all offsets", named(&self.groups)))?;
        self.cluster.run(async |client| {
            for group in &self.groups {
                client.delete_group(group).await?;
            }
            Ok(())
        })?;
        Ok(match self.output.output {
            Output::Json => line(&json!({"deleted": self.groups})),
            Output::Table => self.groups.iter().map(|group| format!("deleted {group}\n")).collect(),
        })
    }
}

fn named(groups: &[String]) -> String {
    match groups {
        [one] => format!("group {one}"),
        many => format!("groups {}", many.join(", ")),
    }
}

impl DeleteOffsets {
    fn run(self) -> Result<String, Failure> {
        self.yes.ask(&format!("delete offsets of group {}", self.group))?;
        let places = self.cluster.run(async |client| {
            let deadline = client.deadline();
            let places = resolve(client, &self.topic, deadline).await?;
            client.delete_group_offsets(&self.group, &places).await?;
            Ok(places)
        })?;
        Ok(match self.output.output {
            Output::Json => line(&json!({"group": self.group, "deleted": places})),
            Output::Table => format!("deleted the offsets of {}\n", places_of(&places)),
        })
    }
}

/// `orders:0,1 payments:0`
fn places_of(places: &BTreeMap<String, Vec<i32>>) -> String {
    let one = |(topic, partitions): (&String, &Vec<i32>)| {
        let list: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        format!("{topic}:{}", list.join(","))
    };
    places.iter().map(one).collect::<Vec<_>>().join(" ")
}
