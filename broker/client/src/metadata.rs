//! What the client knows of the cluster: brokers, topics, and who leads which partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use wire::ErrorCode;
use wire::ids::Uuid;
use wire::messages::metadata_response::{MetadataResponse, MetadataResponseTopic};

/// A broker that clients can reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its id.
    pub id: i32,
    /// Its advertised host.
    pub host: String,
    /// Its advertised port.
    pub port: i32,
    /// Its rack.
    pub rack: Option<String>,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its number.
    pub index: i32,
    /// The broker that leads it.
    pub leader: Option<i32>,
    /// The leader's epoch; -1 when unknown.
    pub leader_epoch: i32,
    /// Where its replicas are.
    pub replicas: Vec<i32>,
    /// Which of them are in sync.
    pub in_sync: Vec<i32>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id; zero from a broker that has none.
    pub id: Uuid,
    /// Whether the cluster keeps it for itself.
    pub internal: bool,
    /// Its partitions, by number.
    pub partitions: Vec<Partition>,
}

/// A view of the cluster at one moment.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// The broker that answers for the controller.
    pub controller: i32,
    /// All brokers, by id.
    pub brokers: BTreeMap<i32, Broker>,
    /// The topics asked for so far, by name.
    pub topics: BTreeMap<Arc<str>, Arc<Topic>>,
    /// Why topics asked for last are not there.
    pub absent: BTreeMap<Arc<str>, ErrorCode>,
}

impl Broker {
    /// `HOST:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl Topic {
    /// One partition.
    #[must_use]
    pub fn partition(&self, index: i32) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.index == index)
    }
}

impl Metadata {
    /// This view with an answer taken in. Topics that the answer is silent about stay.
    #[must_use]
    pub fn with(&self, response: MetadataResponse) -> Self {
        let mut view = self.clone();
        view.cluster_id = response.cluster_id.or(view.cluster_id);
        view.controller = response.controller_id;
        let brokers = response.brokers.into_iter().map(|broker| Broker {
            id: broker.node_id,
            host: broker.host,
            port: broker.port,
            rack: broker.rack,
        });
        view.brokers = brokers.map(|broker| (broker.id, broker)).collect();
        view.absent.clear();
        for topic in response.topics {
            view.take_topic(topic);
        }
        view
    }

    fn take_topic(&mut self, topic: MetadataResponseTopic) {
        let Some(name) = topic.name.as_deref().map(Arc::<str>::from) else { return };
        let code = ErrorCode::from_i16(topic.error_code).unwrap_or(ErrorCode::UnknownServerError);
        if code != ErrorCode::None {
            self.topics.remove(&name);
            self.absent.insert(name, code);
            return;
        }
        let mut partitions: Vec<Partition> = topic
            .partitions
            .into_iter()
            .map(|partition| Partition {
                index: partition.partition_index,
                leader: (partition.leader_id >= 0).then_some(partition.leader_id),
                leader_epoch: partition.leader_epoch,
                replicas: partition.replica_nodes,
                in_sync: partition.isr_nodes,
            })
            .collect();
        partitions.sort_by_key(|partition| partition.index);
        let internal = topic.is_internal;
        let topic = Topic { name: Arc::clone(&name), id: topic.topic_id, internal, partitions };
        self.topics.insert(name, Arc::new(topic));
    }

    /// The address of a broker.
    #[must_use]
    pub fn address(&self, broker: i32) -> Option<String> {
        self.brokers.get(&broker).map(Broker::address)
    }
}
