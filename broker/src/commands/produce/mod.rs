//! `tidelog produce`: lines of standard input or of files become records.

mod input;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::{Acks, Producer, ProducerConfig, Record};
use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::compression::Codec;

use super::common::{ClusterArgs, Output, OutputArgs, pair, print};
use super::failure::Failure;
use super::progress::{Progress, ProgressArgs};
use input::{Form, Item, Split, read_all, unescape};

/// Blocks of records that are read ahead.
const BLOCKS_AHEAD_MAX: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum InputFormat {
    /// Each line is a value, or a key and a value.
    Lines,
    /// Each line is an object, as consume -o json prints them.
    Json,
}

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
    /// How hard to compress: 1 to 9 with gzip, -131072 to 22 with zstd.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    compression_level: Option<i32>,
    /// The form of the input.
    #[arg(long, value_enum, default_value = "lines",
          conflicts_with_all = ["key_separator", "null_value", "whole_files"])]
    input_format: InputFormat,
    /// With --input-format json: to the partitions that the objects name.
    #[arg(long, conflicts_with = "partition")]
    keep_partitions: bool,
    /// At most so many records a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
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
    progress: ProgressArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Produce {
    pub(super) fn run(self) -> Result<(), Failure> {
        let template = self.template()?;
        let form = self.form()?;
        let config = self.config()?;
        let (blocks, mut arriving) = mpsc::channel(BLOCKS_AHEAD_MAX);
        let (files, whole) = (self.files.clone(), self.whole_files);
        let typed = files.is_empty() && std::io::stdin().is_terminal();
        let (rate, progress) = (self.rate, self.progress.clone());
        let delivered = self.cluster.run(async move |client| {
            let reading = tokio::task::spawn_blocking(move || read_all(&files, whole, &blocks));
            let delivery_timeout = client.config().timeout;
            let config = ProducerConfig { delivery_timeout, ..config };
            let producer = Producer::open(client, config).await?;
            let mut sending = Sending {
                producer: &producer,
                template,
                form,
                rate,
                progress: progress.begin(!typed),
                started: Instant::now(),
                records: 0,
                bytes: 0,
            };
            let mut sent = Ok(());
            while let Some(block) = arriving.recv().await {
                sent = sending.block(block).await;
                if sent.is_err() {
                    break;
                }
            }
            sending.progress.end();
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

    fn config(&self) -> Result<ProducerConfig, Failure> {
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
        let good = |level: i32| match codec {
            Codec::Gzip => (1..=9).contains(&level),
            Codec::Zstd => (-131_072..=22).contains(&level),
            _ => false,
        };
        if self.compression_level.is_some_and(|level| !good(level)) {
            return Err(Failure::Usage(
                "--compression-level: 1 to 9 with --codec gzip, -131072 to 22 with zstd".into(),
            ));
        }
        let standard = ProducerConfig::default();
        Ok(ProducerConfig {
            acks,
            codec,
            level: self.compression_level,
            idempotent: acks == Acks::All && !self.no_idempotence,
            linger: self.linger,
            batch_bytes: bytes(self.batch_bytes),
            record_bytes_max: bytes(self.max_record_bytes),
            buffer_bytes: standard.buffer_bytes.max(bytes(self.max_record_bytes) * 2),
            create_topics: !self.no_create,
            ..standard
        })
    }

    fn template(&self) -> Result<Record, Failure> {
        let mut headers = Vec::new();
        for header in &self.header {
            let (name, value) = pair("--header NAME=VALUE", header)?;
            headers.push((name, Some(Bytes::from(value))));
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

    fn form(&self) -> Result<Form, Failure> {
        if self.input_format == InputFormat::Json {
            return Ok(Form::Json { keep_partitions: self.keep_partitions });
        }
        let separator = self.key_separator.as_deref().map(unescape);
        if separator.as_deref() == Some("") {
            return Err(Failure::Usage("--key-separator: expected at least a character".into()));
        }
        Ok(Form::Lines(Split {
            separator: separator.map(String::into_bytes),
            null_value: self.null_value.clone().map(String::into_bytes),
        }))
    }
}

/// What is being sent.
struct Sending<'a> {
    producer: &'a Producer,
    template: Record,
    form: Form,
    rate: Option<u64>,
    progress: Progress,
    started: Instant,
    records: u64,
    bytes: u64,
}

impl Sending<'_> {
    async fn block(&mut self, block: Vec<Item>) -> Result<(), Failure> {
        for Item { place, bytes } in block {
            let record =
                self.form.record(&self.template, &bytes).map_err(|what| place.failure(what))?;
            self.await_turn().await;
            // The fate of each record is told by the flush at the end.
            drop(self.producer.send(record).await?);
            self.records += 1;
            self.bytes += bytes.len() as u64;
            self.progress.at(self.records, self.bytes);
        }
        match self.producer.failure() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Waits until the next record may go.
    async fn await_turn(&self) {
        let Some(rate) = self.rate else { return };
        let after = u128::from(self.records) * 1_000_000_000 / u128::from(rate);
        let after = Duration::from_nanos(u64::try_from(after).unwrap_or(u64::MAX));
        tokio::time::sleep_until(self.started + after).await;
    }
}
