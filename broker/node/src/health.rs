//! How the cluster stands from here: what the admin endpoint asks.

use metadata::Image;
use metadata::health::{Concern, PartitionCounts, after_restart, before_restart, partition_counts};
use metadata::image::Topic;
use replication::TrafficCounts;
use wire::ids::BrokerId;

use std::sync::{Arc, MutexGuard, PoisonError};

use crate::node::Node;
use crate::partitions::TopicReplicas;

impl Node {
    /// What speaks against restarting `broker` now; `None` when no such broker is registered.
    #[must_use]
    pub fn before_restart(&self, broker: BrokerId) -> Option<Vec<Concern>> {
        let image = self.image();
        before_restart(&image, broker, |topic| self.min_insync_replicas(&image, topic))
    }

    /// What is still to come after a restart of `broker`; `None` when no such broker is
    /// registered.
    #[must_use]
    pub fn after_restart(&self, broker: BrokerId) -> Option<Vec<Concern>> {
        after_restart(&self.image(), broker)
    }

    /// The partitions of the cluster, counted. Those that this broker should lead and whose log is
    /// out of service, or closed for writing by corruption, are offline, which the image does not
    /// know.
    #[must_use]
    pub fn partition_counts(&self) -> PartitionCounts {
        let image = self.image();
        let mut counts = partition_counts(&image, |topic| self.min_insync_replicas(&image, topic));
        for topic in image.topics.iter() {
            let unserved = topic.partitions.iter().filter(|(index, partition)| {
                partition.leader == self.node_id() && !self.takes_writes(topic.id, **index)
            });
            counts.offline += unserved.count();
        }
        counts
    }

    /// The topics that have partitions here, in the order of their names, and what had gone through
    /// the partitions that are gone.
    #[must_use]
    pub fn topics_and_departed(&self) -> (Vec<Arc<TopicReplicas>>, TrafficCounts) {
        let departed = self.departed();
        (self.partitions.topics(), *departed)
    }

    pub(crate) fn departed(&self) -> MutexGuard<'_, TrafficCounts> {
        self.departed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn min_insync_replicas(&self, image: &Image, topic: &Topic) -> usize {
        self.topic_settings(image, &topic.name).min_insync_replicas
    }
}
