//! What administrators ask of a cluster: topics, settings, groups, itself.

mod cluster;
mod configs;
mod groups;
mod records;
mod topics;

use tokio::time::Instant;

pub use cluster::{BrokerDescription, ClusterDescription, QuorumDescription, QuorumReplica};
pub use configs::{ConfigChange, ConfigEntry, ConfigResource, ConfigSource, ConfigSynonym};
pub use groups::{GroupDescription, GroupMember, ListedGroup};
pub use topics::{CreatedTopic, NewTopic, PartitionDescription, TopicDescription};

fn milliseconds_left(deadline: Instant) -> i32 {
    let left = deadline.saturating_duration_since(Instant::now());
    i32::try_from(left.as_millis()).unwrap_or(i32::MAX)
}
