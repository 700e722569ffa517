//! What the handlers share: the node, the clock, who we are to clients.

use std::sync::Arc;

use metadata::broker_config::address_counts;
use metadata::image;
use node::Node;
use replication::Partition;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::control::Control;
use crate::listener::limits::{ConnectionLimits, ConnectionsMax, Most};
use crate::metrics::Metrics;

/// `max.connection.creation.rate` when there is no limit.
const NO_RATE: u32 = 0x7fff_ffff;

/// One broker process, as its handlers see it.
pub(crate) struct Broker {
    pub(crate) node: Arc<Node>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
    /// The way to the control plane.
    pub(crate) control: Control,
    /// The names of the listeners for clients.
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

    /// Whom clients are told to ask what is the controller's: this broker, which lives as it
    /// answers and passes on what it does not decide. The active controller may have died a moment
    /// ago, and some clients wait long for it.
    pub(crate) fn contact_id(&self) -> i32 {
        let image = self.node.image();
        let here = self.node.node_id();
        let serves = image.brokers.get(here).is_some_and(|one| !one.fenced);
        let any = || image.brokers.unfenced().next().map(|broker| broker.id);
        serves.then_some(here).or_else(any).map_or(-1, |id| id.0)
    }

    /// The active controller if it serves clients, else any broker that does.
    pub(crate) fn controller_id(&self) -> i32 {
        let image = self.node.image();
        let leader = self.node.control_status().leader;
        let leader = leader.filter(|id| image.brokers.get(*id).is_some_and(|one| !one.fenced));
        let any = || image.brokers.unfenced().next().map(|broker| broker.id);
        leader.or_else(any).map_or(-1, |id| id.0)
    }

    /// Where a client that came in by `listener` reaches `broker`.
    pub(crate) fn endpoint<'a>(
        &self,
        broker: &'a image::Broker,
        listener: &str,
    ) -> Option<&'a image::Endpoint> {
        broker.endpoint(listener)
    }

    /// Takes over what is set on the broker while it runs and concerns its sockets. The rest is in
    /// force in the node by itself.
    pub(crate) fn reconfigure(&self) {
        let text = |name| self.node.broker_config(name).unwrap_or_default();
        let (Some(total), Ok(per_address), Some(overrides)) = (
            most(text),
            text("max.connections.per.ip").trim().parse(),
            address_counts(&text("max.connections.per.ip.overrides")),
        ) else {
            // A test without a table of keys.
            return;
        };
        let of_listener = |name: &String| {
            let most = most(|key| self.node.listener_config(name, key).unwrap_or_default())?;
            Some((name.clone(), most))
        };
        let listeners = self.listeners.iter().filter_map(of_listener).collect();
        let between_brokers = Some(text("inter.broker.listener.name"))
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| text("security.inter.broker.protocol"));
        self.places.change(ConnectionsMax {
            total,
            listeners,
            between_brokers: Some(between_brokers.trim().to_ascii_uppercase()),
            per_address,
            overrides,
        });
    }

    /// A call on a partition failed; the node decides what that means for its directory.
    pub(crate) fn partition_failed(&self, partition: &Partition, error: &replication::Error) {
        self.node.partition_failed(partition, error);
        if self.node.corruption_met(partition, error) {
            self.metrics.corrupt_batch();
        }
    }
}

/// The limits that the values of their keys set; Kafka's largest number is none.
fn most(text: impl Fn(&'static str) -> String) -> Option<Most> {
    let number = |name| text(name).trim().parse::<u32>().ok();
    let a_second = match number("max.connection.creation.rate")? {
        NO_RATE => u32::MAX,
        a_second => a_second,
    };
    let connections = usize::try_from(number("max.connections")?).ok()?;
    Some(Most { connections, a_second })
}
