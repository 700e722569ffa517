//! Bytes from the socket to frames: a buffer that grows as bytes arrive, never to an announced
//! length at once.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::budget::{RequestBudget, Share};

/// The length that stands before every request.
const LENGTH_BYTES: usize = 4;
/// What a connection starts with, and what it may hold outside the budget while it is active.
const BUFFER_BYTES_START: usize = 16 * 1024;
/// A busy connection keeps a buffer of this size between requests: a producer's usual batch fits.
const BUFFER_BYTES_KEPT: usize = 2 * 1024 * 1024;
/// A buffer grows to at most this multiple of the bytes that have arrived.
const GROWTH_FACTOR: usize = 8;

/// Why a frame cannot be read; the connection closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a request announces a negative size ({0})")]
    Negative(i32),
    #[error(
        "a request of {announced} bytes is larger than the {limit} that this listener takes \
         (socket.request.max.bytes; a controller's listener takes 16 MiB at most)"
    )]
    TooLarge { announced: usize, limit: usize },
}

/// What the buffer holds next.
#[derive(Debug)]
pub(crate) enum Next {
    /// One whole request, without its length.
    Frame(Bytes),
    /// More bytes are needed, and there is room for them.
    Read,
    /// More bytes are needed, and the buffer must grow to this many bytes first: see
    /// [`Inbound::grow`].
    Grow(usize),
}

/// The receiving side of one connection.
#[derive(Debug)]
pub(crate) struct Inbound {
    buffer: BytesMut,
    request_bytes_max: usize,
    /// What the buffer holds of the budget, for its part beyond `BUFFER_BYTES_START`.
    shares: Vec<Share>,
    shared_bytes: usize,
    /// The buffer's size while no part of it is in a request's hands.
    whole_bytes: usize,
}

impl Inbound {
    pub(crate) fn new(request_bytes_max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            request_bytes_max,
            shares: Vec::new(),
            shared_bytes: 0,
            whole_bytes: 0,
        }
    }

    /// Whether a request has begun to arrive.
    pub(crate) fn is_mid_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Cuts the next frame out of the buffer, or says what is missing.
    pub(crate) fn next(&mut self) -> Result<Next, FrameError> {
        let Some(announced) = self.buffer.get(..LENGTH_BYTES).and_then(|b| b.try_into().ok())
        else {
            return Ok(self.room_for(BUFFER_BYTES_START));
        };
        let announced = i32::from_be_bytes(announced);
        let length = usize::try_from(announced).map_err(|_| FrameError::Negative(announced))?;
        if length > self.request_bytes_max {
            let limit = self.request_bytes_max;
            return Err(FrameError::TooLarge { announced: length, limit });
        }
        if self.buffer.len() < LENGTH_BYTES + length {
            return Ok(self.room_for(LENGTH_BYTES + length));
        }
        self.buffer.advance(LENGTH_BYTES);
        Ok(Next::Frame(self.buffer.split_to(length).freeze()))
    }

    /// Room to read into without exceeding what the bytes so far justify.
    fn room_for(&mut self, whole: usize) -> Next {
        let filled = self.buffer.len();
        if filled == 0 {
            // Without bytes to move, the space of frames already handled comes back for nothing.
            let _ = self.buffer.try_reclaim(self.whole_bytes);
        }
        // Reclaims the space of frames already handled; copies only what is left of the next one.
        if self.buffer.capacity() == filled && self.buffer.try_reclaim(1) {
            return Next::Read;
        }
        if self.buffer.capacity() > filled {
            return Next::Read;
        }
        let justified = (filled * GROWTH_FACTOR).max(BUFFER_BYTES_START);
        Next::Grow(whole.clamp(filled + 1, justified))
    }

    /// Grows the buffer to `bytes` if the budget has them now; `false` = wait with
    /// [`RequestBudget::take`].
    pub(crate) fn try_grow(&mut self, bytes: usize, budget: &RequestBudget) -> bool {
        match self.missing_share(bytes) {
            0 => self.grow(bytes, None),
            missing => match budget.try_take(missing, self.is_small()) {
                Some(share) => self.grow(bytes, Some(share)),
                None => return false,
            },
        }
        true
    }

    /// Whether the request that arrives is of a usual size: such have memory of their own.
    pub(crate) fn is_small(&self) -> bool {
        let announced = self.buffer.get(..LENGTH_BYTES).and_then(|b| b.try_into().ok());
        let length = announced.map_or(0, i32::from_be_bytes);
        usize::try_from(length).is_ok_and(|length| length <= BUFFER_BYTES_KEPT)
    }

    /// Whether it holds a part of the budget.
    pub(crate) fn holds_share(&self) -> bool {
        self.shared_bytes > 0
    }

    /// What the budget must give before the buffer may grow to `bytes`.
    pub(crate) fn missing_share(&self, bytes: usize) -> usize {
        if self.shares.iter().any(Share::is_lane) {
            return 0;
        }
        bytes.saturating_sub(BUFFER_BYTES_START).saturating_sub(self.shared_bytes)
    }

    /// Grows the buffer to `bytes`; the share covers [`Inbound::missing_share`].
    pub(crate) fn grow(&mut self, bytes: usize, share: Option<Share>) {
        if let Some(share) = share {
            self.shared_bytes += self.missing_share(bytes);
            self.shares.push(share);
        }
        self.buffer.reserve(bytes.saturating_sub(self.buffer.len()));
        self.whole_bytes = self.buffer.capacity();
    }

    /// Reads what the socket has, up to the room in the buffer. 0 = the peer has closed its side.
    pub(crate) fn poll_read(
        &mut self,
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        // The future keeps no state of its own between polls.
        pin!(stream.read_buf(&mut self.buffer)).poll(cx)
    }

    /// Whether at least one whole request is in the buffer.
    pub(crate) fn holds_frame(&self) -> bool {
        let Some(announced) = self.buffer.get(..LENGTH_BYTES).and_then(|b| b.try_into().ok())
        else {
            return false;
        };
        let length = usize::try_from(i32::from_be_bytes(announced)).unwrap_or(0);
        self.buffer.len() >= LENGTH_BYTES + length
    }

    /// After a request: gives an empty buffer back when it is large or memory is short.
    pub(crate) fn settle(&mut self, budget: &RequestBudget) {
        // Past the budget the buffer may be larger than its share.
        let large = self.buffer.capacity() > BUFFER_BYTES_KEPT;
        if self.buffer.is_empty() && !self.shares.is_empty() && (large || budget.is_short()) {
            self.release_if_empty();
        }
    }

    /// Gives the memory of an idle connection back.
    pub(crate) fn release_if_empty(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.shares = Vec::new();
            self.shared_bytes = 0;
            self.whole_bytes = 0;
        }
    }

    /// Whether the connection holds a buffer at all.
    pub(crate) fn holds_memory(&self) -> bool {
        self.buffer.capacity() > 0 || self.shared_bytes > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(inbound: &mut Inbound, bytes: &[u8]) {
        inbound.buffer.extend_from_slice(bytes);
    }

    #[test]
    fn frames_are_cut_out_in_order() {
        let mut inbound = Inbound::new(100);
        feed(&mut inbound, &[0, 0, 0, 2, 7, 8, 0, 0, 0, 0, 0, 0, 0, 1, 9, 0, 0]);
        for expected in [&[7u8, 8][..], &[], &[9]] {
            match inbound.next() {
                Ok(Next::Frame(frame)) => assert_eq!(&frame[..], expected),
                other => panic!("{other:?}"),
            }
        }
        assert!(inbound.is_mid_frame());
        assert!(!matches!(inbound.next(), Ok(Next::Frame(_))));
    }

    #[test]
    fn bad_lengths_are_refused() {
        let mut inbound = Inbound::new(100);
        feed(&mut inbound, &[0xff, 0xff, 0xff, 0xff]);
        assert_eq!(inbound.next().unwrap_err(), FrameError::Negative(-1));
        let mut inbound = Inbound::new(100);
        feed(&mut inbound, &[0, 0, 0, 101]);
        let expected = FrameError::TooLarge { announced: 101, limit: 100 };
        assert_eq!(inbound.next().unwrap_err(), expected);
    }

    #[test]
    fn an_announced_length_alone_allocates_nothing() {
        let budget = RequestBudget::new(1 << 20);
        let mut inbound = Inbound::new(100 << 20);
        let Ok(Next::Grow(bytes)) = inbound.next() else { panic!("no room asked for") };
        assert!(inbound.try_grow(bytes, &budget));
        feed(&mut inbound, &(100i32 << 20).to_be_bytes());
        assert!(matches!(inbound.next(), Ok(Next::Read)));
        assert!(inbound.buffer.capacity() <= BUFFER_BYTES_START, "{}", inbound.buffer.capacity());
        let rest = vec![0; BUFFER_BYTES_START - LENGTH_BYTES];
        feed(&mut inbound, &rest);
        let Ok(Next::Grow(bytes)) = inbound.next() else { panic!("no growth asked for") };
        assert_eq!(bytes, BUFFER_BYTES_START * GROWTH_FACTOR);
        assert!(inbound.try_grow(bytes, &budget));
        assert!(budget.free_bytes() < 1 << 20);
        inbound.buffer.clear();
        inbound.release_if_empty();
        assert_eq!(budget.free_bytes(), 1 << 20);
    }
}
