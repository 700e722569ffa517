//! The active controller: decides on everything decided so far, and answers when that is committed.

use std::collections::VecDeque;

use metadata::control::{Context, Decision, brokers, features};
use metadata::{Image, MetadataRecord};
use wire::ErrorCode;
use wire::ids::{BrokerId, LeaderEpoch, Offset};
use wire::metadata_frame;

use super::asking::Reply;
use super::decisions;
use super::forwarding::Sent;
use super::heartbeats::Heartbeats;
use super::plane::{Plane, not_controller};
use super::room::with_room;
use super::{ControlEffect, ControlRequest, ControlResponse};
use crate::error::Error;

/// How long a connection to a silent broker may take.
const PROBE_MS: i64 = 500;

/// What a node has that leads the metadata log.
pub(super) struct Lead {
    /// The offset at which its epoch begins: before that is committed its state is not whole.
    start: Offset,
    /// Whether it decides.
    ready: bool,
    /// The state with everything decided so far, committed or not.
    latest: Image,
    /// Where it ends.
    latest_end: Offset,
    /// What waits for its records to be committed, in their order.
    pub(super) proposals: VecDeque<Proposal>,
    /// Which brokers are there.
    pub(super) heartbeats: Heartbeats,
}

/// An answer that waits for the log.
pub(super) struct Proposal {
    /// The last record that it rests on.
    last: Offset,
    pub(super) reply: Reply,
    request: ControlRequest,
    response: ControlResponse,
}

impl Plane {
    /// Whether this node is the active controller.
    pub(super) fn leads_ready(&self) -> bool {
        self.lead.as_ref().is_some_and(|lead| lead.ready)
    }

    pub(super) fn elected(&mut self, _epoch: LeaderEpoch, start: Offset) {
        self.lead = Some(Lead {
            start,
            ready: false,
            latest: Image::default(),
            latest_end: Offset(0),
            proposals: VecDeque::new(),
            heartbeats: Heartbeats::new(
                self.config.session_timeout_ms,
                self.config.heartbeat_interval_ms,
            ),
        });
    }

    pub(super) fn deposed(&mut self) {
        self.give_up_proposals(ErrorCode::NotController, "The controller has changed.");
    }

    /// The fate of what was proposed is open from now on.
    pub(super) fn give_up_proposals(&mut self, code: ErrorCode, why: &str) {
        let Some(lead) = self.lead.take() else { return };
        for waiting in lead.proposals {
            self.reply(waiting.reply, waiting.request.refused(code, why));
        }
    }

    pub(super) fn committed(&mut self, upto: Offset, image: &Image) {
        let Some(lead) = &mut self.lead else { return };
        if !lead.ready {
            if upto > lead.start {
                lead.ready = true;
                lead.latest = image.clone();
                lead.latest_end = upto;
                lead.heartbeats.begin(self.now_ms, image);
                self.claim();
            }
            return;
        }
        let mut done = Vec::new();
        while let Some(waiting) = lead.proposals.pop_front_if(|waiting| waiting.last < upto) {
            done.push(waiting);
        }
        for waiting in done {
            self.reply(waiting.reply, waiting.response);
        }
    }

    /// The first records of a controller. A node alone writes them while it comes up.
    fn claim(&mut self) {
        if self.config.is_alone() {
            return;
        }
        let cluster_id = self.cluster_id.clone().unwrap_or_else(|| self.random.uuid().to_string());
        self.write(|ctx| features::abandoned_transaction(ctx.image));
        self.write(|ctx| features::bootstrap(ctx.image, &cluster_id));
    }

    /// Records that nobody waits for.
    pub(super) fn write(&mut self, records: impl FnOnce(&Context<'_>) -> Vec<MetadataRecord>) {
        // What fails here fails the log, and with it this leadership.
        let _ = self.decide_with(|ctx, _| Decision { records: records(ctx), response: () });
    }

    /// Brokers that have not been heard of for a session are fenced.
    pub(super) fn fence_overdue(&mut self) {
        // A node that is alone sends itself no heartbeats.
        if self.config.is_alone() {
            return;
        }
        let now = self.now_ms;
        let Some(lead) = self.lead.as_mut().filter(|lead| lead.ready) else { return };
        let overdue = lead.heartbeats.overdue(now, &lead.latest);
        self.fence(&overdue);
    }

    fn fence(&mut self, gone: &[BrokerId]) {
        if !gone.is_empty() {
            self.write(|ctx| brokers::fence_brokers(ctx.image, gone).records);
        }
    }

    /// Looks whether brokers that have fallen silent are still there.
    pub(super) fn probe_silent(&mut self) {
        if self.config.is_alone() {
            return;
        }
        let (now, own) = (self.now_ms, self.own.id);
        let Some(lead) = self.lead.as_mut().filter(|lead| lead.ready) else { return };
        let image = &lead.latest;
        let silent = lead.heartbeats.silent_now(now, image);
        let address = |id: BrokerId| {
            let endpoint = image.brokers.get(id)?.endpoints.first()?;
            Some((id, endpoint.host.clone(), endpoint.port))
        };
        let addresses: Vec<_> = { silent }.into_iter().filter_map(address).collect();
        for (broker, host, port) in addresses.into_iter().filter(|(id, ..)| *id != own) {
            let id = self.next_name();
            self.sent.insert(id, Sent::Probe(broker));
            let timeout_ms = PROBE_MS;
            self.effects.push(ControlEffect::Probe { id, broker, host, port, timeout_ms });
        }
    }

    /// A silent broker was looked for: where nobody listens, nobody serves.
    pub(super) fn probed(&mut self, broker: BrokerId, refused: bool) {
        let now = self.now_ms;
        let Some(lead) = self.lead.as_mut().filter(|lead| lead.ready) else { return };
        if refused && lead.heartbeats.refused(now, broker) {
            self.fence(&[broker]);
        }
    }

    /// Decides a request as the active controller.
    pub(super) fn decide(&mut self, reply: Reply, version: i16, request: ControlRequest) {
        let now_ms = self.now_ms;
        let quorum = decisions::Asked::new(&self.log.quorum, self.own.id, version, now_ms);
        let Some(lead) = &mut self.lead else {
            return self.reply(reply, not_controller(&request));
        };
        let next_offset = self.log.quorum.log_end().0;
        let random = &mut self.random;
        let settings = &self.settings;
        let mut context = Context { image: &lead.latest, settings, random: &mut || random.u128() };
        let decision =
            decisions::decide(&mut context, &quorum, &mut lead.heartbeats, next_offset, &request);
        let decision = with_room(&self.dirs, self.own.id, decision);
        self.raise_kraft_version(&request, &decision.response);
        match self.enter(&decision.records) {
            Ok(Some(last)) => {
                let response = decision.response;
                if let Some(lead) = &mut self.lead {
                    lead.proposals.push_back(Proposal { last, reply, request, response });
                }
            }
            Ok(None) => self.reply(reply, decision.response),
            Err((code, why)) => self.reply(reply, request.refused(code, &why)),
        }
    }

    /// `kraft.version` stands in the quorum's records, which the quorum writes.
    fn raise_kraft_version(&mut self, request: &ControlRequest, response: &ControlResponse) {
        if let ControlRequest::UpdateFeatures(asked) = request
            && let ControlResponse::UpdateFeatures(answer) = response
            && answer.error_code == 0
            && features::raises_kraft_version(asked, self.log.quorum.kraft_version())
        {
            self.step(quorum::Event::Upgrade);
            let end = self.log.quorum.log_end();
            if let Some(lead) = &mut self.lead {
                lead.latest_end = end;
            }
        }
    }

    /// Decides while a node that is alone comes up; nothing waits.
    pub(crate) fn decide_alone<R>(
        &mut self,
        decide: impl FnOnce(&mut Context<'_>, i64) -> Decision<R>,
    ) -> Result<R, Error> {
        let decided = self.decide_with(decide);
        self.settle();
        self.effects.clear();
        match (decided, self.take_failures().pop()) {
            (_, Some(error)) => Err(error),
            (Some(response), None) => Ok(response),
            (None, None) => Err(Error::ControllerStopped),
        }
    }

    fn decide_with<R>(
        &mut self,
        decide: impl FnOnce(&mut Context<'_>, i64) -> Decision<R>,
    ) -> Option<R> {
        let next_offset = self.log.quorum.log_end().0;
        let lead = self.lead.as_ref().filter(|lead| lead.ready)?;
        let random = &mut self.random;
        let settings = &self.settings;
        let mut context = Context { image: &lead.latest, settings, random: &mut || random.u128() };
        let decision = decide(&mut context, next_offset);
        self.enter(&decision.records).ok().map(|_| decision.response)
    }

    /// Puts records into the log and the latest state. Gives the offset that has to be committed
    /// before what was decided counts; `None` when it does already.
    fn enter(&mut self, records: &[MetadataRecord]) -> Result<Option<Offset>, (ErrorCode, String)> {
        let Some(lead) = &self.lead else {
            return Err((ErrorCode::NotController, "The controller has changed.".to_owned()));
        };
        if records.is_empty() {
            // It may rest on what is not committed yet.
            let open = lead.latest_end > self.log.image_end();
            return Ok(open.then(|| lead.latest_end.plus(-1)));
        }
        let failed =
            |error: &dyn std::fmt::Display| (ErrorCode::KafkaStorageError, error.to_string());
        // Records that do not follow from the state never reach the log.
        let (next, _) = lead.latest.apply(records).map_err(|e| failed(&Error::from(e)))?;
        let encoded: Result<Vec<bytes::Bytes>, _> =
            records.iter().map(metadata_frame::encode).collect();
        let encoded = encoded.map_err(|e| failed(&Error::from(e)))?;
        let last = self.propose(encoded).map_err(|why| (ErrorCode::KafkaStorageError, why))?;
        if let Some(lead) = &mut self.lead {
            lead.latest = next;
            lead.latest_end = last.plus(1);
        }
        Ok(Some(last))
    }
}
