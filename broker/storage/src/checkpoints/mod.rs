//! The small text files beside the logs, in Apache Kafka's formats: what is flushed, where logs
//! start, which epochs led, who owns the disk.
//!
//! Reading is strict and bounded: a file that is not exactly what we or Kafka would have written
//! is an error that names file and line. Writing is atomic (`disk::write_file_atomically`), so a
//! malformed file means damage, never an interrupted write.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::disk::{self, Disk, DiskError};

pub mod clean_shutdown;
pub mod leader_epochs;
pub mod meta_properties;
pub mod offsets;
pub mod partition_metadata;

/// The largest checkpoint that is read: some 500,000 partitions with long names.
const CHECKPOINT_BYTES_MAX: u64 = 128 << 20;
/// The version of the counted checkpoints that we write and read.
const VERSION: i64 = 0;

/// Why a checkpoint could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A newer program wrote it.
    #[error("{} has version {version}, this program knows up to {known}", file.display())]
    Version {
        /// The file.
        file: PathBuf,
        /// Its version.
        version: i64,
        /// The newest that is known here.
        known: i64,
    },
    /// Not a file that we or Kafka would have written.
    #[error("{}, line {line}: {problem}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
}

/// Reads a checkpoint's bytes; None when there is no such file.
fn load(disk: &dyn Disk, file: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, DiskError> {
    match disk::read_file(disk, file, bytes_max) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind == disk::DiskErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The lines of a text file, counted for the messages.
struct Lines<'a> {
    file: &'a Path,
    rest: std::str::Lines<'a>,
    line: usize,
}

impl<'a> Lines<'a> {
    fn new(file: &'a Path, bytes: &'a [u8]) -> Result<Self, CheckpointError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self { file, rest: text.lines(), line: 0 }),
            Err(_) => Err(CheckpointError::Malformed {
                file: file.to_path_buf(),
                line: 0,
                problem: "not UTF-8",
            }),
        }
    }

    fn next(&mut self) -> Option<&'a str> {
        self.line += 1;
        self.rest.next()
    }

    fn bad(&self, problem: &'static str) -> CheckpointError {
        CheckpointError::Malformed { file: self.file.to_path_buf(), line: self.line, problem }
    }

    fn check_version(&self, text: &str, known: i64) -> Result<i64, CheckpointError> {
        match text.parse() {
            Ok(version) if (0..=known).contains(&version) => Ok(version),
            Ok(version) => {
                Err(CheckpointError::Version { file: self.file.to_path_buf(), version, known })
            }
            Err(_) => Err(self.bad("expected a version")),
        }
    }

    /// A number that Kafka would have written: digits, not negative.
    fn number<N: FromStr + PartialOrd + Default>(&self, text: &str) -> Result<N, CheckpointError> {
        match text.parse() {
            Ok(number) if number >= N::default() && text.starts_with(|c: char| c != '+') => {
                Ok(number)
            }
            _ => Err(self.bad("expected a number, zero or more")),
        }
    }
}

/// Writes the form that the offset and epoch checkpoints share: version, count, one entry a line.
fn encode_counted(entries: impl ExactSizeIterator<Item = String>) -> Vec<u8> {
    let mut text = format!("{VERSION}\n{}\n", entries.len());
    for entry in entries {
        text.push_str(&entry);
        text.push('\n');
    }
    text.into_bytes()
}

/// Reads that form; `entry` takes one line.
fn decode_counted<'a>(
    file: &'a Path,
    bytes: &'a [u8],
    mut entry: impl FnMut(&Lines<'a>, &'a str) -> Result<(), CheckpointError>,
) -> Result<(), CheckpointError> {
    let mut lines = Lines::new(file, bytes)?;
    let version = lines.next().unwrap_or_default();
    lines.check_version(version, VERSION)?;
    let count = lines.next().unwrap_or_default();
    let count: usize = lines.number(count)?;
    let mut found = 0;
    while let Some(line) = lines.next() {
        entry(&lines, line)?;
        found += 1;
    }
    if found == count {
        Ok(())
    } else {
        Err(lines.bad("the number of entries is not what the second line says"))
    }
}

#[cfg(test)]
mod tests;
