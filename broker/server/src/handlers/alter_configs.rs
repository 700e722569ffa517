//! AlterConfigs: everything that is to be set on a resource; the rest goes back to its defaults.

use wire::messages::alter_configs_request::AlterConfigsRequest;
use wire::messages::alter_configs_response::AlterConfigsResponse;

use crate::dispatch::{Answer, Call};

pub(crate) fn handle(call: &Call, request: AlterConfigsRequest) -> Answer<AlterConfigsResponse> {
    Answer::blocking(call, move |broker| {
        let answer = broker.node.alter_configs(broker.now_ms(), &request);
        broker.reconfigure();
        answer
    })
}
