//! Where new logs go when disks are full, on a disk whose directories have room as told.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wire::ids::{BrokerId, PartitionIndex, TopicId, Uuid};

use super::EMPTY_LOG_BYTES;
use crate::config::LogConfig;
use crate::directory::{DirectoryError, LogDirs, TopicPartition};
use crate::disk::sim::SimDisk;
use crate::disk::{Access, DirEntry, Disk, DiskError, DiskFile, DiskLock, Space};

#[derive(Debug)]
struct Roomy {
    disk: SimDisk,
    /// Logs that fit into a directory.
    room: Vec<(PathBuf, u64)>,
}

impl Disk for Roomy {
    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.disk.open(path, access)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.disk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        self.disk.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        self.disk.remove_dir_all(path)
    }
    fn list(&self, path: &Path) -> Result<Vec<DirEntry>, DiskError> {
        self.disk.list(path)
    }
    fn create_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        self.disk.create_dir_all(path)
    }
    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        self.disk.exists(path)
    }
    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.disk.sync_dir(path)
    }
    fn space(&self, path: &Path) -> Result<Space, DiskError> {
        let room = self.room.iter().find(|(dir, _)| dir == path).unwrap().1;
        Ok(Space { total: u64::MAX, free: room * EMPTY_LOG_BYTES + 100 })
    }
    fn lock(&self, path: &Path) -> Result<Box<dyn DiskLock>, DiskError> {
        self.disk.lock(path)
    }
}

fn dirs(room: [u64; 2]) -> LogDirs {
    let paths = ["/data/a", "/data/b"].map(PathBuf::from);
    let room = paths.iter().cloned().zip(room).collect();
    let disk = Arc::new(Roomy { disk: SimDisk::new(1), room });
    let dirs = LogDirs::open(disk, &paths, BrokerId(1), Some("cluster")).unwrap();
    let mut last = 0;
    let mut ids = || {
        last += 1;
        last
    };
    dirs.format("cluster", &mut ids).unwrap();
    dirs
}

#[test]
fn a_full_directory_takes_no_new_log_while_another_has_room() {
    let dirs = dirs([0, 5]);
    for index in 0..3 {
        let name = TopicPartition::new("orders", PartitionIndex(index)).unwrap();
        let config = Arc::new(LogConfig::default());
        let (_, dir) = dirs.create_partition(&name, TopicId(Uuid([1; 16])), config, 0).unwrap();
        assert_eq!(dir.path(), Path::new("/data/b"));
    }
}

#[test]
fn the_room_of_all_directories_counts() {
    assert_eq!(dirs([2, 3]).check_room(5), Ok(()));
    let refused = Err(DirectoryError::NoRoom { logs: 6, room: 5 });
    assert_eq!(dirs([2, 3]).check_room(6), refused);
}
