//! What the commands that talk to a cluster share: how to reach it, how to answer, how to wait.

use std::future::Future;
use std::io::Write;
use std::time::Duration;

use client::{Client, ClientConfig};

use super::failure::Failure;

/// How to reach a cluster.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ClusterArgs {
    /// HOST:PORT of one or more brokers, separated by commas.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    pub(super) bootstrap_server: String,
    /// How long the command may take to be answered: a number with ms, s or m.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(super) timeout: Duration,
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
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let config = ClientConfig {
            bootstrap: self.bootstrap_server.clone(),
            client_id: "tidelog".to_owned(),
            request_timeout: self.timeout.min(Duration::from_secs(30)),
            timeout: self.timeout,
            ..ClientConfig::default()
        };
        Ok(Client::new(config)?)
    }
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
