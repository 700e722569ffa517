//! DescribeCluster: the brokers and the cluster's id.

use wire::ErrorCode;
use wire::messages::describe_cluster_request::DescribeClusterRequest;
use wire::messages::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};

use super::authorized;
use crate::dispatch::{Answer, Call};

const ENDPOINT_BROKERS: i8 = 1;
const ENDPOINT_CONTROLLERS: i8 = 2;

pub(crate) fn handle(
    call: &Call,
    request: DescribeClusterRequest,
) -> Answer<DescribeClusterResponse> {
    match request.endpoint_type {
        ENDPOINT_BROKERS => Answer::Now(describe(call, &request)),
        ENDPOINT_CONTROLLERS => Answer::Now(failed(
            ErrorCode::MismatchedEndpointType,
            "this listener is a broker's, not a controller's",
        )),
        _ => Answer::Now(failed(ErrorCode::UnsupportedEndpointType, "unknown endpoint type")),
    }
}

/// On a controller's listener: the controllers, and only they.
pub(crate) fn handle_for_controller(
    call: &Call,
    request: DescribeClusterRequest,
) -> Answer<DescribeClusterResponse> {
    match request.endpoint_type {
        ENDPOINT_CONTROLLERS => Answer::Now(controllers(call)),
        ENDPOINT_BROKERS => Answer::Now(failed(
            ErrorCode::MismatchedEndpointType,
            "this listener is a controller's, not a broker's",
        )),
        _ => Answer::Now(failed(ErrorCode::UnsupportedEndpointType, "unknown endpoint type")),
    }
}

/// The voters, as the quorum describes itself, reached by the listener that the request came in by.
fn controllers(call: &Call) -> DescribeClusterResponse {
    let status = call.broker.node.control_status();
    let node = &call.broker.node;
    let found = status.voters.iter().filter_map(|voter| {
        let endpoints = match voter.id == node.node_id() {
            true => &node.config().quorum.endpoints,
            false => &voter.endpoints,
        };
        let named = endpoints.iter().find(|one| one.listener == *call.peer.listener);
        let endpoint = named.or_else(|| endpoints.first())?;
        Some(DescribeClusterBroker {
            broker_id: voter.id.0,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            ..DescribeClusterBroker::default()
        })
    });
    DescribeClusterResponse {
        cluster_id: node.cluster_id().to_owned(),
        controller_id: status.leader.map_or(-1, |leader| leader.0),
        brokers: found.collect(),
        endpoint_type: ENDPOINT_CONTROLLERS,
        cluster_authorized_operations: authorized::NOT_ASKED,
        ..DescribeClusterResponse::default()
    }
}

fn failed(error: ErrorCode, message: &str) -> DescribeClusterResponse {
    DescribeClusterResponse {
        error_code: error.code(),
        error_message: Some(message.to_owned()),
        ..DescribeClusterResponse::default()
    }
}

fn describe(call: &Call, request: &DescribeClusterRequest) -> DescribeClusterResponse {
    let broker = &call.broker;
    let image = broker.node.image();
    let shown = image.brokers.iter().filter(|b| !b.fenced || request.include_fenced_brokers);
    let brokers = shown.filter_map(|described| {
        let endpoint = broker.endpoint(described, &call.peer.listener)?;
        Some(DescribeClusterBroker {
            broker_id: described.id.0,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            rack: described.rack.clone(),
            is_fenced: described.fenced,
        })
    });
    let operations = match request.include_cluster_authorized_operations {
        true => authorized::CLUSTER,
        false => authorized::NOT_ASKED,
    };
    DescribeClusterResponse {
        cluster_id: broker.node.cluster_id().to_owned(),
        controller_id: broker.controller_id(),
        brokers: brokers.collect(),
        endpoint_type: ENDPOINT_BROKERS,
        cluster_authorized_operations: operations,
        ..DescribeClusterResponse::default()
    }
}
