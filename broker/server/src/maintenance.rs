//! Housekeeping on timers: each task calls the node on a thread that may block, never twice at
//! once.
//!
//! Runs on the control runtime, so that client traffic does not delay it and it does not delay
//! client traffic.

use std::sync::Arc;
use std::time::Duration;

use node::Node;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing::{error, warn};

use crate::clock::Clock;
use crate::connection::told_to_stop;
use crate::serve_config::MaintenanceConfig;

/// Deleted topics and segments go when their delay has passed; looked at this often.
const REMOVAL_CHECK: Duration = Duration::from_secs(1);
/// Partitions that could not be opened are tried again this often.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
const NOTICE_CHECK: Duration = Duration::from_secs(1);

/// Sessions of group members end and rebalances complete with this precision.
const GROUP_TICK: Duration = Duration::from_millis(100);

type Task = fn(&Node, i64);

/// Runs every task until `stop`, then waits for those under way. `failed` is told why the node
/// cannot go on.
pub(crate) async fn run(
    node: Arc<Node>,
    clock: Arc<dyn Clock>,
    config: MaintenanceConfig,
    stop: watch::Receiver<bool>,
    failed: watch::Sender<Option<String>>,
) {
    let tasks: [(Duration, Task); 8] = [
        (config.flush_check, Node::flush_due),
        (config.retention_check, Node::run_retention),
        (config.recovery_checkpoint, |node, _now| node.checkpoint()),
        (config.producer_expiry_check, Node::expire_producers),
        (config.group_expiry_check, Node::expire_groups),
        (GROUP_TICK, Node::load_groups_that_came),
        (REMOVAL_CHECK, Node::remove_due),
        (RETRY_INTERVAL, |node, now| {
            node.retry_missing(now);
        }),
    ];
    let mut running = JoinSet::new();
    for (period, task) in tasks {
        let (node, clock, stop) = (Arc::clone(&node), Arc::clone(&clock), stop.clone());
        running.spawn(repeat(period, stop, move || {
            let (node, clock) = (Arc::clone(&node), Arc::clone(&clock));
            async move {
                let done = tokio::task::spawn_blocking(move || task(&node, clock.now_ms())).await;
                if let Err(error) = done {
                    error!("housekeeping failed: {error}");
                }
            }
        }));
    }
    let (groups, when) = (Arc::clone(&node), Arc::clone(&clock));
    running.spawn(repeat(GROUP_TICK, stop.clone(), move || {
        // Short and without a disk's waits: it need not leave this thread.
        groups.tick_groups(when.now_ms());
        std::future::ready(())
    }));
    running.spawn(repeat(NOTICE_CHECK, stop, move || {
        say_notices(&node);
        if let Some(why) = node.failure() {
            failed.send_if_modified(|known| known.replace(why).is_none());
        }
        std::future::ready(())
    }));
    while running.join_next().await.is_some() {}
}

/// Says what the node has had to say since the last time.
pub(crate) fn say_notices(node: &Node) {
    for notice in node.take_notices() {
        match notice.is_error() {
            true => error!("{notice}"),
            false => warn!("{notice}"),
        }
    }
}

async fn repeat<F: Future<Output = ()>>(
    period: Duration,
    mut stop: watch::Receiver<bool>,
    mut task: impl FnMut() -> F,
) {
    let period = period.max(Duration::from_millis(1));
    let mut ticks = interval_at(Instant::now() + period, period);
    // After a slow round the next one comes a period later, not a burst of those missed.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = told_to_stop(&mut stop) => return,
            _ = ticks.tick() => task().await,
        }
    }
}
