//! Documentation that stays true: links lead somewhere, invariants name a test that exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::source;

/// The targets of `[text](target)` outside code blocks, with line numbers.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let mut rest = line;
        while let Some(start) = rest.find("](") {
            rest = &rest[start + 2..];
            let Some(end) = rest.find(')') else { break };
            found.push((number + 1, rest[..end].to_owned()));
        }
    }
    found
}

/// How a heading is addressed in a link.
fn slug(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

fn has_heading(path: &Path, anchor: &str) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter(|line| line.starts_with('#')).any(|line| slug(line) == anchor)
}

#[test]
fn links_are_alive() {
    let root = source::root();
    let mut wrong = Vec::new();
    for file in source::files(&[".md"]) {
        let here = root.join(&file.path);
        for (number, target) in links(&file.text) {
            if target.starts_with("https://") || target.starts_with("http://") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let full =
                if path.is_empty() { here.clone() } else { here.parent().unwrap().join(path) };
            let alive = full.exists() && (anchor.is_empty() || has_heading(&full, anchor));
            if !alive {
                wrong.push(format!("{}:{number}: {target}", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "dead links: {wrong:#?}");
}

/// Names of all tests: Rust functions under a test attribute or in `proptest!`, and the
/// scenarios of the Python suites.
fn test_names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in source::files(&[".rs"]) {
        let lines: Vec<&str> = file.text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let Some(rest) = line.trim_start().strip_prefix("fn ") else { continue };
            let is_test = lines[..number]
                .iter()
                .rev()
                .take_while(|line| {
                    let line = line.trim();
                    line.starts_with('#') || line.starts_with("//")
                })
                .any(|line| line.trim() == "#[test]");
            if is_test {
                names.insert(rest.split(['(', '<']).next().unwrap().to_owned());
            }
        }
    }
    for file in source::files(&[".py"]) {
        let lines: Vec<&str> = file.text.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair[0].starts_with("@suite.")) {
            if let Some(rest) = pair[1].strip_prefix("def ") {
                names.insert(rest.split('(').next().unwrap().to_owned());
            }
        }
    }
    names
}

/// The paragraphs that start with "Invariant:", each with the last parts of the names after
/// "Test:" or "Tests:" in back quotes.
fn invariants(text: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let mut paragraph = String::new();
    for line in text.lines().chain([""]) {
        let starts = line.contains("Invariant:");
        if (line.trim().is_empty() || starts) && paragraph.contains("Invariant:") {
            let tests = paragraph.split_once("Test").map_or("", |(_, rest)| rest);
            let names = tests
                .split('`')
                .skip(1)
                .step_by(2)
                .map(|name| name.rsplit("::").next().unwrap_or(name).to_owned())
                .collect();
            found.push((std::mem::take(&mut paragraph), names));
        }
        if starts || !paragraph.is_empty() {
            paragraph.push_str(line.trim());
            paragraph.push(' ');
        }
        if line.trim().is_empty() {
            paragraph.clear();
        }
    }
    found
}

#[test]
fn invariants_name_tests_that_exist() {
    let text = fs::read_to_string(source::root().join("broker/ARCHITECTURE.md")).unwrap();
    let tests = test_names();
    let found = invariants(&text);
    let mut wrong = Vec::new();
    for (paragraph, names) in &found {
        if names.is_empty() {
            wrong.push(format!("names no test: {paragraph}"));
        }
        for name in names.iter().filter(|name| !tests.contains(*name)) {
            wrong.push(format!("no test `{name}`: {paragraph}"));
        }
    }
    assert!(!found.is_empty(), "broker/ARCHITECTURE.md states no invariant");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_invariant_reader_reads() {
    let text = "# A\nInvariant: x stays.\nTest: `a::b::holds`.\n\nInvariant: y.\n\ntext\n";
    let found = invariants(text);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].1, vec!["holds".to_owned()]);
    assert_eq!(found[1].1, Vec::<String>::new());
    assert!(test_names().contains("the_invariant_reader_reads"));
}
