//! Start and stop of the whole server.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use node::{Node, NodeConfig};
use storage::disk::os::OsDisk;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::admin_http::{self, Admin};
use crate::broker::Broker;
use crate::clock::{Clock, SystemClock};
use crate::control::{Control, ControlThreads, Progress};
use crate::dispatch::{ControllerDispatch, Dispatch};
use crate::endpoints;
use crate::error::Error;
use crate::maintenance;
use crate::metrics::Metrics;
use crate::peers::{Peers, PeersConfig};
use crate::readiness;
use crate::runtime;
use crate::runtime::signals::Signals;
use crate::serve_config::{ServeConfig, SocketConfig};
use crate::sockets::{BoundSockets, Serving, ServingSockets};

/// How long a stopping server waits for calls that block, an fsync for instance.
const BLOCKING_CALLS_MAX: Duration = Duration::from_secs(30);
/// The largest request of another node or of a tool: many topics at once, in an envelope.
const CONTROLLER_REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Memory for such requests while they arrive, which clients cannot take.
const CONTROLLER_REQUEST_MEMORY_BYTES: usize = 64 * 1024 * 1024;
/// How long the controller may take to agree that this broker stops.
const CONTROLLED_SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// A server that runs on threads of its own. Dropping the handle stops it without draining;
/// [`RunningServer::stop`] is the clean end.
pub struct RunningServer {
    data: Runtime,
    peers: Runtime,
    sockets: ServingSockets,
    controllers: ServingSockets,
    way: Control,
    threads: ControlThreads,
    upkeep: JoinHandle<()>,
    stop_upkeep: watch::Sender<bool>,
    failed: watch::Receiver<Option<String>>,
    open: watch::Receiver<bool>,
    node: Arc<Node>,
    clock: Arc<dyn Clock>,
    listeners: Vec<(String, SocketAddr)>,
    admin: Option<SocketAddr>,
}

impl RunningServer {
    /// The bound address of every listener, in the order of the configuration, clients' first.
    pub fn listeners(&self) -> &[(String, SocketAddr)] {
        &self.listeners
    }

    /// The bound address of the admin endpoint.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Leaves the cluster, stops accepting, finishes what is in flight, closes the node cleanly.
    /// Blocks until done.
    ///
    /// # Errors
    /// The node could not be closed cleanly; the next start recovers.
    pub fn stop(self) -> Result<(), Error> {
        if !self.way.shut_down(&self.data, CONTROLLED_SHUTDOWN_MAX) {
            warn!("no controller has agreed to the stop; stopping all the same");
        }
        self.sockets.drain(&self.data);
        self.controllers.drain(&self.peers);
        self.stop_upkeep.send_replace(true);
        if self.upkeep.join().is_err() {
            error!("the control thread failed");
        }
        self.threads.stop();
        // Calls on threads that may block end before the node does.
        self.data.shutdown_timeout(BLOCKING_CALLS_MAX);
        self.peers.shutdown_background();
        maintenance::say_notices(&self.node);
        let closed = self.node.shutdown(self.clock.now_ms());
        maintenance::say_notices(&self.node);
        closed?;
        info!("stopped");
        Ok(())
    }
}

/// The listeners, bound and not accepting.
struct Bound {
    clients: BoundSockets,
    controllers: BoundSockets,
    names: Vec<String>,
}

impl Bound {
    fn bind(config: &ServeConfig, data: &Runtime, peers: &Runtime) -> Result<Self, Error> {
        let all = config.listeners.iter().chain(&config.controller_listeners);
        Ok(Self {
            clients: BoundSockets::bind(data, &config.listeners, &config.sockets)?,
            controllers: BoundSockets::bind(peers, &config.controller_listeners, &config.sockets)?,
            names: all.map(|listener| listener.name.clone()).collect(),
        })
    }

    fn all(&self) -> Vec<(String, SocketAddr)> {
        let addresses = self.clients.addresses().iter().chain(self.controllers.addresses());
        self.names.iter().cloned().zip(addresses.copied()).collect()
    }
}

/// Opens the node, binds the listeners and serves on threads of its own. A node that is alone is
/// ready on return; one of several serves clients once its quorum has taken it in.
///
/// # Errors
/// Why it cannot start.
pub fn start(mut config: ServeConfig) -> Result<RunningServer, Error> {
    let began = Instant::now();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (data, peers) = (runtime::data(config.worker_threads)?, runtime::peers()?);
    // Bound before the node opens: it tells the cluster where it is reached. Accepting begins
    // after.
    let bound = Bound::bind(&config, &data, &peers)?;
    let listeners = bound.all();
    let metrics = Arc::new(Metrics::new(&bound.names)?);
    let admin_socket = config.admin.map(bind_admin).transpose()?;
    let admin = admin_socket.as_ref().map(|(_, address)| *address);
    endpoints::fill(&mut config, bound.clients.addresses(), bound.controllers.addresses());
    let node = open_node(config.node.clone(), &*clock)?;
    let way = Control::new();
    let (open, opened) = watch::channel(false);
    let seen = Seen { node: &node, clock: &clock, metrics: &metrics, way: &way };
    let (sockets, broker, stopping) =
        serve_clients(&config, bound.clients, &data, &seen, opened.clone());
    let controllers = serve_controllers(&config, bound.controllers, &peers, &metrics, &broker);
    let threads = start_control(&config, &peers, &seen, &broker)?;
    let (stop_upkeep, stop) = watch::channel(false);
    let (failing, failed) = watch::channel(None);
    peers.spawn(follow(way.progress(), open, failing.clone(), Arc::clone(&node), began));
    peers.spawn(readiness::say_what_is_awaited(Arc::clone(&node), opened.clone()));
    if config.node.quorum.is_alone() {
        load_groups(&data, &node, &clock);
    }
    let answers =
        Admin::new(Arc::clone(&node), metrics, config.metrics_level, stopping, opened.clone());
    let (at, when) = (Arc::clone(&node), Arc::clone(&clock));
    let upkeep = runtime::spawn_control(move || async move {
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
    for (name, address) in &listeners {
        info!("listener {name} on {address}");
    }
    Ok(RunningServer {
        data,
        peers,
        sockets,
        controllers,
        way,
        threads,
        upkeep,
        stop_upkeep,
        failed,
        open: opened,
        node,
        clock,
        listeners,
        admin,
    })
}

/// What every part of the process sees.
struct Seen<'a> {
    node: &'a Arc<Node>,
    clock: &'a Arc<dyn Clock>,
    metrics: &'a Arc<Metrics>,
    way: &'a Control,
}

/// The clients' side: its sockets, what its handlers share, and the word that it drains.
fn serve_clients(
    config: &ServeConfig,
    bound: BoundSockets,
    data: &Runtime,
    seen: &Seen<'_>,
    open: watch::Receiver<bool>,
) -> (ServingSockets, Arc<Broker>, watch::Receiver<bool>) {
    let serving = Serving {
        sockets: &config.sockets,
        drain_timeout: config.drain_timeout,
        metrics: Arc::clone(seen.metrics),
        open,
    };
    let requests = config.requests.clone();
    let names = config.listeners.iter().map(|listener| listener.name.clone()).collect();
    let (sockets, (broker, stopping)) = bound.serve(data, serving, |stopping, places| {
        let broker = Broker {
            places,
            node: Arc::clone(seen.node),
            clock: Arc::clone(seen.clock),
            metrics: Arc::clone(seen.metrics),
            control: seen.way.clone(),
            listeners: names,
            stopping: stopping.clone(),
            limits: requests,
        };
        let broker = broker.shared();
        (Arc::new(Dispatch::new(Arc::clone(&broker))), (broker, stopping))
    });
    (sockets, broker, stopping)
}

/// The controller's side, with memory and a thread of its own: no client can take its place.
fn serve_controllers(
    config: &ServeConfig,
    bound: BoundSockets,
    peers: &Runtime,
    metrics: &Arc<Metrics>,
    broker: &Arc<Broker>,
) -> ServingSockets {
    let sockets = SocketConfig {
        request_bytes_max: config.sockets.request_bytes_max.min(CONTROLLER_REQUEST_BYTES_MAX),
        request_memory_bytes: Some(CONTROLLER_REQUEST_MEMORY_BYTES),
        ..config.sockets.clone()
    };
    let (_, open) = watch::channel(true);
    let serving = Serving {
        sockets: &sockets,
        drain_timeout: config.drain_timeout,
        metrics: Arc::clone(metrics),
        open,
    };
    let handler = Arc::new(ControllerDispatch::new(Arc::clone(broker)));
    bound.serve(peers, serving, |_, _| (handler, ())).0
}

fn start_control(
    config: &ServeConfig,
    peers: &Runtime,
    seen: &Seen<'_>,
    broker: &Arc<Broker>,
) -> Result<ControlThreads, Error> {
    let links = Peers::new(
        PeersConfig {
            client_id: format!("tidelog-{}", config.node.node_id),
            listener: config.controller_listener_name.clone(),
            bootstrap: config.bootstrap_servers.clone(),
        },
        peers.handle().clone(),
    );
    let (reconfigured, loaded, stepped) =
        (Arc::clone(broker), Arc::clone(broker), Arc::clone(broker));
    ControlThreads::start(
        seen.way,
        Arc::clone(seen.node),
        Arc::clone(seen.clock),
        links,
        move || reconfigured.reconfigure(),
        move || loaded.node.load_groups(loaded.now_ms()),
        move |began| stepped.metrics.quorum_stepped(began, stepped.node.quorum_marks()),
    )
}

/// Opens the listeners for clients when the broker may take them, and tells why the node cannot go
/// on.
async fn follow(
    mut progress: watch::Receiver<Progress>,
    open: watch::Sender<bool>,
    failing: watch::Sender<Option<String>>,
    node: Arc<Node>,
    began: Instant,
) {
    let quorum = &node.config().quorum;
    let at_once = quorum.is_alone() || !quorum.roles.broker;
    loop {
        let now = progress.borrow_and_update().clone();
        if (now.ready || at_once) && !open.send_replace(true) {
            let took = began.elapsed().as_millis();
            let (id, cluster) = (node.node_id(), node.cluster_id());
            let dirs = &node.config().log_dirs;
            match quorum.roles.broker {
                true => info!(
                    "broker {id} of cluster {cluster} is ready after {took} ms, logs in {dirs:?}"
                ),
                false => info!("controller {id} has begun after {took} ms"),
            }
        }
        if let Some(why) = now.fatal {
            failing.send_if_modified(|known| known.replace(why).is_none());
        }
        if progress.changed().await.is_err() {
            return;
        }
    }
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
    let (failure, open) = (server.failed.clone(), server.open.clone());
    match signals.wait(failure, open, || on_ready(&server)) {
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
