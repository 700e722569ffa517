//! One simulated machine with a few partitions, and what happens to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tidelog_storage::config::LogConfig;
use tidelog_storage::directory::{
    DirectoryError, LoadArgs, LogDirs, PartitionCheckpoint, Placement, TopicPartition,
};
use tidelog_storage::disk::sim::{Fault, Random, SimDisk};
use tidelog_storage::disk::{Disk, DiskError, DiskErrorKind, Operation};
use tidelog_storage::error::{AppendError, LogError, ReadError};
use tidelog_storage::log::{AppendOrigin, Appended, Deletion, FlushScope, Log};
use wire::compression::Codec;
use wire::ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicId, Uuid};
use wire::records::{Batch, BatchBuilder, BatchOptions};

use crate::model::{Entry, Model};

const LIVES: u64 = 5;
const OPERATIONS_MAX: u64 = 80;
const PRODUCERS: u64 = 3;

/// How often things happened: a test that never gets into trouble proves nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) appends: u64,
    pub(crate) duplicates: u64,
    pub(crate) flushes: u64,
    pub(crate) crashes: u64,
    pub(crate) crashes_in_recovery: u64,
    pub(crate) clean_stops: u64,
    pub(crate) lost_batches: u64,
    pub(crate) torn_tails: u64,
    pub(crate) full: u64,
    pub(crate) offline: u64,
    pub(crate) segments_retired: u64,
    pub(crate) reads: u64,
    pub(crate) recreated: u64,
    pub(crate) full_starts: u64,
    pub(crate) truncations: u64,
}

impl Counts {
    fn fields(&mut self) -> [&mut u64; 15] {
        [
            &mut self.appends,
            &mut self.duplicates,
            &mut self.flushes,
            &mut self.crashes,
            &mut self.crashes_in_recovery,
            &mut self.clean_stops,
            &mut self.lost_batches,
            &mut self.torn_tails,
            &mut self.full,
            &mut self.offline,
            &mut self.segments_retired,
            &mut self.reads,
            &mut self.recreated,
            &mut self.full_starts,
            &mut self.truncations,
        ]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, more) in self.fields().into_iter().zip(other.clone().fields()) {
            *sum += *more;
        }
    }

    pub(crate) fn assert_all_happened(&self) {
        let mut counts = self.clone();
        assert!(counts.fields().iter().all(|count| **count > 0), "{self:?}");
    }
}

/// What a failed call means for the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The power is gone.
    Down,
    /// The disk is full.
    Full,
    /// The device failed.
    Broken,
}

struct Part {
    name: TopicPartition,
    id: TopicId,
    log: Option<Log>,
    model: Model,
    deletions: Vec<Deletion>,
}

pub(crate) struct World {
    random: Random,
    disk: SimDisk,
    dirs: Option<LogDirs>,
    parts: Vec<Part>,
    config: Arc<LogConfig>,
    now_ms: i64,
    epoch: i32,
    counts: Counts,
}

impl World {
    /// Runs one history and says what happened; panics when an invariant breaks.
    pub(crate) fn run(seed: u64) -> Counts {
        println!("seed={seed}");
        let mut world = Self::new(seed);
        world.open_dirs();
        world.load_all(true);
        for _ in 0..LIVES {
            world.live();
        }
        world.counts
    }

    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let disk = SimDisk::new(random.next_u64());
        disk.set_short_writes(random.one_in(2));
        let part = |(topic, index, id): (&str, i32, u8)| Part {
            name: TopicPartition::new(topic, PartitionIndex(index)).unwrap(),
            id: TopicId(Uuid([id; 16])),
            log: None,
            model: Model::default(),
            deletions: Vec::new(),
        };
        let config = LogConfig {
            segment_bytes: 3000 + u32::try_from(random.below(6000)).unwrap(),
            index_interval_bytes: 100 + u32::try_from(random.below(1500)).unwrap(),
            retention_bytes: if random.one_in(2) { 20_000 } else { -1 },
            retention_ms: if random.one_in(3) { 20_000 } else { -1 },
            file_delete_delay_ms: 500,
            ..LogConfig::default()
        };
        Self {
            random,
            disk,
            dirs: None,
            parts: [("orders", 0, 1), ("orders", 1, 1), ("audit", 0, 2)].map(part).into(),
            config: Arc::new(config),
            now_ms: 1_700_000_000_000,
            epoch: 0,
            counts: Counts::default(),
        }
    }

    fn dirs(&self) -> &LogDirs {
        self.dirs.as_ref().unwrap()
    }

    // ---- one life: from a start to the next stop ----

    fn live(&mut self) {
        let operations = 5 + self.random.below(OPERATIONS_MAX);
        if self.random.one_in(2) {
            self.disk.crash_after(1 + self.random.below(operations * 3));
        }
        if self.random.one_in(4) {
            let operation = if self.random.one_in(3) { Operation::Write } else { Operation::Sync };
            self.disk.inject(Fault::nth(operation, 1 + self.random.below(30)));
        }
        for _ in 0..operations {
            self.now_ms += i64::try_from(self.random.below(400)).unwrap();
            if self.disk.is_down() {
                break;
            }
            if self.random.one_in(25) {
                self.full_disk();
            } else {
                self.operate();
            }
        }
        if !self.disk.is_down() && self.random.one_in(3) && self.clean_stop() {
            return;
        }
        self.power_loss();
    }

    fn operate(&mut self) {
        let at = usize::try_from(self.random.below(self.parts.len() as u64)).unwrap();
        if !self.works(at) {
            return;
        }
        match self.random.below(100) {
            0..45 => self.append(at),
            45..50 => self.retry(at),
            50..53 => self.skip_sequences(at),
            53..68 => self.flush(at),
            68..71 => self.roll(at),
            71..76 => self.retention(at),
            76..78 => self.delete_records(at),
            78..84 => self.checkpoint(),
            84..87 => self.run_deletions(at),
            87..91 => self.disk.write_back_some(),
            91 => self.recreate(at),
            92 => self.truncate(at),
            93 => {
                self.dirs().remove_due(self.now_ms, 10);
            }
            _ => self.read_somewhere(at),
        }
    }

    /// Sorts an error: only planned failures may happen.
    fn trouble(&mut self, at: usize, error: &DiskError) -> Trouble {
        let name = self.parts[at].name.clone();
        match error.kind {
            DiskErrorKind::Crashed => Trouble::Down,
            DiskErrorKind::NoSpace => {
                self.counts.full += 1;
                Trouble::Full
            }
            kind if kind == Fault::EIO => {
                if self.dirs().note_failure(&name, error) {
                    self.counts.offline += 1;
                }
                assert!(self.dirs().dir_of(&name).unwrap().is_offline());
                Trouble::Broken
            }
            kind => panic!("{name}: unplanned {kind:?}: {error}"),
        }
    }

    fn log_trouble(&mut self, at: usize, error: LogError) -> Trouble {
        match error {
            LogError::Disk(error) => self.trouble(at, &error),
            error => panic!("{}: {error}", self.parts[at].name),
        }
    }

    // ---- operations ----

    fn batch(&mut self, producer: Option<(i64, i32)>) -> (Bytes, Vec<i64>) {
        let codec = if self.random.one_in(6) { Codec::Lz4 } else { Codec::None };
        let (producer_id, base_sequence) = producer.unwrap_or((-1, -1));
        let mut builder = BatchBuilder::new(BatchOptions {
            codec,
            producer_id,
            producer_epoch: if producer.is_some() { 0 } else { -1 },
            base_sequence,
            ..BatchOptions::default()
        });
        let mut timestamps = Vec::new();
        for _ in 0..1 + self.random.below(4) {
            let back = i64::try_from(self.random.below(300)).unwrap();
            let timestamp = self.now_ms - back;
            let size = if self.random.one_in(10) { 1500 } else { 120 };
            let fill = u8::try_from(self.random.below(256)).unwrap();
            let value = vec![fill; usize::try_from(self.random.below(size)).unwrap()];
            builder.append(timestamp, None, Some(&value), &[]);
            timestamps.push(timestamp);
        }
        (builder.build().unwrap(), timestamps)
    }

    fn call_append(&mut self, at: usize, bytes: Bytes) -> Result<Appended, AppendError> {
        let (now_ms, epoch) = (self.now_ms, LeaderEpoch(self.epoch));
        let log = self.parts[at].log.as_mut().unwrap();
        log.append(now_ms, bytes, AppendOrigin::Client, epoch)
    }

    fn append(&mut self, at: usize) {
        let mut bytes = Vec::new();
        let mut entries = Vec::new();
        let mut end = self.parts[at].model.end;
        let mut sequences = self.parts[at].model.sequences.clone();
        for _ in 0..1 + self.random.below(3) / 2 {
            let id = 100 + i64::try_from(self.random.below(PRODUCERS)).unwrap();
            let producer =
                self.random.one_in(2).then(|| (id, sequences.get(&id).copied().unwrap_or(0)));
            let (batch, timestamps) = self.batch(producer);
            bytes.extend_from_slice(&batch);
            let count = i64::try_from(timestamps.len()).unwrap();
            let placed = Batch::parse(&batch).unwrap().with_position(end, self.epoch);
            let entry = Entry {
                bytes: placed.bytes().clone(),
                base: end,
                next: end + count,
                timestamps,
                epoch: self.epoch,
                producer,
            };
            if producer.is_some() {
                sequences.insert(id, entry.last_sequence() + 1);
            }
            end = entry.next;
            entries.push(entry);
        }
        match self.call_append(at, bytes.into()) {
            Ok(appended) => {
                assert!(!appended.duplicate, "a new batch is no duplicate");
                assert_eq!(appended.first_offset.0, entries[0].base);
                assert_eq!(appended.last_offset.0, end - 1);
                for entry in entries {
                    self.parts[at].model.push(entry);
                }
                self.counts.appends += 1;
            }
            Err(AppendError::DiskFull(error) | AppendError::Disk(error)) => {
                if self.trouble(at, &error) == Trouble::Down {
                    self.parts[at].model.unsure = entries;
                }
                let end = self.parts[at].log.as_ref().unwrap().end_offset().0;
                assert_eq!(end, self.parts[at].model.end, "a failed append changes nothing");
            }
            Err(AppendError::AppendTooLarge { bytes, max }) => assert!(bytes > u64::from(max)),
            Err(error) => panic!("{}: {error}", self.parts[at].name),
        }
    }

    /// A retry of one of the producer's last five batches is the same offsets again.
    fn retry(&mut self, at: usize) {
        let id = 100 + i64::try_from(self.random.below(PRODUCERS)).unwrap();
        let batches = self.parts[at].model.batches_of(id);
        let Some(newest) = batches.len().checked_sub(1) else { return };
        let back = usize::try_from(self.random.below(5)).unwrap().min(newest);
        let entry = batches[newest - back].clone();
        self.expect_duplicate(at, &entry);
    }

    fn expect_duplicate(&mut self, at: usize, entry: &Entry) {
        match self.call_append(at, entry.bytes.clone()) {
            Ok(appended) => {
                assert!(appended.duplicate, "a retry must be found out: {entry:?}");
                assert_eq!(appended.first_offset.0, entry.base);
                assert_eq!(appended.last_offset.0, entry.next - 1);
                self.counts.duplicates += 1;
            }
            Err(error) => panic!("retry of offset {}: {error}", entry.base),
        }
    }

    fn skip_sequences(&mut self, at: usize) {
        let id = 100 + i64::try_from(self.random.below(PRODUCERS)).unwrap();
        if self.parts[at].model.batches_of(id).is_empty() {
            return;
        }
        let next = self.parts[at].model.sequences[&id];
        let (bytes, _) = self.batch(Some((id, next + 7)));
        match self.call_append(at, bytes) {
            Err(AppendError::OutOfOrderSequence { .. }) => {}
            other => panic!("a gap in the sequence must be refused, got {other:?}"),
        }
    }

    /// Up to three flushes at a time, appends between them, finished in any order.
    fn flush(&mut self, at: usize) {
        let mut jobs = Vec::new();
        for _ in 0..[1, 1, 2, 3][usize::try_from(self.random.below(4)).unwrap()] {
            let scope = if self.random.one_in(4) { FlushScope::Closed } else { FlushScope::All };
            let job = self.parts[at].log.as_mut().unwrap().begin_flush(scope);
            let end = self.parts[at].model.end;
            assert!(job.upto().0 == end || (scope == FlushScope::Closed && job.upto().0 < end));
            jobs.push((job, end));
            match self.random.below(4) {
                0 if self.works(at) => self.append(at),
                1 if self.works(at) => self.roll(at),
                _ => {}
            }
        }
        while !jobs.is_empty() {
            let next = usize::try_from(self.random.below(jobs.len() as u64)).unwrap();
            let (job, end) = jobs.remove(next);
            let upto = job.upto();
            let outcome = job.run();
            match self.parts[at].log.as_mut().unwrap().finish_flush(outcome) {
                Ok(point) => {
                    assert!(point.0 <= self.parts[at].model.end && upto.0 <= end);
                    let model = &mut self.parts[at].model;
                    model.durable = model.durable.max(upto.0).max(point.0);
                    self.counts.flushes += 1;
                }
                Err(LogError::Poisoned) => assert!(self.disk.is_down() || self.is_offline(at)),
                Err(error) => {
                    self.log_trouble(at, error);
                }
            }
        }
        if self.is_offline(at) {
            self.stays_refused(at);
        }
    }

    fn works(&self, at: usize) -> bool {
        self.parts[at].log.is_some() && !self.disk.is_down() && !self.is_offline(at)
    }

    fn is_offline(&self, at: usize) -> bool {
        self.dirs().dir_of(&self.parts[at].name).unwrap().is_offline()
    }

    /// After the device failed nothing is acknowledged any more.
    fn stays_refused(&mut self, at: usize) {
        if self.disk.is_down() {
            return;
        }
        let log = self.parts[at].log.as_mut().unwrap();
        if log.is_poisoned() {
            assert!(log.flush().is_err(), "a flush after a failed sync promises nothing");
            let (bytes, _) = self.batch(None);
            assert!(matches!(self.call_append(at, bytes), Err(AppendError::Poisoned)));
        }
    }

    fn roll(&mut self, at: usize) {
        let now_ms = self.now_ms;
        if let Err(error) = self.parts[at].log.as_mut().unwrap().roll(now_ms) {
            self.log_trouble(at, error);
        }
    }

    fn retention(&mut self, at: usize) {
        let now_ms = self.now_ms;
        let log = self.parts[at].log.as_mut().unwrap();
        let upto = log.end_offset();
        match log.apply_retention(now_ms, upto) {
            Ok(retired) => {
                self.counts.segments_retired += retired.segments as u64;
                self.parts[at].deletions.extend(retired.deletion);
            }
            Err(error) => {
                self.log_trouble(at, error);
            }
        }
        self.start_moved(at);
    }

    fn delete_records(&mut self, at: usize) {
        let model = &self.parts[at].model;
        let span = u64::try_from(model.end - model.start).unwrap();
        let upto = Offset(model.start + i64::try_from(self.random.below(span + 1)).unwrap());
        let log = self.parts[at].log.as_mut().unwrap();
        let end = log.end_offset();
        match log.delete_records(upto, end) {
            Ok(start) => assert_eq!(start, upto),
            Err(error) => {
                self.log_trouble(at, error);
            }
        }
        self.start_moved(at);
    }

    /// What a follower does that has diverged: the checkpoint first, then the cut.
    fn truncate(&mut self, at: usize) {
        let model = &self.parts[at].model;
        let span = u64::try_from(model.end - model.start).unwrap();
        let back = self.random.below(span + 1).min(self.random.below(20));
        let to = model.end - i64::try_from(back).unwrap();
        let to = model.at(to).map_or(model.end, |at| model.entries[at].base).max(model.start);
        if model.at(to).is_some_and(|at| model.entries[at].base != to) {
            return;
        }
        self.parts[at].model.durable = self.parts[at].model.durable.min(to);
        let mut checkpoints = self.checkpoints();
        for checkpoint in &mut checkpoints {
            if checkpoint.partition == self.parts[at].name {
                checkpoint.recovery_point = checkpoint.recovery_point.min(Offset(to));
            }
        }
        if !self.dirs().write_checkpoints(&checkpoints).is_empty() {
            return;
        }
        let now_ms = self.now_ms;
        let model = self.parts[at].model.clone();
        match self.parts[at].log.as_mut().unwrap().truncate(now_ms, Offset(to)) {
            Ok(deletion) => {
                self.parts[at].deletions.extend(deletion);
                self.counts.truncations += 1;
                self.parts[at].model.survived(model.start, to);
                let log = self.parts[at].log.as_ref().unwrap();
                assert_eq!((log.log_start_offset().0, log.end_offset().0), (model.start, to));
            }
            Err(error) => {
                // Cut or not: the next start tells.
                self.log_trouble(at, error);
                self.parts[at].log = None;
            }
        }
    }

    /// The topic is deleted, and made again with another id under the same name.
    fn recreate(&mut self, at: usize) {
        let part = &mut self.parts[at];
        // The metadata log says so first, and durably.
        part.id = TopicId(Uuid((u128::from_be_bytes(part.id.0.0) + 16).to_be_bytes()));
        part.model = Model::default();
        part.log = None;
        part.deletions.clear();
        let name = part.name.clone();
        let id = Uuid::from_random(u128::from(self.random.next_u64()));
        match self.dirs().delete_partition(&name, id, self.now_ms, 1000) {
            Ok(()) => {}
            Err(error) => {
                self.trouble(at, error.disk_error().expect("only the disk may fail"));
                return;
            }
        }
        self.counts.recreated += 1;
        self.create(at);
    }

    fn start_moved(&mut self, at: usize) {
        let part = &mut self.parts[at];
        let log = part.log.as_ref().unwrap();
        let start = log.log_start_offset().0;
        assert!(start >= part.model.start && start <= part.model.end);
        assert_eq!(log.end_offset().0, part.model.end);
        part.model.start = start;
    }

    fn run_deletions(&mut self, at: usize) {
        let now_ms = self.now_ms;
        let (due, later) = std::mem::take(&mut self.parts[at].deletions)
            .into_iter()
            .partition::<Vec<_>, _>(|deletion| deletion.due_ms <= now_ms);
        self.parts[at].deletions = later;
        for deletion in due {
            if let Err(error) = deletion.run(&self.disk) {
                self.trouble(at, &error);
            }
        }
    }

    fn checkpoint(&mut self) {
        let checkpoints = self.checkpoints();
        for error in self.dirs().write_checkpoints(&checkpoints) {
            assert_ne!(error.kind, DiskErrorKind::NoSpace, "no full disk was planned");
        }
    }

    fn checkpoints(&self) -> Vec<PartitionCheckpoint> {
        let logs = self.parts.iter().filter_map(|part| Some((part, part.log.as_ref()?)));
        logs.map(|(part, log)| PartitionCheckpoint {
            partition: part.name.clone(),
            recovery_point: log.recovery_point(),
            log_start: log.log_start_offset(),
            high_watermark: log.end_offset(),
        })
        .collect()
    }

    /// The disk fills up under load; reads go on, and when space is back so do appends.
    fn full_disk(&mut self) {
        self.disk.set_capacity(Some(self.disk.used() + self.random.below(6000)));
        for _ in 0..20 {
            let at = usize::try_from(self.random.below(self.parts.len() as u64)).unwrap();
            if !self.works(at) {
                continue;
            }
            match self.random.below(8) {
                0 => self.flush(at),
                1 => self.roll(at),
                2 => self.read_somewhere(at),
                3 => self.retention(at),
                4 => self.run_deletions(at),
                _ => self.append(at),
            }
        }
        self.disk.set_capacity(None);
        for at in 0..self.parts.len() {
            let before = self.counts.appends;
            while self.parts[at].log.is_some() && self.counts.appends == before {
                if self.is_offline(at) || self.disk.is_down() {
                    break;
                }
                // Refusals for want of space would be counted, and must have ended.
                let refused = self.counts.full;
                self.append(at);
                assert_eq!(self.counts.full, refused, "a full disk must heal");
            }
        }
    }

    // ---- reading ----

    fn read_somewhere(&mut self, at: usize) {
        let model = &self.parts[at].model;
        let span = u64::try_from(model.end - model.start).unwrap();
        let offset = model.start + i64::try_from(self.random.below(span + 1)).unwrap();
        let max_bytes = u32::try_from(self.random.below(5000)).unwrap();
        self.read(at, offset, max_bytes);
        let age = i64::try_from(self.random.below(40_000)).unwrap();
        self.look_up(at, self.now_ms - age);
    }

    /// Reads at an offset and compares with the model; returns the offset behind.
    fn read(&mut self, at: usize, offset: i64, max_bytes: u32) -> i64 {
        let part = &self.parts[at];
        let log = part.log.as_ref().unwrap();
        let slice = match log.read(Offset(offset), max_bytes, log.end_offset(), true) {
            Ok(slice) => slice,
            Err(ReadError::Disk(error)) => {
                self.trouble(at, &error);
                return offset;
            }
            Err(error) => panic!("read of {} at {offset}: {error}", part.name),
        };
        self.counts.reads += 1;
        let Some(range) = slice.range else {
            assert_eq!(offset, part.model.end, "only the end has nothing to read");
            return offset;
        };
        let bytes = match range.read() {
            Ok(bytes) => bytes,
            Err(error) => {
                self.trouble(at, &error);
                return offset;
            }
        };
        let first = part.model.at(offset).expect("an offset below the end is in a batch");
        let mut rest: &[u8] = &bytes;
        let mut next = offset;
        for entry in &part.model.entries[first..] {
            if rest.is_empty() {
                break;
            }
            let batch = rest.get(..entry.bytes.len()).expect("whole batches only");
            assert!(batch == entry.bytes, "{} offset {} differs", part.name, entry.base);
            rest = &rest[entry.bytes.len()..];
            next = entry.next;
        }
        assert!(rest.is_empty(), "more than the log holds was read");
        assert_eq!(slice.next_offset.0, next);
        let one = part.model.entries[first].bytes.len();
        assert!(bytes.len() <= one.max(max_bytes as usize), "more than was asked for");
        next
    }

    fn look_up(&mut self, at: usize, timestamp: i64) {
        let part = &self.parts[at];
        let log = part.log.as_ref().unwrap();
        let found = match log.offset_for_timestamp(timestamp, log.end_offset()) {
            Ok(found) => found.map(|found| (found.offset.0, found.timestamp)),
            Err(ReadError::Disk(error)) => {
                self.trouble(at, &error);
                return;
            }
            Err(error) => panic!("{}: {error}", part.name),
        };
        let expect = part.model.first_not_older(timestamp);
        assert_eq!(found, expect, "{}: first record since {timestamp}", part.name);
    }

    // ---- stopping and starting ----

    /// Says whether the stop was clean.
    fn clean_stop(&mut self) -> bool {
        for at in 0..self.parts.len() {
            let Some(mut log) = self.parts[at].log.take() else { continue };
            let closed = log.close();
            let end = log.end_offset().0;
            self.parts[at].log = Some(log);
            match closed {
                Ok(point) => {
                    assert_eq!(point.0, end);
                    self.parts[at].model.durable = end;
                }
                Err(_) if self.is_offline(at) || self.disk.is_down() => return false,
                Err(error) => {
                    self.log_trouble(at, error);
                    return false;
                }
            }
        }
        let checkpoints = self.checkpoints();
        if !self.dirs().close_clean(&checkpoints, i64::from(self.epoch)).is_empty() {
            return false;
        }
        if self.dirs().dirs().iter().any(|dir| dir.is_offline()) {
            return false;
        }
        self.counts.clean_stops += 1;
        self.stop();
        // Power may well go after a clean stop: everything must be on the disk.
        if self.random.one_in(2) {
            self.disk.crash();
        }
        self.disk.clear_faults();
        self.open_dirs();
        self.load_all(true);
        true
    }

    fn stop(&mut self) {
        for part in &mut self.parts {
            part.log = None;
            part.deletions.clear();
        }
        self.dirs = None;
    }

    fn power_loss(&mut self) {
        loop {
            self.stop();
            self.disk.crash();
            self.disk.clear_faults();
            self.counts.crashes += 1;
            // The next crash may well come during the recovery from this one.
            if self.random.one_in(4) {
                self.disk.crash_after(1 + self.random.below(40));
            }
            if self.random.one_in(6) {
                self.disk.set_capacity(Some(self.disk.used() + self.random.below(3000)));
            }
            let opened = self.open_dirs() && self.load_all(false);
            self.disk.set_capacity(None);
            if opened && !self.disk.is_down() {
                return;
            }
            self.counts.crashes_in_recovery += 1;
        }
    }

    fn open_dirs(&mut self) -> bool {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let paths = ["/data/a", "/data/b"].map(PathBuf::from);
        let opened = LogDirs::open(disk, &paths, BrokerId(1), Some("cluster")).and_then(|dirs| {
            let random = &mut self.random;
            let mut draw = || u128::from(random.next_u64()) << 64 | u128::from(random.next_u64());
            dirs.format("cluster", &mut draw).map(|()| dirs)
        });
        match opened {
            Ok(dirs) => self.dirs = Some(dirs),
            Err(error) => assert!(self.in_trouble(), "{error}"),
        }
        self.dirs.is_some()
    }

    /// Whether the power is gone or the disk full, so that a start may fail.
    fn in_trouble(&self) -> bool {
        let full = self.disk.free_space(Path::new("/")).is_ok_and(|bytes| bytes < 3000);
        full || self.disk.is_down()
    }

    /// Opens all logs and holds them against the models. False when the power went again.
    fn load_all(&mut self, clean: bool) -> bool {
        self.epoch += 1;
        let config = Arc::clone(&self.config);
        let random = &mut self.random;
        let parts = &self.parts;
        let id_now =
            |name: &TopicPartition| parts.iter().find(|part| part.name == *name).unwrap().id;
        let id_of = |name: &TopicPartition| {
            let part = parts.iter().find(|part| part.name == *name).unwrap();
            assert_eq!(part.model.durable, 0, "{name}: topic id lost under flushed records");
            part.id
        };
        let loaded = self.dirs.as_ref().unwrap().load(LoadArgs {
            now_ms: self.now_ms,
            threads: 1,
            delete_delay_ms: 500,
            place: &|partition, found| match found {
                Some(id) if id != id_now(partition) => Placement::Stray,
                Some(_) => Placement::Keep(Arc::clone(&config)),
                // The name of `partition.metadata` was not durable, so neither was any record.
                None => Placement::Adopt(Arc::clone(&config), id_of(partition)),
            },
            random: &mut || u128::from(random.next_u64()),
        });
        if self.disk.is_down() {
            return false;
        }
        let full = self.in_trouble();
        let loaded = match loaded {
            Ok(loaded) if loaded.failed.is_empty() => loaded,
            Ok(loaded) if full => {
                let heals = |error: &DirectoryError| error.disk_error().unwrap().heals();
                assert!(loaded.failed.iter().all(|(_, error)| heals(error)), "{:?}", loaded.failed);
                self.counts.full_starts += 1;
                return false;
            }
            Err(DirectoryError::AllOffline { .. }) if full => return false,
            other => panic!("{other:?}"),
        };
        assert!(loaded.damaged_checkpoints.is_empty());
        for found in loaded.logs {
            let at = self.parts.iter().position(|part| part.name == found.partition).unwrap();
            assert_eq!(found.topic_id, Some(self.parts[at].id));
            assert_eq!(found.report.corruption, None, "a crash is no corruption");
            self.counts.torn_tails += found.report.cut.len() as u64;
            if clean {
                assert_eq!(found.report.segments_recovered, 0, "nothing to do after a clean stop");
            }
            self.parts[at].log = Some(found.log);
        }
        for at in 0..self.parts.len() {
            if self.parts[at].log.is_none() {
                self.create(at);
            }
            if self.disk.is_down() || self.parts[at].log.is_none() {
                return false;
            }
            self.check_survival(at, clean);
            self.check_everything(at);
            if self.disk.is_down() {
                return false;
            }
        }
        true
    }

    /// Makes a log that is not there yet: it was never there, or its making was not completed.
    fn create(&mut self, at: usize) {
        let part = &mut self.parts[at];
        assert_eq!(part.model.durable, 0, "{} was durable and is gone", part.name);
        let config = Arc::clone(&self.config);
        let dirs = self.dirs.as_ref().unwrap();
        match dirs.create_partition(&part.name, part.id, config, self.now_ms) {
            Ok((log, _)) => part.log = Some(log),
            Err(error) => {
                let broken = error.disk_error().is_some_and(|error| error.kind == Fault::EIO);
                let offline = matches!(error, DirectoryError::AllOffline { .. });
                assert!(broken || offline || self.in_trouble(), "{error}");
            }
        }
    }

    fn check_survival(&mut self, at: usize, clean: bool) {
        let part = &mut self.parts[at];
        let log = part.log.as_ref().unwrap();
        let (start, end) = (log.log_start_offset().0, log.end_offset().0);
        let (name, model) = (&part.name, &mut part.model);
        assert!(end >= model.durable, "{name}: flushed to {}, ends at {end}", model.durable);
        assert!(start <= end);
        assert!(
            start <= model.start || start == end,
            "{name}: starts at {start}, was {}",
            model.start
        );
        if clean {
            assert_eq!(
                (start, end),
                (model.start, model.end),
                "{name}: a clean stop loses nothing"
            );
        }
        let before = model.entries.len() + model.unsure.len();
        model.survived(start, end);
        self.counts.lost_batches += (before - model.entries.len()) as u64;
        assert!(
            start == end || model.at(end - 1).is_some_and(|at| model.entries[at].next == end),
            "{name}: cut in the middle of a batch at {end}"
        );
    }

    fn check_everything(&mut self, at: usize) {
        let (mut offset, end) = (self.parts[at].model.start, self.parts[at].model.end);
        while offset < end && !self.disk.is_down() {
            let max_bytes = u32::try_from(self.random.below(20_000)).unwrap();
            offset = self.read(at, offset, max_bytes);
        }
        for _ in 0..5 {
            self.read_somewhere(at);
        }
        let part = &self.parts[at];
        if let Some(last) = part.model.readable().last() {
            let latest = part.log.as_ref().unwrap().latest_epoch();
            assert_eq!(latest, Some(LeaderEpoch(last.epoch)), "{}: epochs", part.name);
        }
        check_index_files(&self.disk, part.log.as_ref().unwrap().dir(), &part.model);
        for id in 100..100 + i64::try_from(PRODUCERS).unwrap() {
            let batches = self.parts[at].model.batches_of(id);
            let newest: Vec<Entry> = batches.iter().rev().take(5).map(|e| (*e).clone()).collect();
            for entry in newest {
                self.expect_duplicate(at, &entry);
            }
        }
    }
}

/// Every entry of an offset index names a batch that is there.
fn check_index_files(disk: &SimDisk, dir: &Path, model: &Model) {
    let Ok(names) = disk.list(dir) else { return };
    for name in names.iter().filter_map(|entry| entry.name.strip_suffix(".index")) {
        let segment: i64 = name.parse().unwrap();
        let path = dir.join(format!("{name}.index"));
        let Ok(bytes) = tidelog_storage::disk::read_file(disk, &path, 1 << 20) else { return };
        let mut last = None;
        for entry in bytes.chunks_exact(8) {
            let relative = i32::from_be_bytes(entry[..4].try_into().unwrap());
            let position = i32::from_be_bytes(entry[4..].try_into().unwrap());
            if (relative, position) == (0, 0) {
                continue;
            }
            let offset = segment + i64::from(relative);
            assert!(last.is_none_or(|last| last < (offset, position)), "{name}: index order");
            last = Some((offset, position));
            let (Some(first), Some(at)) = (model.at(segment), model.at(offset)) else {
                // Above the end: an entry for what a crash took, in a segment that was closed
                // whole it would be a bug.
                panic!("{name}: index entry for offset {offset}, which is not in the log");
            };
            let expect: usize = model.entries[first..at].iter().map(|e| e.bytes.len()).sum();
            assert_eq!(position as usize, expect, "{name}: position of offset {offset}");
        }
    }
}
