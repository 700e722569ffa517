//! A controller tells the active one who and where it is: everyone finds it in the image then, and
//! no feature is finalised that it does not know. Asked again until the image shows this run.

use metadata::control::brokers::Registration;
use quorum::Endpoint;
use wire::ErrorCode;
use wire::ids::{BrokerId, Uuid};
use wire::messages::controller_registration_request::{ControllerRegistrationRequest, Listener};

use super::asking::Reply;
use super::forwarding::Sent;
use super::plane::Plane;
use super::{ControlRequest, ControlResponse};

/// How long an answer, or its effect in the image, is waited for.
const RETRY_MS: i64 = 1_000;

/// What a controller says of itself, and when it says it again.
#[derive(Debug)]
pub(crate) struct Enrolment {
    request: ControllerRegistrationRequest,
    asking: bool,
    /// When it was said last.
    said_ms: Option<i64>,
    /// The cluster's log does not hold controllers.
    useless: bool,
}

impl Enrolment {
    pub(crate) fn new(id: BrokerId, incarnation: Uuid, endpoints: &[Endpoint]) -> Self {
        let listener = |endpoint: &Endpoint| Listener {
            name: endpoint.listener.clone(),
            host: endpoint.host.clone(),
            port: endpoint.port,
            security_protocol: 0,
        };
        let request = ControllerRegistrationRequest {
            controller_id: id.0,
            incarnation_id: incarnation,
            zk_migration_ready: false,
            listeners: endpoints.iter().map(listener).collect(),
            features: Registration::own_features().iter().map(Into::into).collect(),
        };
        Self { request, asking: false, said_ms: None, useless: false }
    }

    /// Whether it is time to say it, given which run the image shows.
    fn is_due(&self, now_ms: i64, shown: Option<Uuid>) -> bool {
        // A clock that was set back makes nobody wait longer.
        let waited = |since: i64| now_ms < since || now_ms.saturating_sub(since) >= RETRY_MS;
        let news = shown != Some(self.request.incarnation_id);
        news && !self.asking && !self.useless && self.said_ms.is_none_or(waited)
    }

    pub(super) fn answered(&mut self, response: &ControlResponse) {
        self.asking = false;
        if let ControlResponse::ControllerRegistration(answer) = response {
            self.useless = answer.error_code == ErrorCode::UnsupportedVersion.code();
        }
    }

    pub(super) fn failed(&mut self) {
        self.asking = false;
    }
}

impl Plane {
    /// Says who this controller is, if the image does not.
    pub(super) fn follow_enrolment(&mut self) {
        let (now, id) = (self.now_ms, self.own.id);
        let image = self.log.image();
        if image.cluster_id().is_none() {
            return;
        }
        let shown = image.controllers.get(id).map(|known| known.incarnation);
        let here = self.leads_ready();
        let to = self.controller();
        let Some(enrolment) = &mut self.enrolment else { return };
        if !enrolment.is_due(now, shown) || (!here && to.is_none()) {
            return;
        }
        enrolment.asking = true;
        enrolment.said_ms = Some(now);
        let request = ControlRequest::from(enrolment.request.clone());
        let version = *request.key().versions().end();
        match to {
            _ if here => self.decide(Reply::Enrolment, version, request),
            Some((leader, to)) => {
                self.send(Sent::Enrolment(leader), to, request);
            }
            None => {}
        }
    }

    pub(super) fn enrolment_answered(&mut self, response: &ControlResponse) {
        if let Some(enrolment) = &mut self.enrolment {
            enrolment.answered(response);
        }
    }

    pub(super) fn enrolment_failed(&mut self) {
        if let Some(enrolment) = &mut self.enrolment {
            enrolment.failed();
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::messages::controller_registration_response::ControllerRegistrationResponse;

    use super::*;

    #[test]
    fn it_is_said_until_the_image_shows_it() {
        let run = Uuid([7; 16]);
        let mut enrolment = Enrolment::new(BrokerId(1), run, &[]);
        assert!(enrolment.is_due(5, None));
        assert!(enrolment.is_due(5, Some(Uuid([8; 16]))), "a run before this one");
        assert!(!enrolment.is_due(5, Some(run)));
        (enrolment.asking, enrolment.said_ms) = (true, Some(5));
        assert!(!enrolment.is_due(9_000, None), "one question at a time");
        enrolment.failed();
        assert!(!enrolment.is_due(5 + RETRY_MS - 1, None));
        assert!(enrolment.is_due(5 + RETRY_MS, None) && enrolment.is_due(-90, None));
        let answer =
            |error_code| ControllerRegistrationResponse { error_code, ..Default::default() }.into();
        enrolment.answered(&answer(ErrorCode::NotController.code()));
        assert!(enrolment.is_due(9_000, None));
        enrolment.answered(&answer(ErrorCode::UnsupportedVersion.code()));
        assert!(!enrolment.is_due(9_000, None), "an old log holds no controllers");
    }
}
