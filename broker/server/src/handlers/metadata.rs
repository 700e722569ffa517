//! Metadata: who is in the cluster and who leads what. Makes topics on first use where that is
//! allowed.

use std::collections::BTreeSet;

use metadata::image::Topic;
use metadata::{Image, topic_name};
use node::ControlRequest;
use wire::ErrorCode;
use wire::ids::{TopicId, Uuid};
use wire::messages::create_topics_response::CreateTopicsResponse;
use wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use wire::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};

use super::authorized;
use super::control::ask_for_ourselves;
use super::replicas::Replicas;
use crate::dispatch::{Answer, Call};

/// Version 0 asks for all topics by naming none.
const VERSION_ALL_IS_NULL: i16 = 1;
/// Before it, topics are named; ids stand in the schema two versions sooner than they work.
const VERSION_BY_ID: i16 = 12;
/// The versions whose answers have the operations on the cluster.
const VERSIONS_CLUSTER_OPERATIONS: std::ops::RangeInclusive<i16> = 8..=10;

pub(crate) fn handle(call: &Call, request: MetadataRequest) -> Answer<MetadataResponse> {
    if let Some(refused) = refuse(call, &request) {
        return Answer::Now(refused);
    }
    let missing = topics_to_create(call, &request);
    if missing.is_empty() {
        return Answer::Now(describe(call, &request));
    }
    let call = call.clone();
    Answer::Serial(Box::pin(async move {
        // What could not be made is missing from the image, and answered so.
        let _: CreateTopicsResponse =
            ask_for_ourselves(&call, ControlRequest::AutoCreateTopics(missing)).await?;
        Ok(describe(&call, &request))
    }))
}

/// The answer to a request that mixes names and ids in a way its version does not have.
fn refuse(call: &Call, request: &MetadataRequest) -> Option<MetadataResponse> {
    let topics = request.topics.as_deref().unwrap_or_default();
    let bad = |topic: &MetadataRequestTopic| topic.name.is_none() || !topic.topic_id.is_zero();
    if call.version >= VERSION_BY_ID || !topics.iter().any(bad) {
        return None;
    }
    let topics = topics.iter().map(|topic| MetadataResponseTopic {
        name: Some(topic.name.clone().unwrap_or_default()),
        ..failed(ErrorCode::InvalidRequest)
    });
    Some(MetadataResponse { topics: topics.collect(), ..MetadataResponse::default() })
}

/// The named topics that do not exist and shall.
fn topics_to_create(call: &Call, request: &MetadataRequest) -> Vec<String> {
    let node = &call.broker.node;
    let allowed = node.config().settings.auto_create_topics_enable;
    if !request.allow_auto_topic_creation || !allowed {
        return Vec::new();
    }
    let image = node.image();
    let named = request.topics.iter().flatten().filter(|topic| topic.topic_id.is_zero());
    named
        .filter_map(|topic| topic.name.as_ref())
        .filter(|name| image.topics.by_name(name).is_none() && topic_name::validate(name).is_ok())
        .cloned()
        .collect()
}

fn describe(call: &Call, request: &MetadataRequest) -> MetadataResponse {
    let broker = &call.broker;
    let image = broker.node.image();
    let brokers = image.brokers.unfenced().filter_map(|described| {
        let endpoint = broker.endpoint(described, &call.peer.listener)?;
        Some(MetadataResponseBroker {
            node_id: described.id.0,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            rack: described.rack.clone(),
        })
    });
    let wants_operations = request.include_cluster_authorized_operations
        && VERSIONS_CLUSTER_OPERATIONS.contains(&call.version);
    MetadataResponse {
        brokers: brokers.collect(),
        cluster_id: Some(broker.node.cluster_id().to_owned()),
        controller_id: broker.contact_id(),
        topics: topics(call, request, &image),
        cluster_authorized_operations: match wants_operations {
            true => authorized::CLUSTER,
            false => authorized::NOT_ASKED,
        },
        ..MetadataResponse::default()
    }
}

fn topics(call: &Call, request: &MetadataRequest, image: &Image) -> Vec<MetadataResponseTopic> {
    let operations = request.include_topic_authorized_operations;
    match request.topics.as_deref() {
        None => image.topics.iter().map(|topic| found(call, image, topic, operations)).collect(),
        Some([]) if call.version < VERSION_ALL_IS_NULL => {
            image.topics.iter().map(|topic| found(call, image, topic, operations)).collect()
        }
        Some(asked) => {
            let mut seen = BTreeSet::new();
            let once = asked.iter().filter(|topic| seen.insert((&topic.name, topic.topic_id.0)));
            once.map(|topic| one(call, image, topic, operations)).collect()
        }
    }
}

fn one(
    call: &Call,
    image: &Image,
    asked: &MetadataRequestTopic,
    operations: bool,
) -> MetadataResponseTopic {
    if !asked.topic_id.is_zero() {
        return match image.topics.by_id(TopicId(asked.topic_id)) {
            Some(topic) => found(call, image, topic, operations),
            None => MetadataResponseTopic {
                topic_id: asked.topic_id,
                name: None,
                ..failed(ErrorCode::UnknownTopicId)
            },
        };
    }
    let name = asked.name.as_deref().unwrap_or_default();
    match image.topics.by_name(name) {
        Some(topic) => found(call, image, topic, operations),
        None => MetadataResponseTopic {
            name: Some(name.to_owned()),
            is_internal: topic_name::is_internal(name),
            ..failed(match topic_name::validate(name) {
                Ok(()) => ErrorCode::UnknownTopicOrPartition,
                Err(_) => ErrorCode::InvalidTopicException,
            })
        },
    }
}

fn failed(error: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: error.code(),
        name: Some(String::new()),
        topic_id: Uuid::ZERO,
        topic_authorized_operations: authorized::NOT_ASKED,
        ..MetadataResponseTopic::default()
    }
}

fn found(call: &Call, image: &Image, topic: &Topic, operations: bool) -> MetadataResponseTopic {
    let partitions = topic.partitions.iter().map(|(index, partition)| {
        let replicas = Replicas::of(call, image, (topic.id, *index), partition);
        MetadataResponsePartition {
            error_code: replicas.error.code(),
            partition_index: index.0,
            leader_id: replicas.leader,
            leader_epoch: replicas.leader_epoch,
            replica_nodes: replicas.replicas,
            isr_nodes: replicas.in_sync,
            offline_replicas: replicas.offline,
        }
    });
    MetadataResponseTopic {
        error_code: ErrorCode::None.code(),
        name: Some(topic.name.as_ref().to_owned()),
        topic_id: topic.id.0,
        is_internal: topic.is_internal(),
        partitions: partitions.collect(),
        topic_authorized_operations: if operations {
            authorized::TOPIC
        } else {
            authorized::NOT_ASKED
        },
    }
}
