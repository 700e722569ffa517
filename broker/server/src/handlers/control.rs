//! What the controller decides and the quorum tells, asked by this broker's clients: the control
//! plane decides here or passes it on to the active controller, and answers when what was decided
//! is in force on this broker.

use node::{Asker, ControlRequest, ControlResponse, ListenerKind};
use wire::messages::add_raft_voter_request::AddRaftVoterRequest;
use wire::messages::add_raft_voter_response::AddRaftVoterResponse;
use wire::messages::create_partitions_request::CreatePartitionsRequest;
use wire::messages::create_partitions_response::CreatePartitionsResponse;
use wire::messages::create_topics_request::CreateTopicsRequest;
use wire::messages::create_topics_response::CreateTopicsResponse;
use wire::messages::delete_topics_request::DeleteTopicsRequest;
use wire::messages::delete_topics_response::DeleteTopicsResponse;
use wire::messages::describe_quorum_request::DescribeQuorumRequest;
use wire::messages::describe_quorum_response::DescribeQuorumResponse;
use wire::messages::remove_raft_voter_request::RemoveRaftVoterRequest;
use wire::messages::remove_raft_voter_response::RemoveRaftVoterResponse;
use wire::messages::unregister_broker_request::UnregisterBrokerRequest;
use wire::messages::unregister_broker_response::UnregisterBrokerResponse;
use wire::messages::update_features_request::UpdateFeaturesRequest;
use wire::messages::update_features_response::UpdateFeaturesResponse;

use crate::connection::Close;
use crate::dispatch::{Answer, Call, client_address};

pub(crate) fn create_topics(
    call: &Call,
    request: CreateTopicsRequest,
) -> Answer<CreateTopicsResponse> {
    change(call, request)
}

pub(crate) fn create_partitions(
    call: &Call,
    request: CreatePartitionsRequest,
) -> Answer<CreatePartitionsResponse> {
    change(call, request)
}

pub(crate) fn delete_topics(
    call: &Call,
    request: DeleteTopicsRequest,
) -> Answer<DeleteTopicsResponse> {
    change(call, request)
}

pub(crate) fn update_features(
    call: &Call,
    request: UpdateFeaturesRequest,
) -> Answer<UpdateFeaturesResponse> {
    change(call, request)
}

pub(crate) fn unregister_broker(
    call: &Call,
    request: UnregisterBrokerRequest,
) -> Answer<UnregisterBrokerResponse> {
    change(call, request)
}

pub(crate) fn add_raft_voter(
    call: &Call,
    request: AddRaftVoterRequest,
) -> Answer<AddRaftVoterResponse> {
    change(call, request)
}

pub(crate) fn remove_raft_voter(
    call: &Call,
    request: RemoveRaftVoterRequest,
) -> Answer<RemoveRaftVoterResponse> {
    change(call, request)
}

pub(crate) fn describe_quorum(
    call: &Call,
    request: DescribeQuorumRequest,
) -> Answer<DescribeQuorumResponse> {
    let call = call.clone();
    Answer::Later(Box::pin(async move { ask(&call, request).await }))
}

/// Requests behind a change wait, as they may depend on it.
fn change<Q, M>(call: &Call, request: Q) -> Answer<M>
where
    Q: Into<ControlRequest> + Send + 'static,
    M: TryFrom<ControlResponse, Error = ControlResponse> + Send + 'static,
{
    let call = call.clone();
    Answer::Serial(Box::pin(async move { ask(&call, request).await }))
}

/// Asks the control plane in the name of the client.
pub(super) async fn ask<M>(call: &Call, request: impl Into<ControlRequest>) -> Result<M, Close>
where
    M: TryFrom<ControlResponse, Error = ControlResponse>,
{
    let asker = Asker {
        listener: ListenerKind::Client,
        version: call.version,
        client_id: call.client_id.clone().unwrap_or_default(),
        client_address: client_address(&call.peer),
    };
    picked(call.broker.control.ask(asker, request.into()).await)
}

/// Asks the control plane in this broker's own name, in the API's highest version.
pub(super) async fn ask_for_ourselves<M>(
    call: &Call,
    request: impl Into<ControlRequest>,
) -> Result<M, Close>
where
    M: TryFrom<ControlResponse, Error = ControlResponse>,
{
    let request = request.into();
    let asker = Asker::own(*request.key().stable_versions().end());
    picked(call.broker.control.ask(asker, request).await)
}

fn picked<M>(response: Option<ControlResponse>) -> Result<M, Close>
where
    M: TryFrom<ControlResponse, Error = ControlResponse>,
{
    let ended = || Close::Internal("the control plane has ended".to_owned());
    let response = response.ok_or_else(ended)?;
    response.try_into().map_err(|other: ControlResponse| {
        Close::Internal(format!("the control plane answered with {}", other.key()))
    })
}
