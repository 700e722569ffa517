//! IncrementalAlterConfigs: key after key is set, deleted, appended to or subtracted from.
//! The levels of loggers are changed here, all else by the control plane.

use metadata::control::configs::BROKER_LOGGER;
use wire::ErrorCode;
use wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, IncrementalAlterConfigsRequest,
};
use wire::messages::incremental_alter_configs_response::IncrementalAlterConfigsResponse;

use crate::dispatch::{Answer, Call};
use crate::logging::levels::{self, Change};

/// The numbers of the operations that a logger knows.
const SET: i8 = 0;
const DELETE: i8 = 1;

pub(crate) fn handle(
    call: &Call,
    request: IncrementalAlterConfigsRequest,
) -> Answer<IncrementalAlterConfigsResponse> {
    Answer::blocking(call, move |broker| {
        // The control plane has looked at the form of what is asked of loggers, no further.
        let mut answer = broker.node.incremental_alter_configs(broker.now_ms(), &request);
        broker.reconfigure();
        for (resource, response) in request.resources.iter().zip(&mut answer.responses) {
            if resource.resource_type != BROKER_LOGGER || response.error_code != 0 {
                continue;
            }
            if let Err((code, why)) = alter_loggers(resource, request.validate_only) {
                response.error_code = code.code();
                response.error_message = Some(why);
            }
        }
        answer
    })
}

fn alter_loggers(
    resource: &AlterConfigsResource,
    validate_only: bool,
) -> Result<(), (ErrorCode, String)> {
    let mut changes = Vec::with_capacity(resource.configs.len());
    for config in &resource.configs {
        let level = match config.config_operation {
            SET => config.value.clone(),
            DELETE => None,
            operation => {
                let why =
                    format!("Operation {operation} is not allowed for the BROKER_LOGGER resource");
                return Err((ErrorCode::InvalidRequest, why));
            }
        };
        changes.push(Change { logger: config.name.clone(), level });
    }
    levels::change(&changes, validate_only)
}
