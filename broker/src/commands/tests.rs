//! The command line: what is accepted, what is refused, and with which exit code.

use clap::CommandFactory;
use clap::Parser;

use super::{Cli, run};

fn accepted(line: &str) -> bool {
    Cli::try_parse_from(line.split(' ')).is_ok()
}

#[test]
fn the_definition_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn what_the_readme_shows_is_accepted() {
    for line in [
        "tidelog dev",
        "tidelog dev --data-dir /d --port 0 --admin-port 0 --set a=b --set c=d",
        "tidelog dev --brokers 3 --port 9092",
        "tidelog serve --config f.yaml --set a=b",
        "tidelog topic create t --partitions 3 --replication-factor 1 --config retention.ms=1",
        "tidelog topic list -o json --bootstrap-server a:1,b:2 --timeout 5s",
        "tidelog topic describe t --command-config f",
        "tidelog topic create t --replica-assignment 0:1,1:0,0:2 --config a=b",
        "tidelog topic delete t u --yes",
        "tidelog topic create t --validate-only -o json",
        "tidelog topic add-partitions t -p 6 --validate-only",
        "tidelog topic offsets t u:0,1",
        "tidelog topic offsets t --at 2026-11-22T16:00:00",
        "tidelog topic delete-records t:0 --before 17 -y",
        "tidelog topic delete-records t --before @2026-11-22T16:00:00",
        "tidelog produce --topic t file1 file2 --key-separator : -H a=b --acks 1 -z zstd",
        "tidelog produce -t t -p 0 --timestamp 5 --acks 0",
        "tidelog produce -t t --input-format json --keep-partitions --rate 100 --progress",
        "tidelog produce -t t -z zstd --compression-level -5",
        "tidelog consume -t t --from-beginning -n 5 -e",
        "tidelog consume -t t --from @2026-11-22T16:00:00 --progress",
        "tidelog consume -t t --from -5 -p 0 -p 1",
        "tidelog consume -t t -g group --from @17 -f %k:%v",
        "tidelog group list --state Stable --state empty --type classic -o json",
        "tidelog group describe a b",
        "tidelog group describe --all-groups",
        "tidelog group lag g",
        "tidelog group delete a b -y",
        "tidelog group delete-offsets g -t orders:0,1 --topic users --yes",
        "tidelog group reset g --all-topics --to-earliest --execute",
        "tidelog group reset g -t orders:0,1 -t users --to-latest --dry-run",
        "tidelog group reset g -t t --shift-by -10",
        "tidelog group reset g -t t --to-offset -5",
        "tidelog group reset g -t t --to-datetime 2026-11-22T16:00:00.000",
        "tidelog group reset g -t t --by-duration PT1H30M --export",
        "tidelog group reset --all-groups --all-topics --to-current",
        "tidelog group reset g h --from-file offsets.csv --execute",
        "tidelog config describe --topic t --all",
        "tidelog config describe -b 1 -k log.dirs -k num.partitions -o json",
        "tidelog config set --broker-defaults log.retention.ms=5 a=b=c",
        "tidelog config set --broker-logger 1 root=DEBUG --validate-only",
        "tidelog config set -t t --append cleanup.policy=compact --subtract a=b",
        "tidelog config set -t t a=b --append cleanup.policy=compact,delete",
        "tidelog config unset -g g consumer.session.timeout.ms",
        "tidelog cluster describe",
        "tidelog cluster quorum -o json",
        "tidelog broker list",
        "tidelog broker describe 1",
        "tidelog dump /d/logs /d/t-0/0.log --batches --as offsets -o json",
        "tidelog version",
        "tidelog completions bash",
    ] {
        assert!(accepted(line), "{line}");
    }
}

#[test]
fn wrong_usage_is_refused() {
    for line in [
        "tidelog",
        "tidelog serve",
        "tidelog dev --port 70000",
        "tidelog dev --brokers 0",
        "tidelog topic create",
        "tidelog topic create t --partitions 0",
        "tidelog topic create t --replica-assignment 0:1,x",
        "tidelog topic create t --replica-assignment 0:1 -p 1",
        "tidelog topic create t --replica-assignment 0:1 -r 2",
        "tidelog produce",
        "tidelog produce -t t --acks 2",
        "tidelog produce -t t -k a --key-separator b",
        "tidelog produce -t t --whole-files",
        "tidelog consume -t t --from nowhere",
        "tidelog consume -t t -g g -p 0",
        "tidelog consume -t t --from 1 --from-beginning",
        "tidelog topic list --timeout 3h",
        "tidelog topic list -o xml",
        "tidelog topic delete",
        "tidelog topic add-partitions t",
        "tidelog topic offsets",
        "tidelog topic delete-records t",
        "tidelog topic delete-records t --before -1",
        "tidelog produce -t t --input-format json --key-separator :",
        "tidelog produce -t t --rate 0",
        "tidelog group describe",
        "tidelog group describe g --all-groups",
        "tidelog group reset g -t t",
        "tidelog group reset g -t t --to-earliest --to-latest",
        "tidelog group reset g -t t --all-topics --to-earliest",
        "tidelog group reset g -t t --to-offset x",
        "tidelog group reset g -t t --to-datetime yesterday",
        "tidelog group reset g -t t --to-earliest --execute --dry-run",
        "tidelog group reset g -t t --from-file f",
        "tidelog group reset --to-earliest",
        "tidelog group delete",
        "tidelog group delete-offsets g",
        "tidelog group delete-offsets g -t t:x",
        "tidelog broker describe",
        "tidelog broker describe x",
        "tidelog cluster",
        "tidelog dump",
        "tidelog dump f --as nonsense",
        "tidelog config describe",
        "tidelog config describe -t t -b 1",
        "tidelog config set -t t",
        "tidelog config unset retention.ms",
    ] {
        assert!(!accepted(line), "{line}");
    }
}

#[test]
fn exit_codes() {
    let code = |line: &str| run(line.split(' ').map(Into::into));
    let shown = |line: &str| format!("{:?}", code(line));
    let ok = format!("{:?}", std::process::ExitCode::SUCCESS);
    let failed = format!("{:?}", std::process::ExitCode::from(1));
    let usage = format!("{:?}", std::process::ExitCode::from(2));
    assert_eq!(shown("tidelog version"), ok);
    assert_eq!(shown("tidelog --help"), ok);
    assert_eq!(shown("tidelog nonsense"), usage);
    assert_eq!(shown("tidelog serve --config /nowhere.yaml"), usage);
    assert_eq!(shown("tidelog topic list --bootstrap-server nonsense"), usage);
    assert_eq!(shown("tidelog group reset g --to-earliest"), usage);
    assert_eq!(shown("tidelog produce -t t -z gzip --compression-level 22"), usage);
    assert_eq!(shown("tidelog produce -t t -H novalue"), usage);
    assert_eq!(shown("tidelog config set -t t retention.ms"), usage);
    assert_eq!(shown("tidelog dump /nowhere.log"), failed);
    // Nothing listens on port 1 of this machine.
    assert_eq!(shown("tidelog topic list --bootstrap-server 127.0.0.1:1 --timeout 50ms"), failed);
}

/// What the documentation says of a command: its row of a table, and the sections of its name.
fn documented(path: &str) -> String {
    let mut text = String::new();
    let mut heading = "";
    for line in include_str!("../../docs/command-line.md").lines() {
        if let Some(title) =
            line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#'))
        {
            heading = title;
        }
        let of_section = path == heading || path.starts_with(&format!("{heading} "));
        let row = format!("`tidelog {path}");
        let of_row = line.split_once(&row).is_some_and(|(_, rest)| rest.starts_with([' ', '`']));
        if of_section || of_row {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

fn leaves(command: &clap::Command, path: &str, into: &mut Vec<(String, clap::Command)>) {
    for sub in command.get_subcommands() {
        let path = format!("{path} {}", sub.get_name()).trim().to_owned();
        match sub.has_subcommands() {
            true => leaves(sub, &path, into),
            false => into.push((path, sub.clone())),
        }
    }
}

/// Said once for all commands.
const COMMON: &[&str] = &["bootstrap-server", "timeout", "command-config", "output", "yes", "help"];

#[test]
fn every_command_and_option_is_documented() {
    let mut commands = Vec::new();
    leaves(&Cli::command(), "", &mut commands);
    assert!(commands.len() > 15, "{}", commands.len());
    let mut missing = Vec::new();
    for (path, command) in &commands {
        let text = documented(path);
        if text.is_empty() {
            missing.push(path.clone());
        }
        for argument in command.get_arguments() {
            let shown = !argument.is_hide_set();
            let Some(long) = argument.get_long().filter(|long| shown && !COMMON.contains(long))
            else {
                continue;
            };
            let short = argument.get_short().map(|short| format!("`-{short}"));
            let named = |option: &str| {
                text.split(option)
                    .skip(1)
                    .any(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-'))
            };
            if !named(&format!("--{long}")) {
                missing.push(format!("{path} --{long}"));
            }
            if short.is_some_and(|short| !text.contains(&short[1..])) {
                missing.push(format!("{path} -{:?}", argument.get_short()));
            }
        }
    }
    let all = include_str!("../../docs/command-line.md");
    missing.extend(
        COMMON
            .iter()
            .filter(|long| !all.contains(&format!("--{long}")))
            .map(|long| (*long).to_owned()),
    );
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_documented_option_is_there() {
    let mut commands = Vec::new();
    leaves(&Cli::command(), "", &mut commands);
    let known: std::collections::BTreeSet<String> = commands
        .iter()
        .flat_map(|(_, command)| command.get_arguments())
        .filter_map(|argument| argument.get_long().map(str::to_owned))
        .chain(["help".to_owned()])
        .collect();
    for part in include_str!("../../docs/command-line.md").split("--").skip(1) {
        let name: String =
            part.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
        // The lines of tables are no options.
        let option = !name.is_empty() && !name.starts_with('-');
        assert!(!option || known.contains(&name), "there is no --{name}");
    }
}
