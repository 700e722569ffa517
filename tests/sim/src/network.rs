//! The network: carries questions and answers as the bytes of the wire, and loses, doubles, delays
//! and cuts.

use std::collections::BTreeSet;

use node::{
    Asker, ControlEvent, ControlRequest, ControlResponse, Destination, ListenerKind, Token,
};
use wire::frame::decode_request_header;
use wire::ids::BrokerId;
use wire::records_slot::concat;

use crate::world::World;

/// What the network does to messages.
#[derive(Default)]
pub(crate) struct Network {
    /// One-way: from, to.
    pub(crate) blocked: BTreeSet<(usize, usize)>,
    /// In a thousand.
    pub(crate) loss: u64,
    pub(crate) doubles: u64,
    pub(crate) delay_ms_max: i64,
}

/// Who waits for the answer that a host gives to a token.
pub(crate) struct Waiting {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) life: u64,
    pub(crate) id: u64,
    version: i16,
    request: ControlRequest,
}

impl World {
    fn delay(&mut self) -> i64 {
        1 + self.random.below(self.network.delay_ms_max.max(1) as u64) as i64
    }

    fn passes(&mut self, from: usize, to: usize) -> bool {
        let lost = self.random.below(1_000) < self.network.loss;
        !lost && !self.network.blocked.contains(&(from, to))
    }

    /// A broker is knocked at: only a process that is gone refuses.
    pub(crate) fn probe(&mut self, from: usize, id: u64, broker: BrokerId, timeout_ms: i64) {
        let to = usize::try_from(broker.0).unwrap();
        let life = self.hosts[from].life;
        let refused = self.passes(from, to) && self.hosts[to].node.is_none();
        let delay = if refused { self.delay() } else { timeout_ms.max(1) };
        self.post(delay, from, life, ControlEvent::Failed { id, refused });
    }

    pub(crate) fn send(
        &mut self,
        from: usize,
        id: u64,
        to: Destination,
        version: i16,
        request: ControlRequest,
        timeout_ms: i64,
    ) {
        let to = match to {
            Destination::Node { id, .. } => usize::try_from(id.0).unwrap(),
            Destination::Bootstrap => self.random.below(self.hosts.len() as u64) as usize,
            Destination::Server(place) => place,
        };
        let life = self.hosts[from].life;
        // Whatever becomes of it, the asker hears of it.
        self.post(timeout_ms.max(1), from, life, ControlEvent::Failed { id, refused: false });
        // Nobody sends a client's request twice but who knows that it may happen twice.
        let once = matches!(request, ControlRequest::Envelope(_));
        let double = self.random.below(1_000) < self.network.doubles && !once;
        for _ in 0..1 + usize::from(double) {
            if !self.passes(from, to) {
                continue;
            }
            let delay = self.delay();
            if self.hosts[to].node.is_none() {
                self.post(delay, from, life, ControlEvent::Failed { id, refused: true });
                continue;
            }
            let frame = concat(request.encode(0, None, version).unwrap()).slice(4..);
            let (header, mut body) = decode_request_header(frame).unwrap();
            let read = ControlRequest::decode(header.key, version, &mut body).unwrap().unwrap();
            let token = self.token();
            let asked = request.clone();
            self.waiting.insert(token, Waiting { from, to, life, id, version, request: asked });
            let own = Asker::own(version);
            let asker = Asker { listener: ListenerKind::Controller, ..own };
            let event = ControlEvent::Ask { token, asker, request: read };
            self.post(delay, to, self.hosts[to].life, event);
        }
    }

    pub(crate) fn respond(&mut self, at: usize, token: Token, response: ControlResponse) {
        self.note(|| format!("{at} answers {token} {:?}", response.key()));
        let Some(waiting) = self.waiting.remove(&token) else {
            return self.answered(token, &response);
        };
        if !self.passes(at, waiting.from) {
            return;
        }
        let frame = concat(response.encode(0, waiting.version).unwrap()).slice(4..);
        let key = waiting.request.key();
        let read = ControlResponse::decode(key, waiting.version, 0, frame).unwrap().unwrap();
        let event = ControlEvent::Answer { id: waiting.id, response: read };
        let delay = self.delay();
        self.post(delay, waiting.from, waiting.life, event);
    }
}
