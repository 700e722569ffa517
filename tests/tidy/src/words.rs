//! Words that may be written while working and may not stay.

use crate::source;

/// Each pattern is put together here, so that this file does not hold it.
fn banned() -> Vec<(String, &'static str)> {
    vec![
        (["FIX", "ME"].concat(), "fix it"),
        (["to", "do!("].concat(), "write it"),
        (["unimple", "mented!("].concat(), "write it"),
        (["db", "g!("].concat(), "take it out"),
        (["#[ig", "nore"].concat(), "a test runs or goes"),
        (["TO", "DO:"].concat(), "name who: TO-DO(name)"),
        (["TO", "DO "].concat(), "name who: TO-DO(name)"),
        (["#[al", "low("].concat(), "expect, with a reason"),
        (["#![al", "low("].concat(), "expect, with a reason"),
    ]
}

#[test]
fn no_leftover_words() {
    let mut wrong = Vec::new();
    for file in source::files(&[".rs", ".py", ".java", "tests/run", ".ci/run"]) {
        if file.is_generated() {
            continue;
        }
        for (number, line) in file.text.lines().enumerate() {
            for (word, instead) in banned() {
                if line.contains(&word) {
                    wrong.push(format!("{}:{}: {word} ({instead})", file.path, number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Lines at which `matches!` stands as a statement: its answer is thrown away.
fn void_matches(text: &str) -> Vec<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let start = ["matches", "!("].concat();
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        if !code.starts_with(&start) {
            continue;
        }
        let close = format!("{})", " ".repeat(line.len() - code.len()));
        let last = if code.matches('(').count() == code.matches(')').count() {
            code
        } else {
            lines.iter().skip(number + 1).find(|line| line.starts_with(&close)).unwrap_or(&"")
        };
        if last.trim_end().ends_with(");") {
            found.push(number + 1);
        }
    }
    found
}

#[test]
fn no_check_is_void() {
    let mut wrong = Vec::new();
    for file in source::files(&[".rs"]) {
        for line in void_matches(&file.text) {
            wrong.push(format!("{}:{line}", file.path));
        }
    }
    assert!(wrong.is_empty(), "the answer of matches is thrown away: {wrong:#?}");
}

#[test]
fn the_void_check_is_not_void() {
    let word = ["matches", "!"].concat();
    let text = format!("    {word}(x, Some(_));\n    {word}(\n        x,\n        _\n    );\n");
    assert_eq!(void_matches(&text), vec![1, 2]);
    let good = format!("fn f() -> bool {{\n    {word}(x, 1)\n}}\nassert!({word}(x, 1));\n");
    assert_eq!(void_matches(&good), Vec::<usize>::new());
}

#[test]
fn every_file_says_what_it_is() {
    let mut wrong = Vec::new();
    for file in source::files(&[".rs"]) {
        if !file.is_generated() && !file.text.starts_with("//!") {
            wrong.push(file.path);
        }
    }
    for file in source::files(&[".py"]) {
        let blank = file.text.trim().is_empty();
        if !blank && !file.text.trim_start_matches("#!/usr/bin/env python3\n").starts_with("\"\"\"")
        {
            wrong.push(file.path);
        }
    }
    assert!(wrong.is_empty(), "no header on: {wrong:#?}");
}
