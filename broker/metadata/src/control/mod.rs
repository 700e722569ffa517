//! Decisions about the cluster's state.
//!
//! Each decision is a pure function of the image, the time, the settings and the randomness it is
//! given: it yields the records to write and the answer to give once they are committed. Nothing
//! here changes state; the image changes when the records are applied.

pub mod brokers;
pub mod configs;
pub mod controllers;
pub mod describe_configs;
pub mod features;
mod leadership;
pub mod list_config_resources;
mod placement;
pub mod producer_ids;
pub mod requests;
pub mod topics;

use wire::ErrorCode;
use wire::ids::{BrokerId, TopicId};

use crate::broker_config::BrokerKeys;
use crate::image::Image;
use crate::topic_config;
use wire::messages::metadata_records::MetadataRecord;

/// The most partitions that one request may create; a batch of the metadata log is bounded.
pub const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;

/// The most records that one request may write otherwise.
const RECORDS_PER_REQUEST_MAX: usize = 10_000;

/// What was decided: the records to write and, once they are committed, the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<R> {
    /// To be appended in one batch; empty when nothing changes.
    pub records: Vec<MetadataRecord>,
    /// The answer.
    pub response: R,
}

/// Why a request, or one part of it, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The protocol's error.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
}

/// What the control plane takes from the configuration of the broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `node.id`.
    pub node_id: BrokerId,
    /// The broker's keys, with what its file sets.
    pub broker: BrokerKeys,
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// `delete.topic.enable`.
    pub delete_topic_enable: bool,
    /// `auto.create.topics.enable`.
    pub auto_create_topics_enable: bool,
    /// Partitions that a broker which is alone may have: each holds a descriptor.
    pub partitions_max: usize,
    /// `offsets.topic.num.partitions`.
    pub offsets_topic_num_partitions: i32,
    /// `offsets.topic.replication.factor`.
    pub offsets_topic_replication_factor: i16,
    /// `offsets.topic.segment.bytes`.
    pub offsets_topic_segment_bytes: i32,
    /// What holds for a topic that sets nothing, as the broker's file has it.
    pub topic_defaults: topic_config::Defaults,
}

/// What a decision is made from.
pub struct Context<'a> {
    /// The state, with everything decided so far.
    pub image: &'a Image,
    /// The configuration.
    pub settings: &'a Settings,
    /// Randomness: a fresh 128 bits at each call.
    pub random: &'a mut dyn FnMut() -> u128,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl Settings {
    /// Kafka's defaults, over topic defaults that were resolved against the broker's keys.
    pub fn new(topic_defaults: topic_config::Defaults) -> Self {
        Self {
            node_id: BrokerId(0),
            broker: BrokerKeys::default(),
            num_partitions: 1,
            default_replication_factor: 1,
            delete_topic_enable: true,
            auto_create_topics_enable: true,
            partitions_max: usize::MAX,
            offsets_topic_num_partitions: 50,
            offsets_topic_replication_factor: 3,
            offsets_topic_segment_bytes: 104_857_600,
            topic_defaults,
        }
    }
}

impl Settings {
    /// What holds for a topic that sets nothing, with what is set on brokers while they run.
    pub fn topic_defaults_in(&self, image: &Image) -> topic_config::Defaults {
        self.topic_defaults.under(&self.broker.layers(image, self.node_id))
    }
}

impl Context<'_> {
    /// Refuses partitions that the broker could not open the files of, `pending` others decided.
    /// Brokers that share the load are not judged here.
    fn check_room(&self, pending: usize, more: usize) -> Result<(), Refusal> {
        let (now, max) = (self.image.topics.partition_count(), self.settings.partitions_max);
        let wanted = now.saturating_add(pending).saturating_add(more);
        if wanted <= max || self.image.brokers.iter().nth(1).is_some() {
            return Ok(());
        }
        let message = format!(
            "{more} more partitions would make {wanted}, and this broker can hold {max}: every \
             partition keeps a file open. Raise the limit of open files (ulimit -n, LimitNOFILE) \
             and start the broker again."
        );
        Err(Refusal::new(ErrorCode::PolicyViolation, message))
    }

    /// An id that no topic has and that nobody reserved.
    fn new_topic_id(&mut self) -> TopicId {
        loop {
            let id = wire::ids::Uuid::from_random((self.random)());
            // The ids below 100 stand for the metadata log and for what Kafka may yet reserve.
            let reserved = u128::from_be_bytes(id.0) < 100;
            if !reserved && self.image.topics.by_id(TopicId(id)).is_none() {
                return TopicId(id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
