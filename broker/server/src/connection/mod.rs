//! One client connection, one task: frames in, answers out in the order of the requests.
//!
//! The task never blocks on the peer while it could do something else: it waits for whichever comes
//! first of more bytes, the next answer, room in the socket, memory, its timer, or the order to
//! drain.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

pub(crate) mod budget;
mod cold;
mod deadlines;
mod in_flight;
mod inbound;
mod outbound;
#[cfg(test)]
mod tests;

use crate::metrics::{Metrics, Timing};
use crate::serve_config::SocketConfig;
use budget::{RequestBudget, Share};
use deadlines::{Activity, CHECK_INTERVAL, Deadlines, Due};
use in_flight::InFlight;
pub(crate) use in_flight::{Close, Outcome, Response};
use inbound::{FrameError, Inbound, Next};
pub(crate) use outbound::Chunk;
use outbound::{Flush, Outbound};

/// Frames begun before the answers so far are sent.
const FRAMES_PER_TURN: usize = 32;
/// Answers waiting in memory; beyond it no further request begins.
const UNSENT_BYTES_MAX: usize = 1024 * 1024;

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// The name of the listener that it came in by.
    pub(crate) listener: Arc<str>,
}

/// Turns a frame into an answer. `dispatch` is the one of the broker; tests have their own.
pub(crate) trait FrameHandler: Send + Sync {
    /// Begins the request; what it changes is changed on return, so that requests keep their order.
    fn handle(&self, peer: &Peer, frame: Bytes) -> Outcome;
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) config: SocketConfig,
    pub(crate) budget: RequestBudget,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) handler: Arc<dyn FrameHandler>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("closed by the peer")]
    ByPeer,
    #[error("drained")]
    Drained,
    #[error("idle for too long (connections.max.idle.ms)")]
    Idle,
    #[error("a request took too long to arrive")]
    SlowRequest,
    #[error("the peer does not read its responses")]
    SlowReader,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    BadFrame(#[from] FrameError),
    #[error("{0}")]
    Closed(Close),
}

/// What the connection needs to go on receiving.
enum Want {
    /// More bytes from the socket.
    Read,
    /// Memory to read into.
    Memory(usize),
    /// Nothing: answers must leave first.
    Pause,
    /// There are more whole frames; send the answers so far first.
    Turn,
}

enum Event {
    Answers,
    Received(usize),
    Writable,
    Timer,
}

/// Ends when the server is told to stop, or is gone altogether.
pub(crate) async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// One connection's state.
pub(crate) struct Connection {
    stream: TcpStream,
    peer: Peer,
    shared: Arc<Shared>,
    inbound: Inbound,
    outbound: Outbound,
    in_flight: InFlight,
    /// Answers on their way out: what was pushed when each was whole.
    leaving: VecDeque<(u64, Timing)>,
    /// When bytes last came.
    received_at: Instant,
    deadlines: Deadlines,
    /// The next request waits for memory, not for its peer.
    waits_for_memory: bool,
    /// Set once no further request may begin; the connection ends when the answers have left.
    closing: Option<Ended>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, peer: Peer, shared: Arc<Shared>) -> Self {
        let deadlines = Deadlines::new(&shared.config, Instant::now());
        let inbound = Inbound::new(shared.config.request_bytes_max);
        Self {
            stream,
            peer,
            shared,
            inbound,
            outbound: Outbound::default(),
            in_flight: InFlight::default(),
            leaving: VecDeque::new(),
            received_at: Instant::now(),
            deadlines,
            waits_for_memory: false,
            closing: None,
        }
    }

    /// Serves until the connection ends, and says why.
    pub(crate) async fn serve(mut self, mut stop: watch::Receiver<bool>) -> Ended {
        match self.run(&mut stop).await {
            Ok(ended) | Err(ended) => ended,
        }
    }

    async fn run(&mut self, stop: &mut watch::Receiver<bool>) -> Result<Ended, Ended> {
        let shared = Arc::clone(&self.shared);
        let mut timer = pin!(sleep_until(Instant::now() + CHECK_INTERVAL));
        let mut stopped = pin!(told_to_stop(stop));
        loop {
            let want = self.begin_requests();
            let flush = self.flush()?;
            if flush == Flush::Cold {
                self.warm().await?;
                continue;
            }
            let held_by_answers = matches!(want, Want::Turn | Want::Pause) && !self.must_pause();
            if flush == Flush::Yield || (flush == Flush::Done && held_by_answers) {
                tokio::task::yield_now().await;
                continue;
            }
            if let Some(ended) = self.closing.take() {
                let drained = self.in_flight.is_empty() && flush == Flush::Done;
                if drained || !matches!(ended, Ended::Drained) {
                    // Answers that are ready belong to good requests before a bad one.
                    poll_fn(|cx| Poll::Ready(self.poll_answers(cx))).await?;
                    self.flush()?;
                    return Ok(ended);
                }
                self.closing = Some(ended);
            }
            let draining = self.closing.is_some();
            let (reading, memory) = match want {
                Want::Read => (true, None),
                Want::Memory(bytes) => (false, Some(bytes)),
                Want::Pause | Want::Turn => (false, None),
            };
            self.waits_for_memory = memory.is_some();
            let small = self.inbound.is_small();
            let missing = memory.map_or(0, |bytes| self.inbound.missing_share(bytes));
            tokio::select! {
                biased;
                event = poll_fn(|cx| self.poll_event(cx, reading, timer.as_mut())) => {
                    self.on_event(event?, timer.as_mut())?;
                }
                share = shared.budget.take(missing, small), if memory.is_some() => {
                    self.on_memory(memory.unwrap_or_default(), share);
                }
                () = &mut stopped, if !draining => self.closing = Some(Ended::Drained),
            }
        }
    }

    /// Begins the requests that are whole, as far as limits allow.
    fn begin_requests(&mut self) -> Want {
        for _ in 0..FRAMES_PER_TURN {
            if self.must_pause() {
                return Want::Pause;
            }
            match self.inbound.next() {
                Ok(Next::Frame(frame)) => self.begin(frame),
                Ok(Next::Read) => return Want::Read,
                Ok(Next::Grow(bytes)) => {
                    return match self.inbound.try_grow(bytes, &self.shared.budget) {
                        true => Want::Read,
                        false => Want::Memory(bytes),
                    };
                }
                Err(error) => {
                    self.closing = Some(error.into());
                    return Want::Pause;
                }
            }
        }
        Want::Turn
    }

    fn must_pause(&self) -> bool {
        self.closing.is_some()
            || self.in_flight.is_serial()
            || self.in_flight.len() >= self.shared.config.in_flight_max
            || self.outbound.memory_bytes() > UNSENT_BYTES_MAX
            || self.outbound.len() > FRAMES_PER_TURN * 4
    }

    fn begin(&mut self, frame: Bytes) {
        let timing = Timing::begin(&frame, self.received_at);
        let outcome = self.shared.handler.handle(&self.peer, frame);
        let timing = timing.handled();
        match outcome {
            Outcome::Reply(response) if self.in_flight.is_empty() => self.send(response, timing),
            Outcome::Reply(response) => self.in_flight.push_reply(response, timing),
            Outcome::Later(parked) => self.in_flight.push_parked(parked, timing, false),
            Outcome::Serial(parked) => self.in_flight.push_parked(parked, timing, true),
            Outcome::Close(reason) => self.closing = Some(Ended::Closed(reason)),
        }
        self.inbound.settle(&self.shared.budget);
    }

    fn send(&mut self, response: Response, timing: Timing) {
        if self.outbound.is_empty() {
            self.deadlines.sent(Instant::now());
        }
        for chunk in response {
            self.outbound.push(chunk);
        }
        self.leaving.push_back((self.outbound.pushed_bytes(), timing));
    }

    /// Hands in the times of the answers that have left. An answer without bytes (acks=0) has left
    /// with what stood before it.
    fn note_sent(&mut self, now: Instant) {
        let sent = self.outbound.sent_bytes();
        while let Some((_, timing)) = self.leaving.pop_front_if(|(end, _)| *end <= sent) {
            self.shared.metrics.requests.sent(&timing, now);
        }
    }

    fn flush(&mut self) -> Result<Flush, Ended> {
        if self.outbound.is_empty() {
            if !self.leaving.is_empty() {
                self.note_sent(Instant::now());
            }
            return Ok(Flush::Done);
        }
        let before = self.outbound.sent_bytes();
        let flush = self.outbound.flush(&self.stream)?;
        let sent = self.outbound.sent_bytes() - before;
        if sent > 0 {
            let now = Instant::now();
            self.deadlines.sent(now);
            self.note_sent(now);
            self.shared.metrics.bytes_out(sent);
        }
        Ok(flush)
    }

    /// Has the range that comes next read in.
    async fn warm(&mut self) -> Result<(), Ended> {
        if let Some(range) = self.outbound.cold_range() {
            let read = tokio::task::spawn_blocking(move || range.warm()).await;
            read.map_err(io::Error::other)??;
        }
        Ok(())
    }

    fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
        reading: bool,
        timer: Pin<&mut Sleep>,
    ) -> Poll<Result<Event, Ended>> {
        if self.poll_answers(cx)? {
            return Poll::Ready(Ok(Event::Answers));
        }
        if reading && let Poll::Ready(count) = self.inbound.poll_read(&mut self.stream, cx) {
            return Poll::Ready(Ok(Event::Received(count?)));
        }
        if !self.outbound.is_empty() && self.stream.poll_write_ready(cx).is_ready() {
            return Poll::Ready(Ok(Event::Writable));
        }
        timer.poll(cx).map(|()| Ok(Event::Timer))
    }

    /// Moves the answers that are ready, in order, to the sending side.
    fn poll_answers(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        let mut any = false;
        while let Poll::Ready(answer) = self.in_flight.poll_next(cx) {
            let (response, timing) = answer.map_err(Ended::Closed)?;
            self.send(response, timing);
            any = true;
        }
        Ok(any)
    }

    fn on_event(&mut self, event: Event, mut timer: Pin<&mut Sleep>) -> Result<(), Ended> {
        match event {
            Event::Answers | Event::Writable => Ok(()),
            Event::Received(0) => {
                // What was answered leaves if the socket takes it; nobody waits for the rest.
                self.flush()?;
                Err(Ended::ByPeer)
            }
            Event::Received(count) => {
                let now = Instant::now();
                self.received_at = now;
                self.shared.metrics.bytes_in(count as u64);
                let completed = self.inbound.holds_frame();
                self.deadlines.received(now, self.inbound.is_mid_frame(), completed);
                if timer.deadline() > now + CHECK_INTERVAL {
                    timer.as_mut().reset(now + CHECK_INTERVAL);
                }
                Ok(())
            }
            Event::Timer => self.on_timer(timer),
        }
    }

    fn on_timer(&mut self, timer: Pin<&mut Sleep>) -> Result<(), Ended> {
        let now = Instant::now();
        let paused = self.must_pause();
        if paused {
            // It is not the peer that is slow.
            self.deadlines.paused(now);
        }
        let activity = Activity {
            mid_frame: self.inbound.is_mid_frame() && !paused,
            unsent: !self.outbound.is_empty(),
            in_flight: !self.in_flight.is_empty(),
            holds_memory: self.inbound.holds_memory(),
            blocks_others: self.inbound.holds_share()
                && !self.waits_for_memory
                && self.shared.budget.is_short(),
        };
        let next = match self.deadlines.check(now, activity) {
            Due::Nothing(next) => next,
            Due::ReleaseBuffer(next) => {
                self.inbound.release_if_empty();
                next
            }
            Due::Idle => return Err(Ended::Idle),
            Due::SlowRequest => return Err(Ended::SlowRequest),
            Due::SlowReader => return Err(Ended::SlowReader),
        };
        timer.reset(next);
        Ok(())
    }

    fn on_memory(&mut self, bytes: usize, share: Option<Share>) {
        self.deadlines.paused(Instant::now());
        self.inbound.grow(bytes, share);
    }
}
