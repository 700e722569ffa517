//! What can be asked of a control plane, in the protocol's own messages.

use wire::api_key::ApiKey;
use wire::codec::{DecodeError, EncodeError, Reader};
use wire::frame;
use wire::message::Message as _;
use wire::messages::{
    add_raft_voter_request::AddRaftVoterRequest, add_raft_voter_response::AddRaftVoterResponse,
    allocate_producer_ids_request::AllocateProducerIdsRequest,
    allocate_producer_ids_response::AllocateProducerIdsResponse,
    alter_configs_request::AlterConfigsRequest, alter_configs_response::AlterConfigsResponse,
    begin_quorum_epoch_request::BeginQuorumEpochRequest,
    begin_quorum_epoch_response::BeginQuorumEpochResponse,
    broker_heartbeat_request::BrokerHeartbeatRequest,
    broker_heartbeat_response::BrokerHeartbeatResponse,
    broker_registration_request::BrokerRegistrationRequest,
    broker_registration_response::BrokerRegistrationResponse,
    controller_registration_request::ControllerRegistrationRequest,
    controller_registration_response::ControllerRegistrationResponse,
    create_partitions_request::CreatePartitionsRequest,
    create_partitions_response::CreatePartitionsResponse,
    create_topics_request::CreateTopicsRequest, create_topics_response::CreateTopicsResponse,
    delete_topics_request::DeleteTopicsRequest, delete_topics_response::DeleteTopicsResponse,
    describe_cluster_request::DescribeClusterRequest,
    describe_cluster_response::DescribeClusterResponse,
    describe_quorum_request::DescribeQuorumRequest,
    describe_quorum_response::DescribeQuorumResponse,
    end_quorum_epoch_request::EndQuorumEpochRequest,
    end_quorum_epoch_response::EndQuorumEpochResponse, envelope_request::EnvelopeRequest,
    envelope_response::EnvelopeResponse, fetch_request::FetchRequest,
    fetch_response::FetchResponse, fetch_snapshot_request::FetchSnapshotRequest,
    fetch_snapshot_response::FetchSnapshotResponse,
    incremental_alter_configs_request::IncrementalAlterConfigsRequest,
    incremental_alter_configs_response::IncrementalAlterConfigsResponse,
    remove_raft_voter_request::RemoveRaftVoterRequest,
    remove_raft_voter_response::RemoveRaftVoterResponse,
    unregister_broker_request::UnregisterBrokerRequest,
    unregister_broker_response::UnregisterBrokerResponse,
    update_features_request::UpdateFeaturesRequest,
    update_features_response::UpdateFeaturesResponse,
    update_raft_voter_request::UpdateRaftVoterRequest,
    update_raft_voter_response::UpdateRaftVoterResponse, vote_request::VoteRequest,
    vote_response::VoteResponse,
};
use wire::records_slot::Piece;

macro_rules! control_messages {
    ($($(#[$doc:meta])* $name:ident($request:ty) -> $response:ty;)*) => {
        /// A question.
        #[derive(Debug, Clone, PartialEq)]
        pub enum ControlRequest {
            $($(#[$doc])* $name($request),)*
            /// Make these topics by the broker's defaults, or the internal ones by theirs; answered
            /// as `CreateTopics`. It never leaves the process in this form.
            AutoCreateTopics(Vec<String>),
        }

        /// An answer.
        #[derive(Debug, Clone, PartialEq)]
        pub enum ControlResponse {
            $($(#[$doc])* $name($response),)*
        }

        impl ControlRequest {
            /// The API that it is of.
            #[must_use]
            pub fn key(&self) -> ApiKey {
                match self {
                    $(Self::$name(_) => ApiKey::$name,)*
                    Self::AutoCreateTopics(_) => ApiKey::CreateTopics,
                }
            }

            /// Whether a control plane takes requests of this API.
            #[must_use]
            pub fn takes(key: ApiKey) -> bool {
                match key {
                    $(ApiKey::$name => true,)*
                    _ => false,
                }
            }

            /// Reads the body of a request; `None` when no control plane takes this API.
            ///
            /// # Errors
            /// The bytes are no such request.
            pub fn decode(
                key: ApiKey,
                version: i16,
                body: &mut Reader,
            ) -> Result<Option<Self>, DecodeError> {
                Ok(Some(match key {
                    $(ApiKey::$name => Self::$name(<$request>::decode(body, version)?),)*
                    _ => return Ok(None),
                }))
            }

            /// The request as a frame, with its length and header.
            ///
            /// # Errors
            /// The version cannot say what the request says. `AutoCreateTopics` has no form on the
            /// wire: it is turned into `CreateTopics` before.
            pub fn encode(
                &self,
                correlation_id: i32,
                client_id: Option<&str>,
                version: i16,
            ) -> Result<Vec<Piece>, EncodeError> {
                match self {
                    $(Self::$name(request) => {
                        frame::encode_request(correlation_id, client_id, version, request)
                    })*
                    Self::AutoCreateTopics(_) => Err(EncodeError::UnsupportedVersion {
                        name: "AutoCreateTopics",
                        version,
                    }),
                }
            }
        }

        impl ControlResponse {
            /// The API that it is of.
            #[must_use]
            pub fn key(&self) -> ApiKey {
                match self {
                    $(Self::$name(_) => ApiKey::$name,)*
                }
            }

            /// Shows every error code, 0 included.
            pub fn error_codes(&self, each: &mut dyn FnMut(i16)) {
                match self {
                    $(Self::$name(response) => response.error_codes(each),)*
                }
            }

            /// Reads a response frame without its length; `None` when no control plane takes this
            /// API.
            ///
            /// # Errors
            /// The bytes are no such response.
            pub fn decode(
                key: ApiKey,
                version: i16,
                correlation_id: i32,
                frame: bytes::Bytes,
            ) -> Result<Option<Self>, DecodeError> {
                Ok(Some(match key {
                    $(ApiKey::$name => Self::$name(
                        frame::decode_response::<$request>(frame, version, correlation_id)?,
                    ),)*
                    _ => return Ok(None),
                }))
            }

            /// The response as a frame, with its length and header.
            ///
            /// # Errors
            /// The version cannot say what the response says.
            pub fn encode(
                &self,
                correlation_id: i32,
                version: i16,
            ) -> Result<Vec<Piece>, EncodeError> {
                match self {
                    $(Self::$name(response) => frame::encode_response(
                        correlation_id, ApiKey::$name, version, response,
                    ),)*
                }
            }
        }

        $(
            impl From<$request> for ControlRequest {
                fn from(request: $request) -> Self {
                    Self::$name(request)
                }
            }

            impl From<$response> for ControlResponse {
                fn from(response: $response) -> Self {
                    Self::$name(response)
                }
            }

            impl TryFrom<ControlResponse> for $response {
                type Error = ControlResponse;

                fn try_from(response: ControlResponse) -> Result<Self, ControlResponse> {
                    match response {
                        ControlResponse::$name(response) => Ok(response),
                        other => Err(other),
                    }
                }
            }
        )*
    };
}

control_messages! {
    /// Of the quorum: will you vote for me?
    Vote(VoteRequest) -> VoteResponse;
    /// Of the quorum: I lead.
    BeginQuorumEpoch(BeginQuorumEpochRequest) -> BeginQuorumEpochResponse;
    /// Of the quorum: I lead no more.
    EndQuorumEpoch(EndQuorumEpochRequest) -> EndQuorumEpochResponse;
    /// Of the quorum: records of the metadata log.
    Fetch(FetchRequest) -> FetchResponse;
    /// Of the quorum: a piece of a snapshot.
    FetchSnapshot(FetchSnapshotRequest) -> FetchSnapshotResponse;
    /// Of the quorum: a voter more.
    AddRaftVoter(AddRaftVoterRequest) -> AddRaftVoterResponse;
    /// Of the quorum: a voter less.
    RemoveRaftVoter(RemoveRaftVoterRequest) -> RemoveRaftVoterResponse;
    /// Of the quorum: a voter is reached elsewhere.
    UpdateRaftVoter(UpdateRaftVoterRequest) -> UpdateRaftVoterResponse;
    /// Whose cluster is yours?
    DescribeCluster(DescribeClusterRequest) -> DescribeClusterResponse;
    /// Of the quorum: how it stands.
    DescribeQuorum(DescribeQuorumRequest) -> DescribeQuorumResponse;
    /// Of the controller: a broker comes up.
    BrokerRegistration(BrokerRegistrationRequest) -> BrokerRegistrationResponse;
    /// Of the controller: a broker is there.
    BrokerHeartbeat(BrokerHeartbeatRequest) -> BrokerHeartbeatResponse;
    /// Of the controller: a controller comes up.
    ControllerRegistration(ControllerRegistrationRequest) -> ControllerRegistrationResponse;
    /// Of the controller: a broker has gone for good.
    UnregisterBroker(UnregisterBrokerRequest) -> UnregisterBrokerResponse;
    /// Of the controller: a block of producer ids.
    AllocateProducerIds(AllocateProducerIdsRequest) -> AllocateProducerIdsResponse;
    /// Of the controller: levels of features.
    UpdateFeatures(UpdateFeaturesRequest) -> UpdateFeaturesResponse;
    /// Of the controller: new topics.
    CreateTopics(CreateTopicsRequest) -> CreateTopicsResponse;
    /// Of the controller: more partitions.
    CreatePartitions(CreatePartitionsRequest) -> CreatePartitionsResponse;
    /// Of the controller: topics go.
    DeleteTopics(DeleteTopicsRequest) -> DeleteTopicsResponse;
    /// Of the controller: configurations, replaced.
    AlterConfigs(AlterConfigsRequest) -> AlterConfigsResponse;
    /// Of the controller: configurations, changed.
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest) -> IncrementalAlterConfigsResponse;
    /// Of the controller: a client's request, passed on by a broker.
    Envelope(EnvelopeRequest) -> EnvelopeResponse;
}
