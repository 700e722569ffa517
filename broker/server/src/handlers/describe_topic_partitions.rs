//! DescribeTopicPartitions: topics and partitions page by page, in the order of the names.

use std::collections::BTreeSet;

use metadata::image::Topic;
use metadata::{Image, topic_name};
use wire::ErrorCode;
use wire::ids::{PartitionIndex, TopicId};
use wire::messages::describe_topic_partitions_request::DescribeTopicPartitionsRequest;
use wire::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};

use super::authorized;
use super::replicas::{Replicas, numbers};
use crate::dispatch::{Answer, Call};

pub(crate) fn handle(
    call: &Call,
    request: DescribeTopicPartitionsRequest,
) -> Answer<DescribeTopicPartitionsResponse> {
    let from = request.cursor.as_ref().map(|c| (c.topic_name.as_str(), c.partition_index));
    if from.is_some_and(|from| !is_possible(from, &request)) {
        return Answer::Now(refused(&request));
    }
    let image = call.broker.node.image();
    let limit = request.response_partition_limit;
    let limit = limit.min(call.broker.limits.described_partitions_max).max(1);
    let mut page = Page {
        call,
        image: &image,
        left: usize::try_from(limit).unwrap_or(1),
        response: DescribeTopicPartitionsResponse::default(),
    };
    let (from_topic, from_partition) = from.unwrap_or_default();
    if request.topics.is_empty() {
        for topic in image.topics.iter_from(from_topic) {
            let first = if *topic.name == *from_topic { from_partition } else { 0 };
            if !page.add(topic, first) {
                break;
            }
        }
    } else {
        let names: BTreeSet<&str> = request.topics.iter().map(|t| t.name.as_str()).collect();
        for name in names.range(from_topic..) {
            let first = if *name == from_topic { from_partition } else { 0 };
            let more = match image.topics.by_name(name) {
                Some(topic) => page.add(topic, first),
                None => page.add_missing(name),
            };
            if !more {
                break;
            }
        }
    }
    Answer::Now(page.response)
}

/// Whether a page can begin there: at a topic that is asked for, at a partition that may be.
fn is_possible((topic, partition): (&str, i32), request: &DescribeTopicPartitionsRequest) -> bool {
    let asked = request.topics.is_empty() || request.topics.iter().any(|t| t.name == topic);
    asked && partition >= 0
}

fn refused(request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let topics = request.topics.iter().map(|topic| DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode::InvalidRequest.code(),
        name: Some(topic.name.clone()),
        topic_authorized_operations: authorized::NOT_ASKED,
        ..DescribeTopicPartitionsResponseTopic::default()
    });
    DescribeTopicPartitionsResponse { topics: topics.collect(), ..Default::default() }
}

struct Page<'a> {
    call: &'a Call,
    image: &'a Image,
    left: usize,
    response: DescribeTopicPartitionsResponse,
}

impl Page<'_> {
    /// Adds a topic from partition `first` on; `false` when the page is full.
    fn add(&mut self, topic: &Topic, first: i32) -> bool {
        if self.left == 0 {
            return self.end_at(&topic.name, first);
        }
        let mut partitions = Vec::new();
        let mut end = None;
        for (index, partition) in topic.partitions.iter().filter(|(i, _)| i.0 >= first) {
            if self.left == 0 {
                end = Some(*index);
                break;
            }
            self.left -= 1;
            partitions.push(describe(self.call, self.image, (topic.id, *index), partition));
        }
        self.response.topics.push(DescribeTopicPartitionsResponseTopic {
            error_code: ErrorCode::None.code(),
            name: Some(topic.name.as_ref().to_owned()),
            topic_id: topic.id.0,
            is_internal: topic.is_internal(),
            partitions,
            topic_authorized_operations: authorized::TOPIC,
        });
        match end {
            Some(index) => self.end_at(&topic.name, index.0),
            None => true,
        }
    }

    fn add_missing(&mut self, name: &str) -> bool {
        if self.left == 0 {
            return self.end_at(name, 0);
        }
        let error = match topic_name::validate(name) {
            Ok(()) => ErrorCode::UnknownTopicOrPartition,
            Err(_) => ErrorCode::InvalidTopicException,
        };
        self.response.topics.push(DescribeTopicPartitionsResponseTopic {
            error_code: error.code(),
            name: Some(name.to_owned()),
            is_internal: topic_name::is_internal(name),
            topic_authorized_operations: authorized::TOPIC,
            ..DescribeTopicPartitionsResponseTopic::default()
        });
        true
    }

    fn end_at(&mut self, topic: &str, partition: i32) -> bool {
        self.response.next_cursor =
            Some(Cursor { topic_name: topic.to_owned(), partition_index: partition });
        false
    }
}

fn describe(
    call: &Call,
    image: &Image,
    (topic, index): (TopicId, PartitionIndex),
    partition: &metadata::image::Partition,
) -> DescribeTopicPartitionsResponsePartition {
    let replicas = Replicas::of(call, image, (topic, index), partition);
    DescribeTopicPartitionsResponsePartition {
        error_code: replicas.error.code(),
        partition_index: index.0,
        leader_id: replicas.leader,
        leader_epoch: replicas.leader_epoch,
        replica_nodes: replicas.replicas,
        isr_nodes: replicas.in_sync,
        eligible_leader_replicas: Some(numbers(&partition.eligible_leader_replicas)),
        last_known_elr: Some(numbers(&partition.last_known_leader)),
        offline_replicas: replicas.offline,
    }
}
