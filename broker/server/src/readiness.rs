//! Whether a node does its part in the cluster, and what it waits for while it does not.

use std::sync::Arc;
use std::time::Duration;

use node::Node;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

/// After this long without, what a start waits for is said.
const PATIENCE: Duration = Duration::from_secs(10);
/// And again after this long.
const AGAIN: Duration = Duration::from_secs(60);

/// Why a node does not do its part; `open`: whether it takes clients.
pub(crate) fn why_not(node: &Node, open: bool) -> Option<String> {
    if let Some(why) = node.failure() {
        return Some(why);
    }
    let id = node.node_id();
    if !node.config().quorum.roles.broker {
        let leads = node.control_status().leader.is_some();
        return (!leads).then(|| with_stranger(node, format!("controller {id}{}", led(node))));
    }
    match node.image().brokers.get(id) {
        None => Some(with_stranger(node, format!("broker {id} is not registered{}", led(node)))),
        Some(broker) if broker.fenced => Some(format!("broker {id} is fenced")),
        // What the metadata tells may be of the run before: one that was killed is not fenced yet.
        Some(_) if !open => {
            Some(format!("broker {id} has not been taken in since its start{}", led(node)))
        }
        Some(_) => None,
    }
}

/// Says in the log what a start waits for, now and then, until it has ended.
pub(crate) async fn say_what_is_awaited(node: Arc<Node>, open: watch::Receiver<bool>) {
    let began = Instant::now();
    let mut next = began + PATIENCE;
    loop {
        sleep_until(next).await;
        let Some(why) = why_not(&node, *open.borrow()) else { return };
        warn!("not ready after {} s: {why}", began.elapsed().as_secs());
        next += AGAIN;
    }
}

/// Without a controller nobody is registered; on empty disks that takes all of the voters.
fn led(node: &Node) -> String {
    let status = node.control_status();
    if status.leader.is_some() {
        return String::new();
    }
    let ids: Vec<String> = status.voters.iter().map(|voter| voter.id.to_string()).collect();
    let more = match (node.cluster_id().is_empty(), ids.is_empty()) {
        (_, true) => {
            "; none of the controllers that it is told to ask knows a quorum: a first one begins \
             where controller.quorum.voters names its controllers, or a controller itself only"
        }
        (true, false) => "; on empty disks, a cluster is formed once all of them are up",
        (false, false) => "",
    };
    format!(": no active controller is known (voters: {}{more})", ids.join(", "))
}

/// Whose cluster the others are may be the reason.
fn with_stranger(node: &Node, why: String) -> String {
    match &node.control_status().stranger {
        Some(stranger) => format!("{why}: {stranger}"),
        None => why,
    }
}
