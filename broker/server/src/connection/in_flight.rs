//! The requests of one connection that have begun and not been answered, in their order.
//!
//! Several may wait at once, and answers leave in the order of the requests. Only the first one is
//! polled: the others cannot be answered before it, and what a request changes it has changed when
//! it was begun.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::outbound::Chunk;
use crate::metrics::Timing;

/// A whole response; no chunks = the request has no answer (produce with acks=0).
pub(crate) type Response = Vec<Chunk>;

/// A request that waits for something.
pub(crate) type Parked = Pin<Box<dyn Future<Output = Result<Response, Close>> + Send>>;

/// Why the broker closes a connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Close {
    /// The peer sent something that is no request of this protocol.
    #[error("{0}")]
    BadRequest(String),
    /// As Kafka does for acks=0: the closed connection is the only error the producer can see.
    #[error("a produce request with acks=0 failed: {0}")]
    UnansweredProduce(String),
    /// The broker failed to answer; a bug or a broken disk.
    #[error("cannot answer: {0}")]
    Internal(String),
}

/// What became of a frame.
pub(crate) enum Outcome {
    /// The answer is there.
    Reply(Response),
    /// The answer comes later; requests behind it may begin meanwhile.
    Later(Parked),
    /// The answer comes later, and the requests behind it begin only then.
    Serial(Parked),
    /// No answer, and none to come on this connection.
    Close(Close),
}

enum Slot {
    Done(Response, Timing),
    Waiting(Parked, Timing),
}

/// The queue of unanswered requests.
#[derive(Default)]
pub(crate) struct InFlight {
    slots: VecDeque<Slot>,
    /// The last request must be answered before another begins.
    serial: bool,
}

impl InFlight {
    pub(crate) fn push_reply(&mut self, response: Response, timing: Timing) {
        self.slots.push_back(Slot::Done(response, timing));
    }

    pub(crate) fn push_parked(&mut self, parked: Parked, timing: Timing, serial: bool) {
        self.serial = serial;
        self.slots.push_back(Slot::Waiting(parked, timing));
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether the next request must wait for all before it.
    pub(crate) fn is_serial(&self) -> bool {
        self.serial
    }

    /// The next answer in order. Pending also when nothing is in flight.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Response, Timing), Close>> {
        let Some(first) = self.slots.front_mut() else { return Poll::Pending };
        let answer = match first {
            Slot::Done(response, timing) => Ok((std::mem::take(response), timing.queued())),
            Slot::Waiting(parked, timing) => match parked.as_mut().poll(cx) {
                Poll::Ready(answer) => answer.map(|response| (response, timing.answered())),
                Poll::Pending => return Poll::Pending,
            },
        };
        self.slots.pop_front();
        if self.slots.is_empty() {
            self.serial = false;
        }
        Poll::Ready(answer)
    }
}
