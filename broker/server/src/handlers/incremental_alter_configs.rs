//! IncrementalAlterConfigs: key after key is set, deleted, appended to or subtracted from.
//! The levels of loggers are changed here, all else by the control plane.

use metadata::control::configs::BROKER_LOGGER;
use wire::ErrorCode;
use wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, IncrementalAlterConfigsRequest,
};
use wire::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
};

use super::control::ask;
use super::own_configs::refused_here;
use crate::dispatch::{Answer, Call};
use crate::logging::levels::{self, Change};

/// The numbers of the operations that a logger knows.
const SET: i8 = 0;
const DELETE: i8 = 1;

pub(crate) fn handle(
    call: &Call,
    mut request: IncrementalAlterConfigsRequest,
) -> Answer<IncrementalAlterConfigsResponse> {
    let node_id = call.broker.node.node_id();
    let here: Vec<_> = request
        .resources
        .iter()
        .map(|one| {
            let (code, why) = refused_here(node_id, one.resource_type, &one.resource_name)?;
            Some(AlterConfigsResourceResponse {
                error_code: code.code(),
                error_message: Some(why),
                resource_type: one.resource_type,
                resource_name: one.resource_name.clone(),
            })
        })
        .collect();
    let mut refused = here.iter().map(Option::is_some);
    request.resources.retain(|_| !refused.next().unwrap_or_default());
    let loggers = Loggers::of(&request);
    let call = call.clone();
    Answer::Serial(Box::pin(async move {
        // The control plane looks at the form of what is asked of loggers, no further.
        let mut answer: IncrementalAlterConfigsResponse = ask(&call, request).await?;
        call.broker.reconfigure();
        loggers.alter(&mut answer);
        let mut decided = std::mem::take(&mut answer.responses).into_iter();
        let inserted = here.into_iter().filter_map(|refused| refused.or_else(|| decided.next()));
        answer.responses = inserted.collect();
        Ok(answer)
    }))
}

/// What a request asks of this process's loggers.
struct Loggers {
    resources: Vec<AlterConfigsResource>,
    validate_only: bool,
}

impl Loggers {
    fn of(request: &IncrementalAlterConfigsRequest) -> Self {
        let of_loggers = |one: &&AlterConfigsResource| one.resource_type == BROKER_LOGGER;
        let resources = request.resources.iter().filter(of_loggers).cloned().collect();
        Self { resources, validate_only: request.validate_only }
    }

    /// Changes the levels, where the form was found right.
    fn alter(&self, answer: &mut IncrementalAlterConfigsResponse) {
        let answers = answer.responses.iter_mut();
        let of_loggers = answers.filter(|one| one.resource_type == BROKER_LOGGER);
        for (resource, response) in self.resources.iter().zip(of_loggers) {
            if response.error_code != 0 {
                continue;
            }
            if let Err((code, why)) = alter_loggers(resource, self.validate_only) {
                response.error_code = code.code();
                response.error_message = Some(why);
            }
        }
    }
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
