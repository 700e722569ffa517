//! Records inside a message: bytes in memory and ranges of files, in order. The range's type is
//! the caller's, so that `wire` knows no file.

use bytes::Bytes;

/// The range type of messages that carry none. It has no values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRange {}

/// A stretch of an encoded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<R = NoRange> {
    /// Bytes in memory.
    Bytes(Bytes),
    /// `len` bytes that lie elsewhere, in a file.
    Range {
        /// Where they lie.
        range: R,
        /// How many there are.
        len: u32,
    },
}

impl<R> Piece<R> {
    /// Bytes that this piece sends.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Range { len, .. } => u64::from(*len),
        }
    }

    /// Whether this piece sends nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Piece<NoRange> {
    /// The same piece where another range type is in use.
    #[must_use]
    pub fn widen<R>(self) -> Piece<R> {
        match self {
            Self::Bytes(bytes) => Piece::Bytes(bytes),
            Self::Range { range, .. } => match range {},
        }
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Range { range, .. } => match range {},
        }
    }
}

/// Pieces without ranges where another range type is in use.
#[must_use]
pub fn widen<R>(pieces: Vec<Piece<NoRange>>) -> Vec<Piece<R>> {
    pieces.into_iter().map(Piece::widen).collect()
}

/// Pieces without ranges as one contiguous buffer; copies only when there are several.
#[must_use]
pub fn concat(mut pieces: Vec<Piece<NoRange>>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.pop().map(Piece::into_bytes).unwrap_or_default();
    }
    let bytes: Vec<Bytes> = pieces.into_iter().map(Piece::into_bytes).collect();
    bytes.concat().into()
}

/// The records field of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records<R = NoRange> {
    pieces: Vec<Piece<R>>,
}

impl<R> Default for Records<R> {
    fn default() -> Self {
        Self { pieces: Vec::new() }
    }
}

impl<R> Records<R> {
    /// No records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The pieces, in order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece<R>] {
        &self.pieces
    }

    /// Adds bytes in memory.
    pub fn push_bytes(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.pieces.push(Piece::Bytes(bytes));
        }
    }

    /// Adds `len` bytes that lie elsewhere.
    pub fn push_range(&mut self, range: R, len: u32) {
        if len > 0 {
            self.pieces.push(Piece::Range { range, len });
        }
    }

    /// Bytes in all pieces.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.pieces.iter().map(Piece::len).sum()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Records<NoRange> {
    /// All bytes as one buffer.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        concat(self.pieces)
    }
}

impl<R> From<Bytes> for Records<R> {
    fn from(bytes: Bytes) -> Self {
        let mut records = Self::new();
        records.push_bytes(bytes);
        records
    }
}

impl<R> From<Vec<Piece<R>>> for Records<R> {
    fn from(pieces: Vec<Piece<R>>) -> Self {
        Self { pieces }
    }
}
