//! AddRaftVoter, RemoveRaftVoter, UpdateRaftVoter.

use quorum::{
    AddVoterRequest, Body, Endpoint, ReplicaKey, Request, Response, UpdateVoterRequest, Voter,
};
use wire::ErrorCode;
use wire::ids::{BrokerId, LeaderEpoch};
use wire::messages::add_raft_voter_request as add;
use wire::messages::add_raft_voter_request::AddRaftVoterRequest;
use wire::messages::add_raft_voter_response::AddRaftVoterResponse;
use wire::messages::remove_raft_voter_request::RemoveRaftVoterRequest;
use wire::messages::remove_raft_voter_response::RemoveRaftVoterResponse;
use wire::messages::update_raft_voter_request as update;
use wire::messages::update_raft_voter_request::UpdateRaftVoterRequest;
use wire::messages::update_raft_voter_response::{CurrentLeader, UpdateRaftVoterResponse};

use super::{LISTENER, Question, Sender, code, leader_id, leader_of};

/// The `kraft.version`s that our voters follow.
const KRAFT_VERSIONS: (i16, i16) = (0, 1);
/// Why a voter cannot go now.
const REMOVAL_REFUSED: &str = "Another change of the voters is under way, or a majority of the \
     voters that would remain does not follow the leader, so that they could decide nothing.";

pub(super) fn add(request: &AddRaftVoterRequest) -> Question {
    let endpoint = |e: &add::Listener| Endpoint {
        listener: e.name.clone(),
        host: e.host.clone(),
        port: e.port,
    };
    Question {
        cluster_id: request.cluster_id.clone(),
        request: Request::AddVoter(AddVoterRequest {
            voter: Voter {
                id: BrokerId(request.voter_id),
                directory: request.voter_directory_id,
                endpoints: request.listeners.iter().map(endpoint).collect(),
            },
            timeout_ms: i64::from(request.timeout_ms),
            ack_when_committed: request.ack_when_committed,
        }),
    }
}

pub(super) fn remove(request: &RemoveRaftVoterRequest) -> Question {
    Question {
        cluster_id: request.cluster_id.clone(),
        request: Request::RemoveVoter(ReplicaKey {
            id: BrokerId(request.voter_id),
            directory: request.voter_directory_id,
        }),
    }
}

pub(super) fn update(request: &UpdateRaftVoterRequest) -> Question {
    let endpoint = |e: &update::Listener| Endpoint {
        listener: e.name.clone(),
        host: e.host.clone(),
        port: e.port,
    };
    Question {
        cluster_id: request.cluster_id.clone(),
        request: Request::UpdateVoter(UpdateVoterRequest {
            epoch: LeaderEpoch(request.current_leader_epoch),
            voter: Voter {
                id: BrokerId(request.voter_id),
                directory: request.voter_directory_id,
                endpoints: request.listeners.iter().map(endpoint).collect(),
            },
        }),
    }
}

pub(super) fn added(response: &Response) -> AddRaftVoterResponse {
    AddRaftVoterResponse {
        error_code: response.error.into(),
        error_message: message(response.error),
        ..Default::default()
    }
}

pub(super) fn removed(response: &Response) -> RemoveRaftVoterResponse {
    let text = match response.error {
        ErrorCode::RequestTimedOut => Some(REMOVAL_REFUSED.to_owned()),
        error => message(error),
    };
    RemoveRaftVoterResponse {
        error_code: response.error.into(),
        error_message: text,
        ..Default::default()
    }
}

pub(super) fn updated(response: &Response) -> UpdateRaftVoterResponse {
    let first = response.endpoints.first().filter(|_| response.leader.is_some());
    UpdateRaftVoterResponse {
        error_code: response.error.into(),
        current_leader: CurrentLeader {
            leader_id: leader_id(response),
            leader_epoch: response.epoch.0,
            host: first.map(|e| e.host.clone()).unwrap_or_default(),
            port: first.map(|e| i32::from(e.port)).unwrap_or_default(),
        },
        ..Default::default()
    }
}

pub(super) fn add_request(sender: Sender<'_>, asked: AddVoterRequest) -> AddRaftVoterRequest {
    let listener = |e: Endpoint| add::Listener { name: e.listener, host: e.host, port: e.port };
    AddRaftVoterRequest {
        cluster_id: sender.cluster_id.map(str::to_owned),
        timeout_ms: i32::try_from(asked.timeout_ms).unwrap_or(i32::MAX),
        voter_id: asked.voter.id.0,
        voter_directory_id: asked.voter.directory,
        listeners: asked.voter.endpoints.into_iter().map(listener).collect(),
        ack_when_committed: asked.ack_when_committed,
    }
}

pub(super) fn remove_request(sender: Sender<'_>, voter: ReplicaKey) -> RemoveRaftVoterRequest {
    RemoveRaftVoterRequest {
        cluster_id: sender.cluster_id.map(str::to_owned),
        voter_id: voter.id.0,
        voter_directory_id: voter.directory,
    }
}

pub(super) fn update_request(
    sender: Sender<'_>,
    asked: UpdateVoterRequest,
) -> UpdateRaftVoterRequest {
    let listener = |e: Endpoint| update::Listener { name: e.listener, host: e.host, port: e.port };
    let (min_supported_version, max_supported_version) = KRAFT_VERSIONS;
    UpdateRaftVoterRequest {
        cluster_id: sender.cluster_id.map(str::to_owned),
        current_leader_epoch: asked.epoch.0,
        voter_id: asked.voter.id.0,
        voter_directory_id: asked.voter.directory,
        listeners: asked.voter.endpoints.into_iter().map(listener).collect(),
        kraft_version_feature: update::KRaftVersionFeature {
            min_supported_version,
            max_supported_version,
        },
    }
}

pub(super) fn update_response(answer: &UpdateRaftVoterResponse) -> Response {
    let said = &answer.current_leader;
    let port = u16::try_from(said.port).ok().filter(|_| !said.host.is_empty());
    let endpoint =
        port.map(|port| Endpoint { listener: LISTENER.to_owned(), host: said.host.clone(), port });
    Response {
        error: code(answer.error_code),
        epoch: LeaderEpoch(said.leader_epoch.max(0)),
        leader: leader_of(said.leader_id),
        endpoints: endpoint.into_iter().collect(),
        body: Body::Empty,
    }
}

/// What an operator reads beside the code.
fn message(error: ErrorCode) -> Option<String> {
    let text = match error {
        ErrorCode::None => return None,
        ErrorCode::DuplicateVoter => "A node of this id is a voter already.",
        ErrorCode::VoterNotFound => {
            "There is no voter of this id and directory, or it is the only one."
        }
        ErrorCode::RequestTimedOut => {
            "Another change of the voters is under way, or the new voter did not catch up."
        }
        ErrorCode::UnsupportedVersion => {
            "The voters cannot be changed at kraft.version 0: they are fixed by \
             controller.quorum.voters."
        }
        ErrorCode::NotLeaderOrFollower => "This node does not lead the metadata quorum.",
        ErrorCode::InvalidRequest => "The voter is not described as a voter can be.",
        _ => return None,
    };
    Some(text.to_owned())
}
