//! The scrape. Written on a thread that may block: large ones take milliseconds, which neither
//! clients nor timers should wait for.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use std::sync::Arc;

use super::Admin;

/// A scrape and its place among those held in memory.
struct Held {
    text: String,
    _place: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

pub(super) async fn scrape(State(admin): State<Admin>) -> Response {
    let place = Arc::clone(&admin.scrapes).acquire_owned().await.ok();
    let written = tokio::task::spawn_blocking(move || Held { text: write(&admin), _place: place });
    match written.await {
        Ok(held) => {
            let kind = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
            (kind, Bytes::from_owner(held)).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

fn write(admin: &Admin) -> String {
    let stopping = *admin.stopping.borrow();
    admin.metrics.scrape(&admin.node, admin.partition_level, stopping)
}
