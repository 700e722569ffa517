//! The admin endpoint: health for Kubernetes, version, metrics. Read-only, on the control runtime.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::routing::get;
use node::Node;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::error;
use wire::ApiKey;
use wire::ids::BrokerId;

use crate::connection::told_to_stop;
use crate::metrics::Metrics;

/// What the answers are made from.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) node: Arc<Node>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stopping: watch::Receiver<bool>,
}

/// Serves until `stop`.
pub(crate) async fn serve(listener: TcpListener, admin: Admin, mut stop: watch::Receiver<bool>) {
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .with_state(admin);
    let stopped = async move { told_to_stop(&mut stop).await };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
        error!("the admin endpoint ended: {error}");
    }
}

/// Binds the admin endpoint on the runtime that will serve it.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Registered, unfenced, not about to stop, and not every log directory lost.
async fn ready(State(admin): State<Admin>) -> (StatusCode, String) {
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
    match admin.node.image().brokers.get(BrokerId(id)) {
        None => Some(format!("broker {id} is not registered")),
        Some(broker) if broker.fenced => Some(format!("broker {id} is fenced")),
        Some(_) => None,
    }
}

async fn version() -> ([(HeaderName, &'static str); 1], String) {
    let body = serde_json::json!({ "name": "tidelog", "version": env!("CARGO_PKG_VERSION") });
    ([(CONTENT_TYPE, "application/json")], format!("{body}\n"))
}

async fn metrics(State(admin): State<Admin>) -> ([(HeaderName, &'static str); 1], String) {
    let name = |key| ApiKey::from_i16(key).map(|key| key.name());
    let mut text = admin.metrics.render(name);
    let lost = admin.node.offline_dirs().len();
    let gauge = "tidelog_log_directories_offline";
    text.push_str(&format!("# TYPE {gauge} gauge\n{gauge} {lost}\n"));
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
