//! CreateTopics: the control plane decides; the answer comes when the records are durable.

use wire::messages::create_topics_request::CreateTopicsRequest;
use wire::messages::create_topics_response::CreateTopicsResponse;

use crate::dispatch::{Answer, Call};

pub(crate) fn handle(call: &Call, request: CreateTopicsRequest) -> Answer<CreateTopicsResponse> {
    Answer::blocking(call, move |broker| broker.node.create_topics(broker.now_ms(), &request))
}
