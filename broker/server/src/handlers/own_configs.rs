//! Settings of one broker are taken by that broker alone, which passes them on to the controller.

use metadata::control::configs::BROKER_LOGGER;
use wire::ErrorCode;
use wire::ids::BrokerId;

/// Kafka's number of brokers as things that have settings.
const BROKER: i8 = 4;

/// Why this broker does not take settings for the resource; `None` when it does, or when the
/// controller is to say.
pub(super) fn refused_here(here: BrokerId, kind: i8, name: &str) -> Option<(ErrorCode, String)> {
    // The empty name is all brokers; loggers are always one broker's.
    if (kind != BROKER && kind != BROKER_LOGGER) || (kind == BROKER && name.is_empty()) {
        return None;
    }
    let why = match name.parse::<i32>() {
        Ok(id) if id == here.0 => return None,
        Ok(_) => format!("Unexpected broker id, expected {here}, but received {name}"),
        Err(_) => format!("Node id must be an integer, but it is: {name}"),
    };
    Some((ErrorCode::InvalidRequest, why))
}
