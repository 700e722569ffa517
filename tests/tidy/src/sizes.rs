//! How large things may grow. A listed exception may only shrink, and leaves the list when it
//! fits.

use crate::source::{self, Source};

const COLUMNS_MAX: usize = 100;
const FILE_LINES_WANTED: usize = 400;
const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;
/// A test may be a table of cases.
const TEST_FUNCTION_LINES_MAX: usize = 100;

/// Files above the wanted size: path and the number of production lines that may not grow.
const LONG_FILES: &[(&str, usize)] = &[];

fn production_size(file: &Source) -> usize {
    if file.is_test() { file.text.lines().count() } else { file.production_lines().len() }
}

#[test]
fn files_stay_small() {
    let mut wrong = Vec::new();
    for file in source::files(&[".rs", ".py"]).iter().filter(|file| !file.is_generated()) {
        let size = production_size(file);
        let listed = LONG_FILES.iter().find(|(path, _)| *path == file.path);
        let limit = match listed {
            Some((_, ceiling)) => *ceiling,
            None if file.is_test() => FILE_LINES_MAX,
            None => FILE_LINES_WANTED,
        };
        if size > limit.min(FILE_LINES_MAX) {
            wrong.push(format!("{}: {size} lines, at most {limit}", file.path));
        }
        if listed.is_some() && size <= FILE_LINES_WANTED {
            wrong.push(format!("{}: {size} lines fit, take it off the list", file.path));
        }
    }
    for (path, _) in LONG_FILES {
        if !source::root().join(path).exists() {
            wrong.push(format!("{path} is gone, take it off the list"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn lines_fit_in_a_hundred_columns() {
    let mut wrong = Vec::new();
    let kinds = [".rs", ".py", ".java", "tests/run", ".ci/run"];
    for file in source::files(&kinds).iter().filter(|file| !file.is_generated()) {
        for (number, line) in file.text.lines().enumerate() {
            let columns = line.chars().count();
            let link = line.contains("https://");
            if columns > COLUMNS_MAX && !link {
                wrong.push(format!("{}:{}: {columns} columns", file.path, number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Functions of a formatted file, as (line number, lines of code without blanks and comments).
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let starts =
            ["fn ", "pub fn ", "pub(crate) fn ", "async fn ", "pub async fn ", "const fn "]
                .iter()
                .any(|start| code.starts_with(start))
                || (code.starts_with("pub") && code.contains(" fn "));
        let expected = lines[number.saturating_sub(4)..number]
            .iter()
            .any(|line| line.contains("expect(clippy::too_many_lines"));
        if expected || !starts || code.ends_with(';') || code.ends_with("}") {
            continue;
        }
        let close = format!("{}}}", " ".repeat(indent));
        let end = lines.iter().skip(number + 1).position(|line| *line == close);
        let Some(length) = end else { continue };
        let body = &lines[number + 1..number + 1 + length];
        let code_lines = body
            .iter()
            .filter(|line| !line.trim().is_empty() && !line.trim().starts_with("//"))
            .count();
        found.push((number + 1, code_lines));
    }
    found
}

#[test]
fn functions_stay_short() {
    let mut wrong = Vec::new();
    for file in source::files(&[".rs"]).iter().filter(|file| !file.is_generated()) {
        let limit = if file.is_test() { TEST_FUNCTION_LINES_MAX } else { FUNCTION_LINES_MAX };
        for (line, size) in functions(&file.text) {
            if size > limit {
                wrong.push(format!("{}:{line}: {size} lines in one function", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_function_counter_counts() {
    let body = "    let x = 1;\n".repeat(71);
    let text = format!("fn long() {{\n{body}}}\n\nfn short() {{\n    // why\n\n    call();\n}}\n");
    assert_eq!(functions(&text), vec![(1, 71), (75, 1)]);
}
