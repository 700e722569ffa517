//! What the handlers share: the node, the clock, who we are to clients.

use std::sync::Arc;

use metadata::image;
use node::Node;
use replication::Partition;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::metrics::Metrics;

/// One broker process, as its handlers see it.
pub(crate) struct Broker {
    pub(crate) node: Arc<Node>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
    /// The names of the listeners, by their index.
    pub(crate) listeners: Vec<String>,
    /// Turns true when the broker drains: long polls answer with what they have.
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) limits: RequestLimits,
}

/// Limits of single requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLimits {
    /// `fetch.max.bytes`
    pub fetch_bytes_max: u32,
    /// `max.request.partition.size.limit`
    pub described_partitions_max: i32,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self { fetch_bytes_max: 55 * 1024 * 1024, described_partitions_max: 2_000 }
    }
}

impl Broker {
    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Where a client that came in by `listener` reaches `broker`.
    pub(crate) fn endpoint<'a>(
        &self,
        broker: &'a image::Broker,
        listener: usize,
    ) -> Option<&'a image::Endpoint> {
        broker.endpoint(self.listeners.get(listener)?)
    }

    /// A call on a partition failed; the node decides what that means for its directory.
    pub(crate) fn partition_failed(&self, partition: &Partition, error: &replication::Error) {
        self.node.partition_failed(partition, error);
        if self.node.corruption_met(partition, error) {
            self.metrics.corrupt_batch();
        }
    }
}
