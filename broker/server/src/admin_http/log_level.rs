//! What the broker says of itself, changed while it runs.

use axum::extract::Extension;
use axum::http::StatusCode;

use super::Asker;
use crate::logging;

/// The filter in force.
pub(super) async fn show() -> String {
    format!("{}\n", logging::filter())
}

/// Puts the filter in the body in force until the next start or change. From this machine only:
/// there is no other way yet to know who asks.
pub(super) async fn change(
    Extension(asker): Extension<Asker>,
    body: String,
) -> (StatusCode, String) {
    let Asker(address) = asker;
    if !address.ip().to_canonical().is_loopback() {
        let why = "the log level is changed from the broker's own machine only\n";
        return (StatusCode::FORBIDDEN, why.to_owned());
    }
    match logging::change_filter(body.trim()) {
        Ok(()) => (StatusCode::OK, format!("{}\n", logging::filter())),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}
