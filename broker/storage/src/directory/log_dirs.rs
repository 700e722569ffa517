//! All log directories of a node: where each partition's log is, making and removing logs,
//! checkpoints, and going on when one disk fails. Every call takes `&self` and may come from any
//! thread; calls that make, remove or sync files block.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use wire::ids::{BrokerId, Offset, TopicId, Uuid};

use super::log_dir::{LogDir, held};
use super::{DirectoryError, Suffix, TopicPartition};
use crate::checkpoints::partition_metadata;
use crate::config::LogConfig;
use crate::disk::{Disk, DiskError};
use crate::log::{Log, OpenArgs};

/// The log directories of a node.
#[derive(Debug)]
pub struct LogDirs {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dirs: Vec<Arc<LogDir>>,
    node_id: BrokerId,
    pub(super) state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The directory of each partition that has a log here, or is about to.
    pub(super) places: BTreeMap<TopicPartition, usize>,
    /// How many there are in each directory.
    counts: Vec<usize>,
    /// Those whose log could not be opened at the start.
    pub(super) unopened: BTreeSet<TopicPartition>,
    /// Those of them whose log is gone.
    pub(super) lost: BTreeSet<TopicPartition>,
    /// Directories under `-delete` and when their bytes may go.
    pub(super) removals: Vec<Removal>,
}

impl State {
    /// Notes where a partition is; Some(where it was noted before) when it was.
    pub(super) fn put(&mut self, partition: &TopicPartition, dir: usize) -> Option<usize> {
        if let Some(before) = self.places.get(partition) {
            return Some(*before);
        }
        self.places.insert(partition.clone(), dir);
        if self.counts.len() <= dir {
            self.counts.resize(dir + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(dir) {
            *count += 1;
        }
        None
    }

    fn take(&mut self, partition: &TopicPartition) {
        self.unopened.remove(partition);
        self.lost.remove(partition);
        if let Some(dir) = self.places.remove(partition)
            && let Some(count) = self.counts.get_mut(dir)
        {
            *count = count.saturating_sub(1);
        }
    }

    fn count(&self, dir: usize) -> usize {
        self.counts.get(dir).copied().unwrap_or(0)
    }
}

/// A log that is to be made.
#[derive(Clone, Debug)]
pub struct NewPartition {
    /// The partition.
    pub partition: TopicPartition,
    /// The id of its topic.
    pub topic_id: TopicId,
    /// The log's configuration.
    pub config: Arc<LogConfig>,
}

/// A log that was made, and where.
pub type Created = (Log, Arc<LogDir>);

#[derive(Clone, Debug)]
pub(super) struct Removal {
    pub(super) due_ms: i64,
    pub(super) dir: usize,
    pub(super) path: PathBuf,
}

impl LogDirs {
    /// Locks the directories and reads whose they are. Refused: no directory, one in use, one of
    /// another cluster or node, one of a newer version, all of them failing. A directory whose
    /// disk fails is offline, the others go on.
    pub fn open(
        disk: Arc<dyn Disk>,
        paths: &[PathBuf],
        node_id: BrokerId,
        cluster_id: Option<&str>,
    ) -> Result<Self, DirectoryError> {
        if paths.is_empty() {
            return Err(DirectoryError::NoDirectory);
        }
        let mut dirs = Vec::new();
        for path in paths {
            dirs.push(Arc::new(LogDir::open(Arc::clone(&disk), path)?));
        }
        let state = Mutex::new(State::default());
        let dirs = Self { disk, dirs, node_id, state };
        dirs.check_owners(cluster_id)?;
        match dirs.all_offline() {
            Some(reason) => Err(DirectoryError::AllOffline { reason }),
            None => Ok(dirs),
        }
    }

    /// The directories, in the order of the configuration.
    pub fn dirs(&self) -> &[Arc<LogDir>] {
        &self.dirs
    }

    /// The cluster that the directories belong to; None while none is formatted for one.
    pub fn cluster_id(&self) -> Option<String> {
        let mut ids = self.dirs.iter().filter_map(|dir| dir.properties()).map(|p| p.cluster_id);
        ids.find(|id| !id.is_empty())
    }

    /// Formats the directories that are not yet, each with an id made of the caller's randomness.
    /// A node of several may not know its cluster yet: `cluster_id` is empty then, and a later call
    /// adds it.
    pub fn format(
        &self,
        cluster_id: &str,
        random: &mut dyn FnMut() -> u128,
    ) -> Result<(), DirectoryError> {
        self.check_owners(Some(cluster_id))?;
        for dir in self.dirs.iter().filter(|dir| !dir.is_offline()) {
            if let Err(error) = dir.format(cluster_id, self.node_id, Uuid::from_random(random())) {
                dir.mark_offline(&error);
            }
        }
        match self.all_offline() {
            Some(reason) => Err(DirectoryError::AllOffline { reason }),
            None => Ok(()),
        }
    }

    fn check_owners(&self, cluster_id: Option<&str>) -> Result<(), DirectoryError> {
        let stored = self.cluster_id();
        let expected = cluster_id.filter(|id| !id.is_empty()).or(stored.as_deref());
        let mut ids: BTreeMap<Uuid, &Path> = BTreeMap::new();
        for dir in &self.dirs {
            let Some(properties) = dir.properties() else { continue };
            let path = dir.path().to_path_buf();
            let other = |expected: &&str| {
                !properties.cluster_id.is_empty() && *expected != properties.cluster_id
            };
            if let Some(expected) = expected.filter(other) {
                let expected = expected.to_owned();
                let found = properties.cluster_id;
                return Err(DirectoryError::OtherCluster { dir: path, found, expected });
            }
            if properties.node_id != self.node_id {
                let (found, expected) = (properties.node_id, self.node_id);
                return Err(DirectoryError::OtherNode { dir: path, found, expected });
            }
            let Some(id) = properties.directory_id else { continue };
            if let Some(first) = ids.insert(id, dir.path()) {
                let first = first.to_path_buf();
                return Err(DirectoryError::SameDirectoryId { first, second: path });
            }
        }
        Ok(())
    }

    /// Why the first directory is offline, when all of them are: the node cannot go on.
    pub fn all_offline(&self) -> Option<DiskError> {
        let reason = self.dirs.first().and_then(|dir| dir.offline_reason());
        reason.filter(|_| self.dirs.iter().all(|dir| dir.is_offline())).cloned()
    }

    /// The directory that holds a partition's log, offline or not.
    pub fn dir_of(&self, partition: &TopicPartition) -> Option<Arc<LogDir>> {
        let place = *held(&self.state).places.get(partition)?;
        self.dirs.get(place).cloned()
    }

    /// The partitions with a log in this directory, offline or not.
    pub fn partitions_in(&self, dir: &LogDir) -> Vec<TopicPartition> {
        let state = held(&self.state);
        let here = |place: &usize| {
            self.dirs.get(*place).is_some_and(|other| std::ptr::eq(Arc::as_ptr(other), dir))
        };
        let found = state.places.iter().filter(|(_, place)| here(place));
        found.map(|(partition, _)| partition.clone()).collect()
    }

    /// Notes that a partition's disk failed; says whether its directory went offline by it.
    pub fn note_failure(&self, partition: &TopicPartition, error: &DiskError) -> bool {
        self.dir_of(partition).is_some_and(|dir| dir.note_failure(error))
    }

    /// Makes an empty log, in the directory with the fewest of those that have space and are not
    /// cordoned. When it
    /// returns, the directory is durable; after a failure nothing of it is left and the call may be
    /// made again.
    pub fn create_partition(
        &self,
        partition: &TopicPartition,
        topic_id: TopicId,
        config: Arc<LogConfig>,
        now_ms: i64,
    ) -> Result<Created, DirectoryError> {
        let new = NewPartition { partition: partition.clone(), topic_id, config };
        let missing = DirectoryError::Missing { partition: partition.clone() };
        self.create_partitions(&[new], now_ms).pop().unwrap_or(Err(missing))
    }

    /// Makes several, each as `create_partition` does, with one sync per log directory for all.
    /// The results are in the order of `new`.
    pub fn create_partitions(
        &self,
        new: &[NewPartition],
        now_ms: i64,
    ) -> Vec<Result<Created, DirectoryError>> {
        let mut made: Vec<_> = new.iter().map(|new| self.create_unsynced(new, now_ms)).collect();
        for dir in &self.dirs {
            let here = |created: &Result<Created, DirectoryError>| {
                created.as_ref().is_ok_and(|(_, other)| Arc::ptr_eq(other, dir))
            };
            if !made.iter().any(here) {
                continue;
            }
            if let Err(error) = self.disk.sync_dir(dir.path()) {
                dir.note_failure(&error);
                for (new, created) in new.iter().zip(&mut made).filter(|(_, made)| here(made)) {
                    held(&self.state).take(&new.partition);
                    *created = Err(error.clone().into());
                }
            }
        }
        made
    }

    fn create_unsynced(&self, new: &NewPartition, now_ms: i64) -> Result<Created, DirectoryError> {
        let dir = self.reserve(&new.partition)?;
        let path = dir.path().join(new.partition.directory_name());
        let forgotten = dir.forget(&new.partition).map_err(DirectoryError::from);
        let made = forgotten.and_then(|()| self.make_at(&path, new, Offset(0), now_ms));
        if let Err(error) = &made {
            if let Some(error) = error.disk_error() {
                dir.note_failure(error);
            }
            if !dir.is_offline() {
                // Best effort: what is left is empty, and is taken up or set aside by a start.
                let _ = self.disk.remove_dir_all(&path);
            }
            held(&self.state).take(&new.partition);
        }
        made.map(|log| (log, dir))
    }

    /// Takes the place for a new log, so that two calls cannot make the same one.
    fn reserve(&self, partition: &TopicPartition) -> Result<Arc<LogDir>, DirectoryError> {
        let mut state = held(&self.state);
        if state.places.contains_key(partition) {
            return Err(DirectoryError::Exists { partition: partition.clone() });
        }
        let online = self.dirs.iter().enumerate().filter(|(_, dir)| !dir.is_offline());
        let order = |(place, dir): &(usize, &Arc<LogDir>)| {
            (dir.is_cordoned(), dir.room() == 0, state.count(*place))
        };
        match (online.min_by_key(order), self.all_offline()) {
            (Some((place, dir)), _) => {
                state.put(partition, place);
                Ok(Arc::clone(dir))
            }
            (None, Some(reason)) => Err(DirectoryError::AllOffline { reason }),
            (None, None) => Err(DirectoryError::NoDirectory),
        }
    }

    /// Makes an empty log that begins at `start`.
    pub(super) fn make_at(
        &self,
        path: &Path,
        new: &NewPartition,
        start: Offset,
        now_ms: i64,
    ) -> Result<Log, DirectoryError> {
        self.disk.create_dir_all(path)?;
        let file = path.join(partition_metadata::FILE);
        partition_metadata::write(&*self.disk, &file, new.topic_id)?;
        let args = OpenArgs {
            disk: Arc::clone(&self.disk),
            dir: path.to_path_buf(),
            config: Arc::clone(&new.config),
            recovery_point: Offset(0),
            intact_below: Offset(0),
            log_start_offset: start,
            clean: false,
            was_compacted: false,
            accept: Vec::new(),
            now_ms,
        };
        let opened = Log::open(args);
        opened.map(|(log, _)| log).map_err(|error| super::log_error(&new.partition, error))
    }

    /// Removes a partition's log: its directory is renamed at once, so that the name is free, and
    /// its bytes go `delay_ms` later, at `remove_due`. `id` is random. Whoever holds the `Log`
    /// must not write to it any more; open files stay readable.
    pub fn delete_partition(
        &self,
        partition: &TopicPartition,
        id: Uuid,
        now_ms: i64,
        delay_ms: i64,
    ) -> Result<(), DirectoryError> {
        let was_lost = held(&self.state).lost.contains(partition);
        let (dir, path) = match self.retire(partition, id, Suffix::Delete) {
            Err(DirectoryError::Missing { .. }) if was_lost => return Ok(()),
            retired => retired?,
        };
        let due_ms = now_ms.saturating_add(delay_ms);
        held(&self.state).removals.push(Removal { due_ms, dir, path });
        Ok(())
    }

    fn retire(
        &self,
        partition: &TopicPartition,
        id: Uuid,
        suffix: Suffix,
    ) -> Result<(usize, PathBuf), DirectoryError> {
        let missing = || DirectoryError::Missing { partition: partition.clone() };
        let place = *held(&self.state).places.get(partition).ok_or_else(missing)?;
        let dir = self.dirs.get(place).ok_or_else(missing)?;
        dir.check_online()?;
        if held(&self.state).lost.contains(partition) {
            // Nothing is there; what the checkpoints say of it must go with it.
            dir.forget(partition)?;
            held(&self.state).take(partition);
            return Err(missing());
        }
        let from = dir.path().join(partition.directory_name());
        let to = dir.path().join(partition.retired_name(id, suffix));
        let renamed = self.disk.rename(&from, &to).and_then(|()| self.disk.sync_dir(dir.path()));
        if let Err(error) = renamed {
            dir.note_failure(&error);
            return Err(error.into());
        }
        held(&self.state).take(partition);
        Ok((place, to))
    }

    /// Removes the bytes of deleted partitions whose delay is over; says how many there were.
    /// Bounded by `count_max`, so that a thread is not held for long.
    pub fn remove_due(&self, now_ms: i64, count_max: usize) -> usize {
        let mut due = Vec::new();
        held(&self.state).removals.retain(|removal| {
            let take = removal.due_ms <= now_ms && due.len() < count_max;
            if take {
                due.push(removal.clone());
            }
            !take
        });
        let mut removed = 0;
        for removal in due {
            let Some(dir) = self.dirs.get(removal.dir).filter(|dir| !dir.is_offline()) else {
                continue;
            };
            // A start must not find the name in the checkpoints and nothing of the log.
            let forgotten = dir.forget_unless(|name| held(&self.state).places.contains_key(name));
            match forgotten.and_then(|()| self.disk.remove_dir_all(&removal.path)) {
                Ok(()) => removed += 1,
                Err(error) => {
                    if !dir.note_failure(&error) && !dir.is_offline() {
                        held(&self.state).removals.push(removal);
                    }
                }
            }
        }
        removed
    }
}
