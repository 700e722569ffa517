//! FindCoordinator: who keeps a group, which is the leader of its partition of
//! `__consumer_offsets`. Transactions are refused for good.

use std::sync::Arc;

use node::{ControlRequest, OFFSETS_TOPIC};
use tracing::warn;
use wire::ErrorCode;
use wire::messages::create_topics_response::CreateTopicsResponse;
use wire::messages::find_coordinator_request::FindCoordinatorRequest;
use wire::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};

use super::control::ask_for_ourselves;
use crate::broker::Broker;
use crate::dispatch::{Answer, Call};
use crate::log_limit::SaidOnce;

const KEY_TYPE_GROUP: i8 = 0;
const KEY_TYPE_TRANSACTION: i8 = 1;
/// From here on a request asks for many keys.
const VERSION_BATCHED: i16 = 4;

pub(crate) fn handle(
    call: &Call,
    request: FindCoordinatorRequest,
) -> Answer<FindCoordinatorResponse> {
    let (version, listener) = (call.version, Arc::clone(&call.peer.listener));
    if request.key_type != KEY_TYPE_GROUP || call.broker.node.groups_prepared() {
        return Answer::Now(answer(&call.broker, &listener, version, request));
    }
    let call = call.clone();
    Answer::Serial(Box::pin(async move {
        let topics = ControlRequest::AutoCreateTopics(vec![OFFSETS_TOPIC.to_owned()]);
        let made: CreateTopicsResponse = ask_for_ourselves(&call, topics).await?;
        let refused = made.topics.into_iter().find(|topic| topic.error_code != 0);
        if let Some(refused) = refused.filter(|_| !call.broker.node.groups_prepared()) {
            let why = refused.error_message.unwrap_or_default();
            static SAID: SaidOnce = SaidOnce::new();
            if SAID.is_news(&why) {
                warn!("{OFFSETS_TOPIC} cannot be made, and groups wait for it: {why}");
            }
        }
        // What went wrong is found again.
        Ok(answer(&call.broker, &listener, version, request))
    }))
}

fn answer(
    broker: &Broker,
    listener: &str,
    version: i16,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    if version >= VERSION_BATCHED {
        let keys = request.coordinator_keys.into_iter();
        let found = keys.map(|key| find(broker, listener, request.key_type, key));
        return FindCoordinatorResponse { coordinators: found.collect(), ..Default::default() };
    }
    let found = find(broker, listener, request.key_type, request.key);
    // Both are what Kafka says: nothing of one key among many, NONE of the only one.
    let fine = (found.error_code == 0).then(|| "NONE".to_owned());
    FindCoordinatorResponse {
        error_code: found.error_code,
        error_message: fine.or(found.error_message),
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..Default::default()
    }
}

fn find(broker: &Broker, listener: &str, key_type: i8, key: String) -> Coordinator {
    let found = locate(broker, listener, key_type, &key);
    match found {
        Ok((node_id, host, port)) => Coordinator {
            key,
            node_id,
            host,
            port,
            error_code: 0,
            error_message: Some(String::new()),
        },
        Err(error) => Coordinator {
            key,
            node_id: -1,
            host: String::new(),
            port: -1,
            error_code: error.code(),
            error_message: Some(error.message().to_owned()),
        },
    }
}

fn locate(
    broker: &Broker,
    listener: &str,
    key_type: i8,
    key: &str,
) -> Result<(i32, String, i32), ErrorCode> {
    match key_type {
        KEY_TYPE_GROUP if broker.node.groups_prepared() => {}
        KEY_TYPE_GROUP => return Err(ErrorCode::CoordinatorNotAvailable),
        // The one code that ends a transactional producer at once in Java and in librdkafka; after
        // any other one of them asks again for ever.
        KEY_TYPE_TRANSACTION => return Err(ErrorCode::TransactionalIdAuthorizationFailed),
        _ => return Err(ErrorCode::InvalidRequest),
    }
    let image = broker.node.image();
    let keeper = broker.node.group_coordinator(&image, key);
    let keeper = keeper.and_then(|id| image.brokers.get(id)).filter(|keeper| !keeper.fenced);
    let keeper = keeper.ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let endpoint = broker.endpoint(keeper, listener);
    let endpoint = endpoint.ok_or(ErrorCode::CoordinatorNotAvailable)?;
    Ok((keeper.id.0, endpoint.host.clone(), i32::from(endpoint.port)))
}
