//! Listeners, connections, handlers, runtimes, configuration: the edge between sockets and `node`.
//!
//! [`start`] binds the listeners, opens the node and returns a handle; [`run`] does the same and
//! stays until a signal asks the process to stop. Decisions live below, in `node`: this crate
//! routes and awaits.
#![forbid(unsafe_code)]

mod admin_http;
mod broker;
mod clock;
pub mod config;
mod connection;
mod control;
mod dispatch;
mod endpoints;
mod error;
mod handlers;
mod listener;
mod log_limit;
pub mod logging;
mod maintenance;
mod metrics;
mod peers;
pub mod process;
mod readiness;
mod runtime;
mod serve_config;
mod sockets;
mod start;

pub use clock::{Clock, SystemClock};
pub use error::Error;
pub use serve_config::{
    ListenerConfig, MaintenanceConfig, RequestLimits, ServeConfig, SocketConfig,
};
pub use start::{RunningServer, run, start};
