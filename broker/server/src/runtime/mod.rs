//! The threads of the process.
//!
//! Data: one worker per core, where connections live and appends and hot reads run inline.
//! Blocking: a small pool of the same runtime for fsync, retention and cold reads. Control: one
//! thread with a runtime of its own for the admin endpoint and the timers, so that client traffic
//! and a throttled disk cannot stop them. Peers: one more for what the nodes of a quorum say to
//! each other; the control plane itself has two threads without a runtime (`crate::control`).

use std::thread::{Builder, JoinHandle};

use tokio::runtime::{self, Runtime};

use crate::error::Error;

pub(crate) mod limits;
pub(crate) mod signals;

/// Threads for calls that block: fsync, retention, control-plane writes, cold reads.
const BLOCKING_THREADS_MAX: usize = 8;

/// The runtime of connections. `workers` = 0: one per core.
pub(crate) fn data(workers: usize) -> Result<Runtime, Error> {
    let mut builder = runtime::Builder::new_multi_thread();
    if workers > 0 {
        builder.worker_threads(workers);
    }
    builder
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("tidelog-data")
        .enable_all()
        .build()
        .map_err(|source| Error::Runtime { part: "data threads", source })
}

/// The runtime of the controller's listeners and of the connections to other nodes: one thread,
/// which serves nobody else.
pub(crate) fn peers() -> Result<Runtime, Error> {
    runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("tidelog-peers")
        .enable_all()
        .build()
        .map_err(|source| Error::Runtime { part: "thread of the quorum's connections", source })
}

/// Runs `work` to its end on a thread and runtime of its own.
pub(crate) fn spawn_control<F, W>(work: W) -> Result<JoinHandle<()>, Error>
where
    W: FnOnce() -> F + Send + 'static,
    F: Future<Output = ()>,
{
    let failed = |source| Error::Runtime { part: "control thread", source };
    let runtime = runtime::Builder::new_current_thread()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("tidelog-control-blocking")
        .enable_all()
        .build()
        .map_err(failed)?;
    Builder::new()
        .name("tidelog-control".to_owned())
        .spawn(move || runtime.block_on(work()))
        .map_err(failed)
}
