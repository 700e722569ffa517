//! Listening sockets: binding them, accepting connections within the limits, draining at the end.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use prometheus::IntGauge;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::{debug, error, warn};

pub(crate) mod limits;
pub(crate) mod rate;

use crate::connection::{Close, Connection, Ended, Peer, Shared, told_to_stop};
use crate::error::Error;
use crate::log_limit::LogLimit;
use crate::metrics::Metrics;
use crate::serve_config::{ListenerConfig, SocketConfig};
use limits::{ConnectionLimits, Place, Refused};

/// A short rest after a failed accept: out of descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Binds one listener. Must be called on the runtime that will accept.
pub(crate) fn bind(
    listener: &ListenerConfig,
    sockets: &SocketConfig,
) -> Result<TcpListener, Error> {
    bind_addresses(listener, sockets).map_err(|source| Error::Bind {
        listener: listener.name.clone(),
        address: format!("{}:{}", listener.host, listener.port),
        source,
    })
}

fn bind_addresses(listener: &ListenerConfig, sockets: &SocketConfig) -> io::Result<TcpListener> {
    let addresses: Vec<SocketAddr> = if listener.host.is_empty() {
        // Both families at once; a machine without IPv6 gets the other.
        vec![
            (std::net::Ipv6Addr::UNSPECIFIED, listener.port).into(),
            (std::net::Ipv4Addr::UNSPECIFIED, listener.port).into(),
        ]
    } else {
        (listener.host.as_str(), listener.port).to_socket_addrs()?.collect()
    };
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match bind_one(address, sockets) {
            Ok(bound) => return Ok(bound),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn bind_one(address: SocketAddr, sockets: &SocketConfig) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // Accepted sockets inherit the sizes; the window scale is fixed at the handshake, so it must be
    // set here.
    if let Some(bytes) = sockets.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(bytes) = sockets.send_buffer_bytes {
        socket.set_send_buffer_size(bytes)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(sockets.listen_backlog)?;
    TcpListener::from_std(socket.into())
}

/// One listener at work.
pub(crate) struct Acceptor {
    pub(crate) listener: TcpListener,
    pub(crate) name: Arc<str>,
    pub(crate) limits: Arc<ConnectionLimits>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) drain_timeout: Duration,
    /// Nothing is accepted before it turns true; connections wait in the backlog.
    pub(crate) open: watch::Receiver<bool>,
}

/// A connection that was accepted and has no place yet.
struct Arrived {
    stream: TcpStream,
    address: SocketAddr,
    /// Others came too fast: it waits until then.
    until: Instant,
}

impl Acceptor {
    /// Accepts until `stop`, then waits for the connections to finish their requests.
    pub(crate) async fn run(mut self, stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        let mut stopped = stop.clone();
        let mut arrived = None;
        tokio::select! {
            biased;
            () = told_to_stop(&mut stopped) => return,
            Ok(_) = self.open.wait_for(|open| *open) => {}
        }
        loop {
            tokio::select! {
                biased;
                () = told_to_stop(&mut stopped) => break,
                Some(ended) = connections.join_next() => report(ended),
                accepted = self.accept(&mut arrived) => match accepted {
                    Ok(Some((stream, place, peer))) => {
                        self.spawn(&mut connections, stream, place, peer, stop.clone());
                    }
                    Ok(None) => {}
                    Err(error) => {
                        static LIMIT: LogLimit = LogLimit::new();
                        if let Some(more) = LIMIT.allow() {
                            warn!("cannot accept a connection: {error}{more}");
                        }
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        let Self { listener, drain_timeout, .. } = self;
        drop((listener, arrived));
        drain(connections, drain_timeout).await;
    }

    /// The next connection that has a place. Who waits for one stands in `arrived`, so that nobody
    /// is lost when the future is dropped half-way.
    async fn accept(
        &self,
        arrived: &mut Option<Arrived>,
    ) -> io::Result<Option<(TcpStream, Place, Peer)>> {
        if arrived.is_none() {
            self.limits.wait_for_room(&self.name).await;
            let (stream, address) = self.listener.accept().await?;
            let now = Instant::now();
            let until = self.limits.came(&self.name, now);
            if until > now {
                self.shared.metrics.connection_delayed();
            }
            *arrived = Some(Arrived { stream, address, until });
        }
        let Some(Arrived { address, until, .. }) = arrived else { return Ok(None) };
        if *until > Instant::now() {
            sleep_until(*until).await;
        }
        let place = loop {
            match self.limits.take(&self.name, address.ip()) {
                Err(Refused::Full) => self.limits.wait_for_room(&self.name).await,
                taken => break taken,
            }
        };
        let Some(Arrived { stream, address, .. }) = arrived.take() else { return Ok(None) };
        let Ok(place) = place else {
            self.refuse(address);
            return Ok(None);
        };
        let socket = SockRef::from(&stream);
        if socket.set_tcp_nodelay(true).and_then(|()| socket.set_keepalive(true)).is_err() {
            // The peer has gone already.
            return Ok(None);
        }
        Ok(Some((stream, place, Peer { address, listener: Arc::clone(&self.name) })))
    }

    fn refuse(&self, address: SocketAddr) {
        self.shared.metrics.connection_refused();
        static LIMIT: LogLimit = LogLimit::new();
        if let Some(more) = LIMIT.allow() {
            let ip = address.ip();
            warn!("connection from {ip} refused: max.connections.per.ip is reached{more}");
        }
    }

    fn spawn(
        &self,
        connections: &mut JoinSet<()>,
        stream: TcpStream,
        place: Place,
        peer: Peer,
        stop: watch::Receiver<bool>,
    ) {
        let shared = Arc::clone(&self.shared);
        connections.spawn(async move {
            let _place = place;
            let _open = Open::new(&shared.metrics, &peer.listener);
            let address = peer.address;
            let ended = Connection::new(stream, peer, shared).serve(stop).await;
            log_end(address, &ended);
        });
    }
}

/// Counts a connection as open for as long as it lives, also when its task panics.
struct Open(IntGauge);

impl Open {
    fn new(metrics: &Metrics, listener: &str) -> Self {
        Self(metrics.connection_opened(listener))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A line for people when a connection ended by a fault of the peer or ours; silence for the
/// ordinary ends.
fn log_end(address: SocketAddr, ended: &Ended) {
    static LIMIT: LogLimit = LogLimit::new();
    match ended {
        Ended::ByPeer | Ended::Drained | Ended::Idle | Ended::Io(_) => {
            debug!("connection from {address} ended: {ended}");
        }
        Ended::Closed(Close::Internal(_)) => error!("connection from {address} closed: {ended}"),
        Ended::SlowRequest | Ended::SlowReader | Ended::BadFrame(_) | Ended::Closed(_) => {
            if let Some(more) = LIMIT.allow() {
                warn!("connection from {address} closed: {ended}{more}");
            }
        }
    }
}

/// A panic in one connection's task ends that connection alone; it is a bug, so it is said aloud.
fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!("a connection's task failed and its connection was closed: {error}");
    }
}

async fn drain(mut connections: JoinSet<()>, drain_timeout: Duration) {
    let deadline = Instant::now() + drain_timeout;
    while let Ok(Some(ended)) = timeout_at(deadline, connections.join_next()).await {
        report(ended);
    }
    if !connections.is_empty() {
        warn!("{} connections were cut off with requests in flight", connections.len());
        connections.shutdown().await;
    }
}
