//! Sleeping until a partition says "look again".

use std::sync::Arc;

use replication::purgatory::Wake;
use tokio::sync::Notify;

/// Remembers a wake-up that comes before the sleep.
#[derive(Debug, Default)]
pub(super) struct Sleeper {
    notify: Notify,
}

impl Wake for Sleeper {
    fn wake(&self) {
        self.notify.notify_one();
    }
}

impl Sleeper {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Sleeps until the next wake-up.
    pub(super) async fn sleep(&self) {
        self.notify.notified().await;
    }
}
