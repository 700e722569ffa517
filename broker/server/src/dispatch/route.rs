//! Which handler answers which API.

use std::sync::Arc;

use wire::ApiKey;
use wire::codec::Reader;
use wire::frame::RequestHeader;

use super::{bad, serve};
use crate::broker::Broker;
use crate::connection::{Outcome, Peer};
use crate::handlers;

/// Hands a request that is served to its handler.
pub(super) fn route(
    broker: &Arc<Broker>,
    peer: &Peer,
    header: RequestHeader,
    body: Reader,
) -> Outcome {
    match header.key {
        ApiKey::ApiVersions => serve(broker, peer, header, body, handlers::api_versions::handle),
        key => Outcome::Close(bad(format_args!("{key} is not served"))),
    }
}
