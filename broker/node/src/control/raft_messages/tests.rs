//! Questions and answers come back from the wire as they went.

use bytes::Bytes;
use quorum::{
    AddVoterRequest, BeginEpochRequest, Body, EndEpochRequest, Endpoint, FetchBody, FetchRequest,
    FetchSnapshotBody, FetchSnapshotRequest, Payload, ReplicaKey, Request, Response, SnapshotId,
    UpdateVoterRequest, VoteRequest, Voter,
};
use wire::ErrorCode;
use wire::frame::decode_request_header;
use wire::ids::{BrokerId, LeaderEpoch, Offset, Uuid};
use wire::records_slot::concat;

use super::{Question, Sender, answer, question, request, response};
use crate::control::{ControlRequest, ControlResponse};

fn key(id: i32) -> ReplicaKey {
    ReplicaKey { id: BrokerId(id), directory: Uuid::from_random(1 << 70 | id as u128) }
}

fn endpoint(id: i32) -> Endpoint {
    Endpoint { listener: "CONTROLLER".to_owned(), host: format!("node-{id}"), port: 9093 }
}

fn voter(id: i32) -> Voter {
    Voter { id: BrokerId(id), directory: key(id).directory, endpoints: vec![endpoint(id)] }
}

const SNAPSHOT: SnapshotId = SnapshotId { end_offset: Offset(70), epoch: LeaderEpoch(4) };

fn requests() -> Vec<Request> {
    vec![
        Request::Vote(VoteRequest {
            epoch: LeaderEpoch(5),
            candidate: key(1),
            voter: key(2),
            last_epoch: LeaderEpoch(4),
            end_offset: Offset(99),
            pre_vote: true,
        }),
        Request::BeginEpoch(BeginEpochRequest {
            epoch: LeaderEpoch(5),
            leader: BrokerId(1),
            endpoints: vec![endpoint(1)],
            voter: key(2),
        }),
        Request::EndEpoch(EndEpochRequest {
            epoch: LeaderEpoch(5),
            leader: BrokerId(1),
            successors: vec![key(3), key(2)],
        }),
        Request::Fetch(FetchRequest {
            epoch: LeaderEpoch(5),
            replica: key(1),
            offset: Offset(99),
            last_epoch: LeaderEpoch(4),
            high_watermark: Offset(80),
            max_wait_ms: 500,
            max_bytes: 1 << 20,
        }),
        Request::FetchSnapshot(FetchSnapshotRequest {
            epoch: LeaderEpoch(5),
            replica: key(1),
            id: SNAPSHOT,
            position: 1_000,
            max_bytes: 1 << 20,
        }),
        Request::AddVoter(AddVoterRequest {
            voter: voter(4),
            timeout_ms: 1_000,
            ack_when_committed: false,
        }),
        Request::RemoveVoter(key(4)),
        Request::UpdateVoter(UpdateVoterRequest { epoch: LeaderEpoch(5), voter: voter(2) }),
    ]
}

fn asked(request_: Request) -> ControlRequest {
    let endpoints = [endpoint(1)];
    request(Sender { cluster_id: Some("here"), endpoints: &endpoints }, request_)
}

/// Through the bytes of the wire, at the highest version.
fn over_the_wire(request: &ControlRequest) -> (i16, ControlRequest) {
    let version = *request.key().versions().end();
    let frame = concat(request.encode(7, Some("node-1"), version).unwrap()).slice(4..);
    let (header, mut body) = decode_request_header(frame).unwrap();
    let read = ControlRequest::decode(header.key, header.version, &mut body).unwrap().unwrap();
    (version, read)
}

#[test]
fn questions_come_back_as_they_went() {
    for sent in requests() {
        let (version, read) = over_the_wire(&asked(sent.clone()));
        let found = question(key(2), version, &read).unwrap().unwrap();
        let expected = Question { cluster_id: Some("here".to_owned()), request: sent };
        assert_eq!(found, expected);
    }
}

fn told(error: ErrorCode, body: Body) -> Response {
    Response {
        error,
        epoch: LeaderEpoch(5),
        leader: Some(BrokerId(3)),
        endpoints: vec![endpoint(3)],
        body,
    }
}

fn back(request: Request, told: Response) -> Response {
    let request = asked(request);
    let version = *request.key().versions().end();
    let frame = concat(answer(&request, version, told).encode(7, version).unwrap()).slice(4..);
    let read = ControlResponse::decode(request.key(), version, 7, frame).unwrap().unwrap();
    response(read).unwrap()
}

#[test]
fn answers_come_back_as_they_went() {
    let fetch = |diverging, snapshot, records| {
        let (high_watermark, log_start) = (Offset(80), Offset(10));
        Body::Fetch(FetchBody { high_watermark, log_start, diverging, snapshot, records })
    };
    let bytes = Payload::Bytes(Bytes::from_static(b"batches"));
    let piece =
        FetchSnapshotBody { id: SNAPSHOT, size: 5_000, position: 1_000, bytes: bytes.clone() };
    let bodies = vec![
        vec![Body::Vote { granted: true }, Body::Vote { granted: false }],
        vec![Body::Empty],
        vec![Body::Empty],
        vec![
            fetch(None, None, bytes),
            fetch(Some((LeaderEpoch(3), Offset(42))), None, Payload::Empty),
            fetch(None, Some(SNAPSHOT), Payload::Empty),
        ],
        vec![Body::FetchSnapshot(piece)],
    ];
    for (request, bodies) in requests().into_iter().zip(bodies) {
        for body in bodies {
            let sent = told(ErrorCode::None, body);
            assert_eq!(back(request.clone(), sent.clone()), sent);
        }
    }
    for request in requests().into_iter().skip(5) {
        let found = back(request, told(ErrorCode::VoterNotFound, Body::Empty));
        assert_eq!(found.error, ErrorCode::VoterNotFound);
    }
}

#[test]
fn refusals_say_who_leads() {
    for request in requests().into_iter().take(5) {
        let body = match request {
            Request::Vote(_) => Body::Vote { granted: false },
            _ => Body::Empty,
        };
        let sent = told(ErrorCode::FencedLeaderEpoch, body);
        assert_eq!(back(request, sent.clone()), sent);
    }
}

#[test]
fn another_cluster_is_refused_as_a_whole() {
    for request in requests() {
        let found = back(request, told(ErrorCode::InconsistentClusterId, Body::Empty));
        assert_eq!(found.error, ErrorCode::InconsistentClusterId);
        assert_eq!((found.epoch, found.leader), (LeaderEpoch(0), None));
    }
}

#[test]
fn questions_about_other_topics_are_refused() {
    for sent in requests().into_iter().take(5) {
        let (version, mut read) = over_the_wire(&asked(sent));
        let expected = match &mut read {
            ControlRequest::Vote(request) => {
                request.topics[0].topic_name = "orders".to_owned();
                ErrorCode::InvalidRequest
            }
            ControlRequest::BeginQuorumEpoch(request) => {
                request.topics[0].partitions[0].partition_index = 1;
                ErrorCode::InvalidRequest
            }
            ControlRequest::EndQuorumEpoch(request) => {
                request.topics.clear();
                ErrorCode::InvalidRequest
            }
            ControlRequest::Fetch(request) => {
                request.topics[0].topic_id = key(9).directory;
                ErrorCode::InvalidRequest
            }
            ControlRequest::FetchSnapshot(request) => {
                request.topics[0].name = "orders".to_owned();
                ErrorCode::UnknownTopicOrPartition
            }
            _ => continue,
        };
        assert_eq!(question(key(2), version, &read), Some(Err(expected)));
    }
}
