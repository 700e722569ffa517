//! What the control plane asks of other processes: connections to them, kept and made again.
//!
//! Answers come in the order of the questions, so what must not wait has a connection of its own:
//! fetches, which wait at the other end; the quorum's other questions and heartbeats; what clients
//! ask (envelopes); the rest. A node that cannot be reached is tried again after a
//! pause; one whose answer does not come in time is connected to anew, since a network that lost it
//! once may go on for long.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use client::{Connection, Error};
use node::{ControlRequest, ControlResponse, ControllerEndpoint, Destination};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};
use wire::ids::BrokerId;

use crate::control::{Control, goes_first};

/// The pause after a connection failed, doubled with each failure after it.
const RECONNECT_PAUSE_MIN: Duration = Duration::from_millis(20);
/// The longest pause: a node that is back is found this soon.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_millis(250);
/// The largest answer taken from another node: a fetch's bytes, and some.
const RESPONSE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Connections that are kept; a quorum has few voters, and this is beyond any.
const LINKS_MAX: usize = 512;

/// How the other nodes are found.
#[derive(Debug, Clone, Default)]
pub(crate) struct PeersConfig {
    /// What this node calls itself.
    pub(crate) client_id: String,
    /// The listener by which others are reached, of those that they tell.
    pub(crate) listener: String,
    /// `controller.quorum.bootstrap.servers`, or the addresses of the voters.
    pub(crate) bootstrap: Vec<String>,
}

/// The connections to other nodes. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Peers {
    shared: Arc<Shared>,
    runtime: Handle,
}

#[derive(Debug)]
struct Shared {
    config: PeersConfig,
    next_bootstrap: AtomicUsize,
    links: Mutex<HashMap<(String, Lane), Arc<Link>>>,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Lane {
    Fetches,
    /// What is answered before anything that clients ask.
    Urgent,
    Envelopes,
    Rest,
}

impl Lane {
    fn of(request: &ControlRequest) -> Self {
        match request {
            ControlRequest::Fetch(_) | ControlRequest::FetchSnapshot(_) => Self::Fetches,
            request if goes_first(request) => Self::Urgent,
            ControlRequest::Envelope(_) => Self::Envelopes,
            _ => Self::Rest,
        }
    }
}

/// Why there is no answer.
enum Failure {
    /// The other process is gone.
    Refused(Error),
    /// Anything else.
    Other(Error),
    /// It was not asked: there is nowhere to ask, or the request cannot be said.
    Unasked(&'static str),
}

impl Failure {
    fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

impl Peers {
    /// Connections are made and served on `runtime`.
    pub(crate) fn new(config: PeersConfig, runtime: Handle) -> Self {
        let shared =
            Shared { config, next_bootstrap: AtomicUsize::new(0), links: Mutex::default() };
        Self { shared: Arc::new(shared), runtime }
    }

    /// Asks, and tells `control` the answer or that there is none.
    pub(crate) fn send(
        &self,
        control: &Control,
        id: u64,
        to: Destination,
        version: i16,
        request: ControlRequest,
        timeout: Duration,
    ) {
        let (shared, control) = (Arc::clone(&self.shared), control.clone());
        self.runtime.spawn(async move {
            let deadline = Instant::now() + timeout;
            match shared.ask(&to, version, &request, deadline).await {
                Ok(response) => control.answered(id, response),
                Err(failure) => {
                    let refused = failure.is_refused();
                    debug!("{} to {to:?}: {failure}", request.key());
                    control.failed(id, refused);
                }
            }
        });
    }
}

impl Peers {
    /// Whether a broker still listens; `control` hears when it does not.
    pub(crate) fn probe(
        &self,
        control: &Control,
        id: u64,
        broker: BrokerId,
        address: (String, u16),
        timeout: Duration,
    ) {
        let control = control.clone();
        self.runtime.spawn(async move {
            let (host, port) = &address;
            let connect = TcpStream::connect((host.as_str(), *port));
            let refused = match tokio::time::timeout(timeout, connect).await {
                Ok(Err(error)) => is_refusal(error.kind()),
                _ => false,
            };
            if refused {
                info!("broker {broker} is silent, and nobody listens at {host}:{port}");
            }
            control.failed(id, refused);
        });
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(error) | Self::Other(error) => error.fmt(f),
            Self::Unasked(why) => f.write_str(why),
        }
    }
}

impl Shared {
    async fn ask(
        &self,
        to: &Destination,
        version: i16,
        request: &ControlRequest,
        deadline: Instant,
    ) -> Result<ControlResponse, Failure> {
        let address = self.address(to).ok_or(Failure::Unasked("no address is known"))?;
        let link = self.link(address, Lane::of(request));
        let key = request.key();
        let client_id = &self.config.client_id;
        let connection = link.connection(client_id, deadline).await?;
        let theirs = connection.versions().theirs_up_to(key, version);
        let version = theirs.ok_or(Failure::Unasked("it does not serve the request"))?;
        let encode =
            |correlation, client_id: &str| request.encode(correlation, Some(client_id), version);
        let answered = connection.exchange(key.name(), encode, deadline).await;
        let (frame, correlation) = match answered {
            Ok(answered) => answered,
            Err(error) => {
                link.drop_connection(&connection).await;
                return Err(match link.is_refused(&connection, client_id, deadline).await {
                    Some(refused) => refused,
                    None => Failure::Other(error),
                });
            }
        };
        let decoded = ControlResponse::decode(key, version, correlation, frame);
        match decoded {
            Ok(Some(response)) => Ok(response),
            Ok(None) => Err(Failure::Unasked("no control plane asks this")),
            Err(source) => {
                link.drop_connection(&connection).await;
                let address = connection.address().to_owned();
                Err(Failure::Other(Error::Malformed { address, api: key, source }))
            }
        }
    }

    /// Where to ask; bootstrap servers in turn.
    fn address(&self, to: &Destination) -> Option<String> {
        match to {
            Destination::Node { endpoints, .. } => self.endpoint(endpoints).map(at),
            Destination::Bootstrap => {
                let turn = self.next_bootstrap.fetch_add(1, Ordering::Relaxed);
                let servers = &self.config.bootstrap;
                servers.get(turn.checked_rem(servers.len())?).cloned()
            }
            Destination::Server(place) => self.config.bootstrap.get(*place).cloned(),
        }
    }

    /// The endpoint of our listener's name, else the first.
    fn endpoint<'a>(&self, endpoints: &'a [ControllerEndpoint]) -> Option<&'a ControllerEndpoint> {
        let ours = &self.config.listener;
        let named = endpoints.iter().find(|one| one.listener.eq_ignore_ascii_case(ours));
        named.or_else(|| endpoints.first())
    }

    fn link(&self, address: String, lane: Lane) -> Arc<Link> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (address, lane);
        if links.len() >= LINKS_MAX && !links.contains_key(&key) {
            // Addresses change as pods do; those that are in use come back by themselves.
            links.clear();
        }
        let address = key.0.clone();
        Arc::clone(links.entry(key).or_insert_with(|| Arc::new(Link::new(address))))
    }
}

fn at(endpoint: &ControllerEndpoint) -> String {
    match endpoint.host.contains(':') {
        true => format!("[{}]:{}", endpoint.host, endpoint.port),
        false => format!("{}:{}", endpoint.host, endpoint.port),
    }
}

/// One connection, for as long as it is good, and the way to the next.
#[derive(Debug)]
struct Link {
    address: String,
    state: tokio::sync::Mutex<LinkState>,
}

#[derive(Debug, Default)]
struct LinkState {
    connection: Option<Arc<Connection>>,
    /// The pause after the next failure.
    pause: Duration,
    /// No connection is tried before.
    not_before: Option<Instant>,
    /// Whether the loss of the node has been told.
    lost: bool,
}

impl Link {
    fn new(address: String) -> Self {
        Self { address, state: tokio::sync::Mutex::default() }
    }

    /// The connection there is, or a new one.
    async fn connection(
        &self,
        client_id: &str,
        deadline: Instant,
    ) -> Result<Arc<Connection>, Failure> {
        let mut state = self.state.lock().await;
        if let Some(connection) = state.connection.as_ref().filter(|one| !one.is_closed()) {
            return Ok(Arc::clone(connection));
        }
        state.connection = None;
        if let Some(not_before) = state.not_before {
            sleep_until(not_before.min(deadline)).await;
        }
        match Connection::open(&self.address, client_id, RESPONSE_BYTES_MAX, deadline).await {
            Ok(connection) => {
                if std::mem::take(&mut state.lost) {
                    info!("{} is reached again", self.address);
                }
                (state.pause, state.not_before) = (Duration::ZERO, None);
                let connection = Arc::new(connection);
                state.connection = Some(Arc::clone(&connection));
                Ok(connection)
            }
            Err(error) => {
                if !std::mem::replace(&mut state.lost, true) {
                    warn!("another node of the quorum: {error}");
                }
                state.pause = (state.pause * 2).clamp(RECONNECT_PAUSE_MIN, RECONNECT_PAUSE_MAX);
                state.not_before = Some(Instant::now() + state.pause);
                Err(if is_gone(&error) { Failure::Refused(error) } else { Failure::Other(error) })
            }
        }
    }

    /// After a connection was closed by the other side: whether its process is gone, which a new
    /// connection tells at once.
    async fn is_refused(
        &self,
        closed: &Arc<Connection>,
        client_id: &str,
        deadline: Instant,
    ) -> Option<Failure> {
        match closed.is_closed() {
            true => self.connection(client_id, deadline).await.err().filter(Failure::is_refused),
            false => None,
        }
    }

    /// Gives up a connection that failed its request.
    async fn drop_connection(&self, failed: &Arc<Connection>) {
        let mut state = self.state.lock().await;
        if state.connection.as_ref().is_some_and(|one| Arc::ptr_eq(one, failed)) {
            state.connection = None;
        }
    }
}

/// Whether nobody listens there: the host is up, and the process is not.
fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Connect { source, .. } if is_refusal(source.kind()))
}

fn is_refusal(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset)
}
