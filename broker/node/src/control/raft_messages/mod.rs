//! The quorum's questions and answers in the protocol's messages: one file per API.
//!
//! The messages name topics and partitions; of those there is one here, the metadata log. An
//! answer's error stands at the top when the question was none of this quorum's, else with the
//! partition.

mod begin_epoch;
mod describe;
mod end_epoch;
mod fetch;
mod fetch_snapshot;
mod vote;
mod voters;

use quorum::{Body, Endpoint, ReplicaKey, Request, Response};
use wire::ErrorCode;
use wire::ids::{BrokerId, LeaderEpoch};

use super::{ControlRequest, ControlResponse};

pub(crate) use describe::describe;

/// The metadata log's topic.
pub(super) const TOPIC: &str = "__cluster_metadata";
/// The name of a listener where messages tell only host and port.
const LISTENER: &str = "CONTROLLER";

/// A question of the wire as the quorum takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) cluster_id: Option<String>,
    pub(crate) request: Request,
}

/// Who sends a question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender<'a> {
    pub(crate) cluster_id: Option<&'a str>,
    pub(crate) endpoints: &'a [Endpoint],
}

/// The question that a request asks; `None` when it is none of the quorum's.
pub(crate) fn question(
    own: ReplicaKey,
    version: i16,
    request: &ControlRequest,
) -> Option<Result<Question, ErrorCode>> {
    Some(match request {
        ControlRequest::Vote(request) => vote::question(own, request),
        ControlRequest::BeginQuorumEpoch(request) => begin_epoch::question(own, request),
        ControlRequest::EndQuorumEpoch(request) => end_epoch::question(request),
        ControlRequest::Fetch(request) => fetch::question(version, request),
        ControlRequest::FetchSnapshot(request) => fetch_snapshot::question(request),
        ControlRequest::AddRaftVoter(request) => Ok(voters::add(request)),
        ControlRequest::RemoveRaftVoter(request) => Ok(voters::remove(request)),
        ControlRequest::UpdateRaftVoter(request) => Ok(voters::update(request)),
        _ => return None,
    })
}

/// The quorum's answer to a request, in that request's version.
pub(crate) fn answer(
    request: &ControlRequest,
    version: i16,
    response: Response,
) -> ControlResponse {
    if response.error == ErrorCode::InconsistentClusterId {
        return request.refused(response.error, "the request names another cluster");
    }
    match request {
        ControlRequest::Vote(_) => vote::answer(version, response).into(),
        ControlRequest::BeginQuorumEpoch(_) => begin_epoch::answer(version, response).into(),
        ControlRequest::EndQuorumEpoch(_) => end_epoch::answer(version, response).into(),
        ControlRequest::Fetch(_) => fetch::answer(version, response).into(),
        ControlRequest::FetchSnapshot(_) => fetch_snapshot::answer(version, response).into(),
        ControlRequest::AddRaftVoter(_) => voters::added(&response).into(),
        ControlRequest::RemoveRaftVoter(_) => voters::removed(&response).into(),
        ControlRequest::UpdateRaftVoter(_) => voters::updated(&response).into(),
        other => other.refused(ErrorCode::InvalidRequest, "not a question of the quorum"),
    }
}

/// The quorum's question as a request, and the version to ask in.
pub(crate) fn request(sender: Sender<'_>, request: Request) -> ControlRequest {
    match request {
        Request::Vote(asked) => vote::request(sender, asked).into(),
        Request::BeginEpoch(asked) => begin_epoch::request(sender, asked).into(),
        Request::EndEpoch(asked) => end_epoch::request(sender, asked).into(),
        Request::Fetch(asked) => fetch::request(sender, asked).into(),
        Request::FetchSnapshot(asked) => fetch_snapshot::request(sender, asked).into(),
        Request::AddVoter(asked) => voters::add_request(sender, asked).into(),
        Request::RemoveVoter(asked) => voters::remove_request(sender, asked).into(),
        Request::UpdateVoter(asked) => voters::update_request(sender, asked).into(),
    }
}

/// What an answer of the wire says to the quorum; `None` when it is none of the quorum's.
pub(crate) fn response(answer: ControlResponse) -> Option<Response> {
    Some(match answer {
        ControlResponse::Vote(answer) => vote::response(answer),
        ControlResponse::BeginQuorumEpoch(answer) => begin_epoch::response(answer),
        ControlResponse::EndQuorumEpoch(answer) => end_epoch::response(answer),
        ControlResponse::Fetch(answer) => fetch::response(answer),
        ControlResponse::FetchSnapshot(answer) => fetch_snapshot::response(answer),
        ControlResponse::AddRaftVoter(answer) => bare(answer.error_code),
        ControlResponse::RemoveRaftVoter(answer) => bare(answer.error_code),
        ControlResponse::UpdateRaftVoter(answer) => voters::update_response(&answer),
        _ => return None,
    })
}

/// The one partition of the one topic, if the message is about that.
fn only<T, P>(
    topics: &[T],
    name: impl Fn(&T) -> bool,
    partitions: impl Fn(&T) -> &[P],
    index: impl Fn(&P) -> i32,
) -> Option<&P> {
    let [topic] = topics else { return None };
    match partitions(topic) {
        [partition] if name(topic) && index(partition) == 0 => Some(partition),
        _ => None,
    }
}

fn only_owned<T, P>(topics: Vec<T>, partitions: impl Fn(T) -> Vec<P>) -> Option<P> {
    topics.into_iter().flat_map(partitions).next()
}

/// An answer that says nothing but an error.
fn bare(error: i16) -> Response {
    Response {
        error: code(error),
        epoch: LeaderEpoch(0),
        leader: None,
        endpoints: Vec::new(),
        body: Body::Empty,
    }
}

fn code(error: i16) -> ErrorCode {
    ErrorCode::from_i16(error).unwrap_or(ErrorCode::UnknownServerError)
}

fn leader_id(response: &Response) -> i32 {
    response.leader.map_or(-1, |leader| leader.0)
}

fn leader_of(id: i32) -> Option<BrokerId> {
    (id >= 0).then_some(BrokerId(id))
}

/// Where the leader is reached, out of the endpoints of a message.
fn endpoints_of<N>(
    leader: Option<BrokerId>,
    nodes: Vec<N>,
    read: impl Fn(N) -> (i32, String, u16),
) -> Vec<Endpoint> {
    let nodes = nodes.into_iter().map(read);
    let of_leader = nodes.filter(|(id, ..)| leader == Some(BrokerId(*id)));
    of_leader
        .map(|(_, host, port)| Endpoint { listener: LISTENER.to_owned(), host, port })
        .collect()
}

/// The leader's endpoints for a message: the first one, as a node has one place in it.
fn node_of<N>(response: &Response, make: impl Fn(i32, String, u16) -> N) -> Vec<N> {
    let (Some(leader), Some(first)) = (response.leader, response.endpoints.first()) else {
        return Vec::new();
    };
    vec![make(leader.0, first.host.clone(), first.port)]
}

#[cfg(test)]
mod tests;
