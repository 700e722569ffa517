//! The commands. Each gives an outcome; exit codes are given here: 0 done, 1 failed, 2 wrong usage.

mod broker;
mod cluster;
mod command_config;
mod common;
mod config;
mod config_docs;
mod consume;
mod dump;
mod failure;
mod fleet;
mod format;
mod group;
mod moment;
mod nearest;
mod place;
mod produce;
mod progress;
mod start;
#[cfg(test)]
mod tests;
mod topic;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use failure::Failure;

/// A broker that speaks the Apache Kafka protocol.
#[derive(Debug, Parser)]
#[command(name = "tidelog", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one broker for development: this machine only, data in a local folder.
    Dev(broker::Dev),
    /// Run a broker as a configuration file says.
    Serve(broker::Serve),
    /// Create, list, describe and delete topics.
    Topic(topic::Topic),
    /// List, describe, reset and delete consumer groups.
    Group(group::Group),
    /// Show and change settings.
    Config(config::Config),
    /// Show the cluster and the quorum that keeps its metadata.
    Cluster(cluster::Cluster),
    /// List and describe brokers.
    Broker(cluster::brokers::Broker),
    /// Send lines as records.
    Produce(produce::Produce),
    /// Print records.
    Consume(consume::Consume),
    /// Show what the files of a log directory hold.
    Dump(dump::Dump),
    /// Print the version.
    Version,
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Runs the command that the arguments name.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors; clap knows which goes where.
            let code = if error.use_stderr() { 2 } else { 0 };
            drop(error.print());
            return ExitCode::from(code);
        }
    };
    match execute(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_silent() {
                eprintln!("tidelog: {failure}");
            }
            ExitCode::from(failure.code())
        }
    }
}

fn execute(command: Command) -> Result<(), Failure> {
    match command {
        Command::Dev(dev) => dev.run(),
        Command::Serve(serve) => serve.run(),
        Command::Topic(topic) => topic.run(),
        Command::Group(group) => group.run(),
        Command::Config(config) => config.run(),
        Command::Cluster(cluster) => cluster.run(),
        Command::Broker(broker) => broker.run(),
        Command::Produce(produce) => produce.run(),
        Command::Consume(consume) => consume.run(),
        Command::Dump(dump) => dump.run(),
        Command::Version => {
            println!("tidelog {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Command::Completions { shell } => {
            let mut command = Cli::command();
            clap_complete::generate(shell, &mut command, "tidelog", &mut std::io::stdout());
            Ok(())
        }
    }
}

/// `--set`, the same for every command that runs a broker.
#[derive(Debug, clap::Args)]
struct SetArgs {
    /// Set a configuration key; the last word over file and environment. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// A path given or the folder that `dev` uses.
fn default_data_dir() -> PathBuf {
    PathBuf::from("tidelog-data")
}
