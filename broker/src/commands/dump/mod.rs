//! `tidelog dump`: what Kafka's and our files hold. Nothing is changed, no broker is asked.

mod decode;
mod index;
mod out;
mod segment;
mod small;

use std::path::{Path, PathBuf};

use super::common::{Output, OutputArgs};
use super::failure::Failure;
use out::Out;

/// Arguments of `tidelog dump`.
#[derive(Debug, clap::Args)]
pub(super) struct Dump {
    /// Files, or the folder of a partition or of all logs.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Show batches only, not the records in them.
    #[arg(long)]
    batches: bool,
    /// What the records are; by the folder's name when not said.
    #[arg(long = "as", value_name = "KIND", value_enum)]
    kind: Option<Kind>,
    #[command(flatten)]
    output: OutputArgs,
}

/// How records are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// As keys and values.
    Plain,
    /// As records of the metadata log.
    Metadata,
    /// As records of `__consumer_offsets`.
    Offsets,
}

impl Dump {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut files = Vec::new();
        for path in &self.paths {
            collect(path, &mut files)?;
        }
        let mut out = Out::new(self.output.output == Output::Json);
        for file in &files {
            out.begin(file)?;
            self.file(file, &mut out)?;
        }
        match out.finish()? {
            0 => Ok(()),
            problems => Err(Failure::Corrupt { problems }),
        }
    }

    fn file(&self, file: &Path, out: &mut Out) -> Result<(), Failure> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        match form(&name) {
            Some(Form::Records) => {
                let kind = self.kind.unwrap_or_else(|| kind_of(file));
                segment::dump(file, kind, self.batches, out)
            }
            Some(Form::OffsetIndex) => index::offsets(file, out),
            Some(Form::TimeIndex) => index::times(file, out),
            Some(Form::TransactionIndex) => index::transactions(file, out),
            Some(Form::Producers) => small::producers(file, out),
            Some(Form::Epochs) => small::epochs(file, out),
            Some(Form::Checkpoint) => small::checkpoint(file, out),
            Some(Form::Partition) => small::partition(file, out),
            None => Err(Failure::Input {
                place: file.display().to_string(),
                what: "not a file of a log directory: dump knows .log, .checkpoint, .index, \
                       .timeindex, .txnindex, .snapshot, leader-epoch-checkpoint, \
                       *-offset-checkpoint and partition.metadata"
                    .to_owned(),
            }),
        }
    }
}

/// What a file's name says about its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Records,
    OffsetIndex,
    TimeIndex,
    TransactionIndex,
    Producers,
    Epochs,
    Checkpoint,
    Partition,
}

fn form(name: &str) -> Option<Form> {
    Some(match name {
        "leader-epoch-checkpoint" => Form::Epochs,
        "partition.metadata" => Form::Partition,
        _ if name.ends_with("-offset-checkpoint") => Form::Checkpoint,
        _ => match name.rsplit_once('.')?.1 {
            "log" | "checkpoint" => Form::Records,
            "index" => Form::OffsetIndex,
            "timeindex" => Form::TimeIndex,
            "txnindex" => Form::TransactionIndex,
            "snapshot" => Form::Producers,
            _ => return None,
        },
    })
}

/// The folder's name says what a log is about.
fn kind_of(file: &Path) -> Kind {
    if file.extension().is_some_and(|extension| extension == "checkpoint") {
        return Kind::Metadata;
    }
    let folder = std::path::absolute(file).ok();
    let folder = folder.as_deref().and_then(Path::parent).and_then(Path::file_name);
    let folder = folder.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match folder.rsplit_once('-').map(|(topic, _)| topic) {
        Some("__cluster_metadata") => Kind::Metadata,
        Some("__consumer_offsets") => Kind::Offsets,
        _ => Kind::Plain,
    }
}

/// The files meant by a path; in folders those that are known, in order.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |source| Failure::Path { path: path.to_path_buf(), source };
    if !std::fs::metadata(path).map_err(failed)?.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        entries.push(entry.map_err(failed)?.path());
    }
    entries.sort();
    for entry in entries {
        let known = entry.file_name().is_some_and(|name| form(&name.to_string_lossy()).is_some());
        if entry.is_dir() {
            collect(&entry, files)?;
        } else if known {
            files.push(entry);
        }
    }
    Ok(())
}

/// The offset that a file's name begins with.
fn base_offset(file: &Path) -> i64 {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.split(['.', '-']).next().and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_file_is() {
        for (name, expected) in [
            ("00000000000000000000.log", Some(Form::Records)),
            ("00000000000000000100-0000000001.checkpoint", Some(Form::Records)),
            ("00000000000000000000.index", Some(Form::OffsetIndex)),
            ("00000000000000000000.timeindex", Some(Form::TimeIndex)),
            ("00000000000000000005.snapshot", Some(Form::Producers)),
            ("leader-epoch-checkpoint", Some(Form::Epochs)),
            ("replication-offset-checkpoint", Some(Form::Checkpoint)),
            ("partition.metadata", Some(Form::Partition)),
            ("meta.properties", None),
            ("README", None),
        ] {
            assert_eq!(form(name), expected, "{name}");
        }
    }

    #[test]
    fn folders_say_what_records_are() {
        assert_eq!(kind_of(Path::new("/d/__consumer_offsets-12/0.log")), Kind::Offsets);
        assert_eq!(kind_of(Path::new("/d/__cluster_metadata-0/0-0.checkpoint")), Kind::Metadata);
        assert_eq!(kind_of(Path::new("/d/bootstrap.checkpoint")), Kind::Metadata);
        assert_eq!(kind_of(Path::new("/d/orders-0/0.log")), Kind::Plain);
        assert_eq!(
            base_offset(Path::new("/d/t-0/00000000000000000100-0000000001.checkpoint")),
            100
        );
        assert_eq!(base_offset(Path::new("/d/t-0/00000000000000000042.log")), 42);
    }
}
