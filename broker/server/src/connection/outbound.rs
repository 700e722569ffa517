//! Responses to the socket: bytes by one gathering send, file ranges by sendfile, without a copy of
//! the records.
//!
//! Small ranges are read into memory at the moment they are sent: one system call for header and
//! records is cheaper than a corked header and a sendfile. Everything runs inline on the
//! connection's worker.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use rustix::net::{SendAncillaryBuffer, SendFlags};
use storage::disk::DiskFile;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::cold::{ColdRange, is_cold};

/// Ranges up to this size are read and sent together with their header.
const RANGE_BYTES_COPIED: u64 = 32 * 1024;
/// One sendfile call moves at most this much, so that one connection does not hold its worker for
/// long.
const SENDFILE_BYTES_MAX: u64 = 256 * 1024;
/// One call of [`Outbound::flush`] sends about this much before it lets other connections run.
const FLUSH_BYTES_MAX: u64 = 1024 * 1024;
/// Pieces gathered into one send.
const PIECES_MAX: usize = 32;

/// A part of a response.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes of a file; holding the file keeps them readable after it is deleted.
    File { file: Arc<dyn DiskFile>, position: u64, len: u64 },
}

/// How a flush ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// Nothing is left.
    Done,
    /// The socket takes no more now.
    Blocked,
    /// There is more, and other connections should have their turn first.
    Yield,
    /// What comes next is not in memory: read [`Outbound::cold_range`] in, then go on.
    Cold,
}

/// The sending side of one connection.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    chunks: VecDeque<Chunk>,
    memory_bytes: usize,
    pushed_bytes: u64,
    sent_bytes: u64,
    /// Bytes of the first range that have just been read in and are not asked about again.
    warm_bytes: u64,
}

/// What one step of a flush did.
enum Step {
    Sent,
    Cold,
}

impl Outbound {
    pub(crate) fn push(&mut self, chunk: Chunk) {
        match &chunk {
            Chunk::Bytes(bytes) if bytes.is_empty() => return,
            Chunk::File { len: 0, .. } => return,
            Chunk::Bytes(bytes) => {
                self.memory_bytes += bytes.len();
                self.pushed_bytes += bytes.len() as u64;
            }
            Chunk::File { len, .. } => self.pushed_bytes += len,
        }
        self.chunks.push_back(chunk);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Pieces that wait, in memory and in files.
    pub(crate) fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Bytes that wait in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Bytes given to it so far: what was pushed last is sent when [`Self::sent_bytes`] is here.
    pub(crate) fn pushed_bytes(&self) -> u64 {
        self.pushed_bytes
    }

    /// Bytes sent so far: tells whether a peer still reads.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Sends until nothing is left, the socket is full, or it is someone else's turn.
    pub(crate) fn flush(&mut self, stream: &TcpStream) -> io::Result<Flush> {
        let until = self.sent_bytes + FLUSH_BYTES_MAX;
        while !self.is_empty() {
            if self.sent_bytes >= until {
                return Ok(Flush::Yield);
            }
            match self.send_some(stream) {
                Ok(Step::Sent) => {}
                Ok(Step::Cold) => return Ok(Flush::Cold),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Flush::Blocked);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Flush::Done)
    }

    /// The range to read in after [`Flush::Cold`].
    pub(crate) fn cold_range(&mut self) -> Option<ColdRange> {
        let Some(Chunk::File { file, position, len }) = self.chunks.front() else { return None };
        let range = ColdRange::new(Arc::clone(file), *position, *len);
        self.warm_bytes = range.len();
        Some(range)
    }

    /// One system call's worth.
    fn send_some(&mut self, stream: &TcpStream) -> io::Result<Step> {
        self.load_small_ranges()?;
        if let Some(Chunk::File { file, position, len }) = self.chunks.front_mut() {
            let Some(fd) = file.as_fd() else { return self.load_front() };
            let mut count = (*len).min(SENDFILE_BYTES_MAX);
            if self.warm_bytes > 0 {
                count = count.min(self.warm_bytes);
            } else if is_cold(fd, *position, count) {
                return Ok(Step::Cold);
            }
            let sent = send_range(stream, fd, *position, count)?;
            if sent == 0 {
                // The log never shrinks below a range that was handed out: the disk lost bytes.
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            *position += sent;
            *len -= sent;
            self.sent_bytes += sent;
            self.warm_bytes = self.warm_bytes.saturating_sub(sent);
            if *len == 0 {
                self.chunks.pop_front();
                self.warm_bytes = 0;
            }
            return Ok(Step::Sent);
        }
        let sent = self.send_bytes(stream)?;
        self.advance(sent);
        Ok(Step::Sent)
    }

    /// Replaces the small ranges among the next pieces by their bytes.
    fn load_small_ranges(&mut self) -> io::Result<()> {
        for (at, chunk) in self.chunks.iter_mut().take(PIECES_MAX).enumerate() {
            match chunk {
                Chunk::Bytes(_) => {}
                Chunk::File { file, position, len } if *len <= RANGE_BYTES_COPIED => {
                    let is_warm = at == 0 && self.warm_bytes >= *len;
                    let fd = file.as_fd().filter(|_| !is_warm);
                    if fd.is_some_and(|fd| is_cold(fd, *position, *len)) {
                        // Its turn comes when it is the first.
                        return Ok(());
                    }
                    if at == 0 {
                        self.warm_bytes = 0;
                    }
                    let bytes = read_range(file.as_ref(), *position, *len)?;
                    self.memory_bytes += bytes.len();
                    *chunk = Chunk::Bytes(bytes);
                }
                Chunk::File { .. } => return Ok(()),
            }
        }
        Ok(())
    }

    /// For files that have no descriptor (the simulator's): the next part of the range as bytes.
    fn load_front(&mut self) -> io::Result<Step> {
        let Some(Chunk::File { file, position, len }) = self.chunks.front_mut() else {
            return Ok(Step::Sent);
        };
        let count = (*len).min(SENDFILE_BYTES_MAX);
        let bytes = read_range(file.as_ref(), *position, count)?;
        *position += count;
        *len -= count;
        if *len == 0 {
            self.chunks.pop_front();
        }
        self.memory_bytes += bytes.len();
        self.chunks.push_front(Chunk::Bytes(bytes));
        Ok(Step::Sent)
    }

    /// Sends the bytes at the front by one call, corked when a file range follows them.
    fn send_bytes(&self, stream: &TcpStream) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); PIECES_MAX];
        let mut count = 0;
        let mut more = false;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            let Chunk::Bytes(bytes) = chunk else {
                more = true;
                break;
            };
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        let gathered = slices.get(..count).unwrap_or(&[]);
        let mut flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        flags.set(SendFlags::MORE, more);
        stream.try_io(Interest::WRITABLE, || {
            let mut control = SendAncillaryBuffer::default();
            Ok(rustix::net::sendmsg(stream, gathered, &mut control, flags)?)
        })
    }

    /// Drops the bytes that were sent.
    fn advance(&mut self, mut sent: usize) {
        self.sent_bytes += sent as u64;
        self.memory_bytes -= sent;
        while let Some(Chunk::Bytes(bytes)) = self.chunks.front_mut() {
            let taken = sent.min(bytes.len());
            bytes.advance(taken);
            sent -= taken;
            if !bytes.is_empty() {
                break;
            }
            self.chunks.pop_front();
        }
    }
}

fn send_range(
    stream: &TcpStream,
    file: BorrowedFd<'_>,
    position: u64,
    count: u64,
) -> io::Result<u64> {
    stream.try_io(Interest::WRITABLE, || {
        let mut position = position;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let sent = rustix::fs::sendfile(stream, file, Some(&mut position), count)?;
        Ok(sent as u64)
    })
}

fn read_range(file: &dyn DiskFile, position: u64, len: u64) -> io::Result<Bytes> {
    let len = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, position).map_err(io::Error::other)?;
    Ok(Bytes::from(bytes))
}
