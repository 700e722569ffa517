//! Creating, listing, describing and deleting topics.

use std::collections::BTreeMap;

use wire::ErrorCode;
use wire::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use wire::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};

use super::configs::{ConfigEntry, ConfigResource, ConfigSource};
use super::milliseconds_left;
use crate::client::Client;
use crate::connection::deadline_in;
use crate::error::Error;

/// The first version of DeleteTopics that has a list of states instead of names.
const DELETE_BY_STATE: i16 = 6;

/// A topic to be made.
#[derive(Debug, Clone, Default)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; the broker's default when not said.
    pub partitions: Option<i32>,
    /// How many replicas; the broker's default when not said.
    pub replication_factor: Option<i16>,
    /// The brokers of each partition's replicas, the preferred leader first; chosen by the cluster
    /// when empty. It stands in place of both numbers.
    pub assignment: Vec<Vec<i32>>,
    /// Settings that differ from the broker's.
    pub configs: BTreeMap<String, String>,
}

/// A topic that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its name.
    pub name: String,
    /// How many partitions it has, when the broker says.
    pub partitions: Option<i32>,
    /// How many replicas it has, when the broker says.
    pub replication_factor: Option<i16>,
}

/// A topic as `topic describe` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Whether the cluster keeps it for itself.
    pub internal: bool,
    /// Its partitions.
    pub partitions: Vec<PartitionDescription>,
    /// Its settings that are not defaults.
    pub configs: Vec<ConfigEntry>,
}

/// A partition as `topic describe` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its number.
    pub index: i32,
    /// The broker that leads it.
    pub leader: Option<i32>,
    /// Where its replicas are.
    pub replicas: Vec<i32>,
    /// Which of them are in sync.
    pub in_sync: Vec<i32>,
}

impl Client {
    /// Makes a topic.
    ///
    /// # Errors
    /// The cluster refuses, or does not answer in time.
    pub async fn create_topic(&self, topic: &NewTopic) -> Result<CreatedTopic, Error> {
        self.create(topic, false).await
    }

    /// Asks whether a topic could be made, and with how many partitions and replicas.
    ///
    /// # Errors
    /// The cluster would refuse, or does not answer in time.
    pub async fn validate_topic(&self, topic: &NewTopic) -> Result<CreatedTopic, Error> {
        self.create(topic, true).await
    }

    async fn create(&self, topic: &NewTopic, validate_only: bool) -> Result<CreatedTopic, Error> {
        let deadline = self.deadline();
        let config = |(name, value): (&String, &String)| CreatableTopicConfig {
            name: name.clone(),
            value: Some(value.clone()),
        };
        let replicas = |(partition_index, brokers): (i32, &Vec<i32>)| CreatableReplicaAssignment {
            partition_index,
            broker_ids: brokers.clone(),
        };
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: topic.name.clone(),
                num_partitions: topic.partitions.unwrap_or(-1),
                replication_factor: topic.replication_factor.unwrap_or(-1),
                assignments: (0..).zip(&topic.assignment).map(replicas).collect(),
                configs: topic.configs.iter().map(config).collect(),
            }],
            timeout_ms: milliseconds_left(deadline),
            validate_only,
        };
        let about = format!("topic {}", topic.name);
        let response = self.call_controller(&request, deadline).await?;
        let created = response.topics.into_iter().find(|one| one.name == topic.name);
        let created = created.ok_or_else(|| Error::Missing { about: about.clone() })?;
        Error::check(created.error_code, created.error_message.as_deref(), about)?;
        Ok(CreatedTopic {
            name: created.name,
            partitions: (created.num_partitions > 0).then_some(created.num_partitions),
            replication_factor: (created.replication_factor > 0)
                .then_some(created.replication_factor),
        })
    }

    /// Gives a topic more partitions: so many in all. With `validate_only` it is only judged.
    ///
    /// # Errors
    /// There is no such topic, it has as many already, or the cluster does not answer in time.
    pub async fn grow_topic(
        &self,
        name: &str,
        count: i32,
        validate_only: bool,
    ) -> Result<(), Error> {
        let deadline = self.deadline();
        let about = format!("topic {name}");
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic { name: name.to_owned(), count, assignments: None }],
            timeout_ms: milliseconds_left(deadline),
            validate_only,
        };
        let response = self.call_controller(&request, deadline).await?;
        let grown = response.results.into_iter().next();
        let grown = grown.ok_or_else(|| Error::Missing { about: about.clone() })?;
        if grown.error_code == ErrorCode::UnknownTopicOrPartition.code() {
            return Err(Error::NoTopic { topic: name.to_owned() });
        }
        Error::check(grown.error_code, grown.error_message.as_deref(), about)?;
        self.forget(name);
        Ok(())
    }

    /// Deletes a topic.
    ///
    /// # Errors
    /// There is none of this name, the cluster refuses, or does not answer in time.
    pub async fn delete_topic(&self, name: &str) -> Result<(), Error> {
        let deadline = self.deadline();
        let about = format!("topic {name}");
        let by_state = DeleteTopicsRequest {
            topics: vec![DeleteTopicState {
                name: Some(name.to_owned()),
                ..DeleteTopicState::default()
            }],
            timeout_ms: milliseconds_left(deadline),
            ..DeleteTopicsRequest::default()
        };
        let by_name = DeleteTopicsRequest {
            topic_names: vec![name.to_owned()],
            topics: Vec::new(),
            ..by_state.clone()
        };
        let response = self
            .retry(&about, deadline, async || {
                self.refresh(&[], false, deadline).await?;
                let connection = match self.broker(self.metadata().controller, deadline).await {
                    Ok(connection) => connection,
                    Err(_) => self.any(deadline).await?,
                };
                let version = connection.version::<DeleteTopicsRequest>()?;
                let request = if version < DELETE_BY_STATE { &by_name } else { &by_state };
                connection.call(request, self.request_deadline(deadline)).await
            })
            .await?;
        let deleted = response.responses.into_iter().next();
        let deleted = deleted.ok_or_else(|| Error::Missing { about: about.clone() })?;
        if deleted.error_code == ErrorCode::UnknownTopicOrPartition.code() {
            return Err(Error::NoTopic { topic: name.to_owned() });
        }
        Error::check(deleted.error_code, deleted.error_message.as_deref(), about)?;
        self.forget(name);
        Ok(())
    }

    /// All topics, those that the cluster keeps for itself included.
    ///
    /// # Errors
    /// The cluster does not answer in time.
    pub async fn list_topics(&self) -> Result<Vec<TopicDescription>, Error> {
        let deadline = self.deadline();
        let view =
            self.retry("list topics", deadline, async || self.refresh_all(deadline).await).await?;
        Ok(view.topics.values().map(|topic| described(topic, Vec::new())).collect())
    }

    /// One topic, with its settings.
    ///
    /// # Errors
    /// There is none of this name, or the cluster does not answer in time.
    pub async fn describe_topic(&self, name: &str) -> Result<TopicDescription, Error> {
        let deadline = self.deadline();
        let what = format!("topic {name}");
        // A partition without a leader is described, not waited for.
        let view = self
            .retry(&what, deadline, async || self.refresh(&[name], false, deadline).await)
            .await?;
        let Some(topic) = view.topics.get(name) else {
            let code = view.absent.get(name).copied().unwrap_or(ErrorCode::UnknownServerError);
            return Err(if code == ErrorCode::UnknownTopicOrPartition {
                Error::NoTopic { topic: name.to_owned() }
            } else {
                Error::Broker { about: what, code, message: None }
            });
        };
        let resource = ConfigResource::Topic(name.to_owned());
        let mut configs = match self.describe_configs(&resource, None).await {
            // A broker that does not serve DescribeConfigs still describes the rest.
            Err(Error::Unsupported { .. }) => Vec::new(),
            configs => configs?,
        };
        configs.retain(|config| config.source == ConfigSource::Topic);
        Ok(described(topic, configs))
    }

    /// Waits until a topic that was just made has leaders, so that the next call finds it.
    ///
    /// # Errors
    /// It does not in time.
    pub async fn await_topic(&self, name: &str) -> Result<(), Error> {
        let deadline = deadline_in(self.config().timeout);
        self.topic_anew(name, true, deadline).await.map(drop)
    }
}

fn described(topic: &crate::metadata::Topic, configs: Vec<ConfigEntry>) -> TopicDescription {
    let partition = |one: &crate::metadata::Partition| PartitionDescription {
        index: one.index,
        leader: one.leader,
        replicas: one.replicas.clone(),
        in_sync: one.in_sync.clone(),
    };
    TopicDescription {
        name: topic.name.to_string(),
        id: topic.id.to_string(),
        internal: topic.internal,
        partitions: topic.partitions.iter().map(partition).collect(),
        configs,
    }
}
