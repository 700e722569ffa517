//! One connection: requests go out in the order they were started, answers come back to whoever
//! asked, matched by correlation id. One task writes, one task reads.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use wire::codec::{DecodeError, EncodeError};
use wire::frame;
use wire::messages::api_versions_request::ApiVersionsRequest;
use wire::messages::api_versions_response::ApiVersionsResponse;
use wire::{ErrorCode, Piece, Request};

use crate::error::Error;
use crate::versions::Versions;

/// Requests that may wait to be written.
const QUEUED_REQUESTS_MAX: usize = 64;
/// Bytes written at once when requests are small.
const WRITE_BUFFER_BYTES: usize = 64 * 1024;
/// Bytes by which the buffer of an answer grows, whatever length was announced.
const READ_STEP_BYTES: usize = 1024 * 1024;
/// The version of ApiVersions tried first.
const API_VERSIONS_FIRST: i16 = 4;

/// A connection to one broker. Dropping the last handle closes it.
#[derive(Debug)]
pub struct Connection {
    address: Arc<str>,
    client_id: Arc<str>,
    versions: Versions,
    outgoing: mpsc::Sender<Vec<Piece>>,
    shared: Arc<Shared>,
    correlation: AtomicI32,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<HashMap<i32, oneshot::Sender<Bytes>>>,
    closed: AtomicBool,
    too_large: Mutex<Option<(i64, usize)>>,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, HashMap<i32, oneshot::Sender<Bytes>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends every wait; what is started later fails at once.
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.waiting().clear();
    }
}

/// An answer that is on its way.
#[derive(Debug)]
pub struct Pending<M: Request> {
    waiting: Waiting,
    version: i16,
    request: PhantomData<fn() -> M>,
}

/// The frame of an answer that is on its way.
#[derive(Debug)]
struct Waiting {
    address: Arc<str>,
    shared: Arc<Shared>,
    answer: oneshot::Receiver<Bytes>,
    correlation: i32,
    what: &'static str,
}

impl Connection {
    /// Connects and asks which versions the broker speaks. Answers above `response_bytes_max` end
    /// the connection.
    ///
    /// # Errors
    /// Connecting failed, the time ran out, or the peer is no broker.
    pub async fn open(
        address: &str,
        client_id: &str,
        response_bytes_max: usize,
        deadline: Instant,
    ) -> Result<Self, Error> {
        let failed = |source: std::io::Error| Error::Connect {
            address: address.to_owned(),
            source: Arc::new(source),
        };
        let stream = match timeout_at(deadline, TcpStream::connect(address)).await {
            Ok(connected) => connected.map_err(failed)?,
            Err(_) => return Err(failed(std::io::ErrorKind::TimedOut.into())),
        };
        stream.set_nodelay(true).map_err(failed)?;
        let (read, write) = stream.into_split();
        let shared = Arc::new(Shared::default());
        let (outgoing, to_write) = mpsc::channel(QUEUED_REQUESTS_MAX);
        tokio::spawn(write_requests(write, to_write, Arc::clone(&shared)));
        tokio::spawn(read_responses(read, response_bytes_max, Arc::clone(&shared)));
        let mut connection = Self {
            address: address.into(),
            client_id: client_id.into(),
            versions: Versions::default(),
            outgoing,
            shared,
            correlation: AtomicI32::new(0),
        };
        connection.versions = connection.negotiate(deadline).await?;
        Ok(connection)
    }

    async fn negotiate(&self, deadline: Instant) -> Result<Versions, Error> {
        let request = ApiVersionsRequest {
            client_software_name: "tidelog".to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..ApiVersionsRequest::default()
        };
        let mut version = API_VERSIONS_FIRST;
        loop {
            let pending = self.start_at(&request, version).await?;
            let silent = |error| match error {
                Error::TimedOut { .. } => Error::Silent { address: self.address.to_string() },
                error => error,
            };
            let (frame, correlation) = pending.waiting.frame(deadline).await.map_err(silent)?;
            // A broker that lacks the version answers at version 0, with what it has.
            let response =
                frame::decode_response::<ApiVersionsRequest>(frame.clone(), version, correlation)
                    .or_else(|_| {
                        frame::decode_response::<ApiVersionsRequest>(frame, 0, correlation)
                    })
                    .map_err(|source| self.malformed::<ApiVersionsRequest>(source))?;
            if response.error_code == ErrorCode::UnsupportedVersion.code() && version > 0 {
                version = lower_version(&response, version);
                continue;
            }
            Error::check(response.error_code, None, &*self.address)?;
            return Ok(Versions::new(&response));
        }
    }

    fn malformed<M: Request>(&self, source: DecodeError) -> Error {
        Error::Malformed { address: self.address.to_string(), api: M::KEY, source }
    }

    /// The broker's address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What the broker serves.
    #[must_use]
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// Sends a request at the highest common version and waits for its answer.
    ///
    /// # Errors
    /// No common version, the connection ended, the time ran out, or the answer is malformed.
    pub async fn call<M: Request>(
        &self,
        request: &M,
        deadline: Instant,
    ) -> Result<M::Response, Error> {
        let version = self.version::<M>()?;
        self.start_at(request, version).await?.wait(deadline).await
    }

    /// The highest common version of the API.
    ///
    /// # Errors
    /// There is none.
    pub fn version<M: Request>(&self) -> Result<i16, Error> {
        self.versions
            .highest::<M>()
            .ok_or_else(|| Error::Unsupported { address: self.address.to_string(), api: M::KEY })
    }

    /// Sends a request; requests started one after the other go out in that order.
    ///
    /// # Errors
    /// The version cannot say it, or the connection has ended.
    pub async fn start_at<M: Request>(
        &self,
        request: &M,
        version: i16,
    ) -> Result<Pending<M>, Error> {
        let correlation = self.correlation.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let frame = frame::encode_request(correlation, Some(&self.client_id), version, request)?;
        let (answered, answer) = oneshot::channel();
        self.shared.waiting().insert(correlation, answered);
        let waiting = Waiting {
            address: Arc::clone(&self.address),
            shared: Arc::clone(&self.shared),
            answer,
            correlation,
            what: M::NAME,
        };
        self.write(frame).await?;
        Ok(Pending { waiting, version, request: PhantomData })
    }

    /// Sends a request that gets no answer: a produce with acks=0.
    ///
    /// # Errors
    /// The version cannot say it, or the connection has ended.
    pub async fn tell_at<M: Request>(&self, request: &M, version: i16) -> Result<(), Error> {
        let correlation = self.correlation.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let frame = frame::encode_request(correlation, Some(&self.client_id), version, request)?;
        self.write(frame).await
    }

    /// Sends the frame that `encode` makes with the correlation id, and gives the frame that
    /// answers it, with that id. For callers with their own way to read and write messages.
    ///
    /// # Errors
    /// The frame cannot be made, the connection ended, or the time ran out.
    pub async fn exchange(
        &self,
        what: &'static str,
        encode: impl FnOnce(i32, &str) -> Result<Vec<Piece>, EncodeError>,
        deadline: Instant,
    ) -> Result<(Bytes, i32), Error> {
        let correlation = self.correlation.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let frame = encode(correlation, &self.client_id)?;
        let (answered, answer) = oneshot::channel();
        self.shared.waiting().insert(correlation, answered);
        let waiting = Waiting {
            address: Arc::clone(&self.address),
            shared: Arc::clone(&self.shared),
            answer,
            correlation,
            what,
        };
        self.write(frame).await?;
        waiting.frame(deadline).await
    }

    async fn write(&self, frame: Vec<Piece>) -> Result<(), Error> {
        let gone = || Error::Disconnected { address: self.address.to_string() };
        if self.is_closed() {
            return Err(gone());
        }
        self.outgoing.send(frame).await.map_err(|_| gone())
    }
}

impl<M: Request> Pending<M> {
    /// Waits for the answer.
    ///
    /// # Errors
    /// The connection ended, the time ran out, or the answer is malformed.
    pub async fn wait(self, deadline: Instant) -> Result<M::Response, Error> {
        let (address, version) = (Arc::clone(&self.waiting.address), self.version);
        let (frame, correlation) = self.waiting.frame(deadline).await?;
        frame::decode_response::<M>(frame, version, correlation).map_err(|source| {
            Error::Malformed { address: address.to_string(), api: M::KEY, source }
        })
    }
}

impl Waiting {
    async fn frame(self, deadline: Instant) -> Result<(Bytes, i32), Error> {
        let started = Instant::now();
        match timeout_at(deadline, self.answer).await {
            Ok(Ok(frame)) => Ok((frame, self.correlation)),
            Ok(Err(_)) => {
                let address = self.address.to_string();
                let too_large =
                    *self.shared.too_large.lock().unwrap_or_else(PoisonError::into_inner);
                Err(match too_large {
                    Some((bytes, limit)) => Error::ResponseTooLarge { address, bytes, limit },
                    None => Error::Disconnected { address },
                })
            }
            Err(_) => {
                self.shared.waiting().remove(&self.correlation);
                Err(Error::TimedOut {
                    what: format!("{} to {}", self.what, self.address),
                    after: started.elapsed(),
                    last: None,
                })
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// The version to ask again with: the broker's highest, but lower than the one it refused.
fn lower_version(response: &ApiVersionsResponse, refused: i16) -> i16 {
    let key = ApiVersionsRequest::KEY.code();
    let theirs = response.api_keys.iter().find(|api| api.api_key == key);
    theirs.map_or(0, |api| api.max_version).clamp(0, refused - 1)
}

async fn write_requests(
    socket: OwnedWriteHalf,
    mut requests: mpsc::Receiver<Vec<Piece>>,
    shared: Arc<Shared>,
) {
    let mut socket = BufWriter::with_capacity(WRITE_BUFFER_BYTES, socket);
    while let Some(request) = requests.recv().await {
        let mut next = Some(request);
        while let Some(pieces) = next {
            for piece in pieces {
                if socket.write_all(&piece.into_bytes()).await.is_err() {
                    return shared.close();
                }
            }
            next = requests.try_recv().ok();
        }
        if socket.flush().await.is_err() {
            return shared.close();
        }
    }
}

/// Why no further answer is read.
enum End {
    Closed,
    TooLarge(i64),
}

async fn read_responses(mut socket: OwnedReadHalf, limit: usize, shared: Arc<Shared>) {
    let end = loop {
        match read_frame(&mut socket, limit).await {
            Ok(frame) => {
                let Ok(correlation) = frame::peek_correlation_id(&frame) else { break End::Closed };
                let waiting = shared.waiting().remove(&correlation);
                // Whoever asked may have given up; the answer is then for nobody.
                if let Some(waiting) = waiting {
                    drop(waiting.send(frame));
                }
            }
            Err(end) => break end,
        }
        if shared.closed.load(Ordering::Acquire) {
            break End::Closed;
        }
    };
    if let End::TooLarge(bytes) = end {
        *shared.too_large.lock().unwrap_or_else(PoisonError::into_inner) = Some((bytes, limit));
    }
    shared.close();
}

async fn read_frame(socket: &mut OwnedReadHalf, limit: usize) -> Result<Bytes, End> {
    let announced = socket.read_i32().await.map_err(|_| End::Closed)?;
    let length = usize::try_from(announced).ok().filter(|length| *length <= limit);
    let length = length.ok_or(End::TooLarge(i64::from(announced)))?;
    let mut frame = BytesMut::with_capacity(length.min(READ_STEP_BYTES));
    while frame.len() < length {
        let left = length - frame.len();
        frame.reserve(left.min(READ_STEP_BYTES));
        let read = (&mut *socket).take(left as u64).read_buf(&mut frame).await;
        if !read.is_ok_and(|bytes| bytes > 0) {
            return Err(End::Closed);
        }
    }
    Ok(frame.freeze())
}

/// A deadline this far from now.
pub(crate) fn deadline_in(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or_else(|| now + Duration::from_secs(86_400))
}
