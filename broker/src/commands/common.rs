//! What the commands that talk to a cluster share: how to reach it, how to answer, how to wait.

use std::collections::BTreeSet;
use std::future::Future;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use client::{Client, ClientConfig};
use serde_json::Value;

use super::command_config::CommandConfig;
use super::failure::Failure;
use super::nearest::nearest;

/// How to reach a cluster.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ClusterArgs {
    /// HOST:PORT of one or more brokers, separated by commas; when neither this nor a file says
    /// it, 127.0.0.1:9092.
    #[arg(long, value_name = "HOST:PORT", env = "TIDELOG_BOOTSTRAP_SERVER")]
    bootstrap_server: Option<String>,
    /// How long the command may take to be answered: a number with ms, s or m; 30s when not said.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// A file of Kafka's client properties; what the command line says goes before it.
    #[arg(long, value_name = "FILE")]
    command_config: Option<PathBuf>,
}

/// How to print an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// `-o`, the same for every command that answers with data.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct OutputArgs {
    /// How to print the answer.
    #[arg(short = 'o', long = "output", value_enum, default_value = "table")]
    pub(super) output: Output,
}

impl ClusterArgs {
    /// A client of the cluster.
    fn client(&self) -> Result<Client, Failure> {
        let file = match &self.command_config {
            Some(path) => CommandConfig::read(path)?,
            None => CommandConfig::default(),
        };
        let standard = ClientConfig::default();
        let timeout = self.timeout.or(file.timeout).unwrap_or(standard.timeout);
        let request_timeout = file.request_timeout.unwrap_or(standard.request_timeout);
        let bootstrap = self.bootstrap_server.clone().or(file.bootstrap);
        Ok(Client::new(ClientConfig {
            bootstrap: bootstrap.unwrap_or(standard.bootstrap),
            client_id: file.client_id.unwrap_or(standard.client_id),
            request_timeout: request_timeout.min(timeout),
            timeout,
            ..standard
        })?)
    }

    /// Runs a command's work with a client of the cluster. A name that is not there is answered
    /// with the one that was probably meant.
    pub(super) fn run<T>(
        &self,
        work: impl AsyncFnOnce(&Client) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let client = self.client()?;
        block_on(async {
            match work(&client).await {
                Err(Failure::Client { source }) => Err(meant(&client, source).await),
                done => done,
            }
        })
    }
}

/// An error about a name that is not there, with the name that was probably meant.
async fn meant(client: &Client, error: client::Error) -> Failure {
    let (name, names): (String, Vec<String>) = match &error {
        client::Error::NoTopic { topic } => {
            let topics = client.list_topics().await.unwrap_or_default();
            (topic.clone(), topics.into_iter().map(|topic| topic.name).collect())
        }
        client::Error::NoGroup { group } => {
            let groups = client.list_groups().await.unwrap_or_default();
            (group.clone(), groups.into_iter().map(|group| group.id).collect())
        }
        _ => return error.into(),
    };
    match nearest(&name, names.iter().map(String::as_str)) {
        Some(meant) => Failure::Misspelt { source: error, meant: meant.to_owned() },
        None => error.into(),
    }
}

/// A refusal; when it is of a key that is not among those known, with the key that was meant.
pub(super) fn misspelt<'a, 'b>(
    source: client::Error,
    keys: impl IntoIterator<Item = &'a str>,
    known: impl IntoIterator<Item = &'b str>,
) -> Failure {
    let known: BTreeSet<&str> = known.into_iter().collect();
    let unknown = keys.into_iter().find(|key| !known.contains(*key));
    match unknown.and_then(|key| nearest(key, known.iter().copied())) {
        Some(meant) => Failure::Misspelt { source, meant: meant.to_owned() },
        None => source.into(),
    }
}

/// `--yes`, the same for every command that destroys something.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct YesArgs {
    /// Do not ask. Only a terminal is asked.
    #[arg(long, short = 'y')]
    yes: bool,
}

impl YesArgs {
    /// Asks a person; a script has said what it wants.
    pub(super) fn ask(&self, what: &str) -> Result<(), Failure> {
        if self.yes || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Ok(());
        }
        eprint!("{what}? [y/N] ");
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map_err(Failure::Output)?;
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::Declined),
        }
    }
}

/// The halves of `KEY=VALUE`.
pub(super) fn pair(form: &str, text: &str) -> Result<(String, String), Failure> {
    let halves = text.split_once('=').filter(|(key, _)| !key.trim().is_empty());
    let (key, value) = halves.ok_or_else(|| Failure::Usage(format!("{text}: expected {form}")))?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// A JSON answer, on one line.
pub(super) fn line(value: &Value) -> String {
    format!("{value}\n")
}

/// A time such as `500ms`, `30s`, `2m`; a bare number is seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let expected = || format!("{text} is not a time: write 500ms, 30s or 2m");
    let number: u64 = digits.parse().map_err(|_| expected())?;
    let unit_ms = match text.get(digits.len()..).unwrap_or_default() {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        _ => return Err(expected()),
    };
    Ok(Duration::from_millis(number.checked_mul(unit_ms).ok_or_else(expected)?))
}

/// Runs a command's work on a runtime of its own.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::Output)?;
    let done = runtime.block_on(work);
    // A read of the terminal that never ends must not keep the process.
    runtime.shutdown_background();
    done
}

/// Prints lines; a reader that has gone away ends the command quietly.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Output)
}

/// Rows with their columns aligned.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> =
            cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut text = line(&mut head.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "3h", "-1s", "1.5s", "99999999999999999999m"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn columns_are_aligned() {
        let rows =
            vec![vec!["a".to_owned(), "1".to_owned()], vec!["long".to_owned(), String::new()]];
        assert_eq!(table(&["NAME", "N"], &rows), "NAME  N\na     1\nlong\n");
    }
}
