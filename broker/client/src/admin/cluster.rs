//! The cluster itself: its brokers, and the quorum that keeps its metadata.

use wire::ids::Uuid;
use wire::messages::describe_cluster_request::DescribeClusterRequest;
use wire::messages::describe_cluster_response::DescribeClusterResponse;
use wire::messages::describe_quorum_request::{
    DescribeQuorumRequest, PartitionData as AskedPartition, TopicData as AskedTopic,
};
use wire::messages::describe_quorum_response::{PartitionData, ReplicaState};

use crate::client::Client;
use crate::error::Error;
use crate::metadata::Metadata;

/// The topic whose log is the metadata.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// A cluster as `cluster describe` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Its id, from a broker that says it.
    pub id: Option<String>,
    /// The broker that answers for the controller.
    pub controller: i32,
    /// Its brokers, by id.
    pub brokers: Vec<BrokerDescription>,
}

/// A broker of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerDescription {
    /// Its id.
    pub id: i32,
    /// Its advertised host.
    pub host: String,
    /// Its advertised port.
    pub port: i32,
    /// Its rack.
    pub rack: Option<String>,
    /// Whether the controller keeps it from leading and following; unknown from a broker that does
    /// not say, which then leaves out those that are.
    pub fenced: Option<bool>,
}

/// The quorum of the metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumDescription {
    /// The voter that leads.
    pub leader: i32,
    /// How often a leader was elected.
    pub epoch: i32,
    /// The end of what a majority has.
    pub high_watermark: i64,
    /// Who votes, by id.
    pub voters: Vec<QuorumReplica>,
    /// Who only reads, by id.
    pub observers: Vec<QuorumReplica>,
}

/// A replica of the metadata log, as its leader knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumReplica {
    /// The node.
    pub id: i32,
    /// Its directory, where that is known.
    pub directory: Option<String>,
    /// The end of its log; none when it has not been heard of.
    pub log_end: Option<i64>,
    /// When it fetched last, in ms since 1970.
    pub last_fetch_ms: Option<i64>,
    /// When it had all of the leader's log last, in ms since 1970.
    pub last_caught_up_ms: Option<i64>,
}

impl Client {
    /// The cluster's id and its brokers, fenced ones included where the cluster tells them.
    ///
    /// # Errors
    /// No broker answers in time.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, Error> {
        let deadline = self.deadline();
        let what = "the cluster";
        self.retry(what, deadline, async || {
            let view = self.refresh(&[], false, deadline).await?;
            let connection = self.any(deadline).await?;
            let mut request = DescribeClusterRequest::default();
            let Some(version) = connection.versions().highest::<DescribeClusterRequest>() else {
                return Ok(of_metadata(&view));
            };
            request.include_fenced_brokers = version >= WITH_FENCED;
            let pending = connection.start_at(&request, version).await?;
            let response = pending.wait(self.request_deadline(deadline)).await?;
            Error::check(response.error_code, response.error_message.as_deref(), what)?;
            Ok(described(response, version))
        })
        .await
    }

    /// The quorum that keeps the metadata.
    ///
    /// # Errors
    /// The cluster has none that could be asked about, or does not answer in time.
    pub async fn describe_quorum(&self) -> Result<QuorumDescription, Error> {
        let request = DescribeQuorumRequest {
            topics: vec![AskedTopic {
                topic_name: METADATA_TOPIC.to_owned(),
                partitions: vec![AskedPartition { partition_index: 0 }],
            }],
        };
        let about = "the metadata quorum";
        let deadline = self.deadline();
        self.retry(about, deadline, async || {
            let connection = self.any(deadline).await?;
            let response = connection.call(&request, self.request_deadline(deadline)).await?;
            Error::check(response.error_code, response.error_message.as_deref(), about)?;
            let topic = response.topics.into_iter().next();
            let partition = topic.and_then(|topic| topic.partitions.into_iter().next());
            let partition = partition.ok_or_else(|| Error::Missing { about: about.to_owned() })?;
            Error::check(partition.error_code, partition.error_message.as_deref(), about)?;
            Ok(quorum(partition))
        })
        .await
    }
}

/// The first version of DescribeCluster that tells fenced brokers.
const WITH_FENCED: i16 = 2;

fn of_metadata(view: &Metadata) -> ClusterDescription {
    let broker = |one: &crate::metadata::Broker| BrokerDescription {
        id: one.id,
        host: one.host.clone(),
        port: one.port,
        rack: one.rack.clone(),
        fenced: None,
    };
    ClusterDescription {
        id: view.cluster_id.clone(),
        controller: view.controller,
        brokers: view.brokers.values().map(broker).collect(),
    }
}

fn described(response: DescribeClusterResponse, version: i16) -> ClusterDescription {
    let broker = response.brokers.into_iter().map(|one| BrokerDescription {
        id: one.broker_id,
        host: one.host,
        port: one.port,
        rack: one.rack,
        fenced: (version >= WITH_FENCED).then_some(one.is_fenced),
    });
    let mut brokers: Vec<_> = broker.collect();
    brokers.sort_by_key(|broker| broker.id);
    let id = Some(response.cluster_id).filter(|id| !id.is_empty());
    ClusterDescription { id, controller: response.controller_id, brokers }
}

fn quorum(partition: PartitionData) -> QuorumDescription {
    let replicas = |states: Vec<ReplicaState>| {
        let mut replicas: Vec<_> = states.into_iter().map(replica).collect();
        replicas.sort_by_key(|replica| replica.id);
        replicas
    };
    QuorumDescription {
        leader: partition.leader_id,
        epoch: partition.leader_epoch,
        high_watermark: partition.high_watermark,
        voters: replicas(partition.current_voters),
        observers: replicas(partition.observers),
    }
}

fn replica(state: ReplicaState) -> QuorumReplica {
    let known = |number: i64| (number >= 0).then_some(number);
    let directory: Uuid = state.replica_directory_id;
    QuorumReplica {
        id: state.replica_id,
        directory: (!directory.is_zero()).then(|| directory.to_string()),
        log_end: known(state.log_end_offset),
        last_fetch_ms: known(state.last_fetch_timestamp),
        last_caught_up_ms: known(state.last_caught_up_timestamp),
    }
}
