//! Start and stop of the whole server.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use node::{Endpoint, Node, NodeConfig};
use storage::disk::os::OsDisk;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tracing::{error, info};

use crate::admin_http::{self, Admin};
use crate::broker::Broker;
use crate::clock::{Clock, SystemClock};
use crate::dispatch::Dispatch;
use crate::error::Error;
use crate::maintenance;
use crate::metrics::Metrics;
use crate::runtime;
use crate::runtime::signals::Signals;
use crate::serve_config::{ListenerConfig, ServeConfig};
use crate::sockets::{BoundSockets, ServingSockets};

/// How long a stopping server waits for calls that block, an fsync for instance.
const BLOCKING_CALLS_MAX: Duration = Duration::from_secs(30);
/// Kafka's number of the security protocol without security.
const PLAINTEXT: i16 = 0;

/// A server that runs on threads of its own. Dropping the handle stops it without draining;
/// [`RunningServer::stop`] is the clean end.
pub struct RunningServer {
    data: Runtime,
    sockets: ServingSockets,
    control: JoinHandle<()>,
    stop_control: watch::Sender<bool>,
    failed: watch::Receiver<Option<String>>,
    node: Arc<Node>,
    clock: Arc<dyn Clock>,
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
    ///
    /// # Errors
    /// The node could not be closed cleanly; the next start recovers.
    pub fn stop(self) -> Result<(), Error> {
        self.sockets.drain(&self.data);
        self.stop_control.send_replace(true);
        if self.control.join().is_err() {
            error!("the control thread failed");
        }
        // Calls on threads that may block end before the node does.
        self.data.shutdown_timeout(BLOCKING_CALLS_MAX);
        maintenance::say_notices(&self.node);
        let closed = self.node.shutdown(self.clock.now_ms());
        maintenance::say_notices(&self.node);
        closed?;
        info!("stopped");
        Ok(())
    }
}

/// Opens the node, binds the listeners and serves on threads of its own. Blocks until the server is
/// ready.
///
/// # Errors Why it cannot start.
pub fn start(mut config: ServeConfig) -> Result<RunningServer, Error> {
    let began = Instant::now();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let names: Vec<_> = config.listeners.iter().map(|listener| listener.name.clone()).collect();
    let metrics = Arc::new(Metrics::new(&names)?);
    let data = runtime::data(config.worker_threads)?;
    // Bound before the node opens: it tells the cluster where it is reached. Accepting begins
    // after.
    let bound = BoundSockets::bind(&data, &config.listeners, &config.sockets)?;
    let addresses = bound.addresses().to_vec();
    let admin_socket = config.admin.map(bind_admin).transpose()?;
    let admin = admin_socket.as_ref().map(|(_, address)| *address);
    config.node.endpoints = endpoints(&config.listeners, &addresses);
    let log_dirs = config.node.log_dirs.clone();
    let node = open_node(config.node, &*clock)?;
    load_groups(&data, &node, &clock);
    let mut stopping = None;
    let drain = config.drain_timeout;
    let sockets =
        bound.serve(&data, &config.sockets, drain, Arc::clone(&metrics), |stop, places| {
            stopping = Some(stop.clone());
            let broker = Broker {
                places,
                node: Arc::clone(&node),
                clock: Arc::clone(&clock),
                metrics: Arc::clone(&metrics),
                listeners: names.clone(),
                stopping: stop,
                limits: config.requests,
            };
            Arc::new(Dispatch::new(broker.shared()))
        });
    let (stop_control, stop) = watch::channel(false);
    let (failing, failed) = watch::channel(None);
    let (at, when) = (Arc::clone(&node), Arc::clone(&clock));
    let stopping = stopping.unwrap_or_else(|| stop.clone());
    let answers = Admin::new(Arc::clone(&node), metrics, config.metrics_level, stopping);
    let control = runtime::spawn_control(move || async move {
        let upkeep = maintenance::run(at, when, config.maintenance, stop.clone(), failing);
        match admin_socket.map(|(socket, _)| tokio::net::TcpListener::from_std(socket)) {
            Some(Ok(socket)) => {
                tokio::join!(upkeep, admin_http::serve(socket, answers, stop));
            }
            Some(Err(error)) => {
                error!("the admin endpoint cannot be served: {error}");
                upkeep.await;
            }
            None => upkeep.await,
        }
    })?;
    let listeners: Vec<_> = names.into_iter().zip(addresses).collect();
    for (name, address) in &listeners {
        info!("listener {name} on {address}");
    }
    let took = began.elapsed().as_millis();
    info!(
        "broker {} of cluster {} is ready after {took} ms, logs in {log_dirs:?}",
        node.node_id(),
        node.cluster_id()
    );
    Ok(RunningServer {
        data,
        sockets,
        control,
        stop_control,
        failed,
        node,
        clock,
        listeners,
        admin,
    })
}

fn open_node(mut config: NodeConfig, clock: &dyn Clock) -> Result<Arc<Node>, Error> {
    // Before the logs are opened, which hold a descriptor each.
    let descriptors = runtime::limits::raise_descriptor_limit();
    config.settings.partitions_max = runtime::limits::partitions_max(descriptors);
    let node = Node::open(config, Arc::new(OsDisk), clock.now_ms(), seed())?;
    maintenance::say_notices(&node);
    Ok(Arc::new(node))
}

/// Reads the groups back on a thread that may block; until then they answer that they load.
fn load_groups(data: &Runtime, node: &Arc<Node>, clock: &Arc<dyn Clock>) {
    let (node, clock) = (Arc::clone(node), Arc::clone(clock));
    data.spawn_blocking(move || node.load_groups(clock.now_ms()));
}

fn bind_admin(address: SocketAddr) -> Result<(std::net::TcpListener, SocketAddr), Error> {
    let failed =
        |source| Error::Bind { listener: "admin".to_owned(), address: address.to_string(), source };
    let socket = admin_http::bind(address).map_err(failed)?;
    let bound = socket.local_addr().map_err(failed)?;
    Ok((socket, bound))
}

/// What the cluster is told of the listeners: as advertised, else as bound.
fn endpoints(listeners: &[ListenerConfig], bound: &[SocketAddr]) -> Vec<Endpoint> {
    let endpoint = |(listener, address): (&ListenerConfig, &SocketAddr)| {
        let host = [&listener.advertised_host, &listener.host];
        let host = host.into_iter().find(|host| !host.is_empty());
        Endpoint {
            listener: listener.name.clone(),
            host: host.cloned().unwrap_or_else(|| "localhost".to_owned()),
            port: match listener.advertised_port {
                0 => address.port(),
                port => port,
            },
            security_protocol: PLAINTEXT,
        }
    };
    listeners.iter().zip(bound).map(endpoint).collect()
}

/// Randomness for ids, from the system by way of the standard library's hash keys.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Serves until SIGTERM or SIGINT, then drains. `on_ready` is called once the listeners accept.
///
/// # Errors
/// Why it cannot start or go on, or could not stop cleanly.
pub fn run(config: ServeConfig, on_ready: impl FnOnce(&RunningServer)) -> Result<(), Error> {
    let signals = Signals::catch()?;
    let server = start(config)?;
    on_ready(&server);
    let failure = server.failed.clone();
    match signals.wait(failure) {
        Ok(signal) => {
            info!("{signal}: draining");
            server.stop()
        }
        Err(why) => {
            error!("stopping: {why}");
            // What can still be closed is closed; the reason for the stop is what matters.
            if let Err(error) = server.stop() {
                error!("not closed cleanly: {error}");
            }
            Err(Error::NodeFailed(why))
        }
    }
}
