//! Reading a frame. Strings are copied, byte fields are slices of the frame. No count or length is
//! believed before the bytes behind it are there, and memory is bounded by the input's own size.

use bytes::{Buf, Bytes};

use super::DecodeError;
use super::limits::{
    ARRAY_RESERVE_MAX, MEMORY_BASE_BYTES, MEMORY_PER_BYTE, STRING_BYTES_MAX, TAGS_MAX,
};
use crate::ids::Uuid;

type Result<T> = std::result::Result<T, DecodeError>;

/// A cursor over the bytes of one message.
#[derive(Clone, Debug)]
pub struct Reader {
    bytes: Bytes,
    input_bytes: usize,
    memory_left: usize,
}

macro_rules! fixed {
    ($($(#[$doc:meta])* $name:ident: $ty:ty = $get:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(&mut self) -> Result<$ty> {
            self.need(size_of::<$ty>())?;
            Ok(self.bytes.$get())
        }
    )*};
}

impl Reader {
    /// A reader over all of `bytes`.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        let input_bytes = bytes.len();
        let memory_left =
            input_bytes.saturating_mul(MEMORY_PER_BYTE).saturating_add(MEMORY_BASE_BYTES);
        Self { bytes, input_bytes, memory_left }
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// Everything not read yet, as a slice of the frame.
    #[must_use]
    pub fn rest(&self) -> Bytes {
        self.bytes.clone()
    }

    /// Fails unless everything has been read.
    pub fn finish(&self) -> Result<()> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::TrailingBytes(self.bytes.len()))
        }
    }

    fn need(&self, needed: usize) -> Result<()> {
        let remaining = self.bytes.len();
        if needed > remaining {
            return Err(DecodeError::Truncated { needed, remaining });
        }
        Ok(())
    }

    fn charge(&mut self, memory_bytes: usize) -> Result<()> {
        match self.memory_left.checked_sub(memory_bytes) {
            Some(left) => {
                self.memory_left = left;
                Ok(())
            }
            None => Err(DecodeError::TooMuchMemory { input: self.input_bytes }),
        }
    }

    fixed! {
        /// An int8.
        i8: i8 = get_i8;
        /// An int16.
        i16: i16 = get_i16;
        /// A uint16.
        u16: u16 = get_u16;
        /// An int32.
        i32: i32 = get_i32;
        /// A uint32.
        u32: u32 = get_u32;
        /// An int64.
        i64: i64 = get_i64;
        /// A float64.
        f64: f64 = get_f64;
    }

    /// A boolean: anything but zero is true, as in Kafka.
    pub fn bool(&mut self) -> Result<bool> {
        Ok(self.i8()? != 0)
    }

    /// A uuid.
    pub fn uuid(&mut self) -> Result<Uuid> {
        self.need(16)?;
        Ok(Uuid(self.bytes.get_u128().to_be_bytes()))
    }

    fn byte(&mut self) -> Result<u8> {
        self.need(1)?;
        Ok(self.bytes.get_u8())
    }

    /// An unsigned varint of at most 32 bits.
    pub fn unsigned_varint(&mut self) -> Result<u32> {
        let mut value = 0_u32;
        for shift in [0_u32, 7, 14, 21, 28] {
            let byte = self.byte()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && byte > 0x0f {
                return Err(DecodeError::VarintOverflow);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::VarintOverflow)
    }

    /// A zigzag varint of at most 32 bits.
    pub fn varint(&mut self) -> Result<i32> {
        let raw = self.unsigned_varint()?;
        Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
    }

    /// A zigzag varint of at most 64 bits.
    pub fn varlong(&mut self) -> Result<i64> {
        let mut raw = 0_u64;
        for index in 0..10_u32 {
            let byte = self.byte()?;
            if index == 9 && byte > 1 {
                return Err(DecodeError::VarintOverflow);
            }
            raw |= u64::from(byte & 0x7f) << (index * 7);
            if byte & 0x80 == 0 {
                return Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()));
            }
        }
        Err(DecodeError::VarintOverflow)
    }

    /// The next `length` bytes as a slice of the frame.
    pub fn take(&mut self, length: usize) -> Result<Bytes> {
        self.need(length)?;
        Ok(self.bytes.split_to(length))
    }

    /// A compact length: the varint is one more than the length, zero is null.
    fn compact_len(&mut self) -> Result<Option<usize>> {
        let raw = self.unsigned_varint()?;
        Ok(raw.checked_sub(1).map(|length| length as usize))
    }

    fn signed_len(length: i64) -> Result<Option<usize>> {
        match length {
            -1 => Ok(None),
            _ => usize::try_from(length).map(Some).map_err(|_| DecodeError::NegativeLength(length)),
        }
    }

    /// A nullable string.
    pub fn nullable_string(&mut self, flexible: bool) -> Result<Option<String>> {
        let length =
            if flexible { self.compact_len()? } else { Self::signed_len(i64::from(self.i16()?))? };
        let Some(length) = length else { return Ok(None) };
        if length > STRING_BYTES_MAX {
            return Err(DecodeError::StringTooLong(length));
        }
        self.need(length)?;
        let Some(raw) = self.bytes.get(..length) else {
            return Err(DecodeError::Truncated { needed: length, remaining: self.bytes.len() });
        };
        let text = std::str::from_utf8(raw).map_err(|_| DecodeError::InvalidUtf8)?.to_owned();
        self.charge(length)?;
        self.bytes.advance(length);
        Ok(Some(text))
    }

    /// A string.
    pub fn string(&mut self, flexible: bool) -> Result<String> {
        self.nullable_string(flexible)?.ok_or(DecodeError::UnexpectedNull)
    }

    /// Nullable bytes, a slice of the frame.
    pub fn nullable_bytes(&mut self, flexible: bool) -> Result<Option<Bytes>> {
        let length =
            if flexible { self.compact_len()? } else { Self::signed_len(i64::from(self.i32()?))? };
        length.map(|length| self.take(length)).transpose()
    }

    /// Bytes, a slice of the frame.
    pub fn bytes(&mut self, flexible: bool) -> Result<Bytes> {
        self.nullable_bytes(flexible)?.ok_or(DecodeError::UnexpectedNull)
    }

    /// A nullable array. `min` is the least number of bytes that one element takes.
    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        min: usize,
        mut element: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Option<Vec<T>>> {
        let count =
            if flexible { self.compact_len()? } else { Self::signed_len(i64::from(self.i32()?))? };
        let Some(count) = count else { return Ok(None) };
        let remaining = self.bytes.len();
        if count > remaining / min.max(1) {
            return Err(DecodeError::CountTooLarge { count, remaining });
        }
        self.charge(count.saturating_mul(size_of::<T>()))?;
        let mut out = Vec::with_capacity(count.min(ARRAY_RESERVE_MAX));
        for _ in 0..count {
            out.push(element(self)?);
        }
        Ok(Some(out))
    }

    /// An array. `min` is the least number of bytes that one element takes.
    pub fn array<T>(
        &mut self,
        flexible: bool,
        min: usize,
        element: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.nullable_array(flexible, min, element)?.ok_or(DecodeError::UnexpectedNull)
    }

    /// A nullable struct: a byte says whether it is there.
    pub fn nullable<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        if self.i8()? < 0 { Ok(None) } else { read(self).map(Some) }
    }

    /// The tagged fields at the end of a flexible struct. `field` reads a tag that it knows and
    /// says whether it did; an unknown tag is skipped.
    pub fn tags(&mut self, mut field: impl FnMut(&mut Self, u32) -> Result<bool>) -> Result<()> {
        let count = self.unsigned_varint()?;
        if count > TAGS_MAX {
            return Err(DecodeError::TooManyTags(count));
        }
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            let size = self.unsigned_varint()? as usize;
            let body = self.take(size)?;
            let mut inner =
                Self { bytes: body, input_bytes: self.input_bytes, memory_left: self.memory_left };
            if field(&mut inner, tag)? {
                inner.finish()?;
            }
            self.memory_left = inner.memory_left;
        }
        Ok(())
    }

    /// Skips the tagged fields of a struct that knows none.
    pub fn skip_tags(&mut self) -> Result<()> {
        self.tags(|_, _| Ok(false))
    }
}
