//! Controllers register too: so that everyone finds them, and nothing is finalised that one of
//! them does not know.

use wire::ErrorCode;
use wire::messages::controller_registration_request::ControllerRegistrationRequest;
use wire::messages::controller_registration_response::ControllerRegistrationResponse;
use wire::messages::metadata_records::MetadataRecord;

use super::Decision;
use crate::image::{Controller, Image};
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
    let controller = Controller {
        id: BrokerId(request.controller_id),
        incarnation: request.incarnation_id,
        endpoints: request.listeners.iter().map(Into::into).collect(),
        features: request.features.iter().map(Into::into).collect(),
    };
    let known = image.controllers.get(controller.id);
    let news = known.is_none_or(|known| **known != controller);
    let record = || MetadataRecord::RegisterController(controller.to_record());
    let records = if news { vec![record()] } else { Vec::new() };
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
