//! DeleteTopics: the control plane decides; the answer comes when the records are durable.

use wire::messages::delete_topics_request::DeleteTopicsRequest;
use wire::messages::delete_topics_response::DeleteTopicsResponse;

use crate::dispatch::{Answer, Call};

pub(crate) fn handle(call: &Call, request: DeleteTopicsRequest) -> Answer<DeleteTopicsResponse> {
    let version = call.version;
    Answer::blocking(call, move |broker| {
        broker.node.delete_topics(broker.now_ms(), &request, version)
    })
}
