//! Topics: made, made on first use, given more partitions, deleted.

use metadata::MetadataRecord;
use metadata::control::{Decision, topics};
use wire::ErrorCode;
use wire::messages::create_partitions_request::CreatePartitionsRequest;
use wire::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use wire::messages::create_topics_request::CreateTopicsRequest;
use wire::messages::create_topics_response::{CreatableTopicResult, CreateTopicsResponse};
use wire::messages::delete_topics_request::DeleteTopicsRequest;
use wire::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};

use crate::node::Node;

/// The code of an answer that nothing is wrong with.
const NONE: i16 = 0;

impl Node {
    /// Serves CreateTopics; when it returns the topics are durable and served. Blocks on the disk.
    pub fn create_topics(
        &self,
        now_ms: i64,
        request: &CreateTopicsRequest,
    ) -> CreateTopicsResponse {
        let decided = self.decide(now_ms, |ctx| {
            self.with_room(topics::create_topics(ctx, request), no_room_for_topics)
        });
        decided.unwrap_or_else(|error| {
            let message = error.to_string();
            let refused = request.topics.iter().map(|topic| CreatableTopicResult {
                name: topic.name.clone(),
                error_code: ErrorCode::KafkaStorageError.into(),
                error_message: Some(message.clone()),
                ..Default::default()
            });
            CreateTopicsResponse { topics: refused.collect(), ..Default::default() }
        })
    }

    /// Makes topics on first use, by the broker's defaults; the caller has checked that client and
    /// configuration allow it. Those that exist already are answered so. Blocks on the disk.
    pub fn auto_create_topics(&self, now_ms: i64, names: &[&str]) -> CreateTopicsResponse {
        let decided = self.decide(now_ms, |ctx| {
            self.with_room(topics::auto_create(ctx, names), no_room_for_topics)
        });
        decided.unwrap_or_else(|error| {
            let message = error.to_string();
            let refused = names.iter().map(|name| CreatableTopicResult {
                name: (*name).to_owned(),
                error_code: ErrorCode::KafkaStorageError.into(),
                error_message: Some(message.clone()),
                ..Default::default()
            });
            CreateTopicsResponse { topics: refused.collect(), ..Default::default() }
        })
    }

    /// Serves CreatePartitions; when it returns the partitions are durable and served. Blocks on
    /// the disk.
    pub fn create_partitions(
        &self,
        now_ms: i64,
        request: &CreatePartitionsRequest,
    ) -> CreatePartitionsResponse {
        let decided = self.decide(now_ms, |ctx| {
            let decision = topics::create_partitions(ctx, request);
            self.with_room(decision, |response, why| {
                let made = |it: &&mut CreatePartitionsTopicResult| it.error_code == NONE;
                for result in response.results.iter_mut().filter(made) {
                    result.error_code = ErrorCode::KafkaStorageError.into();
                    result.error_message = Some(why.to_owned());
                }
            })
        });
        decided.unwrap_or_else(|error| {
            let message = error.to_string();
            let refused = request.topics.iter().map(|topic| CreatePartitionsTopicResult {
                name: topic.name.clone(),
                error_code: ErrorCode::KafkaStorageError.into(),
                error_message: Some(message.clone()),
            });
            CreatePartitionsResponse { results: refused.collect(), ..Default::default() }
        })
    }

    /// Makes nothing when the log directories of this broker have no room for its part of it. Those
    /// of other brokers are not judged here: what they cannot make they make when they can.
    pub(crate) fn with_room<R>(
        &self,
        mut decision: Decision<R>,
        refuse: impl FnOnce(&mut R, &str),
    ) -> Decision<R> {
        let is_ours = |record: &&MetadataRecord| match record {
            MetadataRecord::Partition(new) => new.replicas.contains(&self.config.node_id.0),
            _ => false,
        };
        let wanted = decision.records.iter().filter(is_ours).count();
        if let Err(error) = self.dirs.check_room(wanted) {
            decision.records.clear();
            refuse(&mut decision.response, &error.to_string());
        }
        decision
    }

    /// Serves DeleteTopics of any version; when it returns the topics are durably gone. Blocks on
    /// the disk.
    pub fn delete_topics(
        &self,
        now_ms: i64,
        request: &DeleteTopicsRequest,
        version: i16,
    ) -> DeleteTopicsResponse {
        let decided = self.decide(now_ms, |ctx| topics::delete_topics(ctx, request, version));
        decided.unwrap_or_else(|error| {
            let named = request.topic_names.iter().map(|name| (Some(name.clone()), None));
            let states = request.topics.iter().map(|t| (t.name.clone(), Some(t.topic_id)));
            let refused = named.chain(states).map(|(name, id)| DeletableTopicResult {
                name,
                topic_id: id.unwrap_or_default(),
                error_code: ErrorCode::KafkaStorageError.into(),
                error_message: Some(error.to_string()),
            });
            DeleteTopicsResponse { responses: refused.collect(), ..Default::default() }
        })
    }
}

/// Answers that the topics which would have been made were not.
pub(crate) fn no_room_for_topics(response: &mut CreateTopicsResponse, why: &str) {
    for topic in response.topics.iter_mut().filter(|topic| topic.error_code == NONE) {
        *topic = CreatableTopicResult {
            name: std::mem::take(&mut topic.name),
            error_code: ErrorCode::KafkaStorageError.into(),
            error_message: Some(why.to_owned()),
            ..Default::default()
        };
    }
}
