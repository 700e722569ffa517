//! DeleteTopics, by name or by id.

use std::collections::{BTreeMap, BTreeSet};

use wire::ErrorCode;
use wire::ids::TopicId;
use wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use wire::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use wire::messages::remove_topic_record::RemoveTopicRecord;

use super::super::{Context, Decision, Refusal};
use wire::messages::metadata_records::MetadataRecord;

/// Decides a DeleteTopics request of any version (`topic_names` up to 5, `topics` from 6 on).
pub fn delete_topics(
    ctx: &Context<'_>,
    request: &DeleteTopicsRequest,
    version: i16,
) -> Decision<DeleteTopicsResponse> {
    let named = |name: &String| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
    let wanted: Vec<DeleteTopicState> =
        request.topic_names.iter().map(named).chain(request.topics.iter().cloned()).collect();
    let mut gone = BTreeSet::new();
    let mut records = Vec::new();
    let mut responses = Vec::with_capacity(wanted.len());
    let mut times: BTreeMap<_, usize> = BTreeMap::new();
    for topic in &wanted {
        *times.entry((topic.name.as_ref(), topic.topic_id.0)).or_default() += 1;
    }
    for topic in &wanted {
        // What comes twice is refused, once for all.
        let Some(times) = times.remove(&(topic.name.as_ref(), topic.topic_id.0)) else { continue };
        let twice = times > 1;
        let mut result = DeletableTopicResult {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            ..Default::default()
        };
        match delete_one(ctx, topic, twice, &gone, version) {
            Ok((id, name)) => {
                gone.insert(id);
                result.name = Some(name);
                result.topic_id = id.0;
                records.push(MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: id.0 }));
            }
            Err(refusal) => {
                result.error_code = refusal.code.code();
                result.error_message = Some(refusal.message);
            }
        }
        responses.push(result);
    }
    Decision { records, response: DeleteTopicsResponse { responses, ..Default::default() } }
}

fn delete_one(
    ctx: &Context<'_>,
    topic: &DeleteTopicState,
    twice: bool,
    gone: &BTreeSet<TopicId>,
    version: i16,
) -> Result<(TopicId, String), Refusal> {
    let refuse = |code, message: &str| Err(Refusal::new(code, message));
    if !ctx.settings.delete_topic_enable {
        let message = "Topic deletion is disabled.";
        return match version {
            0..=2 => refuse(ErrorCode::InvalidRequest, message),
            _ => refuse(ErrorCode::TopicDeletionDisabled, message),
        };
    }
    let by_id = !topic.topic_id.is_zero();
    let found = match &topic.name {
        Some(_) if by_id => {
            let message = "You may not specify both topic name and topic id.";
            return refuse(ErrorCode::InvalidRequest, message);
        }
        None if !by_id => {
            let message = "Neither topic name nor id were specified.";
            return refuse(ErrorCode::InvalidRequest, message);
        }
        Some(_) if twice => return refuse(ErrorCode::InvalidRequest, "Duplicate topic name."),
        None if twice => return refuse(ErrorCode::InvalidRequest, "Duplicate topic id."),
        Some(name) => ctx.image.topics.by_name(name),
        None => ctx.image.topics.by_id(TopicId(topic.topic_id)),
    };
    match found {
        Some(topic) if gone.contains(&topic.id) => {
            let message = "The topic was given both by its name and by its id.";
            refuse(ErrorCode::InvalidRequest, message)
        }
        Some(topic) if topic.is_internal() => {
            // Kafka allows it, and every group loses its offsets at once.
            let message = format!("The internal topic {} cannot be deleted.", topic.name);
            refuse(ErrorCode::InvalidRequest, &message)
        }
        Some(topic) => Ok((topic.id, topic.name.to_string())),
        None if by_id => {
            refuse(ErrorCode::UnknownTopicId, "This server does not host this topic ID.")
        }
        None => refuse(
            ErrorCode::UnknownTopicOrPartition,
            "This server does not host this topic-partition.",
        ),
    }
}
