//! Questions to other nodes: the quorum's, this broker's registration, and what this broker's
//! clients ask of the active controller, which goes in an envelope.

use std::collections::VecDeque;

use bytes::Bytes;
use metadata::control::topics;
use quorum::{Destination, Event};
use wire::ErrorCode;
use wire::ids::BrokerId;
use wire::messages::envelope_request::EnvelopeRequest;
use wire::messages::envelope_response::EnvelopeResponse;

use super::asking::{Reply, without_length};
use super::neighbours::Neighbour;
use super::plane::Plane;
use super::{Asker, ControlEffect, ControlRequest, ControlResponse, Token, raft_messages};

/// The most questions that wait for a controller.
const PARKED_MAX: usize = 4_096;

/// A question on its way to another node.
#[derive(Debug)]
pub(super) enum Sent {
    /// The quorum's, by its name of it.
    Quorum(u64),
    /// A client's, to this controller.
    Forward(BrokerId, Box<Forward>),
    /// This broker's own, to this controller.
    Registrar(BrokerId),
    /// This controller's own, to the active one.
    Enrolment(BrokerId),
    /// Where the log of this controller ends.
    End(BrokerId),
    /// Whether a broker is still there.
    Probe(BrokerId),
    /// Whose cluster is yours?
    Neighbour(Neighbour),
}

/// What one of this broker's handlers asks of the active controller.
#[derive(Debug)]
pub(super) struct Forward {
    pub(super) token: Token,
    asker: Asker,
    request: ControlRequest,
    /// When it is answered as timed out.
    until: i64,
    /// When it may be sent (again).
    not_before: i64,
    /// Nobody waits for the answer any more.
    forgotten: bool,
}

impl Sent {
    /// The controller that it was sent to, as the active one.
    fn controller(&self) -> Option<BrokerId> {
        match self {
            Self::Quorum(_) | Self::Probe(_) | Self::Neighbour(_) => None,
            Self::Forward(to, _) | Self::Registrar(to) | Self::Enrolment(to) | Self::End(to) => {
                Some(*to)
            }
        }
    }

    pub(super) fn forget(&mut self, whom: Token) {
        if let Self::Forward(_, forward) = self
            && forward.token == whom
        {
            forward.forgotten = true;
        }
    }
}

impl Plane {
    /// Gives the name of the question.
    pub(super) fn send(&mut self, sent: Sent, to: Destination, request: ControlRequest) -> u64 {
        let version = *request.key().versions().end();
        let timeout_ms = match &sent {
            // A controller's disk may be slow; the quorum knows its own times.
            Sent::Forward(_, forward) => (forward.until - self.clock.now()).max(1),
            _ => self.config.request_timeout_ms,
        };
        let id = self.next_name();
        self.sent.insert(id, sent);
        self.absent.asked(id, &to);
        self.effects.push(ControlEffect::Send { id, to, version, request, timeout_ms });
        id
    }

    pub(super) fn send_quorum(&mut self, id: u64, to: Destination, request: quorum::Request) {
        let cluster_id = self.cluster_id.as_deref();
        let sender = raft_messages::Sender { cluster_id, endpoints: self.endpoints() };
        let request = raft_messages::request(sender, request);
        self.send(Sent::Quorum(id), to, request);
    }

    pub(super) fn answered(&mut self, id: u64, response: ControlResponse) {
        self.absent.answered(id);
        match self.sent.remove(&id) {
            Some(Sent::Quorum(id)) => match raft_messages::response(response) {
                Some(response) => self.step(Event::Response { id, response }),
                None => self.step(Event::RequestFailed { id, refused: false }),
            },
            Some(Sent::Forward(_, forward)) => self.forward_answered(*forward, response),
            Some(Sent::Registrar(_)) => self.registrar_answered(response),
            Some(Sent::Enrolment(_)) => self.enrolment_answered(&response),
            Some(Sent::End(of)) => self.end_answered(id, of, &response),
            Some(Sent::Neighbour(whom)) => match response.try_into() {
                Ok(answer) => self.neighbour_answered(whom, answer),
                Err(_) => self.neighbour_failed(whom),
            },
            Some(Sent::Probe(_)) | None => {}
        }
    }

    pub(super) fn failed(&mut self, id: u64, refused: bool) {
        self.absent.failed(id, refused);
        match self.sent.remove(&id) {
            Some(Sent::Quorum(id)) => self.step(Event::RequestFailed { id, refused }),
            Some(Sent::Probe(broker)) => self.probed(broker, refused),
            Some(Sent::Neighbour(whom)) => self.neighbour_failed(whom),
            Some(sent) => self.unanswered(id, sent),
            None => {}
        }
    }

    /// The active controller has not answered, or is none any more.
    fn unanswered(&mut self, id: u64, sent: Sent) {
        match sent {
            // These are not for the active controller.
            Sent::Quorum(_) | Sent::Probe(_) | Sent::Neighbour(_) => {}
            Sent::Forward(_, forward) => self.park_again(*forward),
            Sent::Registrar(_) => self.registrar_failed(),
            Sent::Enrolment(_) => self.enrolment_failed(),
            Sent::End(_) => self.end_failed(id),
        }
    }

    /// Keeps a question until there is a controller.
    pub(super) fn park(&mut self, token: Token, asker: Asker, request: ControlRequest) {
        if self.parked.len() >= PARKED_MAX {
            let message = "Too many requests wait for an active controller.";
            let refused = request.refused(ErrorCode::RequestTimedOut, message);
            return self.answer_when_applied(token, refused);
        }
        // What a broker makes of its own settings travels as what it has made of them.
        let (version, request) = match request {
            ControlRequest::AutoCreateTopics(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let (image, settings) = (self.log.image(), &self.settings);
                let made = topics::auto_create_request(image, settings, &names);
                let request = ControlRequest::CreateTopics(made);
                (*request.key().versions().end(), request)
            }
            request => (asker.version, request),
        };
        let until = self.clock.now().saturating_add(self.config.forward_timeout_ms);
        self.parked.push_back(Forward {
            token,
            asker: Asker { version, ..asker },
            request,
            until,
            not_before: self.clock.now(),
            forgotten: false,
        });
    }

    fn park_again(&mut self, mut forward: Forward) {
        if !forward.forgotten {
            forward.not_before = self.clock.now().saturating_add(self.config.retry_backoff_ms);
            self.parked.push_back(forward);
        }
    }

    /// Sends what waits, once it is known who decides; decides it when that is this node.
    pub(super) fn forward_parked(&mut self) {
        self.recall();
        if self.parked.is_empty() {
            return;
        }
        if self.leads_ready() {
            for forward in std::mem::take(&mut self.parked) {
                let reply = Reply::Ask { token: forward.token, own: true };
                self.take_request(reply, forward.asker.version, forward.request);
                self.settle();
            }
            return;
        }
        let Some((leader, to)) = self.controller() else { return };
        let now = self.clock.now();
        let (due, later): (VecDeque<Forward>, _) =
            std::mem::take(&mut self.parked).into_iter().partition(|one| one.not_before <= now);
        self.parked = later;
        for forward in due {
            match envelope(&forward) {
                Some(request) => {
                    let sent = Sent::Forward(leader, Box::new(forward));
                    self.send(sent, to.clone(), request.into());
                }
                None => {
                    let message = "The controller cannot be asked this in this version.";
                    let refused = forward.request.refused(ErrorCode::InvalidRequest, message);
                    self.answer_when_applied(forward.token, refused);
                }
            }
        }
    }

    pub(super) fn expire_parked(&mut self) {
        let now = self.clock.now();
        let (over, waiting): (VecDeque<Forward>, _) =
            std::mem::take(&mut self.parked).into_iter().partition(|one| one.until <= now);
        self.parked = waiting;
        for forward in over {
            let message = "No active controller has answered in time.";
            let refused = forward.request.refused(ErrorCode::RequestTimedOut, message);
            self.answer_when_applied(forward.token, refused);
        }
    }

    /// The leader of the metadata log, when it is another node.
    pub(super) fn controller(&self) -> Option<(BrokerId, Destination)> {
        let id = self.log.quorum.leader().filter(|id| *id != self.own.id)?;
        Some((id, Destination::Node { id, endpoints: self.log.quorum.endpoints_of(id) }))
    }

    /// What was sent to a controller that is none any more is sent to the next: it may never
    /// answer, and a heartbeat that waits for it is missed by the next.
    fn recall(&mut self) {
        let Some(leader) = self.log.quorum.leader() else { return };
        let old = |sent: &Sent| sent.controller().is_some_and(|to| to != leader);
        let recalled: Vec<(u64, Sent)> = self.sent.extract_if(.., |_, sent| old(sent)).collect();
        for (id, sent) in recalled {
            self.unanswered(id, sent);
        }
    }

    fn forward_answered(&mut self, forward: Forward, response: ControlResponse) {
        let Ok(envelope) = EnvelopeResponse::try_from(response) else {
            return self.park_again(forward);
        };
        if forward.forgotten {
            return;
        }
        let data = match ErrorCode::from_i16(envelope.error_code) {
            Some(ErrorCode::None) => envelope.response_data,
            Some(ErrorCode::NotController) => return self.park_again(forward),
            _ => None,
        };
        let answer = data.and_then(|data| opened(&forward, data));
        match answer {
            Some(answer) if answer.is_not_controller() => self.park_again(forward),
            Some(answer) => {
                let Forward { token, request, until, .. } = &forward;
                self.answer_when_shown(*token, request, answer, *until);
            }
            None => {
                let message = "The controller did not understand the request.";
                let refused = forward.request.refused(ErrorCode::UnknownServerError, message);
                self.answer_when_applied(forward.token, refused);
            }
        }
    }
}

fn envelope(forward: &Forward) -> Option<EnvelopeRequest> {
    let asker = &forward.asker;
    let client_id = (!asker.client_id.is_empty()).then_some(asker.client_id.as_str());
    let pieces = forward.request.encode(0, client_id, asker.version).ok()?;
    Some(EnvelopeRequest {
        request_data: without_length(pieces),
        request_principal: None,
        client_host_address: Bytes::from(asker.client_address.clone()),
    })
}

/// The answer in an envelope's answer.
fn opened(forward: &Forward, data: Bytes) -> Option<ControlResponse> {
    let (key, version) = (forward.request.key(), forward.asker.version);
    ControlResponse::decode(key, version, 0, data).ok().flatten()
}
