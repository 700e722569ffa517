//! `tidelog topic offsets` and `tidelog topic delete-records`.

use std::collections::BTreeMap;

use client::{Client, OffsetSpec};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::commands::common::{ClusterArgs, Output, OutputArgs, YesArgs, line, table};
use crate::commands::failure::Failure;
use crate::commands::moment::moment;
use crate::commands::place::{Places, resolve};

/// Arguments of `tidelog topic offsets`.
#[derive(Debug, clap::Args)]
pub(super) struct Offsets {
    /// A topic, or some of its partitions as in orders:0,3.
    #[arg(required = true, value_name = "TOPIC[:N,N...]", value_parser = Places::parse)]
    topics: Vec<Places>,
    /// The offset at a time: latest-record for the record with the latest timestamp, a time such
    /// as 2026-11-22T16:00:00.000, or ms since 1970. First and next offset when not said.
    #[arg(long, value_name = "WHEN", value_parser = when)]
    at: Option<OffsetSpec>,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

fn when(text: &str) -> Result<OffsetSpec, String> {
    match text {
        "earliest" => Ok(OffsetSpec::Earliest),
        "latest" => Ok(OffsetSpec::Latest),
        "latest-record" => Ok(OffsetSpec::MaxTimestamp),
        time => moment(time).map(OffsetSpec::At),
    }
}

/// Arguments of `tidelog topic delete-records`.
#[derive(Debug, clap::Args)]
pub(super) struct DeleteRecords {
    /// A topic, or some of its partitions as in orders:0,3.
    #[arg(required = true, value_name = "TOPIC[:N,N...]", value_parser = Places::parse)]
    topics: Vec<Places>,
    /// The first offset that stays; latest deletes all there are, @TIME those that are older.
    #[arg(long, value_name = "OFFSET|latest|@TIME", value_parser = Before::parse)]
    before: Before,
    #[command(flatten)]
    yes: YesArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Up to where records are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Offset(i64),
    Latest,
    Time(i64),
}

impl Before {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        if let Some(time) = text.strip_prefix('@') {
            return moment(time).map(Self::Time);
        }
        let offset = text.parse().ok().filter(|offset: &i64| *offset >= 0);
        offset.map(Self::Offset).ok_or_else(|| format!("{text} is none of OFFSET, latest, @TIME"))
    }
}

type ByPartition = BTreeMap<i32, Option<i64>>;

impl Offsets {
    pub(super) fn run(self) -> Result<String, Failure> {
        match self.at {
            Some(at) => {
                let found = self.ask(&[at])?;
                let mut all = Vec::new();
                for (topic, columns) in &found {
                    for (partition, offset) in columns.iter().flatten() {
                        all.push((topic, partition, offset));
                    }
                }
                if self.output.output == Output::Json {
                    let one = |(topic, partition, offset): &(&String, &i32, &Option<i64>)| {
                        placed(topic, **partition, "offset", **offset)
                    };
                    return Ok(line(&Value::Array(all.iter().map(one).collect())));
                }
                let row = |(topic, partition, offset): &(&String, &i32, &Option<i64>)| {
                    vec![(*topic).clone(), partition.to_string(), shown(**offset)]
                };
                let rows: Vec<_> = all.iter().map(row).collect();
                Ok(table(&["TOPIC", "PARTITION", "OFFSET"], &rows))
            }
            None => self.both(),
        }
    }

    /// First and next offset.
    fn both(&self) -> Result<String, Failure> {
        let found = self.ask(&[OffsetSpec::Earliest, OffsetSpec::Latest])?;
        let (mut rows, mut objects) = (Vec::new(), Vec::new());
        for (topic, columns) in &found {
            let [first, next] = columns.as_slice() else { continue };
            for (partition, first) in first {
                let next = next.get(partition).copied().flatten();
                let offsets = next.zip(*first).map(|(next, first)| next - first);
                objects.push(json!({
                    "topic": topic,
                    "partition": partition,
                    "earliest": first,
                    "latest": next,
                }));
                let number = partition.to_string();
                rows.push(vec![topic.clone(), number, shown(*first), shown(next), shown(offsets)]);
            }
        }
        Ok(match self.output.output {
            Output::Json => line(&Value::Array(objects)),
            Output::Table => table(&["TOPIC", "PARTITION", "EARLIEST", "LATEST", "OFFSETS"], &rows),
        })
    }

    fn ask(&self, specs: &[OffsetSpec]) -> Result<Vec<(String, Vec<ByPartition>)>, Failure> {
        self.cluster.run(async |client| {
            let deadline = client.deadline();
            let mut found = Vec::new();
            for (topic, partitions) in resolve(client, &self.topics, deadline).await? {
                let mut columns = Vec::new();
                for spec in specs {
                    columns.push(client.list_offsets(&topic, &partitions, *spec, deadline).await?);
                }
                found.push((topic, columns));
            }
            Ok(found)
        })
    }
}

/// One offset of a partition, by name.
fn placed(topic: &str, partition: i32, name: &str, offset: Option<i64>) -> Value {
    json!({"topic": topic, "partition": partition, name: offset})
}

fn shown(offset: Option<i64>) -> String {
    offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string())
}

impl DeleteRecords {
    pub(super) fn run(self) -> Result<String, Failure> {
        let names: Vec<&str> = self.topics.iter().map(|places| places.topic.as_str()).collect();
        self.yes.ask(&format!("delete records of {}", names.join(", ")))?;
        let left = self.cluster.run(async |client| {
            let mut left = Vec::new();
            let deadline = client.deadline();
            for (topic, partitions) in resolve(client, &self.topics, deadline).await? {
                let before = self.offsets(client, &topic, &partitions, deadline).await?;
                let done = client.delete_records(&topic, &before).await?;
                left.extend(done.into_iter().map(|(index, first)| (topic.clone(), index, first)));
            }
            Ok(left)
        })?;
        if self.output.output == Output::Json {
            let one = |(topic, partition, first): &(String, i32, i64)| {
                placed(topic, *partition, "earliest", Some(*first))
            };
            return Ok(line(&Value::Array(left.iter().map(one).collect())));
        }
        let row = |(topic, partition, first): (String, i32, i64)| {
            vec![topic, partition.to_string(), first.to_string()]
        };
        let rows: Vec<_> = left.into_iter().map(row).collect();
        Ok(table(&["TOPIC", "PARTITION", "EARLIEST"], &rows))
    }

    async fn offsets(
        &self,
        client: &Client,
        topic: &str,
        partitions: &[i32],
        deadline: Instant,
    ) -> Result<BTreeMap<i32, i64>, Failure> {
        let all = |offset: i64| partitions.iter().map(|index| (*index, offset)).collect();
        Ok(match self.before {
            Before::Offset(offset) => all(offset),
            Before::Latest => all(-1),
            Before::Time(time) => {
                let spec = OffsetSpec::At(time);
                let found = client.list_offsets(topic, partitions, spec, deadline).await?;
                // Where no record is as young, all are older.
                found.into_iter().map(|(index, offset)| (index, offset.unwrap_or(-1))).collect()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        assert_eq!(Before::parse("latest"), Ok(Before::Latest));
        assert_eq!(Before::parse("17"), Ok(Before::Offset(17)));
        assert_eq!(Before::parse("@1970-01-01T00:00:01"), Ok(Before::Time(1_000)));
        assert_eq!(when("latest-record"), Ok(OffsetSpec::MaxTimestamp));
        assert_eq!(when("1000"), Ok(OffsetSpec::At(1_000)));
        for wrong in ["", "-1", "all", "@", "@soon"] {
            assert!(Before::parse(wrong).is_err(), "{wrong}");
        }
        assert!(when("sometime").is_err());
    }
}
