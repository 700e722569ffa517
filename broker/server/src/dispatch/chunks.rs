//! The encoder's pieces as the connection's chunks.

use storage::FileRange;
use wire::records_slot::{NoRange, Piece};

use crate::connection::Chunk;

/// What may stand for a stretch of a file in a response.
pub(crate) trait IntoChunk: Send {
    /// The stretch, `len` bytes of it.
    fn into_chunk(self, len: u32) -> Chunk;
}

impl IntoChunk for NoRange {
    fn into_chunk(self, _len: u32) -> Chunk {
        match self {}
    }
}

impl IntoChunk for FileRange {
    fn into_chunk(self, len: u32) -> Chunk {
        Chunk::File { file: self.file, position: self.position, len: u64::from(len) }
    }
}

pub(super) fn chunk<R: IntoChunk>(piece: Piece<R>) -> Chunk {
    match piece {
        Piece::Bytes(bytes) => Chunk::Bytes(bytes),
        Piece::Range { range, len } => range.into_chunk(len),
    }
}
