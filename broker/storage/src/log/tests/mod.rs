//! The log on the simulated disk: one file per behaviour.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use wire::ids::{LeaderEpoch, Offset};
use wire::records::{Batch, BatchBuilder, BatchIter, BatchOptions};

use super::*;
use crate::disk::sim::SimDisk;
use crate::error::{AppendError, LogError, ReadError};

mod appending;
mod converting;
mod corrupting;
mod flushing;
mod moving;
mod producing;
mod reading;
mod recovering;
mod retaining;
mod searching;
mod transactions;

const NOW: i64 = 1_700_000_000_000;

/// A log's surroundings: what stays when the log is closed or the machine crashes.
struct Home {
    disk: Arc<SimDisk>,
    config: LogConfig,
    recovery_point: i64,
    intact_below: i64,
    start: i64,
    was_compacted: bool,
    accept: Vec<Offset>,
}

impl Home {
    fn new() -> Self {
        Self::with(LogConfig::default())
    }

    fn with(config: LogConfig) -> Self {
        Self::seeded(7, config)
    }

    fn seeded(seed: u64, config: LogConfig) -> Self {
        let disk = Arc::new(SimDisk::new(seed));
        disk.create_dir_all(dir()).unwrap();
        disk.sync_dir(Path::new("/data")).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        Self {
            disk,
            config,
            recovery_point: 0,
            intact_below: 0,
            start: 0,
            was_compacted: false,
            accept: Vec::new(),
        }
    }

    fn open(&self, clean: bool) -> (Log, RecoveryReport) {
        self.try_open(clean).unwrap()
    }

    fn try_open(&self, clean: bool) -> Result<(Log, RecoveryReport), LogError> {
        Log::open(OpenArgs {
            disk: self.disk.clone(),
            dir: dir().to_path_buf(),
            config: Arc::new(self.config.clone()),
            recovery_point: Offset(self.recovery_point),
            intact_below: Offset(self.intact_below),
            log_start_offset: Offset(self.start),
            clean,
            was_compacted: self.was_compacted,
            accept: self.accept.clone(),
            now_ms: NOW,
        })
    }

    fn log(&self) -> Log {
        self.open(true).0
    }

    /// Ends without closing, as kill -9 does: what was written is still in the page cache.
    fn killed(&mut self, log: Log) -> (Log, RecoveryReport) {
        self.recovery_point = log.recovery_point().0;
        self.start = log.log_start_offset().0;
        drop(log);
        self.open(false)
    }

    fn stopped(&mut self, mut log: Log) -> Log {
        self.recovery_point = log.close().unwrap().0;
        self.start = log.log_start_offset().0;
        drop(log);
        self.open(true).0
    }

    fn names(&self, extension: &str) -> Vec<String> {
        let all = self.disk.list(dir()).unwrap();
        all.into_iter().map(|entry| entry.name).filter(|name| name.ends_with(extension)).collect()
    }
}

fn dir() -> &'static Path {
    Path::new("/data/topic-0")
}

fn path(name: &str) -> PathBuf {
    dir().join(name)
}

fn batch_of(options: BatchOptions, records: &[(i64, &str)]) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for (timestamp, value) in records {
        builder.append(*timestamp, None, Some(value.as_bytes()), &[]);
    }
    builder.build().unwrap()
}

/// A plain batch of `count` records of some 20 bytes each.
fn plain(count: usize) -> Bytes {
    batch_of(BatchOptions::default(), &vec![(NOW, "0123456789"); count])
}

fn produced(producer_id: i64, epoch: i16, sequence: i32, count: usize) -> Bytes {
    let options = BatchOptions {
        producer_id,
        producer_epoch: epoch,
        base_sequence: sequence,
        ..BatchOptions::default()
    };
    batch_of(options, &vec![(NOW, "idempotent"); count])
}

fn append(log: &mut Log, batches: Bytes) -> Result<Appended, AppendError> {
    log.append(NOW, batches, AppendOrigin::Client, LeaderEpoch(3))
}

fn appended(log: &mut Log, batches: Bytes) -> (i64, i64) {
    let appended = append(log, batches).unwrap();
    (appended.first_offset.0, appended.last_offset.0)
}

fn batches(slice: &LogSlice) -> Vec<Batch> {
    let bytes = slice.range.as_ref().map_or_else(Vec::new, |range| range.read().unwrap());
    BatchIter::new(bytes.into()).map(Result::unwrap).collect()
}

/// First offsets of all batches that reading from `offset` to the end yields.
fn read_all(log: &Log, mut offset: i64) -> Vec<i64> {
    let mut seen = Vec::new();
    while offset < log.end_offset().0 {
        let slice = log.read(Offset(offset), 1 << 20, log.end_offset(), true).unwrap();
        assert!(slice.next_offset.0 > offset, "reading goes on");
        for batch in batches(&slice) {
            batch.verify_crc().unwrap();
            seen.push(batch.header().base_offset);
        }
        offset = slice.next_offset.0;
    }
    seen
}
