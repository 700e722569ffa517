//! The log directories of a node and the partitions in them.

mod partition_name;

pub use partition_name::{DirectoryName, Suffix, TopicPartition};
