//! SIGTERM and SIGINT ask the process to stop.

use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

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

    /// Blocks until a signal comes, and names it, or until `failure` says why the process cannot go
    /// on. Meanwhile, when `open` turns true, calls `on_open`.
    pub(crate) fn wait(
        self,
        mut failure: watch::Receiver<Option<String>>,
        mut open: watch::Receiver<bool>,
        on_open: impl FnOnce(),
    ) -> Result<&'static str, String> {
        let Self { runtime, mut terminate, mut interrupt } = self;
        let failed = async move {
            loop {
                if let Some(why) = failure.borrow_and_update().clone() {
                    return why;
                }
                if failure.changed().await.is_err() {
                    // Nobody is left to tell.
                    std::future::pending::<()>().await;
                }
            }
        };
        let opened = async move {
            if open.wait_for(|open| *open).await.is_ok() {
                on_open();
            }
            std::future::pending::<()>().await;
        };
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = terminate.recv() => Ok("SIGTERM"),
                _ = interrupt.recv() => Ok("SIGINT"),
                why = failed => Err(why),
                () = opened => Err("the listeners are gone".to_owned()),
            }
        })
    }
}
