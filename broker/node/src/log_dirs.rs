//! The log directories as DescribeLogDirs and the metrics tell them.

use std::path::PathBuf;
use std::sync::Arc;

use storage::directory::{LogDir, TopicPartition};
use storage::disk::Space;

use crate::node::Node;

/// One log directory.
#[derive(Debug, Clone)]
pub struct LogDirState {
    /// Its path as configured.
    pub path: PathBuf,
    /// The room on its file system; `None` when the directory is offline.
    pub space: Option<Space>,
    /// Whether it takes no new partitions.
    pub cordoned: bool,
    /// The partitions served from it and their sizes in bytes.
    pub partitions: Vec<(TopicPartition, u64)>,
}

impl Node {
    /// The log directories and the room on their file systems; `None` for one that is offline.
    #[must_use]
    pub fn log_dir_space(&self) -> Vec<(PathBuf, Option<Space>)> {
        let dirs = self.dirs.dirs().iter();
        dirs.map(|dir| (dir.path().to_path_buf(), self.space_of(dir))).collect()
    }

    fn space_of(&self, dir: &LogDir) -> Option<Space> {
        match dir.is_offline() {
            true => None,
            false => self.disk.space(dir.path()).ok(),
        }
    }

    /// All log directories. Blocks on the file system.
    #[must_use]
    pub fn describe_log_dirs(&self) -> Vec<LogDirState> {
        let image = self.image();
        let registered = image.brokers.get(self.node_id());
        let cordoned = registered.and_then(|broker| broker.cordoned_log_dirs.as_deref());
        let describe = |dir: &Arc<LogDir>| {
            let space = self.space_of(dir);
            let sized = |name: TopicPartition| {
                let partition = self.partition_by_name(&name.topic, name.partition).ok()?;
                Some((name, partition.size_bytes()))
            };
            LogDirState {
                path: dir.path().to_path_buf(),
                cordoned: dir.id().is_some_and(|id| cordoned.is_some_and(|all| all.contains(&id))),
                partitions: match space {
                    Some(_) => self.dirs.partitions_in(dir).into_iter().filter_map(sized).collect(),
                    None => Vec::new(),
                },
                space,
            }
        };
        self.dirs.dirs().iter().map(describe).collect()
    }
}
