//! How a request is refused as a whole, in the form that its API has for that.

use wire::ErrorCode;
use wire::message::Message as _;
use wire::messages::add_raft_voter_response::AddRaftVoterResponse;
use wire::messages::allocate_producer_ids_response::AllocateProducerIdsResponse;
use wire::messages::alter_configs_response::{
    AlterConfigsResourceResponse as Replaced, AlterConfigsResponse,
};
use wire::messages::begin_quorum_epoch_response::BeginQuorumEpochResponse;
use wire::messages::broker_heartbeat_response::BrokerHeartbeatResponse;
use wire::messages::broker_registration_response::BrokerRegistrationResponse;
use wire::messages::controller_registration_response::ControllerRegistrationResponse;
use wire::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use wire::messages::create_topics_response::{CreatableTopicResult, CreateTopicsResponse};
use wire::messages::delete_topics_request::DeleteTopicsRequest;
use wire::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use wire::messages::describe_cluster_response::DescribeClusterResponse;
use wire::messages::describe_quorum_response::DescribeQuorumResponse;
use wire::messages::end_quorum_epoch_response::EndQuorumEpochResponse;
use wire::messages::envelope_response::EnvelopeResponse;
use wire::messages::fetch_response::FetchResponse;
use wire::messages::fetch_snapshot_response::FetchSnapshotResponse;
use wire::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse as Changed, IncrementalAlterConfigsResponse,
};
use wire::messages::remove_raft_voter_response::RemoveRaftVoterResponse;
use wire::messages::unregister_broker_response::UnregisterBrokerResponse;
use wire::messages::update_features_response::UpdateFeaturesResponse;
use wire::messages::update_raft_voter_response::UpdateRaftVoterResponse;
use wire::messages::vote_response::VoteResponse;

use super::{ControlRequest, ControlResponse};

impl ControlRequest {
    /// The answer that refuses all of it.
    #[must_use]
    pub fn refused(&self, code: ErrorCode, message: &str) -> ControlResponse {
        let error_code = code.into();
        let error_message = Some(message.to_owned());
        match self {
            Self::CreateTopics(request) => {
                not_created(request.topics.iter().map(|topic| &topic.name), error_code, message)
            }
            Self::AutoCreateTopics(names) => not_created(names.iter(), error_code, message),
            Self::CreatePartitions(request) => {
                let one = |name: &String| CreatePartitionsTopicResult {
                    name: name.clone(),
                    error_code,
                    error_message: error_message.clone(),
                };
                let results = request.topics.iter().map(|topic| one(&topic.name)).collect();
                CreatePartitionsResponse { results, ..Default::default() }.into()
            }
            Self::DeleteTopics(request) => not_deleted(request, error_code, message),
            Self::AlterConfigs(request) => {
                let responses = request.resources.iter().map(|resource| Replaced {
                    error_code,
                    error_message: error_message.clone(),
                    resource_type: resource.resource_type,
                    resource_name: resource.resource_name.clone(),
                });
                let responses = responses.collect();
                AlterConfigsResponse { responses, ..Default::default() }.into()
            }
            Self::IncrementalAlterConfigs(request) => {
                let responses = request.resources.iter().map(|resource| Changed {
                    error_code,
                    error_message: error_message.clone(),
                    resource_type: resource.resource_type,
                    resource_name: resource.resource_name.clone(),
                });
                let responses = responses.collect();
                IncrementalAlterConfigsResponse { responses, ..Default::default() }.into()
            }
            _ => self.refused_by_code(error_code, error_message),
        }
    }

    fn refused_by_code(&self, error_code: i16, error_message: Option<String>) -> ControlResponse {
        macro_rules! coded {
            ($response:ident) => {
                $response { error_code, ..Default::default() }.into()
            };
            ($response:ident, message) => {
                $response { error_code, error_message, ..Default::default() }.into()
            };
        }
        match self {
            Self::Vote(_) => coded!(VoteResponse),
            Self::BeginQuorumEpoch(_) => coded!(BeginQuorumEpochResponse),
            Self::EndQuorumEpoch(_) => coded!(EndQuorumEpochResponse),
            Self::Fetch(_) => coded!(FetchResponse),
            Self::FetchSnapshot(_) => coded!(FetchSnapshotResponse),
            Self::AddRaftVoter(_) => coded!(AddRaftVoterResponse, message),
            Self::RemoveRaftVoter(_) => coded!(RemoveRaftVoterResponse, message),
            Self::UpdateRaftVoter(_) => coded!(UpdateRaftVoterResponse),
            Self::DescribeCluster(_) => coded!(DescribeClusterResponse, message),
            Self::DescribeQuorum(_) => coded!(DescribeQuorumResponse, message),
            Self::BrokerRegistration(_) => coded!(BrokerRegistrationResponse),
            Self::BrokerHeartbeat(_) => coded!(BrokerHeartbeatResponse),
            Self::ControllerRegistration(_) => coded!(ControllerRegistrationResponse, message),
            Self::UnregisterBroker(_) => coded!(UnregisterBrokerResponse, message),
            Self::AllocateProducerIds(_) => coded!(AllocateProducerIdsResponse),
            Self::UpdateFeatures(_) => coded!(UpdateFeaturesResponse, message),
            // The others answer for each of their parts; see above.
            _ => coded!(EnvelopeResponse),
        }
    }
}

impl ControlResponse {
    /// Whether the node that answered was not the active controller: ask the one that is.
    #[must_use]
    pub fn is_not_controller(&self) -> bool {
        let mut found = false;
        let mut look = |code| found |= code == i16::from(ErrorCode::NotController);
        match self {
            Self::BrokerRegistration(answer) => answer.error_codes(&mut look),
            Self::BrokerHeartbeat(answer) => answer.error_codes(&mut look),
            Self::ControllerRegistration(answer) => answer.error_codes(&mut look),
            Self::UnregisterBroker(answer) => answer.error_codes(&mut look),
            Self::AllocateProducerIds(answer) => answer.error_codes(&mut look),
            Self::UpdateFeatures(answer) => answer.error_codes(&mut look),
            Self::CreateTopics(answer) => answer.error_codes(&mut look),
            Self::CreatePartitions(answer) => answer.error_codes(&mut look),
            Self::DeleteTopics(answer) => answer.error_codes(&mut look),
            Self::AlterConfigs(answer) => answer.error_codes(&mut look),
            Self::IncrementalAlterConfigs(answer) => answer.error_codes(&mut look),
            Self::Envelope(answer) => answer.error_codes(&mut look),
            _ => {}
        }
        found
    }
}

fn not_created<'a>(
    names: impl Iterator<Item = &'a String>,
    error_code: i16,
    message: &str,
) -> ControlResponse {
    let topics = names.map(|name| CreatableTopicResult {
        name: name.clone(),
        error_code,
        error_message: Some(message.to_owned()),
        ..Default::default()
    });
    CreateTopicsResponse { topics: topics.collect(), ..Default::default() }.into()
}

fn not_deleted(request: &DeleteTopicsRequest, error_code: i16, message: &str) -> ControlResponse {
    let named = request.topic_names.iter().map(|name| (Some(name.clone()), None));
    let states = request.topics.iter().map(|t| (t.name.clone(), Some(t.topic_id)));
    let responses = named.chain(states).map(|(name, id)| DeletableTopicResult {
        name,
        topic_id: id.unwrap_or_default(),
        error_code,
        error_message: Some(message.to_owned()),
    });
    DeleteTopicsResponse { responses: responses.collect(), ..Default::default() }.into()
}
