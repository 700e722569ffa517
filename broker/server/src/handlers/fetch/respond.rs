//! What a fetch answers: the partitions that the session says belong into it, by topic.

use replication::fetch_session::{FetchContext, Outcome, SessionReply, TopicKey};
use wire::ErrorCode;
use wire::ids::Uuid;
use wire::messages::fetch_response::FetchableTopicResponse;
use wire::records_slot::Records;

use super::Response;
use super::read::Round;
use crate::broker::Broker;

pub(super) fn respond(broker: &Broker, context: FetchContext, round: Round) -> Response {
    for found in &round.found {
        if let Some(partition) = &found.partition {
            let bytes = found.data.records.as_ref().map_or(0, Records::len);
            partition.note_fetched(bytes);
        }
    }
    let outcomes: Vec<Outcome> = round.found.iter().map(|found| found.outcome).collect();
    let topics: Vec<TopicKey> =
        context.partitions().iter().map(|(key, _)| key.topic.clone()).collect();
    let reply = broker.node.fetch_sessions().finish(broker.now_ms(), context, &outcomes);
    let SessionReply { session_id, error, include } = reply;
    let mut response = Response { error_code: error.code(), session_id, ..Response::default() };
    if error != ErrorCode::None {
        return response;
    }
    let mut last: Option<&TopicKey> = None;
    for ((found, topic), included) in round.found.into_iter().zip(&topics).zip(include) {
        if !included {
            continue;
        }
        if last != Some(topic) {
            let (name, topic_id) = match topic {
                TopicKey::Name(name) => (name.as_ref().to_owned(), Uuid::ZERO),
                TopicKey::Id(id) => (String::new(), id.0),
            };
            let partitions = Vec::new();
            response.responses.push(FetchableTopicResponse { topic: name, topic_id, partitions });
            last = Some(topic);
        }
        if let Some(answer) = response.responses.last_mut() {
            answer.partitions.push(found.data);
        }
    }
    response
}
