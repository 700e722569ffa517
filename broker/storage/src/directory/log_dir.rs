//! One log directory: who owns it, whether it still works, and the files at its top.
//!
//! A directory whose disk failed goes offline and stays so until a restart: after a failed sync
//! nobody knows what is on the disk, so nothing there may be acknowledged again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use wire::ids::{BrokerId, Offset, Uuid};

use super::{DirectoryError, TopicPartition};
use crate::checkpoints::CheckpointError;
use crate::checkpoints::clean_shutdown;
use crate::checkpoints::meta_properties::{self, MetaProperties};
use crate::checkpoints::offsets::{
    self, HIGH_WATERMARK_FILE, LOG_START_FILE, Offsets, RECOVERY_POINT_FILE,
};
use crate::disk::{Disk, DiskError, DiskErrorKind, DiskLock};

/// The file whose lock says that a process works here.
pub const LOCK_FILE: &str = ".lock";

/// One of a node's log directories.
#[derive(Debug)]
pub struct LogDir {
    pub(super) disk: Arc<dyn Disk>,
    path: PathBuf,
    lock: Mutex<Option<Box<dyn DiskLock>>>,
    properties: Mutex<Option<MetaProperties>>,
    offline: OnceLock<DiskError>,
    /// What the clean-shutdown marker said, once it is taken away.
    clean: Mutex<Option<Option<i64>>>,
    /// The checkpoints as they are on disk. Names that have no log any more stay in them until the
    /// next writing, and must be gone before a new log may have the name.
    checkpoints: Mutex<Checkpoints>,
    /// `cordoned.log.dirs` names it.
    cordoned: AtomicBool,
    /// A stop leaves no clean-shutdown marker here.
    unclean: AtomicBool,
}

/// The three offset checkpoints of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Checkpoints {
    pub(super) recovery_points: Offsets,
    pub(super) log_starts: Offsets,
    pub(super) high_watermarks: Offsets,
}

impl LogDir {
    /// Makes the directory if needed, locks it, reads whose it is. A disk that fails gives a
    /// directory that is offline from the start; a directory that must not be used is an error.
    pub(super) fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, DirectoryError> {
        let dir = Self {
            disk,
            path: path.to_path_buf(),
            lock: Mutex::new(None),
            properties: Mutex::new(None),
            offline: OnceLock::new(),
            clean: Mutex::new(None),
            checkpoints: Mutex::new(Checkpoints::default()),
            cordoned: AtomicBool::new(false),
            unclean: AtomicBool::new(false),
        };
        match dir.take() {
            Ok(()) => Ok(dir),
            Err(
                DirectoryError::Disk(error)
                | DirectoryError::Checkpoint(CheckpointError::Disk(error)),
            ) => {
                if error.kind == DiskErrorKind::Locked {
                    return Err(DirectoryError::InUse { dir: dir.path });
                }
                dir.mark_offline(&error);
                Ok(dir)
            }
            Err(error) => Err(error),
        }
    }

    fn take(&self) -> Result<(), DirectoryError> {
        create_dir_durably(&*self.disk, &self.path)?;
        let lock = self.disk.lock(&self.path.join(LOCK_FILE))?;
        *held(&self.lock) = Some(lock);
        let properties = self.path.join(meta_properties::FILE);
        *held(&self.properties) = meta_properties::read(&*self.disk, &properties)?;
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its id; None while it is not formatted or could not be read.
    pub fn id(&self) -> Option<Uuid> {
        self.properties().and_then(|properties| properties.directory_id)
    }

    /// Whose it is; None while it is not formatted or could not be read.
    pub fn properties(&self) -> Option<MetaProperties> {
        held(&self.properties).clone()
    }

    /// Whether its disk has failed.
    pub fn is_offline(&self) -> bool {
        self.offline.get().is_some()
    }

    /// What its disk failed with.
    pub fn offline_reason(&self) -> Option<&DiskError> {
        self.offline.get()
    }

    /// Takes it out of service until a restart; says whether it was in service.
    pub fn mark_offline(&self, reason: &DiskError) -> bool {
        self.offline.set(reason.clone()).is_ok()
    }

    /// Takes it out of service unless the failure heals by itself (a full disk); says whether it
    /// went out of service now.
    pub fn note_failure(&self, error: &DiskError) -> bool {
        !error.heals() && self.mark_offline(error)
    }

    /// Whether it takes new partitions only where no other directory does.
    pub fn set_cordoned(&self, cordoned: bool) {
        self.cordoned.store(cordoned, Ordering::Relaxed);
    }

    pub(super) fn is_cordoned(&self) -> bool {
        self.cordoned.load(Ordering::Relaxed)
    }

    /// Refuses when offline.
    pub(super) fn check_online(&self) -> Result<(), DirectoryError> {
        if self.is_offline() {
            return Err(DirectoryError::Offline { dir: self.path.clone() });
        }
        Ok(())
    }

    /// Writes `meta.properties` where it is missing or lacks the directory's id or the cluster's.
    /// An empty `cluster_id` is one that is not known yet.
    pub(super) fn format(
        &self,
        cluster_id: &str,
        node_id: BrokerId,
        directory_id: Uuid,
    ) -> Result<(), DiskError> {
        let mut properties = held(&self.properties);
        let known = properties.as_ref();
        let id = known.and_then(|properties| properties.directory_id);
        let cluster = known.map_or("", |properties| properties.cluster_id.as_str());
        if id.is_some() && (!cluster.is_empty() || cluster_id.is_empty()) {
            return Ok(());
        }
        let new = MetaProperties {
            cluster_id: cluster_id.to_owned(),
            node_id,
            directory_id: Some(id.unwrap_or(directory_id)),
        };
        meta_properties::write(&*self.disk, &self.path.join(meta_properties::FILE), &new)?;
        *properties = Some(new);
        Ok(())
    }

    /// Gives the directory another id: what it held under the old one is gone.
    pub fn renew_id(&self, directory_id: Uuid) -> Result<(), DiskError> {
        let mut properties = held(&self.properties);
        let Some(mut new) = properties.clone() else { return Ok(()) };
        new.directory_id = Some(directory_id);
        meta_properties::write(&*self.disk, &self.path.join(meta_properties::FILE), &new)?;
        *properties = Some(new);
        Ok(())
    }

    /// Takes the clean-shutdown marker away: Some(broker epoch) when there was one. It is gone for
    /// good before anything is opened, as a crash from now on is no clean stop.
    pub fn consume_clean_marker(&self) -> Result<Option<i64>, DiskError> {
        let mut clean = held(&self.clean);
        if let Some(epoch) = *clean {
            return Ok(epoch);
        }
        let file = self.path.join(clean_shutdown::FILE);
        let epoch = clean_shutdown::read(&*self.disk, &file)?;
        if epoch.is_some() {
            self.disk.remove_file(&file)?;
            self.disk.sync_dir(&self.path)?;
        }
        *clean = Some(epoch);
        Ok(epoch)
    }

    /// Whether the last stop was clean; the marker stays.
    pub fn was_closed_clean(&self) -> Result<bool, DiskError> {
        let file = self.path.join(clean_shutdown::FILE);
        Ok(clean_shutdown::read(&*self.disk, &file)?.is_some())
    }

    /// The broker epoch of the clean-shutdown marker that there is, or was when the start began.
    pub(super) fn clean_epoch(&self) -> Result<Option<i64>, DiskError> {
        match *held(&self.clean) {
            Some(epoch) => Ok(epoch),
            None => clean_shutdown::read(&*self.disk, &self.path.join(clean_shutdown::FILE)),
        }
    }

    /// Something in it could not be brought to the disk: the stop that follows is no clean one.
    pub fn leave_unclean(&self) {
        self.unclean.store(true, Ordering::Relaxed);
    }

    pub(super) fn write_clean_marker(&self, broker_epoch: i64) -> Result<(), DiskError> {
        if self.unclean.load(Ordering::Relaxed) {
            return Ok(());
        }
        clean_shutdown::write(&*self.disk, &self.path.join(clean_shutdown::FILE), broker_epoch)
    }

    /// Reads the checkpoints. One that is damaged counts as empty, as with Kafka: more is read
    /// again, nothing is lost; the damage is returned. A newer version is an error.
    pub(super) fn read_checkpoints(
        &self,
    ) -> Result<(Checkpoints, Vec<CheckpointError>), CheckpointError> {
        let mut damage = Vec::new();
        let mut read = |name| match offsets::read(&*self.disk, &self.path.join(name)) {
            Err(error @ CheckpointError::Malformed { .. }) => {
                damage.push(error);
                Ok(Offsets::new())
            }
            result => result,
        };
        let checkpoints = Checkpoints {
            recovery_points: read(RECOVERY_POINT_FILE)?,
            log_starts: read(LOG_START_FILE)?,
            high_watermarks: read(HIGH_WATERMARK_FILE)?,
        };
        *held(&self.checkpoints) = checkpoints.clone();
        Ok((checkpoints, damage))
    }

    /// Replaces the checkpoints, leaving out files that would not change.
    pub(super) fn write_checkpoints(&self, new: Checkpoints) -> Result<(), DiskError> {
        let mut written = held(&self.checkpoints);
        self.replace(RECOVERY_POINT_FILE, &mut written.recovery_points, new.recovery_points)?;
        self.replace(LOG_START_FILE, &mut written.log_starts, new.log_starts)?;
        self.replace(HIGH_WATERMARK_FILE, &mut written.high_watermarks, new.high_watermarks)
    }

    /// Makes the checkpoints say nothing of a partition, so that a new log of that name does not
    /// inherit what was true of an older one.
    pub(super) fn forget(&self, partition: &TopicPartition) -> Result<(), DiskError> {
        let written = held(&self.checkpoints);
        if !written.all().iter().any(|offsets| offsets.contains_key(partition)) {
            return Ok(());
        }
        let mut new = written.clone();
        drop(written);
        new.recovery_points.remove(partition);
        new.log_starts.remove(partition);
        new.high_watermarks.remove(partition);
        self.write_checkpoints(new)
    }

    /// Makes the checkpoints say nothing of partitions for which `stays` does not hold.
    pub(super) fn forget_unless(
        &self,
        stays: impl Fn(&TopicPartition) -> bool,
    ) -> Result<(), DiskError> {
        let written = held(&self.checkpoints).clone();
        let mut new = written.clone();
        new.recovery_points.retain(|name, _| stays(name));
        new.log_starts.retain(|name, _| stays(name));
        new.high_watermarks.retain(|name, _| stays(name));
        match new == written {
            true => Ok(()),
            false => self.write_checkpoints(new),
        }
    }

    /// Copies what the checkpoints say of a partition.
    pub(super) fn keep_checkpoints(&self, partition: &TopicPartition, into: &mut Checkpoints) {
        let written = held(&self.checkpoints);
        let copy = |from: &Offsets, into: &mut Offsets| {
            into.extend(from.get(partition).map(|offset| (partition.clone(), *offset)));
        };
        copy(&written.recovery_points, &mut into.recovery_points);
        copy(&written.log_starts, &mut into.log_starts);
        copy(&written.high_watermarks, &mut into.high_watermarks);
    }

    fn replace(&self, name: &str, written: &mut Offsets, new: Offsets) -> Result<(), DiskError> {
        if *written == new {
            return Ok(());
        }
        offsets::write(&*self.disk, &self.path.join(name), &new)?;
        *written = new;
        Ok(())
    }
}

impl Checkpoints {
    fn all(&self) -> [&Offsets; 3] {
        [&self.recovery_points, &self.log_starts, &self.high_watermarks]
    }

    pub(super) fn recovery_point(&self, partition: &TopicPartition) -> Offset {
        self.recovery_points.get(partition).copied().unwrap_or_default()
    }

    /// Recovery points are written before high watermarks, so a partition that only has the latter
    /// has lost its recovery point by no crash of ours (decision 003).
    pub(super) fn intact_below(&self, partition: &TopicPartition) -> Offset {
        if self.recovery_points.contains_key(partition) {
            return Offset(0);
        }
        self.high_watermark(partition)
    }

    pub(super) fn log_start(&self, partition: &TopicPartition) -> Offset {
        self.log_starts.get(partition).copied().unwrap_or_default()
    }

    pub(super) fn high_watermark(&self, partition: &TopicPartition) -> Offset {
        self.high_watermarks.get(partition).copied().unwrap_or_default()
    }
}

/// Makes a directory and syncs every directory that got a new name by it.
fn create_dir_durably(disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
    let mut made = Vec::new();
    for ancestor in path.ancestors() {
        if ancestor.as_os_str().is_empty() || disk.exists(ancestor)? {
            break;
        }
        made.push(ancestor);
    }
    disk.create_dir_all(path)?;
    for path in made.iter().rev() {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        disk.sync_dir(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
