//! Topics on a node that is alone: made, made on first use, given more partitions, deleted. A node
//! of several asks its control plane.

use wire::messages::create_partitions_request::CreatePartitionsRequest;
use wire::messages::create_partitions_response::CreatePartitionsResponse;
use wire::messages::create_topics_request::CreateTopicsRequest;
use wire::messages::create_topics_response::CreateTopicsResponse;
use wire::messages::delete_topics_request::DeleteTopicsRequest;
use wire::messages::delete_topics_response::DeleteTopicsResponse;

use crate::control::ControlRequest;
use crate::node::Node;

impl Node {
    /// Serves CreateTopics; when it returns the topics are durable and served. Blocks on the disk.
    pub fn create_topics(
        &self,
        now_ms: i64,
        request: &CreateTopicsRequest,
    ) -> CreateTopicsResponse {
        self.ask_alone(now_ms, 0, request.clone().into()).try_into().unwrap_or_default()
    }

    /// Makes topics on first use, by the broker's defaults; the caller has checked that client and
    /// configuration allow it. Those that exist already are answered so. Blocks on the disk.
    pub fn auto_create_topics(&self, now_ms: i64, names: &[&str]) -> CreateTopicsResponse {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let request = ControlRequest::AutoCreateTopics(names);
        self.ask_alone(now_ms, 0, request).try_into().unwrap_or_default()
    }

    /// Serves CreatePartitions; when it returns the partitions are durable and served. Blocks on
    /// the disk.
    pub fn create_partitions(
        &self,
        now_ms: i64,
        request: &CreatePartitionsRequest,
    ) -> CreatePartitionsResponse {
        self.ask_alone(now_ms, 0, request.clone().into()).try_into().unwrap_or_default()
    }

    /// Serves DeleteTopics of any version; when it returns the topics are durably gone. Blocks on
    /// the disk.
    pub fn delete_topics(
        &self,
        now_ms: i64,
        request: &DeleteTopicsRequest,
        version: i16,
    ) -> DeleteTopicsResponse {
        self.ask_alone(now_ms, version, request.clone().into()).try_into().unwrap_or_default()
    }
}
