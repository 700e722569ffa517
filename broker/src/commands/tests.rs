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
        "tidelog serve --config f.yaml --set a=b",
        "tidelog topic create t --partitions 3 --replication-factor 1 --config retention.ms=1",
        "tidelog topic list -o json --bootstrap-server a:1,b:2 --timeout 5s",
        "tidelog topic describe t",
        "tidelog topic delete t",
        "tidelog produce --topic t file1 file2 --key-separator : -H a=b --acks 1 -z zstd",
        "tidelog produce -t t -p 0 --timestamp 5 --acks 0",
        "tidelog consume -t t --from-beginning -n 5 -e",
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
        "tidelog group reset g -t t --to-datetime 2026-11-22T16:00:00.000",
        "tidelog group reset g -t t --by-duration PT1H30M --export",
        "tidelog group reset --all-groups --all-topics --to-current",
        "tidelog group reset g h --from-file offsets.csv --execute",
        "tidelog config describe --topic t --all",
        "tidelog config describe -b 1 -k log.dirs -k num.partitions -o json",
        "tidelog config set --broker-defaults log.retention.ms=5 a=b=c",
        "tidelog config set --broker-logger 1 root=DEBUG --validate-only",
        "tidelog config unset -g g consumer.session.timeout.ms",
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
        "tidelog topic create",
        "tidelog topic create t --partitions 0",
        "tidelog produce",
        "tidelog produce -t t --acks 2",
        "tidelog produce -t t -k a --key-separator b",
        "tidelog produce -t t --whole-files",
        "tidelog consume -t t --from nowhere",
        "tidelog consume -t t -g g -p 0",
        "tidelog consume -t t --from 1 --from-beginning",
        "tidelog topic list --timeout 3h",
        "tidelog topic list -o xml",
        "tidelog group describe",
        "tidelog group describe g --all-groups",
        "tidelog group reset g -t t",
        "tidelog group reset g -t t --to-earliest --to-latest",
        "tidelog group reset g -t t --all-topics --to-earliest",
        "tidelog group reset g -t t --to-offset -5",
        "tidelog group reset g -t t --to-datetime yesterday",
        "tidelog group reset g -t t --to-earliest --execute --dry-run",
        "tidelog group reset g -t t --from-file f",
        "tidelog group reset --to-earliest",
        "tidelog group delete",
        "tidelog group delete-offsets g",
        "tidelog group delete-offsets g -t t:x",
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
    assert_eq!(shown("tidelog config set -t t retention.ms"), usage);
    assert_eq!(shown("tidelog dump /nowhere.log"), failed);
    // Nothing listens on port 1 of this machine.
    assert_eq!(shown("tidelog topic list --bootstrap-server 127.0.0.1:1 --timeout 50ms"), failed);
}
