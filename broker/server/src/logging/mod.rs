//! Log lines for people, or JSON for collectors, on standard error.

use std::io;
use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

pub(crate) mod levels;

use crate::error::Error;

/// Reaches the filter of the running process.
static FILTER: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// A directive that is neither a level nor `target=level`. The filter would take it for a target
/// and silence everything else.
fn unknown_level(filter: &str) -> Option<&str> {
    let known = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let mut directives = filter.split(',').map(str::trim);
    directives.find(|word| !word.contains('=') && !known(word))
}

/// Starts logging for the process. `filter` is a level (`info`) or directives
/// (`info,tidelog_server=debug`).
pub fn init(json: bool, filter: &str) -> Result<(), Error> {
    let (layer_of_filter, handle) = reload::Layer::new(parse(filter)?);
    let registry = tracing_subscriber::registry().with(layer_of_filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let started = if json {
        registry.with(layer.json().flatten_event(true)).try_init()
    } else {
        let ansi = io::IsTerminal::is_terminal(&io::stderr());
        registry.with(layer.with_ansi(ansi).with_target(false)).try_init()
    };
    // A test or an embedder may have started it already; its choice stands.
    if started.is_ok() {
        let own = handle.clone();
        let _ = FILTER.set(handle);
        let reload = move |filter| own.reload(filter).map_err(|error| error.to_string());
        levels::begin(filter, Box::new(reload));
    }
    Ok(())
}

/// The filter in force; empty when this process logs by other means.
pub(crate) fn filter() -> String {
    let shown = FILTER.get().and_then(|handle| handle.with_current(EnvFilter::to_string).ok());
    shown.unwrap_or_default()
}

/// Puts another filter in force.
pub(crate) fn change_filter(filter: &str) -> Result<(), Error> {
    let parsed = parse(filter)?;
    let refused = |why: String| Error::LogFilter { filter: filter.to_owned(), why };
    let Some(handle) = FILTER.get() else {
        return Err(refused("this process logs by other means".to_owned()));
    };
    handle.reload(parsed).map_err(|error| refused(error.to_string()))?;
    levels::start_over(filter);
    Ok(())
}

fn parse(filter: &str) -> Result<EnvFilter, Error> {
    let refused = |why: String| Error::LogFilter { filter: filter.to_owned(), why };
    if let Some(word) = unknown_level(filter) {
        return Err(refused(format!("{word:?} is not one of {}", LEVELS.join(", "))));
    }
    EnvFilter::try_new(filter).map_err(|error| refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_none_is_refused() {
        for good in ["info", "WARN", "off", "info,server=debug", "node=trace"] {
            assert_eq!(unknown_level(good), None);
        }
        assert_eq!(unknown_level("zzz"), Some("zzz"));
        assert_eq!(unknown_level("info, zzz"), Some("zzz"));
        assert_eq!(unknown_level(""), Some(""));
        assert!(init(false, "zzz").is_err());
    }
}
