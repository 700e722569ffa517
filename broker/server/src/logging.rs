//! Log lines for people, or JSON for collectors, on standard error.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::error::Error;

/// Starts logging for the process. `filter` is a level (`info`) or directives
/// (`info,server=debug`).
pub fn init(json: bool, filter: &str) -> Result<(), Error> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Error::LogFilter { filter: filter.to_owned(), why: error.to_string() })?;
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let started = if json {
        registry.with(layer.json().flatten_event(true)).try_init()
    } else {
        let ansi = io::IsTerminal::is_terminal(&io::stderr());
        registry.with(layer.with_ansi(ansi).with_target(false)).try_init()
    };
    // A test or an embedder may have started it already; its choice stands.
    drop(started);
    Ok(())
}
