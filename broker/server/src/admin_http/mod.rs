//! The admin endpoint: health for Kubernetes, metrics, what an operator asks before and after a
//! restart, the log level.
//!
//! Runs on the control runtime. Everything is bounded: connections, the size of a head and of a
//! body, the time a connection may take. A connection serves one request.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use node::Node;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tower::ServiceExt;
use tracing::{debug, warn};

mod health;
mod log_level;
mod metrics;

use crate::config::MetricsLevel;
use crate::connection::told_to_stop;
use crate::metrics::Metrics;

/// Connections at once; more wait in the backlog.
const CONNECTIONS_MAX: usize = 64;
/// A request's head, and the buffer it is read into.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
const BODY_BYTES_MAX: usize = 4 * 1024;
/// How long a head may take to arrive.
const HEAD_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a connection may take from beginning to end.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(30);
/// Scrapes held in memory at once, until they are sent.
const SCRAPES_MAX: usize = 4;
/// Quantiles are of the last one to two of these.
const QUANTILE_WINDOW: Duration = Duration::from_secs(60);
/// A short rest after a failed accept: out of descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the answers are made from.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) node: Arc<Node>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) partition_level: MetricsLevel,
    pub(crate) stopping: watch::Receiver<bool>,
    /// Whether clients are taken.
    pub(crate) open: watch::Receiver<bool>,
    scrapes: Arc<Semaphore>,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
struct Asker(SocketAddr);

impl Admin {
    pub(crate) fn new(
        node: Arc<Node>,
        metrics: Arc<Metrics>,
        partition_level: MetricsLevel,
        stopping: watch::Receiver<bool>,
        open: watch::Receiver<bool>,
    ) -> Self {
        let scrapes = Arc::new(Semaphore::new(SCRAPES_MAX));
        Self { node, metrics, partition_level, stopping, open, scrapes }
    }

    fn router(self) -> Router {
        Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(health::ready))
            .route("/version", get(health::version))
            .route("/metrics", get(metrics::scrape))
            .route("/v1/cluster/health", get(health::cluster))
            .route("/v1/brokers/{id}/pre-restart", get(health::before_restart))
            .route("/v1/brokers/{id}/post-restart", get(health::after_restart))
            .route("/v1/log-level", get(log_level::show).put(log_level::change))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(self)
    }
}

/// Binds the admin endpoint on the runtime that will serve it.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves until `stop`; what is being answered then is cut off.
pub(crate) async fn serve(listener: TcpListener, admin: Admin, mut stop: watch::Receiver<bool>) {
    let metrics = Arc::clone(&admin.metrics);
    let router = admin.router();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let mut window = interval(QUANTILE_WINDOW);
    window.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let accept = async {
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        tokio::select! {
            biased;
            () = told_to_stop(&mut stop) => return,
            _ = window.tick() => metrics.requests.turn(),
            Some(_) = connections.join_next() => {}
            (place, accepted) = accept => match accepted {
                Ok((stream, address)) => {
                    let router = router.clone();
                    connections.spawn(async move {
                        let _place = place;
                        answer(stream, address, router).await;
                    });
                }
                Err(error) => {
                    warn!("the admin endpoint cannot accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

/// One connection.
async fn answer(stream: TcpStream, address: SocketAddr, router: Router) {
    let service = hyper::service::service_fn(move |mut request: hyper::Request<_>| {
        request.extensions_mut().insert(Asker(address));
        let router = router.clone();
        let answer = router.oneshot(request);
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION_TIME_MAX, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!("admin connection from {address}: {error}"),
        Err(_elapsed) => debug!("admin connection from {address} took too long"),
    }
}
