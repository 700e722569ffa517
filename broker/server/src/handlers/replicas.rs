//! A partition of the image as Metadata and DescribeTopicPartitions tell it.

use metadata::Image;
use metadata::image::Partition;
use wire::ErrorCode;
use wire::ids::BrokerId;

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
    pub(super) fn of(call: &Call, image: &Image, partition: &Partition) -> Self {
        let reachable = |id: BrokerId| {
            let broker = image.brokers.get(id).filter(|broker| !broker.fenced);
            broker.is_some_and(|b| call.broker.endpoint(b, call.peer.listener).is_some())
        };
        let (error, leader) = if !partition.has_leader() {
            (ErrorCode::LeaderNotAvailable, -1)
        } else if !reachable(partition.leader) {
            (ErrorCode::ListenerNotFound, -1)
        } else {
            (ErrorCode::None, partition.leader.0)
        };
        let offline = partition.replicas.iter().copied().filter(|id| !reachable(*id));
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
