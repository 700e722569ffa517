//! AlterConfigs: everything that is to be set on a resource; the rest goes back to its defaults.

use wire::messages::alter_configs_request::AlterConfigsRequest;
use wire::messages::alter_configs_response::{AlterConfigsResourceResponse, AlterConfigsResponse};

use super::control::ask;
use super::own_configs::refused_here;
use crate::dispatch::{Answer, Call};

pub(crate) fn handle(
    call: &Call,
    mut request: AlterConfigsRequest,
) -> Answer<AlterConfigsResponse> {
    let node_id = call.broker.node.node_id();
    let all = request.resources.iter();
    let here: Vec<_> = all
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
    let call = call.clone();
    Answer::Serial(Box::pin(async move {
        let mut answer: AlterConfigsResponse = ask(&call, request).await?;
        call.broker.reconfigure();
        let mut decided = std::mem::take(&mut answer.responses).into_iter();
        let inserted = here.into_iter().filter_map(|refused| refused.or_else(|| decided.next()));
        answer.responses = inserted.collect();
        Ok(answer)
    }))
}
