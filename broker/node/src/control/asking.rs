//! Questions as they come in, and their answers as they leave.

use bytes::Bytes;
use quorum::Event;
use wire::ErrorCode;
use wire::codec::Reader;
use wire::frame::{RequestHeader, decode_request_header};
use wire::messages::describe_cluster_response::DescribeClusterResponse;
use wire::messages::envelope_request::EnvelopeRequest;
use wire::messages::envelope_response::EnvelopeResponse;
use wire::records_slot::{Piece, concat};

use super::plane::{Plane, is_own, not_controller};
use super::{Asker, ControlEffect, ControlRequest, ControlResponse, Token, raft_messages};
use crate::error::Error;

/// The length before a frame, which an envelope does without.
const FRAME_LENGTH_BYTES: usize = 4;

/// Who is told an answer.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// Who asked; `own` for one of this broker's handlers.
    Ask { token: Token, own: bool },
    /// Who asked in an envelope.
    Envelope { token: Token, correlation_id: i32, version: i16 },
    /// This broker's own registration.
    Registrar,
    /// This controller's own.
    Enrolment,
    /// Nobody.
    Nobody,
}

/// A question that the quorum has been asked.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) reply: Reply,
    pub(super) version: i16,
    pub(super) request: ControlRequest,
}

impl Plane {
    pub(super) fn ask(&mut self, token: Token, asker: Asker, request: ControlRequest) {
        let own = is_own(asker.listener);
        let reply = Reply::Ask { token, own };
        let version = asker.version;
        match request {
            ControlRequest::Envelope(envelope) => self.open_envelope(token, &envelope),
            request if own && self.passes_on(&request) => self.park(token, asker, request),
            request => self.take_request(reply, version, request),
        }
    }

    fn passes_on(&self, request: &ControlRequest) -> bool {
        !self.config.is_alone() && !self.leads_ready() && is_forwarded(request)
    }

    /// What is decided or answered here, or by nobody.
    pub(super) fn take_request(&mut self, reply: Reply, version: i16, request: ControlRequest) {
        match raft_messages::question(self.own, version, &request) {
            Some(Ok(question)) => {
                self.claims.look_at(self.now_ms, self.cluster_id.as_ref(), &question);
                let name = self.next_name();
                self.asked.insert(name, Asked { reply, version, request });
                let (cluster_id, request) = (question.cluster_id, question.request);
                self.step(Event::Request { token: name, cluster_id, request });
                return;
            }
            Some(Err(error)) => {
                let refused = request.refused(error, "This is not a question of the quorum.");
                return self.reply(reply, refused);
            }
            None => {}
        }
        if let ControlRequest::DescribeCluster(_) = &request {
            let cluster_id = self.cluster_id.clone().unwrap_or_default();
            let answer = DescribeClusterResponse { cluster_id, ..Default::default() };
            return self.reply(reply, answer.into());
        }
        if let ControlRequest::DescribeQuorum(asked) = &request {
            let answer = raft_messages::describe(&self.log.quorum, version, asked);
            return self.reply(reply, answer.into());
        }
        if self.leads_ready() {
            self.decide(reply, version, request);
        } else if self.is_broken() && self.config.is_alone() {
            let why = Error::ControllerStopped.to_string();
            self.reply(reply, request.refused(ErrorCode::KafkaStorageError, &why));
        } else {
            self.reply(reply, not_controller(&request));
        }
    }

    /// The quorum's answer to a question.
    pub(super) fn respond_quorum(&mut self, name: u64, response: quorum::Response) {
        let Some(asked) = self.asked.remove(&name) else { return };
        let answer = raft_messages::answer(&asked.request, asked.version, response);
        self.reply(asked.reply, answer);
    }

    /// Nobody wants the answer any more.
    pub(super) fn gone(&mut self, token: Token) {
        self.parked.retain(|forward| forward.token != token);
        self.showing.answers.retain(|one| one.token != token);
        for asked in self.asked.values_mut() {
            if asked.reply.is_to(token) {
                asked.reply = Reply::Nobody;
            }
        }
        if let Some(lead) = &mut self.lead {
            let waiting = lead.proposals.iter_mut().filter(|one| one.reply.is_to(token));
            waiting.for_each(|one| one.reply = Reply::Nobody);
        }
        for sent in self.sent.values_mut() {
            sent.forget(token);
        }
    }

    /// Gives an answer to who waits for it.
    pub(super) fn reply(&mut self, reply: Reply, response: ControlResponse) {
        match reply {
            Reply::Ask { token, own: true } => self.answer_when_applied(token, response),
            Reply::Ask { token, own: false } => {
                self.effects.push(ControlEffect::Respond { token, response });
            }
            Reply::Envelope { token, correlation_id, version } => {
                let response = enclose(&response, correlation_id, version).into();
                self.effects.push(ControlEffect::Respond { token, response });
            }
            Reply::Registrar => self.registrar_answered(response),
            Reply::Enrolment => self.enrolment_answered(&response),
            Reply::Nobody => {}
        }
    }

    /// A client's request that another broker passes on.
    fn open_envelope(&mut self, token: Token, envelope: &EnvelopeRequest) {
        let answer = |error: ErrorCode| {
            let response =
                EnvelopeResponse { response_data: None, error_code: error.into() }.into();
            ControlEffect::Respond { token, response }
        };
        if !self.leads_ready() {
            return self.effects.push(answer(ErrorCode::NotController));
        }
        let Some((header, request)) = unpack(envelope.request_data.clone()) else {
            return self.effects.push(answer(ErrorCode::InvalidRequest));
        };
        let (correlation_id, version) = (header.correlation_id, header.version);
        self.take_request(Reply::Envelope { token, correlation_id, version }, version, request);
    }
}

impl Reply {
    fn is_to(&self, whom: Token) -> bool {
        match self {
            Self::Ask { token, .. } | Self::Envelope { token, .. } => *token == whom,
            Self::Registrar | Self::Enrolment | Self::Nobody => false,
        }
    }
}

/// What a broker passes on to the active controller rather than answer itself.
fn is_forwarded(request: &ControlRequest) -> bool {
    !matches!(
        request,
        ControlRequest::Vote(_)
            | ControlRequest::BeginQuorumEpoch(_)
            | ControlRequest::EndQuorumEpoch(_)
            | ControlRequest::Fetch(_)
            | ControlRequest::FetchSnapshot(_)
            | ControlRequest::DescribeCluster(_)
            | ControlRequest::Envelope(_)
    )
}

/// What goes into an envelope of a frame.
pub(super) fn without_length(pieces: Vec<Piece>) -> Bytes {
    let frame = concat(pieces);
    frame.slice(FRAME_LENGTH_BYTES.min(frame.len())..)
}

/// The request in an envelope, if it is one that may be there.
fn unpack(data: Bytes) -> Option<(RequestHeader, ControlRequest)> {
    let (header, mut body) = decode_request_header(data).ok()?;
    let request = read(&header, &mut body)?;
    is_forwarded(&request).then_some((header, request))
}

fn read(header: &RequestHeader, body: &mut Reader) -> Option<ControlRequest> {
    ControlRequest::decode(header.key, header.version, body).ok().flatten()
}

/// The answer to an envelope around the answer to what was in it.
fn enclose(response: &ControlResponse, correlation_id: i32, version: i16) -> EnvelopeResponse {
    match response.encode(correlation_id, version) {
        Ok(pieces) => {
            let response_data = Some(without_length(pieces));
            EnvelopeResponse { response_data, ..Default::default() }
        }
        Err(_) => EnvelopeResponse {
            error_code: ErrorCode::UnknownServerError.into(),
            ..Default::default()
        },
    }
}
