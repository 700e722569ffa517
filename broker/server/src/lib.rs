//! Listeners, connections, handlers, runtimes, configuration.
#![forbid(unsafe_code)]
