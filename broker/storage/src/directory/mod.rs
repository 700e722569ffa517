//! The log directories of a node and the partitions in them.
//!
//! ```text
//! log.dirs[i]/  .lock  meta.properties  .kafka_cleanshutdown  *-offset-checkpoint
//!     <topic>-<n>/  partition.metadata  and the log's files
//!     <topic>-<n>.<id>-delete/   removed later      <topic>-<n>.<id>-stray/   set aside
//! ```
//!
//! `LogDirs::open` takes the directories, `format` makes them this cluster's, `load` opens the
//! logs; then `create_partition` and `delete_partition` as the cluster's metadata says, checkpoints
//! now and then, `close_clean` at the end.

mod closing;
mod error;
mod load;
mod log_dir;
mod log_dirs;
mod lost;
mod partition_name;
mod room;

pub use closing::PartitionCheckpoint;
pub use error::DirectoryError;
pub use load::{LoadArgs, Loaded, LoadedLog, Place, Placement};
pub use log_dir::{LOCK_FILE, LogDir};
pub use log_dirs::{Created, LogDirs, NewPartition};
pub use partition_name::{DirectoryName, Suffix, TopicPartition};

use crate::error::LogError;

fn log_error(partition: &TopicPartition, error: LogError) -> DirectoryError {
    DirectoryError::Log { partition: partition.clone(), error }
}

#[cfg(test)]
mod tests;
