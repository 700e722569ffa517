//! Topics are not made where there is no room for them.

use metadata::MetadataRecord;
use metadata::control::Decision;
use storage::directory::LogDirs;
use wire::ErrorCode;
use wire::ids::BrokerId;
use wire::messages::create_topics_response::CreatableTopicResult;

use super::ControlResponse;

/// The code of an answer that nothing is wrong with.
const NONE: i16 = 0;

/// Makes nothing when the log directories of this broker have no room for its part of it. Those of
/// other brokers are not judged here: what they cannot make they make when they can.
pub(super) fn with_room(
    dirs: &LogDirs,
    own: BrokerId,
    mut decision: Decision<ControlResponse>,
) -> Decision<ControlResponse> {
    let is_ours = |record: &&MetadataRecord| match record {
        MetadataRecord::Partition(new) => new.replicas.contains(&own.0),
        _ => false,
    };
    let wanted = decision.records.iter().filter(is_ours).count();
    if wanted == 0 {
        return decision;
    }
    if let Err(error) = dirs.check_room(wanted) {
        decision.records.clear();
        refuse(&mut decision.response, &error.to_string());
    }
    decision
}

/// Answers that what would have been made was not.
fn refuse(response: &mut ControlResponse, why: &str) {
    let code = ErrorCode::KafkaStorageError.into();
    match response {
        ControlResponse::CreateTopics(response) => {
            for topic in response.topics.iter_mut().filter(|topic| topic.error_code == NONE) {
                *topic = CreatableTopicResult {
                    name: std::mem::take(&mut topic.name),
                    error_code: code,
                    error_message: Some(why.to_owned()),
                    ..Default::default()
                };
            }
        }
        ControlResponse::CreatePartitions(response) => {
            for result in response.results.iter_mut().filter(|it| it.error_code == NONE) {
                result.error_code = code;
                result.error_message = Some(why.to_owned());
            }
        }
        _ => {}
    }
}
