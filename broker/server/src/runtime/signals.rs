//! SIGTERM and SIGINT ask the process to stop.

use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::Error;

/// The signals, caught from the moment this is made.
#[derive(Debug)]
pub(crate) struct Signals {
    runtime: runtime::Runtime,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Catches the signals.
    pub(crate) fn catch() -> Result<Self, Error> {
        let failed = |source| Error::Runtime { part: "signal handlers", source };
        let runtime =
            runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let guard = runtime.enter();
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        drop(guard);
        Ok(Self { runtime, terminate, interrupt })
    }

    /// Blocks until one comes and names it.
    pub(crate) fn wait(self) -> &'static str {
        let Self { runtime, mut terminate, mut interrupt } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        })
    }
}
