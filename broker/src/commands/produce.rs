//! `tidelog produce`: lines of standard input or of files become records.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::{Acks, Producer, ProducerConfig, Record};
use tokio::sync::mpsc;
use wire::compression::Codec;

use super::common::{ClusterArgs, Output, OutputArgs, block_on, print};
use super::failure::Failure;

/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;
/// Blocks of records that are read ahead.
const BLOCKS_AHEAD_MAX: usize = 8;
/// Records of a block.
const BLOCK_RECORDS: usize = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum AcksArg {
    #[value(name = "0")]
    None,
    #[value(name = "1")]
    Leader,
    #[value(name = "all", alias = "-1")]
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum CodecArg {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// Arguments of `tidelog produce`.
#[derive(Debug, clap::Args)]
pub(super) struct Produce {
    /// The topic.
    #[arg(long, short = 't')]
    topic: String,
    /// Files to read; standard input when there is none.
    files: Vec<PathBuf>,
    /// Each file is one record, not one for each line.
    #[arg(long, requires = "files")]
    whole_files: bool,
    /// What separates a line's key from its value; \t is a tab. Lines have no keys without it.
    #[arg(long, value_name = "TEXT")]
    key_separator: Option<String>,
    /// The key of all records.
    #[arg(long, short = 'k', conflicts_with = "key_separator")]
    key: Option<String>,
    /// The partition of all records; by key, else spread, when not said.
    #[arg(long, short = 'p', value_name = "N")]
    partition: Option<i32>,
    /// A header of all records. May be repeated.
    #[arg(long, short = 'H', value_name = "NAME=VALUE")]
    header: Vec<String>,
    /// The time of all records, in ms since 1970; now when not said.
    #[arg(long, value_name = "MS")]
    timestamp: Option<i64>,
    /// A value that stands for no value: such a line deletes its key in a compacted topic.
    #[arg(long, value_name = "TEXT")]
    null_value: Option<String>,
    /// Who must have a record before it counts.
    #[arg(long, value_enum, default_value = "all")]
    acks: AcksArg,
    /// The compression of batches.
    #[arg(long, short = 'z', value_enum, default_value = "none")]
    codec: CodecArg,
    /// Do not number the batches: a retry may then store a record twice.
    #[arg(long)]
    no_idempotence: bool,
    /// How long a batch waits for more records.
    #[arg(long, value_name = "TIME", default_value = "5ms",
          value_parser = super::common::duration)]
    linger: Duration,
    /// Bytes at which a batch is full.
    #[arg(long, value_name = "N", default_value_t = 256 * 1024,
          value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    batch_bytes: u32,
    /// The largest record that is sent.
    #[arg(long, value_name = "N", default_value_t = 1024 * 1024,
          value_parser = clap::value_parser!(u32).range(1..=1_073_741_824))]
    max_record_bytes: u32,
    /// Fail when the topic is not there, even if the broker would make it.
    #[arg(long)]
    no_create: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Produce {
    pub(super) fn run(self) -> Result<(), Failure> {
        let template = self.template()?;
        let split = self.split()?;
        let client = self.cluster.client()?;
        let config = self.config();
        let (blocks, mut arriving) = mpsc::channel(BLOCKS_AHEAD_MAX);
        let (files, whole) = (self.files.clone(), self.whole_files);
        let delivered = block_on(async move {
            let reading = tokio::task::spawn_blocking(move || read_all(&files, whole, &blocks));
            let producer = Producer::open(&client, config).await?;
            let mut sent = Ok(());
            while let Some(block) = arriving.recv().await {
                sent = send_block(&producer, &template, &split, block).await;
                if sent.is_err() {
                    break;
                }
            }
            // No one takes more blocks, so the reader ends.
            arriving.close();
            // What was taken is seen through, whatever ended the input.
            let flushed = producer.flush().await;
            if sent.is_err() || flushed.is_err() {
                eprintln!("{} records acknowledged before the failure", producer.delivered());
            }
            sent?;
            flushed?;
            if let Ok(read) = reading.await {
                read?;
            }
            Ok(producer.delivered())
        })?;
        match self.output.output {
            Output::Json => print(&format!("{}\n", serde_json::json!({"records": delivered}))),
            Output::Table => {
                eprintln!("{delivered} records acknowledged");
                Ok(())
            }
        }
    }

    fn config(&self) -> ProducerConfig {
        let acks = match self.acks {
            AcksArg::None => Acks::None,
            AcksArg::Leader => Acks::Leader,
            AcksArg::All => Acks::All,
        };
        let codec = match self.codec {
            CodecArg::None => Codec::None,
            CodecArg::Gzip => Codec::Gzip,
            CodecArg::Snappy => Codec::Snappy,
            CodecArg::Lz4 => Codec::Lz4,
            CodecArg::Zstd => Codec::Zstd,
        };
        let bytes = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let standard = ProducerConfig::default();
        ProducerConfig {
            acks,
            codec,
            idempotent: acks == Acks::All && !self.no_idempotence,
            linger: self.linger,
            batch_bytes: bytes(self.batch_bytes),
            record_bytes_max: bytes(self.max_record_bytes),
            buffer_bytes: standard.buffer_bytes.max(bytes(self.max_record_bytes) * 2),
            delivery_timeout: self.cluster.timeout,
            create_topics: !self.no_create,
            ..standard
        }
    }

    fn template(&self) -> Result<Record, Failure> {
        let mut headers = Vec::new();
        for header in &self.header {
            let Some((name, value)) = header.split_once('=') else {
                return Err(Failure::Usage(format!("--header {header}: expected NAME=VALUE")));
            };
            headers.push((name.to_owned(), Some(Bytes::copy_from_slice(value.as_bytes()))));
        }
        Ok(Record {
            topic: Arc::from(self.topic.as_str()),
            partition: self.partition,
            key: self.key.clone().map(Bytes::from),
            value: None,
            headers,
            timestamp: self.timestamp,
        })
    }

    fn split(&self) -> Result<Split, Failure> {
        let separator = self.key_separator.as_deref().map(unescape);
        if separator.as_deref() == Some("") {
            return Err(Failure::Usage("--key-separator: expected at least a character".into()));
        }
        Ok(Split {
            separator: separator.map(String::into_bytes),
            null_value: self.null_value.clone().map(String::into_bytes),
        })
    }
}

/// How a line becomes key and value.
struct Split {
    separator: Option<Vec<u8>>,
    null_value: Option<Vec<u8>>,
}

/// A line or file, and where it was.
struct Item {
    place: Place,
    bytes: Bytes,
}

#[derive(Debug, Clone)]
struct Place {
    input: Arc<str>,
    line: u64,
}

/// A tab is hard to type in a shell.
fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n").replace("\\0", "\0")
}

impl Split {
    /// Key and value of a line.
    fn apply(&self, line: &Bytes) -> Option<(Option<Bytes>, Option<Bytes>)> {
        let (key, value) = match &self.separator {
            None => (None, line.clone()),
            Some(separator) => {
                let at = line.windows(separator.len()).position(|window| window == separator)?;
                (Some(line.slice(..at)), line.slice(at + separator.len()..))
            }
        };
        let null = self.null_value.as_deref() == Some(&*value);
        Some((key, (!null).then_some(value)))
    }
}

async fn send_block(
    producer: &Producer,
    template: &Record,
    split: &Split,
    block: Vec<Item>,
) -> Result<(), Failure> {
    for Item { place, bytes } in block {
        let Some((key, value)) = split.apply(&bytes) else {
            let place = format!("{} line {}", place.input, place.line);
            return Err(Failure::Input { place, what: "the key separator is not there".into() });
        };
        let key = key.or_else(|| template.key.clone());
        let record = Record { key, value, ..template.clone() };
        // The fate of each record is told by the flush at the end.
        drop(producer.send(record).await?);
    }
    match producer.failure() {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

fn read_all(
    files: &[PathBuf],
    whole: bool,
    blocks: &mpsc::Sender<Vec<Item>>,
) -> Result<(), Failure> {
    if files.is_empty() {
        return read_lines("standard input", std::io::stdin().lock(), blocks);
    }
    for path in files {
        let failed = |source| Failure::Path { path: path.clone(), source };
        let mut file = std::fs::File::open(path).map_err(failed)?;
        let name = path.display().to_string();
        if whole {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(failed)?;
            let place = Place { input: name.into(), line: 1 };
            let block = vec![Item { place, bytes: bytes.into() }];
            if blocks.blocking_send(block).is_err() {
                return Ok(());
            }
        } else {
            read_lines(&name, BufReader::with_capacity(READ_BYTES, file), blocks)?;
        }
    }
    Ok(())
}

/// Reads lines as they come: a block is sent on when the input pauses, too.
fn read_lines(
    name: &str,
    mut input: impl BufRead,
    blocks: &mpsc::Sender<Vec<Item>>,
) -> Result<(), Failure> {
    let place: Arc<str> = name.into();
    let mut lines = Lines::default();
    let mut number = 0u64;
    loop {
        let buffer = input
            .fill_buf()
            .map_err(|source| Failure::Path { path: PathBuf::from(name), source })?;
        let used = buffer.len();
        let ended = used == 0;
        let mut complete = if ended { lines.finish() } else { lines.take(buffer) };
        input.consume(used);
        while !complete.is_empty() {
            let rest = complete.split_off(complete.len().min(BLOCK_RECORDS));
            let item = |bytes: Bytes| {
                number += 1;
                Item { place: Place { input: Arc::clone(&place), line: number }, bytes }
            };
            let block: Vec<Item> = complete.into_iter().map(item).collect();
            if blocks.blocking_send(block).is_err() {
                return Ok(());
            }
            complete = rest;
        }
        if ended {
            return Ok(());
        }
    }
}

/// Cuts bytes into lines; the lines of one block share one buffer.
#[derive(Default)]
struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// The lines that these bytes complete.
    fn take(&mut self, bytes: &[u8]) -> Vec<Bytes> {
        let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n') else {
            self.begun.extend_from_slice(bytes);
            return Vec::new();
        };
        let (complete, rest) = bytes.split_at(last + 1);
        self.begun.extend_from_slice(complete);
        let block = Bytes::from(std::mem::replace(&mut self.begun, rest.to_vec()));
        let mut start = 0;
        let mut lines = Vec::new();
        for (index, byte) in block.iter().enumerate() {
            if *byte == b'\n' {
                lines.push(block.slice(start..index));
                start = index + 1;
            }
        }
        lines
    }

    /// The last line, when no line end follows it.
    fn finish(&mut self) -> Vec<Bytes> {
        let begun = std::mem::take(&mut self.begun);
        if begun.is_empty() { Vec::new() } else { vec![Bytes::from(begun)] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&str]) -> Vec<String> {
        let mut cut = Lines::default();
        let mut all: Vec<Bytes> = Vec::new();
        for chunk in chunks {
            all.extend(cut.take(chunk.as_bytes()));
        }
        all.extend(cut.finish());
        all.into_iter().map(|line| String::from_utf8(line.to_vec()).unwrap()).collect()
    }

    #[test]
    fn lines_across_reads() {
        assert_eq!(lines(&["a\nb", "c\n", "\nd"]), ["a", "bc", "", "d"]);
        assert_eq!(lines(&["a\r\nb\r", "\nc"]), ["a\r", "b\r", "c"]);
        assert_eq!(lines(&[]), Vec::<String>::new());
        assert_eq!(lines(&["\n"]), [""]);
    }

    #[test]
    fn keys_and_nulls() {
        let split = |separator: Option<&str>, line: &'static str| {
            let split = Split {
                separator: separator.map(|text| unescape(text).into_bytes()),
                null_value: Some(b"NULL".to_vec()),
            };
            split.apply(&Bytes::from_static(line.as_bytes()))
        };
        let bytes = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
        assert_eq!(split(None, "a:b"), Some((None, bytes("a:b"))));
        assert_eq!(split(Some(":"), "a:b:c"), Some((bytes("a"), bytes("b:c"))));
        assert_eq!(split(Some("::"), "a::b"), Some((bytes("a"), bytes("b"))));
        assert_eq!(split(Some("\\t"), "a\tb"), Some((bytes("a"), bytes("b"))));
        assert_eq!(split(Some(":"), "a:NULL"), Some((bytes("a"), None)));
        assert_eq!(split(Some(":"), "a:"), Some((bytes("a"), bytes(""))));
        assert_eq!(split(Some(":"), "a"), None);
    }
}
