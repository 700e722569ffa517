//! Requests on the controller's listeners: other nodes of the quorum, brokers, and tools with
//! `--bootstrap-controller`.
//!
//! The same frames and the same checks as on a client's listener; other APIs. Nearly all of them
//! are questions to the control plane.

use std::sync::Arc;

use bytes::Bytes;
use node::{Asker, ControlRequest, ListenerKind};
use wire::ApiKey;
use wire::codec::Reader;
use wire::frame::{self, RequestHeader};

use super::{apis, bad, chunks, client_address, refuse, serve};
use crate::broker::Broker;
use crate::connection::{Close, FrameHandler, Outcome, Peer, Response};
use crate::handlers as to;

/// The [`FrameHandler`] of the controller's listeners.
pub(crate) struct ControllerDispatch {
    broker: Arc<Broker>,
}

impl ControllerDispatch {
    pub(crate) fn new(broker: Arc<Broker>) -> Self {
        Self { broker }
    }
}

impl FrameHandler for ControllerDispatch {
    fn handle(&self, peer: &Peer, frame: Bytes) -> Outcome {
        let (header, body) = match frame::decode_request_header(frame) {
            Ok(decoded) => decoded,
            Err(error) => return refuse(&self.broker.metrics, error),
        };
        let (key, version) = (header.key, header.version);
        let Some(versions) = apis::served_by_controller(key) else {
            return Outcome::Close(bad(format_args!("{key} is not served by a controller")));
        };
        if !versions.contains(&version) {
            return Outcome::Close(bad(format_args!("{key} version {version} is not served")));
        }
        let (b, p) = (&self.broker, peer);
        match key {
            ApiKey::ApiVersions => {
                serve(b, p, header, body, to::api_versions::handle_for_controller)
            }
            ApiKey::DescribeCluster => {
                serve(b, p, header, body, to::describe_cluster::handle_for_controller)
            }
            ApiKey::DescribeConfigs => serve(b, p, header, body, to::describe_configs::handle),
            _ => self.ask(peer, header, body),
        }
    }
}

impl ControllerDispatch {
    fn ask(&self, peer: &Peer, header: RequestHeader, mut body: Reader) -> Outcome {
        let RequestHeader { key, version, correlation_id, client_id } = header;
        let request = match ControlRequest::decode(key, version, &mut body) {
            Ok(Some(request)) => request,
            Ok(None) => return Outcome::Close(bad(format_args!("{key} is not served"))),
            Err(error) => {
                return Outcome::Close(bad(format_args!("{key} version {version}: {error}")));
            }
        };
        let asker = Asker {
            listener: ListenerKind::Controller,
            version,
            client_id: client_id.unwrap_or_default(),
            client_address: client_address(peer),
        };
        let broker = Arc::clone(&self.broker);
        let asked = broker.control.begin(asker, request);
        Outcome::Later(Box::pin(async move {
            let response = match asked {
                Ok(asked) => asked.answer().await,
                Err(refused) => Some(refused),
            };
            let ended = || Close::Internal("the control plane has ended".to_owned());
            let response = response.ok_or_else(ended)?;
            response.error_codes(&mut |code| broker.metrics.requests.error(key, code));
            let pieces = response
                .encode(correlation_id, version)
                .map_err(|error| Close::Internal(format!("{key} version {version}: {error}")))?;
            Ok(pieces.into_iter().map(chunks::chunk).collect::<Response>())
        }))
    }
}
