//! The cluster's state as an immutable value.
//!
//! [`Image::apply`] (in `delta`) makes the next image out of this one and a batch of records; both
//! share what the batch did not touch. An image can be held, sent and read for as long as wished.

mod brokers;
mod configs;
mod controllers;
mod conversions;
mod kept;
mod partition;
mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;

use wire::ids::BrokerId;

pub use brokers::{Broker, Brokers, Endpoint, SupportedFeature};
pub use configs::{Configs, Resource, ResourceKind};
pub use controllers::{Controller, Controllers};
pub use kept::Kept;
pub use partition::{LEADER_UNCHANGED, NO_LEADER, Partition};
pub use topics::{Topic, Topics};

use crate::features::METADATA_VERSION_FEATURE;

/// The key under which the cluster's id travels in the metadata log.
pub const CLUSTER_ID_KEY: &str = "tidelog.cluster.id";

/// The finalised features.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features {
    levels: BTreeMap<String, i16>,
}

/// The producer ids handed out so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProducerIds {
    /// The first id that no block holds yet.
    pub next: i64,
    /// Who took the last block; -1 before the first.
    pub last_broker: BrokerId,
    /// The epoch under which it took it.
    pub last_broker_epoch: i64,
}

/// The cluster's state after a certain prefix of the metadata log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Image {
    /// Topics and partitions.
    pub topics: Topics,
    /// Registered brokers.
    pub brokers: Brokers,
    /// Registered controllers.
    pub controllers: Controllers,
    /// Dynamic configuration, our private state (`tidelog.*`) included.
    pub configs: Configs,
    /// Finalised features.
    pub features: Features,
    /// Producer ids handed out.
    pub producer_ids: ProducerIds,
    /// What nothing here acts on.
    pub kept: Kept,
    /// While the log is within a metadata transaction, which Kafka's controllers write and ours do
    /// not: the image before it, which counts when the transaction is given up.
    pub(crate) before_transaction: Option<Arc<Image>>,
}

impl Features {
    /// The level at which a feature is finalised; 0 when it is not.
    pub fn level(&self, name: &str) -> i16 {
        self.levels.get(name).copied().unwrap_or(0)
    }

    /// The finalised features and their levels, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i16)> {
        self.levels.iter().map(|(name, level)| (name.as_str(), *level))
    }

    /// The level of `metadata.version`; 0 before the log is bootstrapped.
    pub fn metadata_version(&self) -> i16 {
        self.level(METADATA_VERSION_FEATURE)
    }

    pub(crate) fn set(&mut self, name: &str, level: i16) {
        if level == 0 {
            self.levels.remove(name);
        } else {
            self.levels.insert(name.to_owned(), level);
        }
    }
}

impl Image {
    /// The cluster's id; `None` before the log is bootstrapped.
    pub fn cluster_id(&self) -> Option<&str> {
        self.configs.value(&Resource::all_brokers(), CLUSTER_ID_KEY)
    }

    /// Whether the log ends within a metadata transaction that nobody can end any more.
    pub fn is_within_transaction(&self) -> bool {
        self.before_transaction.is_some()
    }

    /// Whether anything has been written yet.
    pub fn is_bootstrapped(&self) -> bool {
        self.features.metadata_version() != 0
    }
}
