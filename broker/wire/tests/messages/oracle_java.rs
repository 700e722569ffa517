//! Kafka's own Java classes (4.3.1) read what we write and write it again: the same bytes, for
//! every message that both know, Produce, Fetch, Metadata and CreateTopics among them. They also
//! accept whatever we accept of damaged bytes, put the same into another version, and have the same
//! default values.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::{Case, Random, cases, seed};
use bytes::Bytes;

/// Versions that Kafka 4.4 has and 4.3.1 has not.
const NEWER_THAN_PEER: &[(&str, i16)] = &[
    ("ApiVersionsRequest", 5),
    ("ApiVersionsResponse", 5),
    ("DeleteGroupsRequest", 3),
    ("DeleteGroupsResponse", 3),
];

fn libs() -> PathBuf {
    let cache = std::env::var("TIDELOG_TEST_CACHE").map_or_else(
        |_| PathBuf::from(std::env::var("HOME").unwrap()).join(".cache/tidelog-tests"),
        PathBuf::from,
    );
    let libs = cache.join("kafka-4.3.1/libs");
    assert!(
        libs.join("kafka-clients-4.3.1.jar").exists(),
        "Kafka's jars are not in {}: run tests/run, which installs them (TIDELOG_TEST_CACHE says \
         where they are)",
        libs.display()
    );
    libs
}

/// Kafka's answers, one a line.
fn ask(lines: Vec<String>) -> Vec<String> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/java/Reserialize.java");
    let mut child = Command::new("java")
        .arg("-Xshare:auto")
        .arg("-cp")
        .arg(libs().join("*"))
        .arg(source)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("java must be on the path");
    let mut input = child.stdin.take().unwrap();
    let count = lines.len();
    let feed = std::thread::spawn(move || {
        input.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
    });
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap();
    assert!(output.status.success());
    let answers: Vec<String> =
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), count);
    answers
}

fn hex(bytes: &Bytes) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn line(case: &Case, version: i16, what: &str) -> String {
    format!("{} {} {version} {what}", case.package, case.name)
}

fn newer_than_peer(case: &Case, version: i16) -> bool {
    NEWER_THAN_PEER.contains(&(case.name, version))
}

#[test]
fn kafka_writes_again_what_we_wrote() {
    let mut random = Random::new(seed());
    let cases = cases();
    let mut asked = Vec::new();
    for case in &cases {
        for (version, bytes) in case.samples(&mut random, 6) {
            asked.push((case, version, bytes));
        }
    }
    let lines = asked.iter().map(|(case, version, bytes)| line(case, *version, &hex(bytes)));
    for ((case, version, bytes), answer) in asked.iter().zip(ask(lines.collect())) {
        let expected =
            if newer_than_peer(case, *version) { "unsupported".into() } else { hex(bytes) };
        assert_eq!(answer, expected, "{} version {version}", case.name);
    }
}

#[test]
fn defaults_are_kafkas() {
    let cases = cases();
    let mut asked = Vec::new();
    for case in &cases {
        for version in case.versions.clone().filter(|version| !newer_than_peer(case, *version)) {
            asked.push((case, version));
        }
    }
    let lines = asked.iter().map(|(case, version)| line(case, *version, "default"));
    for ((case, version), answer) in asked.iter().zip(ask(lines.collect())) {
        match (case.default)(*version) {
            Ok(bytes) => assert_eq!(answer, hex(&bytes), "{} version {version}", case.name),
            Err(error) => {
                assert!(answer.starts_with("error"), "{} {version}: {error}", case.name);
            }
        }
    }
}

#[test]
fn we_accept_nothing_that_kafka_refuses() {
    let mut random = Random::new(seed());
    let cases = cases();
    let mut accepted = Vec::new();
    for case in &cases {
        for (version, bytes) in case.samples(&mut random, 6) {
            if newer_than_peer(case, version) || bytes.is_empty() {
                continue;
            }
            let mut damaged = bytes.to_vec();
            let at = random.below(damaged.len());
            damaged[at] = random.u64() as u8;
            let damaged = Bytes::from(damaged);
            if (case.recode)(damaged.clone(), version).is_ok() {
                accepted.push((case, version, damaged));
            }
        }
    }
    assert!(accepted.len() > 100);
    let lines = accepted.iter().map(|(case, version, bytes)| line(case, *version, &hex(bytes)));
    for ((case, version, bytes), answer) in accepted.iter().zip(ask(lines.collect())) {
        assert!(
            !answer.starts_with("error"),
            "{} version {version}: {answer}\n{}",
            case.name,
            hex(bytes)
        );
    }
}

#[test]
fn other_versions_hold_what_kafka_puts_there() {
    let mut random = Random::new(seed());
    let cases = cases();
    let mut asked = Vec::new();
    for case in &cases {
        let versions: Vec<i16> =
            case.versions.clone().filter(|version| !newer_than_peer(case, *version)).collect();
        for from in &versions {
            for to in versions.iter().filter(|to| *to != from) {
                let bytes = (case.sample)(&mut random, *from);
                asked.push((case, *from, *to, bytes));
            }
        }
    }
    let lines = asked
        .iter()
        .map(|(case, from, to, bytes)| line(case, *from, &format!("{} {to}", hex(bytes))));
    let mut agreed = 0;
    for ((case, from, to, bytes), answer) in asked.iter().zip(ask(lines.collect())) {
        match (case.convert)(bytes.clone(), *from, *to) {
            Ok(ours) => {
                assert_eq!(answer, hex(&ours), "{} {from} to {to}", case.name);
                agreed += 1;
            }
            Err(error) => {
                assert!(answer.starts_with("error"), "{} {from} to {to}: {error}", case.name);
            }
        }
    }
    assert!(agreed > 500, "only {agreed} conversions");
}
