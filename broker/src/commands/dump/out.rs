//! How a dump is printed: one line for each thing found, as text or as a JSON object.

use std::fmt::Write as _;
use std::io::{BufWriter, Stdout, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::commands::failure::Failure;

/// The fields of a line, in order.
pub(super) type Line = Vec<(&'static str, Value)>;

/// Prints lines and counts problems.
pub(super) struct Out {
    json: bool,
    file: String,
    problems: usize,
    to: BufWriter<Stdout>,
}

impl Out {
    pub(super) fn new(json: bool) -> Self {
        let to = BufWriter::with_capacity(64 * 1024, std::io::stdout());
        Self { json, file: String::new(), problems: 0, to }
    }

    /// What follows is in this file.
    pub(super) fn begin(&mut self, file: &Path) -> Result<(), Failure> {
        self.file = file.display().to_string();
        if self.json {
            return Ok(());
        }
        writeln!(self.to, "{}", self.file).map_err(Failure::Output)
    }

    /// One thing found.
    pub(super) fn line(&mut self, kind: &str, line: Line) -> Result<(), Failure> {
        let text = if self.json {
            let mut object = Map::new();
            object.insert("file".to_owned(), json!(self.file));
            object.insert("kind".to_owned(), json!(kind));
            object.extend(line.into_iter().map(|(name, value)| (name.to_owned(), value)));
            Value::Object(object).to_string()
        } else {
            text(kind, &line)
        };
        writeln!(self.to, "{text}").map_err(Failure::Output)
    }

    /// Something that should not be so.
    pub(super) fn problem(&mut self, position: u64, what: &str) -> Result<(), Failure> {
        self.problems += 1;
        self.line("corrupt", vec![("position", json!(position)), ("what", json!(what))])
    }

    /// Prints what is left; gives the number of problems.
    pub(super) fn finish(mut self) -> Result<usize, Failure> {
        self.to.flush().map_err(Failure::Output)?;
        Ok(self.problems)
    }
}

/// `  batch first_offset: 0, last_offset: 4`
fn text(kind: &str, line: &Line) -> String {
    let indent = if kind == "record" { "    " } else { "  " };
    let mut text = format!("{indent}{kind}");
    for (index, (name, value)) in line.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{} {name}: {value}", if index > 0 { "," } else { "" });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_text() {
        let line = vec![("offset", json!(3)), ("key", json!("a\nb")), ("value", Value::Null)];
        assert_eq!(text("record", &line), "    record offset: 3, key: \"a\\nb\", value: null");
    }
}
