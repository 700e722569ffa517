//! `tidelog consume`: records to standard output.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use client::{
    Assignment, Client, Consumer, ConsumerConfig, Fetched, Joined, Member, MemberConfig, OffsetSpec,
};
use tokio::time::Instant;

use super::common::{ClusterArgs, Output, OutputArgs};
use super::failure::Failure;
use super::format::{Format, Placed, Template};
use super::progress::{Progress, ProgressArgs};
use super::start::{Start, starts};

/// How often a group's offsets are committed.
const COMMIT_INTERVAL: Duration = Duration::from_secs(5);
/// The longest wait for records before other duties are looked at.
const POLL_MAX: Duration = Duration::from_secs(1);
/// How long a group may be without a coordinator before that is worth a word.
const JOIN_PATIENCE: Duration = Duration::from_secs(2);

/// Arguments of `tidelog consume`.
#[derive(Debug, clap::Args)]
pub(super) struct Consume {
    /// The topic.
    #[arg(long, short = 't')]
    topic: String,
    /// A partition to read; all when not said. May be repeated.
    #[arg(long, short = 'p', value_name = "N", conflicts_with = "group")]
    partition: Vec<i32>,
    /// Where to begin: beginning, latest, an offset, -N for the last N of each partition, or @TIME
    /// for a time, 2026-11-22T16:00:00.000 or ms since 1970. A group begins where it has committed.
    #[arg(long, value_name = "WHERE", default_value = "latest", allow_hyphen_values = true,
          value_parser = Start::parse)]
    from: Start,
    /// The same as --from beginning.
    #[arg(long, conflicts_with = "from")]
    from_beginning: bool,
    /// Stop after so many records.
    #[arg(long, short = 'n', value_name = "N")]
    max_messages: Option<u64>,
    /// Stop where the partitions ended when the command began.
    #[arg(long, short = 'e')]
    exit_at_end: bool,
    /// Share the partitions with the other members of this group, and commit what was printed.
    #[arg(long, short = 'g')]
    group: Option<String>,
    /// The form of a record: %t topic, %p partition, %o offset, %T time, %k key, %v value, %K and
    /// %V their lengths, %h headers, \n and \t. With -o json each record is a JSON object.
    #[arg(long, short = 'f', default_value = "%v\\n", value_parser = Template::parse)]
    format: Template,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Partitions with their next offsets.
type Printed = Vec<((Arc<str>, i32), i64)>;

/// What is left to do, and how to print it.
struct Printer {
    format: Format,
    left: Option<u64>,
    /// Where to stop in each partition, when asked to stop at the end.
    ends: Option<BTreeMap<i32, i64>>,
    progress: Progress,
    records: u64,
    bytes: u64,
}

impl Consume {
    pub(super) fn run(self) -> Result<(), Failure> {
        self.cluster.run(async |client| self.follow(client).await)
    }

    async fn follow(&self, client: &Client) -> Result<(), Failure> {
        let mut printer = Printer {
            format: match self.output.output {
                Output::Json => Format::Json,
                Output::Table => Format::Template(self.format.clone()),
            },
            left: self.max_messages,
            ends: None,
            progress: self.progress.begin(!std::io::stdout().is_terminal()),
            records: 0,
            bytes: 0,
        };
        let done = match self.group.clone() {
            Some(group) => self.consume_as_member(client, group, &mut printer).await,
            None => self.consume_alone(client, &mut printer).await,
        };
        printer.progress.end();
        done
    }

    fn from(&self) -> Start {
        if self.from_beginning { Start::Beginning } else { self.from }
    }

    async fn consume_alone(&self, client: &Client, printer: &mut Printer) -> Result<(), Failure> {
        let deadline = client.deadline();
        let topic = client.topic(&self.topic, false, deadline).await?;
        let partitions = match self.partition.is_empty() {
            true => topic.partitions.iter().map(|partition| partition.index).collect(),
            false => self.partition.clone(),
        };
        if self.exit_at_end {
            printer.ends = Some(self.ends(client, &partitions).await?);
        }
        let starts = starts(client, &self.topic, &partitions, self.from(), deadline).await?;
        let name: Arc<str> = Arc::from(self.topic.as_str());
        let mut consumer = Consumer::new(client, ConsumerConfig::default());
        consumer.assign(starts.into_iter().map(|(partition, offset)| Assignment {
            topic: Arc::clone(&name),
            partition,
            offset,
        }));
        let mut stop = std::pin::pin!(stop_signal());
        while !printer.is_done(&consumer) {
            tokio::select! {
                fetched = consumer.poll(Instant::now() + POLL_MAX) => printer.print(&fetched?)?,
                () = &mut stop => break,
            };
        }
        Ok(())
    }

    async fn ends(
        &self,
        client: &Client,
        partitions: &[i32],
    ) -> Result<BTreeMap<i32, i64>, Failure> {
        let deadline = client.deadline();
        let spec = OffsetSpec::Latest;
        let ends = client.list_offsets(&self.topic, partitions, spec, deadline).await?;
        Ok(ends.into_iter().map(|(index, offset)| (index, offset.unwrap_or_default())).collect())
    }

    async fn consume_as_member(
        &self,
        client: &Client,
        group: String,
        printer: &mut Printer,
    ) -> Result<(), Failure> {
        let mut member = Member::new(
            client,
            MemberConfig {
                group,
                topics: vec![self.topic.clone()],
                session_timeout: Duration::from_secs(45),
                rebalance_timeout: Duration::from_secs(60),
            },
        );
        let done = self.follow_group(client, &mut member, printer).await;
        // The others need not wait for the session's end, however this one ended.
        let left = member.leave().await;
        done?;
        Ok(left?)
    }

    async fn follow_group(
        &self,
        client: &Client,
        member: &mut Member,
        printer: &mut Printer,
    ) -> Result<(), Failure> {
        let mut stop = std::pin::pin!(stop_signal());
        let mut consumer = Consumer::new(client, ConsumerConfig::default());
        let mut printed: BTreeMap<(Arc<str>, i32), i64> = BTreeMap::new();
        let mut joined = false;
        let mut told = false;
        let (mut next_heartbeat, mut next_commit) = (Instant::now(), Instant::now());
        loop {
            if !joined {
                let share = self.take_share(client, member, &mut consumer, printer, &mut told);
                tokio::select! {
                    taken = share => taken?,
                    () = &mut stop => return Ok(()),
                }
                printed.clear();
                joined = true;
                next_heartbeat = Instant::now() + member.heartbeat_interval();
                next_commit = Instant::now() + COMMIT_INTERVAL;
            }
            let stopped = tokio::select! {
                fetched = consumer.poll(next_heartbeat.min(Instant::now() + POLL_MAX)) => {
                    for (place, offset) in printer.print(&fetched?)? {
                        printed.insert(place, offset);
                    }
                    printer.is_done(&consumer)
                }
                () = &mut stop => true,
            };
            if stopped || Instant::now() >= next_commit {
                let committed = member.commit(&std::mem::take(&mut printed)).await;
                next_commit = Instant::now() + COMMIT_INTERVAL;
                joined = !lost_place(committed)?;
            }
            if stopped {
                return Ok(());
            }
            if joined && Instant::now() >= next_heartbeat {
                joined = member.heartbeat().await?;
                next_heartbeat = Instant::now() + member.heartbeat_interval();
                if !joined && !printed.is_empty() {
                    // Still this generation's word, if the group takes it.
                    lost_place(member.commit(&std::mem::take(&mut printed)).await)?;
                }
            }
        }
    }

    /// Joins and begins where the group has committed.
    /// Joins the group; a wait for a coordinator is told, once.
    async fn join(
        &self,
        client: &Client,
        member: &mut Member,
        told: &mut bool,
    ) -> Result<Joined, Failure> {
        let mut joining = std::pin::pin!(member.join());
        if let Some(group) = self.group.as_deref().filter(|_| !*told) {
            tokio::select! {
                biased;
                joined = &mut joining => return Ok(joined?),
                why = uncoordinated(client, group) => {
                    *told = true;
                    eprintln!("tidelog: waiting for a coordinator: {}", Failure::from(why));
                }
            }
        }
        Ok(joining.await?)
    }

    async fn take_share(
        &self,
        client: &Client,
        member: &mut Member,
        consumer: &mut Consumer,
        printer: &mut Printer,
        told: &mut bool,
    ) -> Result<(), Failure> {
        let joined = self.join(client, member, told).await?;
        let committed = member.committed(&joined.partitions).await?;
        let mut assignments = Vec::new();
        let mut ends = BTreeMap::new();
        for (topic, partitions) in &joined.partitions {
            let deadline = client.deadline();
            let name: Arc<str> = Arc::from(topic.as_str());
            let place = |index: i32| (Arc::clone(&name), index);
            let fresh: Vec<i32> = partitions
                .iter()
                .copied()
                .filter(|index| !committed.contains_key(&place(*index)))
                .collect();
            let starts = starts(client, topic, &fresh, self.from(), deadline).await?;
            for index in partitions {
                let offset = committed.get(&place(*index)).or_else(|| starts.get(index)).copied();
                let (topic, offset) = (Arc::clone(&name), offset.unwrap_or_default());
                assignments.push(Assignment { topic, partition: *index, offset });
            }
            if self.exit_at_end {
                ends.extend(self.ends(client, partitions).await?);
            }
        }
        printer.ends = self.exit_at_end.then_some(ends);
        consumer.assign(assignments);
        Ok(())
    }
}

/// Why a group has no coordinator, if after a while it has none.
async fn uncoordinated(client: &Client, group: &str) -> client::Error {
    tokio::time::sleep(JOIN_PATIENCE).await;
    match client.find_coordinator(group, client.deadline()).await {
        Err(why) => why,
        // It waits for the other members.
        Ok(_) => std::future::pending().await,
    }
}

/// Whether a commit failed because the member has to join again.
fn lost_place(committed: Result<(), client::Error>) -> Result<bool, Failure> {
    use wire::ErrorCode::{IllegalGeneration, RebalanceInProgress, UnknownMemberId};
    match committed {
        Ok(()) => Ok(false),
        Err(error) => match error.code() {
            Some(IllegalGeneration | RebalanceInProgress | UnknownMemberId) => Ok(true),
            _ => Err(error.into()),
        },
    }
}

impl Printer {
    fn is_done(&self, consumer: &Consumer) -> bool {
        let reached = |ends: &BTreeMap<i32, i64>| {
            consumer
                .positions()
                .all(|(_, index, offset)| ends.get(&index).is_none_or(|end| offset >= *end))
        };
        self.left == Some(0) || self.ends.as_ref().is_some_and(reached)
    }

    /// Prints what was fetched; gives the next offset of each partition that was printed from.
    fn print(&mut self, fetched: &[Fetched]) -> Result<Printed, Failure> {
        let mut next = Vec::new();
        for one in fetched {
            let place = (Arc::clone(&one.topic), one.partition);
            next.push((place, self.print_partition(one)?));
        }
        Ok(next)
    }

    fn print_partition(&mut self, fetched: &Fetched) -> Result<i64, Failure> {
        let end = self.ends.as_ref().and_then(|ends| ends.get(&fetched.partition)).copied();
        let mut next = None;
        let mut out = Vec::new();
        for batch in &fetched.batches {
            for record in batch.records() {
                let record = record.map_err(|source| client::Error::Batch {
                    about: format!("{}-{}", fetched.topic, fetched.partition),
                    source: Arc::new(source),
                })?;
                // Records past the end as it was are left to the next command.
                if self.left == Some(0) || end.is_some_and(|end| record.offset >= end) {
                    print_bytes(&out)?;
                    return Ok(next.unwrap_or(record.offset));
                }
                self.left = self.left.map(|left| left - 1);
                self.records += 1;
                next = Some(record.offset + 1);
                let (topic, partition) = (&*fetched.topic, fetched.partition);
                self.format.append(&mut out, &Placed { topic, partition, record: &record });
            }
        }
        print_bytes(&out)?;
        self.bytes += out.len() as u64;
        self.progress.at(self.records, self.bytes);
        Ok(fetched.next_offset)
    }
}

fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write;
    if bytes.is_empty() {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(Failure::Output)
}

/// Ends when the process is asked to stop.
async fn stop_signal() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => {
            if interrupted.is_err() {
                std::future::pending::<()>().await;
            }
        }
        () = terminated => {}
    }
}
