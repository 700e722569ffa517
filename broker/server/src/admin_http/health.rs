//! How this broker and the cluster stand.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use metadata::health::Concern;
use metadata::image::Broker;
use serde_json::{Value, json};
use wire::ids::BrokerId;

use super::Admin;
use crate::readiness;

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
    match *admin.stopping.borrow() {
        true => Some("stopping".to_owned()),
        false => readiness::why_not(&admin.node, *admin.open.borrow()),
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
