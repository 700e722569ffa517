//! CreatePartitions: the control plane decides; the answer comes when the partitions are served.

use wire::messages::create_partitions_request::CreatePartitionsRequest;
use wire::messages::create_partitions_response::CreatePartitionsResponse;

use crate::dispatch::{Answer, Call};

pub(crate) fn handle(
    call: &Call,
    request: CreatePartitionsRequest,
) -> Answer<CreatePartitionsResponse> {
    Answer::blocking(call, move |broker| broker.node.create_partitions(broker.now_ms(), &request))
}
