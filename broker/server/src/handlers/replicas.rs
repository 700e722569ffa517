//! A partition of the image as Metadata and DescribeTopicPartitions tell it.

use metadata::Image;
use metadata::image::Partition;
use wire::ErrorCode;
use wire::ids::{BrokerId, PartitionIndex, TopicId};

use crate::dispatch::Call;

/// Who has the partition, from the view of a client of one listener.
pub(super) struct Replicas {
    pub(super) error: ErrorCode,
    pub(super) leader: i32,
    pub(super) leader_epoch: i32,
    pub(super) replicas: Vec<i32>,
    pub(super) in_sync: Vec<i32>,
    pub(super) offline: Vec<i32>,
}

impl Replicas {
    /// A partition whose only log is here and out of service (its directory is offline, or it is
    /// lost) has no leader, as with Kafka.
    pub(super) fn of(
        call: &Call,
        image: &Image,
        (topic, index): (TopicId, PartitionIndex),
        partition: &Partition,
    ) -> Self {
        let here = call.broker.node.node_id();
        let served = || call.broker.node.is_served(topic, index);
        let out_of_service = partition.leader == here && !served();
        let reachable = |id: BrokerId| {
            let broker = image.brokers.get(id).filter(|broker| !broker.fenced);
            broker.is_some_and(|b| call.broker.endpoint(b, &call.peer.listener).is_some())
        };
        let (error, leader) = if !partition.has_leader() || out_of_service {
            (ErrorCode::LeaderNotAvailable, -1)
        } else if !reachable(partition.leader) {
            (ErrorCode::ListenerNotFound, -1)
        } else {
            (ErrorCode::None, partition.leader.0)
        };
        let offline = partition.replicas.iter().copied();
        let offline = offline.filter(|id| !reachable(*id) || (out_of_service && *id == here));
        Self {
            error,
            leader,
            leader_epoch: partition.leader_epoch.0,
            replicas: numbers(&partition.replicas),
            in_sync: numbers(&partition.isr),
            offline: offline.map(|id| id.0).collect(),
        }
    }
}

pub(super) fn numbers(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|id| id.0).collect()
}
