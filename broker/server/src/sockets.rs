//! All listeners together: bound first, served once there is something to serve, drained at the
//! end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::error;

use crate::connection::budget::RequestBudget;
use crate::connection::{FrameHandler, Shared};
use crate::error::Error;
use crate::listener::limits::ConnectionLimits;
use crate::listener::{Acceptor, bind};
use crate::metrics::Metrics;
use crate::runtime::limits;
use crate::serve_config::{ListenerConfig, SocketConfig};

/// Listening sockets that do not accept yet.
#[derive(Debug)]
pub(crate) struct BoundSockets {
    listeners: Vec<(Arc<str>, TcpListener)>,
    addresses: Vec<SocketAddr>,
}

impl BoundSockets {
    /// Binds every listener.
    pub(crate) fn bind(
        data: &Runtime,
        listeners: &[ListenerConfig],
        sockets: &SocketConfig,
    ) -> Result<Self, Error> {
        let _entered = data.enter();
        let mut bound = Self { listeners: Vec::new(), addresses: Vec::new() };
        for config in listeners {
            let listener = bind(config, sockets)?;
            let address = listener.local_addr().map_err(|source| Error::Bind {
                listener: config.name.clone(),
                address: config.host.clone(),
                source,
            })?;
            bound.listeners.push((config.name.as_str().into(), listener));
            bound.addresses.push(address);
        }
        Ok(bound)
    }

    /// Where each listener is bound.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Accepts and serves connections. `handler` is made with the word that tells when the sockets
    /// begin to drain (parked requests should answer then) and with the limits of connections; what
    /// is made beside it is given back.
    pub(crate) fn serve<H: FrameHandler + 'static, B>(
        self,
        data: &Runtime,
        serving: Serving<'_>,
        handler: impl FnOnce(watch::Receiver<bool>, Arc<ConnectionLimits>) -> (Arc<H>, B),
    ) -> (ServingSockets, B) {
        let Serving { sockets, drain_timeout, metrics, open } = serving;
        let (stop, stopped) = watch::channel(false);
        let descriptors = limits::raise_descriptor_limit();
        let room = limits::connections_max(usize::MAX, descriptors);
        let places = Arc::new(ConnectionLimits::new(room, sockets));
        for (name, _) in &self.listeners {
            places.opened(name);
        }
        let memory = sockets.request_memory_bytes.unwrap_or_else(limits::request_memory_bytes);
        let budget = RequestBudget::new(memory);
        metrics.watch_request_memory(&budget);
        let (handler, beside) = handler(stopped.clone(), Arc::clone(&places));
        let shared = Arc::new(Shared { config: sockets.clone(), budget, metrics, handler });
        let acceptors = self
            .listeners
            .into_iter()
            .map(|(name, listener)| {
                let (limits, shared) = (Arc::clone(&places), Arc::clone(&shared));
                let open = open.clone();
                let acceptor = Acceptor { listener, name, limits, shared, drain_timeout, open };
                data.spawn(acceptor.run(stopped.clone()))
            })
            .collect();
        (ServingSockets { stop, acceptors }, beside)
    }
}

/// How listeners are served.
pub(crate) struct Serving<'a> {
    pub(crate) sockets: &'a SocketConfig,
    pub(crate) drain_timeout: Duration,
    pub(crate) metrics: Arc<Metrics>,
    /// Nothing is accepted before it turns true.
    pub(crate) open: watch::Receiver<bool>,
}

/// Listeners at work.
#[derive(Debug)]
pub(crate) struct ServingSockets {
    stop: watch::Sender<bool>,
    acceptors: Vec<JoinHandle<()>>,
}

impl ServingSockets {
    /// Stops accepting and waits until the requests in flight are answered.
    pub(crate) fn drain(self, data: &Runtime) {
        self.stop.send_replace(true);
        data.block_on(async {
            for acceptor in self.acceptors {
                if let Err(error) = acceptor.await {
                    error!("a listener's task failed: {error}");
                }
            }
        });
    }
}
