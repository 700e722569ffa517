//! Controllers register too: so that everyone finds them, and nothing is finalised that one of
//! them does not know.

use wire::ErrorCode;
use wire::messages::controller_registration_request::ControllerRegistrationRequest;
use wire::messages::controller_registration_response::ControllerRegistrationResponse;
use wire::messages::metadata_records::MetadataRecord;
use wire::messages::register_controller_record::{
    ControllerEndpoint, ControllerFeature, RegisterControllerRecord,
};

use super::Decision;
use crate::image::Image;
use wire::ids::BrokerId;

/// The level of `metadata.version` from which on the log says who the controllers are: 3.7-IV0.
const REGISTERED_FROM: i16 = 15;

/// Decides a controller's registration; the latest run of a controller takes the place of the one
/// before.
pub fn register_controller(
    image: &Image,
    request: &ControllerRegistrationRequest,
) -> Decision<ControllerRegistrationResponse> {
    if let Err((code, message)) = check(image, request) {
        let response = ControllerRegistrationResponse {
            error_code: code.into(),
            error_message: Some(message.to_owned()),
            ..Default::default()
        };
        return Decision { records: Vec::new(), response };
    }
    let endpoint =
        |l: &wire::messages::controller_registration_request::Listener| ControllerEndpoint {
            name: l.name.clone(),
            host: l.host.clone(),
            port: l.port,
            security_protocol: l.security_protocol,
        };
    let feature =
        |f: &wire::messages::controller_registration_request::Feature| ControllerFeature {
            name: f.name.clone(),
            min_supported_version: f.min_supported_version,
            max_supported_version: f.max_supported_version,
        };
    let record = RegisterControllerRecord {
        controller_id: request.controller_id,
        incarnation_id: request.incarnation_id,
        zk_migration_ready: false,
        end_points: request.listeners.iter().map(endpoint).collect(),
        features: request.features.iter().map(feature).collect(),
    };
    let known = image.controllers.get(BrokerId(request.controller_id));
    let news = known.is_none_or(|known| known.to_record() != record);
    let records = if news { vec![MetadataRecord::RegisterController(record)] } else { Vec::new() };
    Decision { records, response: ControllerRegistrationResponse::default() }
}

fn check(
    image: &Image,
    request: &ControllerRegistrationRequest,
) -> Result<(), (ErrorCode, &'static str)> {
    if image.features.metadata_version() < REGISTERED_FROM {
        let message = "The current MetadataVersion is too old to support controller registrations.";
        return Err((ErrorCode::UnsupportedVersion, message));
    }
    if request.controller_id < 0 {
        return Err((ErrorCode::InvalidRegistration, "A controller's id cannot be negative."));
    }
    Ok(())
}
