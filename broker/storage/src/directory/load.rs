//! The start: what is in the log directories, and opening every log there, several at a time.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use wire::ids::{Offset, TopicId, Uuid};

use super::log_dir::{Checkpoints, LogDir, held};
use super::log_dirs::{LogDirs, Removal};
use super::lost::Scanned;
use super::{DirectoryError, DirectoryName, Suffix, TopicPartition};
use crate::checkpoints::offsets::{self, CLEANER_FILE, Offsets};
use crate::checkpoints::{CheckpointError, clean_shutdown, partition_metadata};
use crate::config::LogConfig;
use crate::disk::{Access, DiskError};
use crate::log::{Log, OpenArgs, RecoveryReport};

/// Most threads that open logs at once.
const THREADS_MAX: usize = 64;
/// The metadata log has a life of its own (`quorum`); it is not loaded here.
const METADATA_LOG: &str = "__cluster_metadata-0";

/// What should become of a log that was found.
#[derive(Clone, Debug)]
pub enum Placement {
    /// It is this node's: open it.
    Keep(Arc<LogConfig>),
    /// It is this node's, and its directory does not name the topic, as a crash took the file:
    /// open it and write this id. If there are records, of which none was ever flushed, they may
    /// be those of a deleted topic of the same name: then it is set aside as well.
    Adopt(Arc<LogConfig>, TopicId),
    /// No assignment wants it: set it aside.
    Stray,
}

/// Decides what should become of a log, by its name and the topic id in its directory.
pub type Place<'a> = dyn Fn(&TopicPartition, Option<TopicId>) -> Placement + Sync + 'a;

/// What the start needs to know.
pub struct LoadArgs<'a> {
    /// The node's time.
    pub now_ms: i64,
    /// How many logs may be opened at once; 1 opens them in order, on the caller's thread.
    pub threads: usize,
    /// `log.segment.delete.delay.ms`, for partitions whose deletion the last stop interrupted.
    pub delete_delay_ms: i64,
    /// Decides what should become of each log.
    pub place: &'a Place<'a>,
    /// Where the operator gives up what is bad or missing, by log.
    pub accept: &'a BTreeSet<(TopicPartition, Offset)>,
    /// Randomness, for the names of logs set aside.
    pub random: &'a mut dyn FnMut() -> u128,
}

/// One opened log.
#[derive(Debug)]
pub struct LoadedLog {
    /// The partition.
    pub partition: TopicPartition,
    /// The id of its topic, when its directory says.
    pub topic_id: Option<TopicId>,
    /// The log.
    pub log: Log,
    /// From the checkpoint: 0 when there is none; may be above the log's end after a crash.
    pub high_watermark: Offset,
    /// What opening it found and did.
    pub report: RecoveryReport,
    /// Where it is.
    pub dir: Arc<LogDir>,
}

/// What the start found.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The opened logs, by partition.
    pub logs: Vec<LoadedLog>,
    /// Logs that could not be opened though their directory works; they are still in place.
    pub failed: Vec<(TopicPartition, DirectoryError)>,
    /// Where logs that nobody wanted have been set aside.
    pub strays: Vec<PathBuf>,
    /// Directories that are nothing of ours; they are left alone.
    pub unknown: Vec<PathBuf>,
    /// Damaged checkpoints, which counted as empty, and `partition.metadata`, as missing.
    pub damaged_checkpoints: Vec<CheckpointError>,
    /// The broker epoch of the last run, if every directory was closed clean by it; else -1.
    pub broker_epoch: i64,
}

/// What a log is opened with.
struct Kept {
    config: Arc<LogConfig>,
    /// When its directory says.
    topic_id: Option<TopicId>,
    /// It has no past: what the checkpoints say is of another log of its name.
    is_new: bool,
}

pub(super) struct Job {
    partition: TopicPartition,
    topic_id: Option<TopicId>,
    config: Arc<LogConfig>,
    path: PathBuf,
    place: usize,
    dir: Arc<LogDir>,
    checkpoints: Arc<Checkpoints>,
    clean: bool,
    was_compacted: bool,
}

impl LogDirs {
    /// Opens every log in every directory that works. To be called once, after `format`.
    pub fn load(&self, mut args: LoadArgs<'_>) -> Result<Loaded, DirectoryError> {
        let mut loaded = Loaded::default();
        let mut scanned = Vec::new();
        for (place, dir) in self.dirs.iter().enumerate().filter(|(_, dir)| !dir.is_offline()) {
            match self.scan(place, dir, &mut args, &mut loaded) {
                Ok(found) => scanned.push(found),
                Err(error) => match error.disk_error() {
                    Some(error) => {
                        dir.mark_offline(error);
                    }
                    None => return Err(error),
                },
            }
        }
        let epochs: Vec<_> = scanned.iter().map(|scanned| scanned.epoch).collect();
        loaded.broker_epoch = common_epoch(&epochs, self.dirs.len());
        let mut jobs: Vec<Job> =
            scanned.iter_mut().flat_map(|scanned| std::mem::take(&mut scanned.jobs)).collect();
        jobs.retain(|job| !job.dir.is_offline());
        self.claim(&jobs)?;
        self.open_all(&jobs, &args, &mut loaded);
        self.find_lost(&scanned, &args, &mut loaded);
        held(&self.state).unopened.extend(loaded.failed.iter().map(|(name, _)| name.clone()));
        match self.all_offline() {
            Some(reason) => Err(DirectoryError::AllOffline { reason }),
            None => Ok(loaded),
        }
    }

    /// Takes stock of one directory. The clean-shutdown marker is consumed first.
    fn scan(
        &self,
        place: usize,
        dir: &Arc<LogDir>,
        args: &mut LoadArgs<'_>,
        loaded: &mut Loaded,
    ) -> Result<Scanned, DirectoryError> {
        let (checkpoints, damage) = dir.read_checkpoints()?;
        let checkpoints = Arc::new(checkpoints);
        loaded.damaged_checkpoints.extend(damage);
        let compacted = self.compacted(dir, loaded)?;
        let epoch = dir.consume_clean_marker()?;
        let mut jobs = Vec::new();
        let (mut names, mut retired) = (BTreeSet::new(), Vec::new());
        for entry in self.disk.list(dir.path())? {
            let path = dir.path().join(&entry.name);
            if !entry.is_dir || entry.name == METADATA_LOG {
                continue;
            }
            let partition = match DirectoryName::parse(&entry.name) {
                DirectoryName::Partition(partition) => partition,
                DirectoryName::Deleted => {
                    let due_ms = args.now_ms.saturating_add(args.delete_delay_ms);
                    held(&self.state).removals.push(Removal { due_ms, dir: place, path });
                    retired.push(entry.name);
                    continue;
                }
                DirectoryName::Stray => {
                    retired.push(entry.name);
                    continue;
                }
                DirectoryName::Future | DirectoryName::Unknown => {
                    loaded.unknown.push(path);
                    continue;
                }
            };
            names.insert(partition.clone());
            let Kept { config, topic_id, is_new } =
                match self.decide(dir, &partition, &path, args, loaded) {
                    Ok(Some(keep)) => keep,
                    Ok(None) => continue,
                    Err(error) if error.disk_error().is_some_and(|error| !error.heals()) => {
                        return Err(error);
                    }
                    // Its own file is at fault, or the disk is full, which is no broken one.
                    Err(error) => {
                        held(&self.state).put(&partition, place);
                        loaded.failed.push((partition, error));
                        continue;
                    }
                };
            let was_compacted =
                compacted.as_ref().is_none_or(|offsets| offsets.contains_key(&partition));
            jobs.push(Job {
                partition,
                was_compacted,
                topic_id,
                config,
                path,
                place,
                dir: Arc::clone(dir),
                checkpoints: if is_new { Arc::default() } else { Arc::clone(&checkpoints) },
                clean: epoch.is_some(),
            });
        }
        self.disk.sync_dir(dir.path())?;
        Ok(Scanned { jobs, names, retired, checkpoints, epoch, place })
    }

    /// The logs that were ever compacted; None when that cannot be known.
    fn compacted(
        &self,
        dir: &LogDir,
        loaded: &mut Loaded,
    ) -> Result<Option<Offsets>, DirectoryError> {
        match offsets::read(&*self.disk, &dir.path().join(CLEANER_FILE)) {
            Err(error @ CheckpointError::Malformed { .. }) => {
                loaded.damaged_checkpoints.push(error);
                Ok(None)
            }
            read => Ok(Some(read?)),
        }
    }

    /// What to open a log with; None when it has been set aside.
    fn decide(
        &self,
        dir: &LogDir,
        partition: &TopicPartition,
        path: &Path,
        args: &mut LoadArgs<'_>,
        loaded: &mut Loaded,
    ) -> Result<Option<Kept>, DirectoryError> {
        let topic_id = self.topic_id(path, loaded)?;
        match (args.place)(partition, topic_id) {
            Placement::Keep(config) => return Ok(Some(Kept { config, topic_id, is_new: false })),
            Placement::Adopt(config, id) if !self.has_records(path)? => {
                dir.forget(partition)?;
                let file = path.join(partition_metadata::FILE);
                partition_metadata::write(&*self.disk, &file, id)?;
                return Ok(Some(Kept { config, topic_id: Some(id), is_new: true }));
            }
            Placement::Adopt(..) | Placement::Stray => {}
        }
        let id = Uuid::from_random((args.random)());
        let to = dir.path().join(partition.retired_name(id, Suffix::Stray));
        self.disk.rename(path, &to)?;
        loaded.strays.push(to);
        Ok(None)
    }

    fn has_records(&self, path: &Path) -> Result<bool, DiskError> {
        for entry in self.disk.list(path)?.iter().filter(|entry| entry.name.ends_with(".log")) {
            if !self.disk.open(&path.join(&entry.name), Access::Read)?.is_empty()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The id in a partition's directory. A file that a crash tore before the log's first flush is
    /// as good as missing.
    fn topic_id(
        &self,
        path: &Path,
        loaded: &mut Loaded,
    ) -> Result<Option<TopicId>, DirectoryError> {
        match partition_metadata::read(&*self.disk, &path.join(partition_metadata::FILE)) {
            Err(error @ CheckpointError::Malformed { .. }) => {
                loaded.damaged_checkpoints.push(error);
                Ok(None)
            }
            result => Ok(result?),
        }
    }

    fn claim(&self, jobs: &[Job]) -> Result<(), DirectoryError> {
        let mut state = held(&self.state);
        for job in jobs {
            if let Some(other) = state.put(&job.partition, job.place) {
                return Err(DirectoryError::TwoLogs {
                    partition: job.partition.clone(),
                    first: self
                        .dirs
                        .get(other)
                        .map(|dir| dir.path().to_path_buf())
                        .unwrap_or_default(),
                    second: job.dir.path().to_path_buf(),
                });
            }
        }
        Ok(())
    }

    fn open_all(&self, jobs: &[Job], args: &LoadArgs<'_>, loaded: &mut Loaded) {
        let next = AtomicUsize::new(0);
        let results = Mutex::new(Vec::new());
        let (accept, now_ms) = (args.accept, args.now_ms);
        let work = || {
            while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                if job.dir.is_offline() {
                    continue;
                }
                let result = self.open_one(job, accept, now_ms);
                if let Err(DirectoryError::Log {
                    error: crate::error::LogError::Disk(error), ..
                }) = &result
                {
                    job.dir.note_failure(error);
                }
                held(&results).push((job, result));
            }
        };
        let threads = args.threads.clamp(1, THREADS_MAX).min(jobs.len());
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        let results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (job, result) in results {
            match result {
                // Its directory may have gone offline after it was opened.
                _ if job.dir.is_offline() => {}
                Ok(log) => loaded.logs.push(log),
                Err(error) => loaded.failed.push((job.partition.clone(), error)),
            }
        }
        loaded.logs.sort_by(|a, b| a.partition.cmp(&b.partition));
        loaded.failed.sort_by(|a, b| a.0.cmp(&b.0));
    }

    fn open_one(
        &self,
        job: &Job,
        accept: &BTreeSet<(TopicPartition, Offset)>,
        now_ms: i64,
    ) -> Result<LoadedLog, DirectoryError> {
        let accept = accept.iter().filter(|(partition, _)| *partition == job.partition);
        let opened = Log::open(OpenArgs {
            disk: Arc::clone(&self.disk),
            dir: job.path.clone(),
            config: Arc::clone(&job.config),
            recovery_point: job.checkpoints.recovery_point(&job.partition),
            intact_below: job.checkpoints.intact_below(&job.partition),
            log_start_offset: job.checkpoints.log_start(&job.partition),
            clean: job.clean,
            was_compacted: job.was_compacted,
            accept: accept.map(|(_, offset)| *offset).collect(),
            now_ms,
        });
        let (log, report) = opened.map_err(|error| super::log_error(&job.partition, error))?;
        Ok(LoadedLog {
            partition: job.partition.clone(),
            topic_id: job.topic_id,
            log,
            high_watermark: job.checkpoints.high_watermark(&job.partition),
            report,
            dir: Arc::clone(&job.dir),
        })
    }
}

/// The epoch that all directories were closed by; unknown unless every one was, alike.
fn common_epoch(epochs: &[Option<i64>], dirs: usize) -> i64 {
    match epochs.first() {
        Some(Some(first)) if epochs.len() == dirs && epochs.iter().all(|e| *e == Some(*first)) => {
            *first
        }
        _ => clean_shutdown::EPOCH_UNKNOWN,
    }
}
