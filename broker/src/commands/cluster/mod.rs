//! `tidelog cluster describe|quorum`, and `tidelog broker list|describe` beside it.

pub(super) mod brokers;

use client::{Client, ClusterDescription, QuorumDescription, QuorumReplica};
use serde_json::{Value, json};

use super::common::{ClusterArgs, Output, OutputArgs, line, print, table};
use super::failure::Failure;
use super::moment::now_ms;
use brokers::loads;

/// Arguments of `tidelog cluster`.
#[derive(Debug, clap::Args)]
pub(super) struct Cluster {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show the cluster's id, controller, brokers and size.
    Describe(Describe),
    /// Show who keeps the metadata, who leads, and how far each is.
    Quorum(Quorum),
}

#[derive(Debug, clap::Args)]
struct Describe {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
struct Quorum {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Cluster {
    pub(super) fn run(self) -> Result<(), Failure> {
        print(&match self.action {
            Action::Describe(describe) => describe.run()?,
            Action::Quorum(quorum) => quorum.run()?,
        })
    }
}

/// How much a cluster holds.
#[derive(Debug, Default)]
struct Size {
    topics: usize,
    partitions: usize,
    leaderless: usize,
}

async fn size(client: &Client) -> Result<Size, Failure> {
    let topics = client.list_topics().await?;
    let partitions = || topics.iter().flat_map(|topic| &topic.partitions);
    Ok(Size {
        topics: topics.len(),
        partitions: partitions().count(),
        leaderless: partitions().filter(|partition| partition.leader.is_none()).count(),
    })
}

impl Describe {
    fn run(self) -> Result<String, Failure> {
        let (cluster, loads, size) = self.cluster.run(async |client| {
            let cluster = client.describe_cluster().await?;
            Ok((cluster, loads(client).await?, size(client).await?))
        })?;
        let ClusterDescription { id, controller, brokers } = cluster;
        if self.output.output == Output::Json {
            let load = |id| loads.get(&id).copied().unwrap_or_default();
            let brokers: Vec<Value> =
                brokers.iter().map(|one| brokers::json(one, load(one.id))).collect();
            return Ok(line(&json!({
                "cluster": id,
                "controller": controller,
                "topics": size.topics,
                "partitions": size.partitions,
                "leaderless": size.leaderless,
                "brokers": brokers,
            })));
        }
        let id = id.unwrap_or_else(|| "unknown".to_owned());
        let Size { topics, partitions, leaderless } = size;
        Ok(format!(
            "cluster: {id}\ncontroller: {controller}\ntopics: {topics}\npartitions: {partitions} \
             ({leaderless} without a leader)\n\n{}",
            brokers::shown(&brokers, &loads)
        ))
    }
}

impl Quorum {
    fn run(self) -> Result<String, Failure> {
        let quorum = self.cluster.run(async |client| Ok(client.describe_quorum().await?))?;
        Ok(match self.output.output {
            Output::Json => line(&quorum_json(&quorum)),
            Output::Table => quorum_text(&quorum, now_ms()),
        })
    }
}

/// The end of the leader's log.
fn log_end(quorum: &QuorumDescription) -> Option<i64> {
    quorum.voters.iter().find(|voter| voter.id == quorum.leader)?.log_end
}

fn lag(quorum: &QuorumDescription, replica: &QuorumReplica) -> Option<i64> {
    Some((log_end(quorum)? - replica.log_end?).max(0))
}

fn quorum_json(quorum: &QuorumDescription) -> Value {
    let replica = |one: &QuorumReplica| {
        json!({
            "node": one.id,
            "directory": one.directory,
            "log_end": one.log_end,
            "lag": lag(quorum, one),
            "last_fetch_ms": one.last_fetch_ms,
            "last_caught_up_ms": one.last_caught_up_ms,
        })
    };
    json!({
        "leader": quorum.leader,
        "epoch": quorum.epoch,
        "high_watermark": quorum.high_watermark,
        "voters": quorum.voters.iter().map(replica).collect::<Vec<_>>(),
        "observers": quorum.observers.iter().map(replica).collect::<Vec<_>>(),
    })
}

fn quorum_text(quorum: &QuorumDescription, now_ms: i64) -> String {
    let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |one| one.to_string());
    let ago = |time: Option<i64>| {
        time.map_or_else(|| "-".to_owned(), |time| format!("{} ms ago", (now_ms - time).max(0)))
    };
    let row = |role: &str, one: &QuorumReplica| {
        let role = if one.id == quorum.leader && role == "voter" { "leader" } else { role };
        vec![
            one.id.to_string(),
            role.to_owned(),
            number(one.log_end),
            number(lag(quorum, one)),
            ago(one.last_fetch_ms),
            ago(one.last_caught_up_ms),
            one.directory.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let voters = quorum.voters.iter().map(|one| row("voter", one));
    let rows: Vec<_> =
        voters.chain(quorum.observers.iter().map(|one| row("observer", one))).collect();
    let head = ["NODE", "ROLE", "LOG END", "LAG", "LAST FETCH", "LAST CAUGHT UP", "DIRECTORY"];
    format!(
        "leader: {}\nepoch: {}\nhigh watermark: {}\n\n{}",
        quorum.leader,
        quorum.epoch,
        quorum.high_watermark,
        table(&head, &rows)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_is_shown() {
        let replica = |id, log_end, fetched| QuorumReplica {
            id,
            directory: None,
            log_end,
            last_fetch_ms: fetched,
            last_caught_up_ms: fetched,
        };
        let quorum = QuorumDescription {
            leader: 2,
            epoch: 7,
            high_watermark: 90,
            voters: vec![replica(1, Some(90), Some(400)), replica(2, Some(100), Some(1_000))],
            observers: vec![replica(9, None, None)],
        };
        let text = quorum_text(&quorum, 1_000);
        let rows: Vec<Vec<&str>> =
            text.lines().skip(5).map(|line| line.split("  ").map(str::trim).collect()).collect();
        let cells = |row: &[&str]| {
            row.iter().filter(|cell| !cell.is_empty()).map(|cell| (*cell).to_owned()).collect()
        };
        let rows: Vec<Vec<String>> = rows.iter().map(|row| cells(row)).collect();
        assert_eq!(rows[0], ["1", "voter", "90", "10", "600 ms ago", "600 ms ago", "-"]);
        assert_eq!(rows[1], ["2", "leader", "100", "0", "0 ms ago", "0 ms ago", "-"]);
        assert_eq!(rows[2], ["9", "observer", "-", "-", "-", "-", "-"]);
        let json = quorum_json(&quorum);
        assert_eq!(json["voters"][0]["lag"], 10);
        assert_eq!(json["observers"][0]["log_end"], Value::Null);
    }
}
