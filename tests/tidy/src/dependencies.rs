//! The walls: which crate may depend on which, and what a crate must never bring in.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::source;

/// What each crate may depend on. An edge more is a decision, made in a commit of its own.
const TABLE: &[(&str, &[&str])] = &[
    ("tidelog-wire", &[]),
    ("tidelog-wire-gen", &[]),
    ("tidelog-storage", &["tidelog-wire"]),
    ("tidelog-quorum", &["tidelog-wire"]),
    ("tidelog-metadata", &["tidelog-wire"]),
    ("tidelog-coordinator", &["tidelog-wire", "tidelog-metadata"]),
    ("tidelog-replication", &["tidelog-wire", "tidelog-storage", "tidelog-metadata"]),
    (
        "tidelog-node",
        &[
            "tidelog-wire",
            "tidelog-storage",
            "tidelog-quorum",
            "tidelog-metadata",
            "tidelog-coordinator",
            "tidelog-replication",
        ],
    ),
    ("tidelog-client", &["tidelog-wire"]),
    (
        "tidelog-server",
        &[
            "tidelog-wire",
            "tidelog-storage",
            "tidelog-quorum",
            "tidelog-metadata",
            "tidelog-coordinator",
            "tidelog-replication",
            "tidelog-node",
            "tidelog-client",
        ],
    ),
    ("tidelog", &["tidelog-server", "tidelog-client", "tidelog-wire", "tidelog-storage"]),
    // What it drives are dependencies of its tests.
    ("tidelog-sim", &[]),
    ("tidelog-tidy", &[]),
];

/// Crates that decide: no runtime, no sockets, no randomness of their own.
const PURE: &[&str] = &[
    "tidelog-wire",
    "tidelog-storage",
    "tidelog-quorum",
    "tidelog-metadata",
    "tidelog-coordinator",
    "tidelog-replication",
    "tidelog-node",
];
const NOT_IN_PURE: &[&str] =
    &["tokio", "axum", "socket2", "rand", "tracing", "async-trait", "futures", "object_store"];

/// The only crates that make system calls.
const SYSTEM_CALLS: &[&str] = &["tidelog-storage", "tidelog-server"];

/// Words of the standard library that a deciding crate's production code must not hold.
const PURE_FOLDERS: &[&str] = &[
    "broker/wire/src/",
    "broker/quorum/src/",
    "broker/metadata/src/",
    "broker/coordinator/src/",
    "broker/replication/src/",
    "broker/node/src/",
    "broker/storage/src/",
];
/// The seam's conformance suite makes temporary directories for whoever runs it.
const NOT_PURE: &[&str] = &["broker/storage/src/disk/conformance.rs"];
const NOT_IN_PURE_CODE: &[&str] = &[
    "std::net",
    "std::process",
    "std::env",
    "Instant::now",
    "SystemTime::now",
    "async fn",
    "thread::spawn",
];

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(source::root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// A package's normal and build dependencies: (inside the workspace, outside).
fn edges(package: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut inside = BTreeSet::new();
    let mut outside = BTreeSet::new();
    for dependency in package["dependencies"].as_array().unwrap() {
        if dependency["kind"].as_str() == Some("dev") {
            continue;
        }
        let name = dependency["name"].as_str().unwrap().to_owned();
        if dependency["path"].is_string() {
            inside.insert(name);
        } else {
            outside.insert(name);
        }
    }
    (inside, outside)
}

#[test]
fn crates_depend_only_as_the_table_says() {
    let table: BTreeMap<&str, BTreeSet<&str>> =
        TABLE.iter().map(|(name, may)| (*name, may.iter().copied().collect())).collect();
    let mut wrong = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let Some(may) = table.get(name) else {
            wrong.push(format!("{name} is not in the table"));
            continue;
        };
        for edge in edges(&package).0 {
            if !may.contains(edge.as_str()) {
                wrong.push(format!("{name} must not depend on {edge}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn deciding_crates_bring_in_no_runtime() {
    let mut wrong = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let (_, outside) = edges(&package);
        if PURE.contains(&name) {
            for banned in NOT_IN_PURE.iter().filter(|banned| outside.contains(**banned)) {
                wrong.push(format!("{name} must not depend on {banned}"));
            }
        }
        if outside.contains("rustix") && !SYSTEM_CALLS.contains(&name) {
            wrong.push(format!("{name} must make no system calls"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn deciding_crates_read_no_clock_and_open_no_socket() {
    let mut wrong = Vec::new();
    for file in source::files(&[".rs"]) {
        let exempt = file.is_test() || NOT_PURE.contains(&file.path.as_str());
        if exempt || !PURE_FOLDERS.iter().any(|folder| file.path.starts_with(folder)) {
            continue;
        }
        for (number, line) in file.production_lines().iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for banned in NOT_IN_PURE_CODE.iter().filter(|banned| code.contains(**banned)) {
                wrong.push(format!("{}:{}: {banned}", file.path, number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
