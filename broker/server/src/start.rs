//! Start and stop of the whole server.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tracing::info;

use crate::broker::Broker;
use crate::clock::SystemClock;
use crate::connection::FrameHandler;
use crate::dispatch::Dispatch;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::runtime;
use crate::runtime::signals::Signals;
use crate::serve_config::ServeConfig;
use crate::sockets::{BoundSockets, ServingSockets};

/// A server that runs on threads of its own. Dropping the handle stops it without draining; [`RunningServer::stop`]
/// is the clean end.
#[derive(Debug)]
pub struct RunningServer {
    data: Runtime,
    sockets: ServingSockets,
    listeners: Vec<(String, SocketAddr)>,
    admin: Option<SocketAddr>,
}

impl RunningServer {
    /// The bound address of every listener, in the order of the configuration.
    pub fn listeners(&self) -> &[(String, SocketAddr)] {
        &self.listeners
    }

    /// The bound address of the admin endpoint.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Stops accepting, finishes what is in flight, closes the node cleanly. Blocks until done.
    pub fn stop(self) -> Result<(), Error> {
        self.sockets.drain(&self.data);
        Ok(())
    }
}

/// Opens the node, binds the listeners and serves on threads of its own. Blocks until the server is ready.
pub fn start(config: ServeConfig) -> Result<RunningServer, Error> {
    let metrics = Arc::new(Metrics::default());
    let clock = Arc::new(SystemClock);
    let broker = Arc::new(Broker { clock, metrics: Arc::clone(&metrics) });
    start_with(config, Arc::new(Dispatch::new(broker)), metrics)
}

fn start_with(
    config: ServeConfig,
    handler: Arc<dyn FrameHandler>,
    metrics: Arc<Metrics>,
) -> Result<RunningServer, Error> {
    let data = runtime::data(config.worker_threads)?;
    let bound = BoundSockets::bind(&data, &config.listeners, &config.sockets)?;
    let names = config.listeners.iter().map(|listener| listener.name.clone());
    let listeners = names.zip(bound.addresses().iter().copied()).collect();
    let sockets = bound.serve(&data, &config.sockets, config.drain_timeout, handler, metrics);
    Ok(RunningServer { data, sockets, listeners, admin: config.admin })
}

/// Serves until SIGTERM or SIGINT, then drains. `on_ready` is called once the listeners accept.
pub fn run(config: ServeConfig, on_ready: impl FnOnce(&RunningServer)) -> Result<(), Error> {
    let signals = Signals::catch()?;
    let server = start(config)?;
    on_ready(&server);
    let signal = signals.wait();
    info!("{signal}: draining");
    server.stop()
}
