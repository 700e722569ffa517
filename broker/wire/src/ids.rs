//! Newtypes that keep offsets, epochs and ids from being mixed up. Message structs use the raw
//! primitives of the protocol; everything above `wire` uses these.

use std::fmt;
use std::str::FromStr;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $raw:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $raw);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$raw> for $name {
            fn from(raw: $raw) -> Self {
                Self(raw)
            }
        }
    };
}

id!(
    /// The position of a record in a partition, from 0. Negative values are protocol sentinels.
    Offset,
    i64
);
id!(
    /// The epoch of a partition's leader, from 0; -1 is unknown.
    LeaderEpoch,
    i32
);
id!(
    /// A broker's `node.id`, from 0; -1 is none.
    BrokerId,
    i32
);
id!(
    /// The id of a producer, from 0; -1 is none.
    ProducerId,
    i64
);
id!(
    /// The epoch of a producer, from 0; -1 is none.
    ProducerEpoch,
    i16
);
id!(
    /// The index of a partition in its topic, from 0.
    PartitionIndex,
    i32
);
id!(
    /// The id of a topic, which a deleted and recreated topic does not share.
    TopicId,
    Uuid
);

impl Offset {
    /// The offset `count` records further on, saturating at the end of the range.
    #[must_use]
    pub fn plus(self, count: i64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

impl LeaderEpoch {
    /// What Kafka writes where the epoch is not known.
    pub const UNKNOWN: Self = Self(-1);
}

impl TopicId {
    /// The id that stands for "no topic".
    pub const ZERO: Self = Self(Uuid::ZERO);
}

/// A 128-bit id, printed as Kafka prints it: URL-safe base64 without padding.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Uuid {
    /// The id that stands for "none".
    pub const ZERO: Self = Self([0; 16]);
    /// The reserved topic id of the metadata log, `AAAAAAAAAAAAAAAAAAAAAQ`.
    pub const METADATA_TOPIC: Self = Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

    /// A random (version 4) id from 128 bits of the caller's randomness. The result never prints
    /// with a leading `-`, which command lines would read as an option.
    #[must_use]
    pub fn from_random(bits: u128) -> Self {
        let mut bytes = bits.to_be_bytes();
        let [b0, _, _, _, _, _, b6, _, b8, ..] = &mut bytes;
        *b6 = (*b6 & 0x0f) | 0x40;
        *b8 = (*b8 & 0x3f) | 0x80;
        if *b0 >> 2 == 0x3e {
            *b0 ^= 0x80;
        }
        Self(bytes)
    }

    /// Whether this is the id that stands for "none".
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 22 digits of 6 bits are 132 bits: the last digit carries 4 zero bits.
        let bits = u128::from_be_bytes(self.0);
        for digit in 0..22_u32 {
            let shift = 122_i64 - i64::from(digit) * 6;
            let six = if shift >= 0 { bits >> shift } else { bits << -shift } & 0x3f;
            let symbol = usize::try_from(six).ok().and_then(|at| BASE64.get(at)).unwrap_or(&b'A');
            fmt::Write::write_char(f, char::from(*symbol))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 22 (or, padded, 24) digits of URL-safe base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Kafka id: expected 22 characters of URL-safe base64")]
pub struct BadUuid;

impl FromStr for Uuid {
    type Err = BadUuid;

    fn from_str(text: &str) -> Result<Self, BadUuid> {
        let digits = text.strip_suffix("==").unwrap_or(text);
        if digits.len() != 22 {
            return Err(BadUuid);
        }
        let mut bits: u128 = 0;
        for (at, symbol) in digits.bytes().enumerate() {
            let six = BASE64.iter().position(|known| *known == symbol).ok_or(BadUuid)?;
            let six = u128::try_from(six).map_err(|_| BadUuid)?;
            if at == 21 {
                bits = (bits << 2) | (six >> 4);
            } else {
                bits = (bits << 6) | six;
            }
        }
        Ok(Self(bits.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_prints_as_kafka_does() {
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(Uuid::METADATA_TOPIC.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        let id = Uuid(*b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\xff");
        assert_eq!(id.to_string(), "AAECAwQFBgcICQoLDA0O_w");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("short".parse::<Uuid>(), Err(BadUuid));
    }

    #[test]
    fn random_uuid_never_starts_with_a_dash() {
        for high in 0..=255_u128 {
            let id = Uuid::from_random(high << 120 | 0xffff);
            assert!(!id.to_string().starts_with('-'), "{id}");
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }
}
