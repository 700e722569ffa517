//! From a frame to a handler and back: the header, the version served, the body, the answer's
//! encoding.
//!
//! What cannot be answered closes the connection, as in Kafka: a frame that is no request, an API
//! or version that is not served (but for ApiVersions, which then says what is). A handler never
//! sees such a request.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use wire::ApiKey;
use wire::codec::Reader;
use wire::frame::{self, HeaderError, RequestHeader};
use wire::message::{Message, Request};
use wire::records_slot::Piece;

pub(crate) mod apis;
mod chunks;
mod controller;
mod route;
#[cfg(test)]
mod tests;

use crate::broker::Broker;
use crate::connection::{Close, FrameHandler, Outcome, Peer, Response};
use crate::metrics::Metrics;
use chunks::IntoChunk;
pub(crate) use controller::ControllerDispatch;

/// What a handler knows besides the request.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) broker: Arc<Broker>,
    pub(crate) peer: Peer,
    pub(crate) version: i16,
    pub(crate) client_id: Option<String>,
}

/// An answer that comes later.
pub(crate) type Later<M> = Pin<Box<dyn Future<Output = Result<M, Close>> + Send>>;

/// What a handler says.
pub(crate) enum Answer<M> {
    /// This.
    Now(M),
    /// Later, and requests behind this one may begin: what it changes it has changed.
    Later(Later<M>),
    /// Later, and requests behind this one must not begin before.
    Serial(Later<M>),
    /// No answer is wanted.
    Nothing,
    /// The connection must close.
    Close(Close),
}

impl<M: Send + 'static> Answer<M> {
    /// The answer of a call that blocks on the disk. Requests behind it wait, as they may depend on
    /// what it changes.
    pub(crate) fn blocking(call: &Call, work: impl FnOnce(&Broker) -> M + Send + 'static) -> Self {
        let broker = Arc::clone(&call.broker);
        Self::Serial(Box::pin(async move { blocking(move || work(&broker)).await }))
    }
}

/// Runs `work` on the pool of threads that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Close> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Close::Internal(error.to_string()))
}

/// The octets of the peer's address, as an envelope carries them.
pub(crate) fn client_address(peer: &Peer) -> Vec<u8> {
    match peer.address.ip().to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The broker's [`FrameHandler`].
pub(crate) struct Dispatch {
    broker: Arc<Broker>,
}

impl Dispatch {
    pub(crate) fn new(broker: Arc<Broker>) -> Self {
        Self { broker }
    }
}

impl FrameHandler for Dispatch {
    fn handle(&self, peer: &Peer, frame: Bytes) -> Outcome {
        let (header, body) = match frame::decode_request_header(frame) {
            Ok(decoded) => decoded,
            Err(error) => return refuse(&self.broker.metrics, error),
        };
        let Some(versions) = apis::served(header.key) else {
            return Outcome::Close(bad(format_args!("{} is not served", header.key)));
        };
        if !versions.contains(&header.version) {
            let (key, version) = (header.key, header.version);
            return Outcome::Close(bad(format_args!("{key} version {version} is not served")));
        }
        route::route(&self.broker, peer, header, body)
    }
}

fn bad(text: impl std::fmt::Display) -> Close {
    Close::BadRequest(text.to_string())
}

/// The answer to a header that is no header of a request served here.
fn refuse(metrics: &Metrics, error: HeaderError) -> Outcome {
    match error {
        HeaderError::UnsupportedVersion { key: ApiKey::ApiVersions, correlation_id, .. } => {
            let response = crate::handlers::api_versions::unsupported_version();
            match encode(metrics, correlation_id, ApiKey::ApiVersions, 0, &response) {
                Ok(response) => Outcome::Reply(response),
                Err(close) => Outcome::Close(close),
            }
        }
        error => Outcome::Close(bad(error)),
    }
}

/// Decodes the body, asks the handler, encodes what it says.
fn serve<Q, M>(
    broker: &Arc<Broker>,
    peer: &Peer,
    header: RequestHeader,
    mut body: Reader,
    handler: impl FnOnce(&Call, Q) -> Answer<M>,
) -> Outcome
where
    Q: Request,
    M: Message + 'static,
    M::Range: IntoChunk,
{
    // Bytes left over are passed over, as in Kafka: librdkafka 2.16 sends some behind a Metadata.
    let request = match Q::decode(&mut body, header.version) {
        Ok(request) => request,
        Err(error) => {
            let (key, version) = (header.key, header.version);
            return Outcome::Close(bad(format_args!("{key} version {version}: {error}")));
        }
    };
    let RequestHeader { key, version, correlation_id, client_id } = header;
    let call = Call { broker: Arc::clone(broker), peer: peer.clone(), version, client_id };
    let metrics = Arc::clone(&broker.metrics);
    let parked =
        move |later: Later<M>| Box::pin(encode_later(metrics, correlation_id, key, version, later));
    match handler(&call, request) {
        Answer::Now(response) => {
            match encode(&broker.metrics, correlation_id, key, version, &response) {
                Ok(response) => Outcome::Reply(response),
                Err(close) => Outcome::Close(close),
            }
        }
        Answer::Later(later) => Outcome::Later(parked(later)),
        Answer::Serial(later) => Outcome::Serial(parked(later)),
        Answer::Nothing => Outcome::Reply(Response::new()),
        Answer::Close(close) => Outcome::Close(close),
    }
}

async fn encode_later<M>(
    metrics: Arc<Metrics>,
    correlation_id: i32,
    key: ApiKey,
    version: i16,
    later: Later<M>,
) -> Result<Response, Close>
where
    M: Message,
    M::Range: IntoChunk,
{
    let response = later.await?;
    encode(&metrics, correlation_id, key, version, &response)
}

fn encode<M>(
    metrics: &Metrics,
    correlation_id: i32,
    key: ApiKey,
    version: i16,
    response: &M,
) -> Result<Response, Close>
where
    M: Message,
    M::Range: IntoChunk,
{
    response.error_codes(&mut |code| metrics.requests.error(key, code));
    let pieces: Vec<Piece<M::Range>> =
        frame::encode_response(correlation_id, key, version, response)
            .map_err(|error| Close::Internal(format!("{key} version {version}: {error}")))?;
    Ok(pieces.into_iter().map(chunks::chunk).collect())
}
