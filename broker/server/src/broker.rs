//! What the handlers share: the node, the clock, who we are to clients.

use std::sync::Arc;

use metadata::broker_config::address_counts;
use metadata::image;
use node::Node;
use replication::Partition;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::listener::limits::{ConnectionLimits, ConnectionsMax};
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
    /// Limits of connections.
    pub(crate) places: Arc<ConnectionLimits>,
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
    /// As its handlers share it, with what was set on it while it ran before.
    pub(crate) fn shared(self) -> Arc<Self> {
        self.reconfigure();
        Arc::new(self)
    }

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

    /// Takes over what is set on the broker while it runs and concerns its sockets. The rest is in
    /// force in the node by itself.
    pub(crate) fn reconfigure(&self) {
        let text = |name| self.node.broker_config(name).unwrap_or_default();
        let number = |name| text(name).trim().parse::<usize>();
        let (Ok(total), Ok(per_address), Some(overrides)) = (
            number("max.connections"),
            number("max.connections.per.ip"),
            address_counts(&text("max.connections.per.ip.overrides")),
        ) else {
            // A test without a table of keys.
            return;
        };
        self.places.change(&ConnectionsMax { total, per_address, overrides });
    }

    /// A call on a partition failed; the node decides what that means for its directory.
    pub(crate) fn partition_failed(&self, partition: &Partition, error: &replication::Error) {
        self.node.partition_failed(partition, error);
        if self.node.corruption_met(partition, error) {
            self.metrics.corrupt_batch();
        }
    }
}
