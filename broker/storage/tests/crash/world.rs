//! One simulated machine with a few partitions, and what happens to it.

use std::sync::Arc;

use tidelog_storage::config::LogConfig;
use tidelog_storage::directory::{LogDirs, TopicPartition};
use tidelog_storage::disk::sim::{Fault, Random, SimDisk};
use tidelog_storage::disk::{DiskError, DiskErrorKind, Operation};
use tidelog_storage::error::LogError;
use tidelog_storage::log::{Deletion, Log};
use wire::ids::{PartitionIndex, TopicId, Uuid};

use crate::model::Model;

const LIVES: u64 = 5;
const OPERATIONS_MAX: u64 = 80;
pub(crate) const PRODUCERS: u64 = 3;

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
    pub(crate) fn fields(&mut self) -> [&mut u64; 15] {
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
pub(crate) enum Trouble {
    /// The power is gone.
    Down,
    /// The disk is full.
    Full,
    /// The device failed.
    Broken,
}

pub(crate) struct Part {
    pub(crate) name: TopicPartition,
    pub(crate) id: TopicId,
    pub(crate) log: Option<Log>,
    pub(crate) model: Model,
    pub(crate) deletions: Vec<Deletion>,
}

pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) disk: SimDisk,
    pub(crate) dirs: Option<LogDirs>,
    pub(crate) parts: Vec<Part>,
    pub(crate) config: Arc<LogConfig>,
    pub(crate) now_ms: i64,
    pub(crate) epoch: i32,
    /// The disk is full while the machine starts.
    pub(crate) full: bool,
    pub(crate) counts: Counts,
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
            full: false,
            counts: Counts::default(),
        }
    }

    pub(crate) fn dirs(&self) -> &LogDirs {
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

    pub(crate) fn operate(&mut self) {
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
    pub(crate) fn trouble(&mut self, at: usize, error: &DiskError) -> Trouble {
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

    pub(crate) fn log_trouble(&mut self, at: usize, error: LogError) -> Trouble {
        match error {
            LogError::Disk(error) => self.trouble(at, &error),
            error => panic!("{}: {error}", self.parts[at].name),
        }
    }
}
