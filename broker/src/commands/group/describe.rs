//! `tidelog group describe` and `tidelog group lag`.

use std::fmt::Write;

use client::{Client, GroupDescription, GroupMember};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::progress::{Progress, progress, total_lag};
use super::{Which, places_of};
use crate::commands::common::{ClusterArgs, Output, OutputArgs, line, table};
use crate::commands::failure::Failure;

/// Arguments of `tidelog group describe`.
#[derive(Debug, clap::Args)]
pub(super) struct Describe {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `tidelog group lag`.
#[derive(Debug, clap::Args)]
pub(super) struct Lag {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// A group with where it is.
struct Described {
    group: GroupDescription,
    coordinator: String,
    progress: Vec<Progress>,
}

/// Share groups keep no offsets that could be asked for.
fn has_offsets(group: &GroupDescription) -> bool {
    !group.kind.eq_ignore_ascii_case("share")
}

async fn described(client: &Client, group: &str, end: Instant) -> Result<Described, Failure> {
    let group = client.describe_group(group).await?;
    let coordinator = client.metadata().address(group.coordinator).unwrap_or_default();
    let progress = match has_offsets(&group) {
        true => progress(client, &group.id, &group.members, end).await?,
        false => Vec::new(),
    };
    Ok(Described { group, coordinator, progress })
}

impl Describe {
    pub(super) fn run(self) -> Result<String, Failure> {
        let groups = all(&self.cluster, &self.which)?;
        Ok(match self.output.output {
            Output::Json => line(&Value::Array(groups.iter().map(Described::json).collect())),
            Output::Table => groups.iter().map(Described::text).collect::<Vec<_>>().join("\n"),
        })
    }
}

impl Lag {
    pub(super) fn run(self) -> Result<String, Failure> {
        let groups = all(&self.cluster, &self.which)?;
        if self.output.output == Output::Json {
            let shown = |one: &Described| {
                json!({
                    "group": one.group.id,
                    "lag": total_lag(&one.progress),
                    "partitions": one.progress.iter().map(Progress::json).collect::<Vec<_>>(),
                })
            };
            return Ok(line(&Value::Array(groups.iter().map(shown).collect())));
        }
        let mut rows = Vec::new();
        for one in &groups {
            for progress in &one.progress {
                let mut row = vec![one.group.id.clone()];
                row.extend(cells(progress));
                rows.push(row);
            }
            let total = total_lag(&one.progress).to_string();
            let name = one.group.id.clone();
            let empty = String::new;
            rows.push(vec![name, "(all)".to_owned(), empty(), empty(), empty(), total]);
        }
        Ok(table(&["GROUP", "TOPIC", "PARTITION", "COMMITTED", "END", "LAG"], &rows))
    }
}

fn all(cluster: &ClusterArgs, which: &Which) -> Result<Vec<Described>, Failure> {
    cluster.run(async |client| {
        let mut groups = Vec::new();
        for name in which.names(client).await? {
            groups.push(described(client, &name, client.deadline()).await?);
        }
        Ok(groups)
    })
}

/// Topic, partition, committed, end, lag.
fn cells(progress: &Progress) -> Vec<String> {
    let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |one| one.to_string());
    vec![
        progress.topic.to_string(),
        progress.partition.to_string(),
        number(progress.committed),
        number(progress.end),
        number(progress.lag()),
    ]
}

impl Described {
    fn json(&self) -> Value {
        let member = |member: &GroupMember| {
            json!({
                "member": member.id,
                "instance": member.instance_id,
                "client": member.client_id,
                "host": member.host,
                "topics": member.topics,
                "partitions": member.partitions,
            })
        };
        json!({
            "group": self.group.id,
            "type": self.group.kind,
            "state": self.group.state,
            "protocol_type": self.group.protocol_type,
            "strategy": self.group.strategy,
            "coordinator": {"id": self.group.coordinator, "address": self.coordinator},
            "members": self.group.members.iter().map(member).collect::<Vec<_>>(),
            "lag": total_lag(&self.progress),
            "offsets": self.progress.iter().map(Progress::json).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let group = &self.group;
        let mut text = format!("group: {}\nstate: {}\n", group.id, group.state);
        // Writing to a String cannot fail.
        match group.kind.as_str() {
            "classic" => {}
            "consumer" => text.push_str("type: consumer\n"),
            kind => {
                let _ = writeln!(text, "type: {kind} (its members are not shown)");
            }
        }
        let _ = writeln!(text, "coordinator: {} ({})", group.coordinator, self.coordinator);
        if !group.strategy.is_empty() {
            let _ = writeln!(text, "strategy: {}", group.strategy);
        }
        let _ = writeln!(text, "lag: {}", total_lag(&self.progress));
        if !group.members.is_empty() {
            let row = |member: &GroupMember| {
                let instance = member.instance_id.clone().unwrap_or_else(|| "-".to_owned());
                let (id, client) = (member.id.clone(), member.client_id.clone());
                vec![id, instance, client, member.host.clone(), places_of(&member.partitions)]
            };
            let rows: Vec<_> = group.members.iter().map(row).collect();
            text.push('\n');
            text.push_str(&table(&["MEMBER", "INSTANCE", "CLIENT", "HOST", "PARTITIONS"], &rows));
        }
        if !self.progress.is_empty() {
            let row = |progress: &Progress| {
                let mut row = cells(progress);
                row.push(progress.member.clone().unwrap_or_else(|| "-".to_owned()));
                row
            };
            let rows: Vec<_> = self.progress.iter().map(row).collect();
            let head = ["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"];
            text.push('\n');
            text.push_str(&table(&head, &rows));
        }
        text
    }
}
