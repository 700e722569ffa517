//! Writing a message: one growing buffer for what is small, and the places in it where record
//! bytes or file ranges belong. Nothing of a fetched batch is copied.

use bytes::{BufMut, Bytes, BytesMut};

use super::EncodeError;
use crate::ids::Uuid;
use crate::records_slot::{NoRange, Piece, Records};

type Result<T> = std::result::Result<T, EncodeError>;

/// Record bytes shorter than this are copied into the buffer: a slice of their own costs more.
const COPY_BYTES_MAX: usize = 512;

/// Collects an encoded message. `R` is what stands for a range of a file.
#[derive(Debug)]
pub struct Writer<R = NoRange> {
    buffer: BytesMut,
    /// Pieces that do not lie in the buffer, each with the place in the buffer where it belongs.
    placed: Vec<(usize, Piece<R>)>,
    placed_bytes: u64,
}

impl<R> Default for Writer<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> Writer<R> {
    /// An empty writer.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(128)
    }

    /// An empty writer with room for `bytes`.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { buffer: BytesMut::with_capacity(bytes), placed: Vec::new(), placed_bytes: 0 }
    }

    /// Bytes written so far, ranges included.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.buffer.len() as u64 + self.placed_bytes
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The message as pieces, in order.
    #[must_use]
    pub fn finish(self) -> Vec<Piece<R>> {
        let mut rest = self.buffer.freeze();
        let mut pieces = Vec::with_capacity(self.placed.len() * 2 + 1);
        let mut done = 0;
        for (at, piece) in self.placed {
            if at > done {
                pieces.push(Piece::Bytes(rest.split_to(at - done)));
                done = at;
            }
            pieces.push(piece);
        }
        if !rest.is_empty() {
            pieces.push(Piece::Bytes(rest));
        }
        pieces
    }

    /// Puts a 4-byte length before what was written after `start`, where 4 bytes were left free.
    pub(crate) fn patch_frame_len(&mut self) -> Result<()> {
        let total = self.len().saturating_sub(4);
        let length = i32::try_from(total).map_err(|_| EncodeError::TooLong(usize::MAX))?;
        if let Some(head) = self.buffer.get_mut(..4) {
            head.copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }

    /// An int8.
    pub fn i8(&mut self, value: i8) {
        self.buffer.put_i8(value);
    }

    /// An int16.
    pub fn i16(&mut self, value: i16) {
        self.buffer.put_i16(value);
    }

    /// A uint16.
    pub fn u16(&mut self, value: u16) {
        self.buffer.put_u16(value);
    }

    /// An int32.
    pub fn i32(&mut self, value: i32) {
        self.buffer.put_i32(value);
    }

    /// A uint32.
    pub fn u32(&mut self, value: u32) {
        self.buffer.put_u32(value);
    }

    /// An int64.
    pub fn i64(&mut self, value: i64) {
        self.buffer.put_i64(value);
    }

    /// A float64.
    pub fn f64(&mut self, value: f64) {
        self.buffer.put_f64(value);
    }

    /// A boolean.
    pub fn bool(&mut self, value: bool) {
        self.buffer.put_u8(u8::from(value));
    }

    /// A uuid.
    pub fn uuid(&mut self, value: Uuid) {
        self.buffer.put_slice(&value.0);
    }

    /// Bytes as they are, without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buffer.put_slice(bytes);
    }

    /// An unsigned varint.
    #[expect(clippy::cast_possible_truncation, reason = "masked to seven bits")]
    pub fn unsigned_varint(&mut self, mut value: u32) {
        while value > 0x7f {
            self.buffer.put_u8((value as u8 & 0x7f) | 0x80);
            value >>= 7;
        }
        self.buffer.put_u8(value as u8);
    }

    /// A zigzag varint of 32 bits.
    pub fn varint(&mut self, value: i32) {
        self.unsigned_varint(((value << 1) ^ (value >> 31)).cast_unsigned());
    }

    /// A zigzag varint of 64 bits.
    #[expect(clippy::cast_possible_truncation, reason = "masked to seven bits")]
    pub fn varlong(&mut self, value: i64) {
        let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while raw > 0x7f {
            self.buffer.put_u8((raw as u8 & 0x7f) | 0x80);
            raw >>= 7;
        }
        self.buffer.put_u8(raw as u8);
    }

    fn compact_len(&mut self, length: Option<usize>) -> Result<()> {
        let raw = match length {
            None => 0,
            Some(length) => i32::try_from(length)
                .ok()
                .and_then(|length| length.cast_unsigned().checked_add(1))
                .ok_or(EncodeError::TooLong(length))?,
        };
        self.unsigned_varint(raw);
        Ok(())
    }

    fn wide_len(&mut self, flexible: bool, length: Option<usize>) -> Result<()> {
        if flexible {
            return self.compact_len(length);
        }
        let raw = match length {
            None => -1,
            Some(length) => i32::try_from(length).map_err(|_| EncodeError::TooLong(length))?,
        };
        self.i32(raw);
        Ok(())
    }

    /// A nullable string. None is longer than 32767 bytes, as in Kafka.
    pub fn nullable_string(&mut self, flexible: bool, value: Option<&str>) -> Result<()> {
        let length = value.map(str::len);
        let short = match length {
            None => -1,
            Some(length) => i16::try_from(length).map_err(|_| EncodeError::TooLong(length))?,
        };
        if flexible {
            self.compact_len(length)?;
        } else {
            self.i16(short);
        }
        self.raw(value.unwrap_or_default().as_bytes());
        Ok(())
    }

    /// A string.
    pub fn string(&mut self, flexible: bool, value: &str) -> Result<()> {
        self.nullable_string(flexible, Some(value))
    }

    /// Nullable bytes.
    pub fn nullable_bytes(&mut self, flexible: bool, value: Option<&[u8]>) -> Result<()> {
        self.wide_len(flexible, value.map(<[u8]>::len))?;
        self.raw(value.unwrap_or_default());
        Ok(())
    }

    /// Bytes.
    pub fn bytes(&mut self, flexible: bool, value: &[u8]) -> Result<()> {
        self.nullable_bytes(flexible, Some(value))
    }

    fn place_bytes(&mut self, bytes: &Bytes) {
        if bytes.len() < COPY_BYTES_MAX {
            self.raw(bytes);
        } else {
            self.placed_bytes += bytes.len() as u64;
            self.placed.push((self.buffer.len(), Piece::Bytes(bytes.clone())));
        }
    }

    /// Record bytes of a request: a piece of their own, not copied.
    pub fn record_bytes(&mut self, flexible: bool, value: Option<&Bytes>) -> Result<()> {
        self.wide_len(flexible, value.map(Bytes::len))?;
        if let Some(bytes) = value {
            self.place_bytes(bytes);
        }
        Ok(())
    }

    /// Records of a response: bytes and file ranges, not copied.
    pub fn records(&mut self, flexible: bool, value: Option<&Records<R>>) -> Result<()>
    where
        R: Clone,
    {
        let length = match value {
            None => None,
            Some(records) => {
                Some(usize::try_from(records.len()).map_err(|_| EncodeError::TooLong(usize::MAX))?)
            }
        };
        self.wide_len(flexible, length)?;
        for piece in value.map(Records::pieces).unwrap_or_default() {
            match piece {
                Piece::Bytes(bytes) => self.place_bytes(bytes),
                Piece::Range { range, len } => {
                    self.placed_bytes += u64::from(*len);
                    let piece = Piece::Range { range: range.clone(), len: *len };
                    self.placed.push((self.buffer.len(), piece));
                }
            }
        }
        Ok(())
    }

    /// A nullable array.
    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        value: Option<&[T]>,
        mut element: impl FnMut(&mut Self, &T) -> Result<()>,
    ) -> Result<()> {
        self.wide_len(flexible, value.map(<[T]>::len))?;
        for item in value.unwrap_or_default() {
            element(self, item)?;
        }
        Ok(())
    }

    /// An array.
    pub fn array<T>(
        &mut self,
        flexible: bool,
        value: &[T],
        element: impl FnMut(&mut Self, &T) -> Result<()>,
    ) -> Result<()> {
        self.nullable_array(flexible, Some(value), element)
    }

    /// A nullable struct: a byte says whether it is there.
    pub fn nullable<T>(
        &mut self,
        value: Option<&T>,
        write: impl FnOnce(&mut Self, &T) -> Result<()>,
    ) -> Result<()> {
        match value {
            None => {
                self.i8(-1);
                Ok(())
            }
            Some(value) => {
                self.i8(1);
                write(self, value)
            }
        }
    }

    /// One tagged field: tag, size, body.
    pub fn tag(&mut self, tag: u32, write: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.unsigned_varint(tag);
        let start = self.buffer.len();
        let placed = self.placed.len();
        write(self)?;
        if self.placed.len() != placed {
            return Err(EncodeError::RangeInTag);
        }
        let body = self.buffer.split_off(start);
        let size = i32::try_from(body.len()).map_err(|_| EncodeError::TooLong(body.len()))?;
        self.unsigned_varint(size.cast_unsigned());
        self.raw(&body);
        Ok(())
    }

    /// Fails when a field that this version lacks, and that may not be dropped, is set.
    pub fn absent(&self, field: &'static str, version: i16, is_default: bool) -> Result<()> {
        if is_default { Ok(()) } else { Err(EncodeError::FieldNotInVersion { field, version }) }
    }
}

/// The value of a nullable field at a version that has no null.
pub(crate) fn required<'a, T: ?Sized>(
    field: &'static str,
    version: i16,
    value: Option<&'a T>,
) -> Result<&'a T> {
    value.ok_or(EncodeError::NullNotAllowed { field, version })
}
