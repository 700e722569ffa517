//! Configuration: every key of Kafka 4.3 and Tidelog's own, read once into types.
//!
//! [`load`] lays the layers over each other, refuses what is unknown or invalid, all of it at
//! once, and gives typed values. Nothing else in the process reads files of configuration or the
//! environment.

mod def;
mod error;
mod keys;
mod listeners;
mod properties;
pub mod registry;
mod resolved;
mod settings;
mod typed;
mod yaml;

#[cfg(test)]
mod tests;

pub use def::{Check, Def, Kind, Role, Value};
pub use error::{ConfigError, ConfigErrors, Source};
pub use resolved::{Held, Layers, Note, Resolved};
pub use settings::{
    FetchSettings, GroupSettings, LogSettings, LoggingSettings, MetadataLogSettings, MetricsLevel,
    NodeSettings, Settings, TopicSettings,
};

use crate::serve_config::ServeConfig;

/// A configuration that was read and found right.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The typed values.
    pub settings: Settings,
    /// What the operator should read once at start.
    pub notes: Vec<Note>,
    /// Every key's value and where it was set.
    pub resolved: Resolved,
}

/// Reads the layers.
///
/// # Errors
/// Everything that is wrong, so that one start shows all of it.
pub fn load(layers: &Layers) -> Result<Loaded, ConfigErrors> {
    let resolved = Resolved::read(layers)?;
    let (settings, more) = Settings::new(&resolved)?;
    let notes = resolved.notes.iter().cloned().chain(more).collect();
    Ok(Loaded { settings, notes, resolved })
}

impl Settings {
    /// What the server needs to start.
    #[must_use]
    pub fn serve_config(&self) -> ServeConfig {
        ServeConfig {
            listeners: self.listeners.clone(),
            sockets: self.sockets.clone(),
            admin: self.admin,
            maintenance: self.maintenance.clone(),
            worker_threads: self.worker_threads,
            drain_timeout: self.drain_timeout,
        }
    }
}
