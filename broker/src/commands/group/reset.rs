//! `tidelog group reset`: shows where a group would go on, and with --execute lets it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use client::{Client, OffsetSpec};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Which;
use super::csv::{self, Row};
use super::plan::{Known, Move, Target, plan};
use super::progress::{Place, bounds};
use crate::commands::common::{ClusterArgs, Output, OutputArgs, line, table};
use crate::commands::failure::Failure;
use crate::commands::moment::{moment, now_ms, span};
use crate::commands::place::{Places, resolve};

/// Arguments of `tidelog group reset`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("target").required(true))]
pub(super) struct Reset {
    #[command(flatten)]
    which: Which,
    /// A topic, or some of its partitions as in orders:0,3. May be repeated.
    #[arg(long, short = 't', value_name = "TOPIC[:N,N...]", value_parser = Places::parse)]
    topic: Vec<Places>,
    /// All partitions that the group has offsets for.
    #[arg(long, conflicts_with = "topic")]
    all_topics: bool,
    /// To the first record that is there.
    #[arg(long, group = "target")]
    to_earliest: bool,
    /// To the end.
    #[arg(long, group = "target")]
    to_latest: bool,
    /// To where the group is; where it has no offset yet, to the end.
    #[arg(long, group = "target")]
    to_current: bool,
    /// To this offset, or the nearest there is.
    #[arg(long, group = "target", value_name = "N", allow_hyphen_values = true)]
    to_offset: Option<i64>,
    /// So many records on, or back when negative.
    #[arg(long, group = "target", value_name = "N", allow_hyphen_values = true)]
    shift_by: Option<i64>,
    /// To the first record that is not older: 2026-11-22T16:00:00.000, in UTC unless a zone is
    /// given, or ms since 1970.
    #[arg(long, group = "target", value_name = "TIME", value_parser = moment)]
    to_datetime: Option<i64>,
    /// To the first record that is younger than this: PT1H30M, 90s, 30m, 12h, 7d.
    #[arg(long, group = "target", value_name = "SPAN", value_parser = span)]
    by_duration: Option<i64>,
    /// To the offsets in a file of lines topic,partition,offset (group,topic,partition,offset for
    /// several groups), as --export prints them.
    #[arg(long, group = "target", value_name = "FILE",
          conflicts_with_all = ["topic", "all_topics"])]
    from_file: Option<PathBuf>,
    /// Change the offsets; without it they are only shown.
    #[arg(long)]
    execute: bool,
    /// Only show the offsets: what happens without --execute.
    #[arg(long, conflicts_with = "execute")]
    dry_run: bool,
    /// Print the new offsets as CSV.
    #[arg(long)]
    export: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// A group's moves.
type Moves = (String, Vec<Move>);

impl Reset {
    pub(super) fn run(self) -> Result<String, Failure> {
        let scoped = self.all_topics || !self.topic.is_empty() || self.from_file.is_some();
        if !scoped {
            return Err(Failure::Usage(
                "which partitions? Name --topic TOPIC[:N,N...], --all-topics or --from-file"
                    .to_owned(),
            ));
        }
        let rows = self.rows()?;
        let all = self.cluster.run(async |client| {
            let mut all = Vec::new();
            for group in self.which.names(client).await? {
                let moves = self.moves(client, &group, &rows).await?;
                all.push((group, moves));
            }
            if self.execute {
                // Nothing is changed before all is known to be possible.
                for (group, moves) in &all {
                    let offsets = moves.iter().map(|one| (one.place.clone(), one.to)).collect();
                    client.set_group_offsets(group, &offsets).await?;
                }
            }
            Ok(all)
        })?;
        self.note(&all);
        Ok(self.shown(&all))
    }

    /// The lines of the file, when there is one.
    fn rows(&self) -> Result<Vec<Row>, Failure> {
        let Some(path) = &self.from_file else { return Ok(Vec::new()) };
        let failed = |source| Failure::Path { path: path.clone(), source };
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let wrong = |(line, what)| Failure::Input {
            place: format!("{} line {line}", path.display()),
            what,
        };
        let rows = csv::read(&text).map_err(wrong)?;
        let unnamed = rows.iter().position(|row| row.group.is_none());
        match unnamed {
            Some(_) if self.which.all_groups || self.which.groups.len() != 1 => {
                Err(Failure::Input {
                    place: path.display().to_string(),
                    what: "with several groups each line has to name its group".to_owned(),
                })
            }
            _ => Ok(rows),
        }
    }

    /// The moves of a group that has no members.
    async fn moves(
        &self,
        client: &Client,
        group: &str,
        rows: &[Row],
    ) -> Result<Vec<Move>, Failure> {
        match client.describe_group(group).await {
            // Offsets may be laid down before a group's first member comes.
            Err(client::Error::NoGroup { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(described) if described.state == "Empty" => {}
            Ok(described) => {
                let (group, state) = (group.to_owned(), described.state);
                return Err(Failure::GroupHasMembers { group, state });
            }
        }
        let deadline = client.deadline();
        let committed = client.group_offsets(group, None).await?;
        let committed: BTreeMap<Place, i64> =
            committed.into_iter().map(|(place, one)| (place, one.offset)).collect();
        let wanted = self.targets(client, group, rows, &committed, deadline).await?;
        let places: BTreeSet<Place> = wanted.keys().cloned().collect();
        let starts = bounds(client, &places, OffsetSpec::Earliest, deadline).await?;
        let ends = bounds(client, &places, OffsetSpec::Latest, deadline).await?;
        let mut by_time = BTreeMap::new();
        if let Some(Target::At(time)) = wanted.values().next() {
            by_time = bounds(client, &places, OffsetSpec::At(*time), deadline).await?;
        }
        let mut moves = Vec::new();
        for (place, target) in wanted {
            let (Some(start), Some(end)) = (starts.get(&place), ends.get(&place)) else {
                let topic = client.topic(&place.0, false, deadline).await?;
                let (count, partition) = (topic.partitions.len(), place.1);
                let topic = place.0.to_string();
                return Err(client::Error::NoPartition { topic, partition, count }.into());
            };
            let known = Known {
                committed: committed.get(&place).copied(),
                start: *start,
                end: *end,
                at_time: by_time.get(&place).copied(),
            };
            let nowhere = || Failure::NothingToShift {
                group: group.to_owned(),
                place: format!("{}:{}", place.0, place.1),
            };
            moves.push(plan(&place, known, target).ok_or_else(nowhere)?);
        }
        Ok(moves)
    }

    /// Which partitions move, and where to.
    async fn targets(
        &self,
        client: &Client,
        group: &str,
        rows: &[Row],
        committed: &BTreeMap<Place, i64>,
        deadline: Instant,
    ) -> Result<BTreeMap<Place, Target>, Failure> {
        let Some(target) = self.target() else {
            let own = rows.iter().filter(|row| row.group.as_deref().is_none_or(|own| own == group));
            let one = |row: &Row| {
                ((Arc::from(row.topic.as_str()), row.partition), Target::Offset(row.offset))
            };
            return Ok(own.map(one).collect());
        };
        if self.all_topics {
            return Ok(committed.keys().map(|place| (place.clone(), target)).collect());
        }
        let mut targets = BTreeMap::new();
        for (topic, partitions) in resolve(client, &self.topic, deadline).await? {
            let name: Arc<str> = Arc::from(topic);
            targets.extend(partitions.into_iter().map(|one| ((Arc::clone(&name), one), target)));
        }
        Ok(targets)
    }

    /// Where to, unless a file says it.
    fn target(&self) -> Option<Target> {
        let flags = [
            (self.to_earliest, Target::Earliest),
            (self.to_latest, Target::Latest),
            (self.to_current, Target::Current),
        ];
        let flag = flags.into_iter().find(|(set, _)| *set).map(|(_, target)| target);
        flag.or(self.to_offset.map(Target::Offset))
            .or(self.shift_by.map(Target::ShiftBy))
            .or(self.to_datetime.map(Target::At))
            .or(self.by_duration.map(|span| Target::At(now_ms().saturating_sub(span))))
    }

    /// What is said beside the answer.
    fn note(&self, all: &[Moves]) {
        for (group, moves) in all {
            for one in moves {
                let (topic, partition) = &one.place;
                if let Some(wanted) = one.out_of_range {
                    eprintln!(
                        "note: {group} {topic}:{partition}: there is no offset {wanted}, the \
                         nearest is {}",
                        one.to
                    );
                }
            }
        }
        if !self.execute && !self.export {
            eprintln!("nothing was changed; --execute does it");
        }
    }

    fn shown(&self, all: &[Moves]) -> String {
        if self.export {
            return self.csv(all);
        }
        if self.output.output == Output::Json {
            let one = |one: &Move| {
                json!({
                    "topic": &*one.place.0,
                    "partition": one.place.1,
                    "committed": one.from,
                    "offset": one.to,
                })
            };
            let group = |(group, moves): &Moves| {
                let moves: Vec<Value> = moves.iter().map(one).collect();
                json!({"group": group, "executed": self.execute, "offsets": moves})
            };
            return line(&Value::Array(all.iter().map(group).collect()));
        }
        let mut rows = Vec::new();
        for (group, moves) in all {
            for one in moves {
                let from = one.from.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
                let (topic, partition) = (one.place.0.to_string(), one.place.1.to_string());
                rows.push(vec![group.clone(), topic, partition, from, one.to.to_string()]);
            }
        }
        table(&["GROUP", "TOPIC", "PARTITION", "COMMITTED", "NEW OFFSET"], &rows)
    }

    fn csv(&self, all: &[Moves]) -> String {
        let several = all.len() > 1;
        let mut rows = Vec::new();
        for (group, moves) in all {
            rows.extend(moves.iter().map(|one| Row {
                group: several.then(|| group.clone()),
                topic: one.place.0.to_string(),
                partition: one.place.1,
                offset: one.to,
            }));
        }
        csv::written(&rows)
    }
}
