//! How this broker and the cluster stand.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use metadata::health::Concern;
use metadata::image::Broker;
use serde_json::{Value, json};
use wire::ids::BrokerId;

use super::Admin;

/// Reasons told in one answer; the rest is counted.
const REASONS_MAX: usize = 100;

/// Taking clients, registered, unfenced, not about to stop, and not every log directory lost; a
/// controller alone: that it knows the active one.
pub(super) async fn ready(State(admin): State<Admin>) -> (StatusCode, String) {
    match why_not_ready(&admin) {
        None => {
            // What is on the other directories is served: no reason to take the broker out.
            let lost = admin.node.offline_dirs().into_iter();
            let lost = lost.map(|dir| format!("log directory {} is offline\n", dir.display()));
            (StatusCode::OK, format!("ready\n{}", lost.collect::<String>()))
        }
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

fn why_not_ready(admin: &Admin) -> Option<String> {
    if *admin.stopping.borrow() {
        return Some("stopping".to_owned());
    }
    if let Some(why) = admin.node.failure() {
        return Some(why);
    }
    let BrokerId(id) = admin.node.node_id();
    if !admin.node.config().quorum.roles.broker {
        let leader = admin.node.control_status().leader;
        let why = "no active controller is known".to_owned();
        return leader.is_none().then(|| with_stranger(admin, why));
    }
    match admin.node.image().brokers.get(BrokerId(id)) {
        None => Some(with_stranger(admin, format!("broker {id} is not registered{}", led(admin)))),
        Some(broker) if broker.fenced => Some(format!("broker {id} is fenced")),
        // What the metadata tells may be of the run before: one that was killed is not fenced yet.
        Some(_) if !*admin.open.borrow() => {
            Some(format!("broker {id} has not been taken in since its start{}", led(admin)))
        }
        Some(_) => None,
    }
}

/// Without a controller nobody is registered; on empty disks that takes all of the voters.
fn led(admin: &Admin) -> String {
    let status = admin.node.control_status();
    if status.leader.is_some() {
        return String::new();
    }
    let ids: Vec<String> = status.voters.iter().map(|voter| voter.id.to_string()).collect();
    let formed = match admin.node.cluster_id().is_empty() {
        true => "; on empty disks, a cluster is formed once all of them are up",
        false => "",
    };
    format!(": no active controller is known (voters: {}{formed})", ids.join(", "))
}

/// Whose cluster the others are may be the reason.
fn with_stranger(admin: &Admin, why: String) -> String {
    match &admin.node.control_status().stranger {
        Some(stranger) => format!("{why}: {stranger}"),
        None => why,
    }
}

pub(super) async fn version() -> Json<Value> {
    Json(json!({ "name": "tidelog", "version": env!("CARGO_PKG_VERSION") }))
}

/// The cluster as this broker knows it. Always 200: whoever asks judges by what it says.
pub(super) async fn cluster(State(admin): State<Admin>) -> Json<Value> {
    let node = &admin.node;
    let image = node.image();
    let counts = node.partition_counts();
    let broker = |broker: &Broker| {
        json!({
            "id": broker.id.0,
            "fenced": broker.fenced,
            "shutting_down": broker.in_controlled_shutdown,
        })
    };
    let all_active = image.brokers.iter().all(|broker| broker.is_active());
    let lost: Vec<String> =
        node.offline_dirs().iter().map(|dir| dir.display().to_string()).collect();
    let healthy = all_active
        && lost.is_empty()
        && counts.offline == 0
        && counts.under_replicated == 0
        && counts.under_min_isr == 0;
    Json(json!({
        "healthy": healthy,
        "cluster_id": node.cluster_id(),
        "brokers": image.brokers.iter().map(|b| broker(b)).collect::<Vec<_>>(),
        "topics": image.topics.len(),
        "partitions": {
            "all": counts.all,
            "offline": counts.offline,
            "under_replicated": counts.under_replicated,
            "under_min_isr": counts.under_min_isr,
            "at_min_isr": counts.at_min_isr,
        },
        "offline_log_dirs": lost,
    }))
}

/// Whether the broker may be restarted now.
pub(super) async fn before_restart(
    State(admin): State<Admin>,
    Path(id): Path<i32>,
) -> (StatusCode, Json<Value>) {
    verdict(id, admin.node.before_restart(BrokerId(id)), None)
}

/// Whether the broker is back after a restart.
pub(super) async fn after_restart(
    State(admin): State<Admin>,
    Path(id): Path<i32>,
) -> (StatusCode, Json<Value>) {
    let image = admin.node.image();
    let fenced = image.brokers.get(BrokerId(id)).is_some_and(|broker| broker.fenced);
    let fenced = fenced.then_some("the broker is fenced");
    verdict(id, admin.node.after_restart(BrokerId(id)), fenced)
}

fn verdict(
    id: i32,
    concerns: Option<Vec<Concern>>,
    of_broker: Option<&str>,
) -> (StatusCode, Json<Value>) {
    let Some(concerns) = concerns else {
        let error = format!("broker {id} is not registered");
        return (StatusCode::NOT_FOUND, Json(json!({ "error": error })));
    };
    let reason = |concern: &Concern| {
        json!({
            "topic": &*concern.topic,
            "partition": concern.partition.0,
            "why": concern.why.to_string(),
        })
    };
    let safe = concerns.is_empty() && of_broker.is_none();
    let mut reasons: Vec<Value> = of_broker
        .map(|why| json!({ "topic": null, "partition": null, "why": why }))
        .into_iter()
        .collect();
    reasons.extend(concerns.iter().take(REASONS_MAX).map(reason));
    let more = concerns.len().saturating_sub(REASONS_MAX);
    let answer = match more {
        0 => json!({ "safe": safe, "reasons": reasons }),
        more => json!({ "safe": safe, "reasons": reasons, "reasons_left_out": more }),
    };
    (if safe { StatusCode::OK } else { StatusCode::CONFLICT }, Json(answer))
}
