//! What the server needs to know to start: typed, parsed once by `config` (or filled by a test),
//! never re-read.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use node::NodeConfig;

pub use crate::broker::RequestLimits;
use crate::config::MetricsLevel;

/// Everything one process needs to serve.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// Where clients connect; none when the process is a controller alone.
    pub listeners: Vec<ListenerConfig>,
    /// Where other nodes and tools reach the controller.
    pub controller_listeners: Vec<ListenerConfig>,
    /// The listener by which the controllers of other nodes are reached.
    pub controller_listener_name: String,
    /// Where a node without a quorum asks for one.
    pub bootstrap_servers: Vec<String>,
    /// Limits and options of client sockets.
    pub sockets: SocketConfig,
    /// Limits of single requests.
    pub requests: RequestLimits,
    /// The node; its endpoints are filled from `listeners` once those are bound.
    pub node: NodeConfig,
    /// Where the admin HTTP endpoint listens; `None` switches it off. Port 0 lets the system
    /// choose.
    pub admin: Option<SocketAddr>,
    /// How fine the metrics of topics are.
    pub metrics_level: MetricsLevel,
    /// How often housekeeping runs.
    pub maintenance: MaintenanceConfig,
    /// Data threads; 0 = one per core (`num.network.threads` has no other meaning here).
    pub worker_threads: usize,
    /// How long a stopping server waits for requests in flight.
    pub drain_timeout: Duration,
}

/// One entry of `listeners` with its entry of `advertised.listeners`.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// The listener's name, `PLAINTEXT` for instance.
    pub name: String,
    /// Host to bind; empty = every interface.
    pub host: String,
    /// Port to bind; 0 lets the system choose (tests).
    pub port: u16,
    /// Host that clients are told; empty = the bound one.
    pub advertised_host: String,
    /// Port that clients are told; 0 = the bound one.
    pub advertised_port: u16,
}

/// Limits and options of client sockets; the defaults are Kafka's unless the field says otherwise.
#[derive(Debug, Clone)]
pub struct SocketConfig {
    /// `socket.request.max.bytes`
    pub request_bytes_max: usize,
    /// `socket.send.buffer.bytes`; `None` = the system's default (-1).
    pub send_buffer_bytes: Option<usize>,
    /// `socket.receive.buffer.bytes`; `None` = the system's default (-1).
    pub receive_buffer_bytes: Option<usize>,
    /// `socket.listen.backlog.size`
    pub listen_backlog: i32,
    /// `max.connections`; the file limit minus a reserve bounds it as well.
    pub connections_max: usize,
    /// `max.connections.per.ip`. Kafka has no limit; here 1,000, so that one address cannot take
    /// them all.
    pub connections_per_ip_max: usize,
    /// `max.connections.per.ip.overrides`
    pub connections_per_ip_overrides: Vec<(IpAddr, usize)>,
    /// `quota.window.num`: over how many windows the rate of new connections is taken.
    pub rate_windows: u32,
    /// `quota.window.size.seconds`
    pub rate_window: Duration,
    /// `connections.max.idle.ms`
    pub idle_max: Duration,
    /// Memory for requests being received, all connections together; `None` = min(25 % of the
    /// memory limit, 256 MiB).
    pub request_memory_bytes: Option<usize>,
    /// Requests of one connection that may wait for their answers at once.
    pub in_flight_max: usize,
    /// How long a request that has begun to arrive may take to arrive.
    pub slow_read_max: Duration,
    /// How long a peer may leave a response unread.
    pub slow_write_max: Duration,
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self {
            request_bytes_max: 100 * 1024 * 1024,
            send_buffer_bytes: Some(100 * 1024),
            receive_buffer_bytes: Some(100 * 1024),
            listen_backlog: 50,
            connections_max: usize::MAX,
            connections_per_ip_max: 1_000,
            connections_per_ip_overrides: Vec::new(),
            rate_windows: 11,
            rate_window: Duration::from_secs(1),
            idle_max: Duration::from_secs(600),
            request_memory_bytes: None,
            in_flight_max: 64,
            slow_read_max: Duration::from_secs(30),
            slow_write_max: Duration::from_secs(30),
        }
    }
}

/// How often housekeeping runs; the defaults are Kafka's.
#[derive(Debug, Clone)]
pub struct MaintenanceConfig {
    /// `log.retention.check.interval.ms`
    pub retention_check: Duration,
    /// `log.flush.scheduler.interval.ms`; how often logs are looked at for `flush.ms`.
    pub flush_check: Duration,
    /// `log.flush.offset.checkpoint.interval.ms`
    pub recovery_checkpoint: Duration,
    /// `log.flush.start.offset.checkpoint.interval.ms`
    pub log_start_checkpoint: Duration,
    /// `replica.high.watermark.checkpoint.interval.ms`
    pub high_watermark_checkpoint: Duration,
    /// `producer.id.expiration.check.interval.ms`
    pub producer_expiry_check: Duration,
    /// `offsets.retention.check.interval.ms`
    pub group_expiry_check: Duration,
}

impl Default for MaintenanceConfig {
    fn default() -> Self {
        Self {
            retention_check: Duration::from_secs(300),
            flush_check: Duration::from_secs(1),
            recovery_checkpoint: Duration::from_secs(60),
            log_start_checkpoint: Duration::from_secs(60),
            high_watermark_checkpoint: Duration::from_secs(5),
            producer_expiry_check: Duration::from_secs(600),
            group_expiry_check: Duration::from_secs(600),
        }
    }
}
