//! Zig-zag varints of records, over plain slices.

/// Takes a zig-zag varint of at most 64 bits off the front.
pub(super) fn take_varlong(from: &mut &[u8]) -> Option<i64> {
    let mut value: u64 = 0;
    for at in 0..10_u32 {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        if at == 9 && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some(unzigzag(value));
        }
    }
    None
}

/// Takes a zig-zag varint of at most 32 bits off the front.
pub(super) fn take_varint(from: &mut &[u8]) -> Option<i32> {
    // The lengths and deltas of most records fit one byte.
    if let [byte @ 0..=0x7f, rest @ ..] = from {
        *from = rest;
        let value = i32::from(*byte);
        return Some((value >> 1) ^ -(value & 1));
    }
    take_varlong(from).and_then(|value| i32::try_from(value).ok())
}

/// Takes a length: `None` when malformed, `Some(None)` for -1, which stands for null.
pub(super) fn take_length(from: &mut &[u8]) -> Option<Option<usize>> {
    match take_varint(from)? {
        -1 => Some(None),
        length => usize::try_from(length).ok().map(Some),
    }
}

/// Takes a nullable byte string off the front.
pub(super) fn take_bytes<'a>(from: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let Some(length) = take_length(from)? else {
        return Some(None);
    };
    let (bytes, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(Some(bytes))
}

/// Appends a zig-zag varint.
pub(super) fn put_varlong(into: &mut Vec<u8>, value: i64) {
    let mut value = zigzag(value);
    while value >= 0x80 {
        into.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    into.push(low_byte(value));
}

/// The bytes that [`put_varlong`] takes.
pub(super) fn varlong_bytes(value: i64) -> usize {
    let bits = 64_u32.saturating_sub(zigzag(value).leading_zeros()).max(1);
    usize::try_from(bits.div_ceil(7)).unwrap_or(10)
}

fn low_byte(value: u64) -> u8 {
    let [low, ..] = value.to_le_bytes();
    low
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_round_trip() {
        for shift in 0..64 {
            for value in [i64::MIN >> shift, i64::MAX >> shift, 1 << shift] {
                let mut bytes = Vec::new();
                put_varlong(&mut bytes, value);
                assert_eq!(bytes.len(), varlong_bytes(value), "{value}");
                let mut rest = &*bytes;
                assert_eq!(take_varlong(&mut rest), Some(value));
                assert!(rest.is_empty());
                let mut rest = &*bytes;
                assert_eq!(take_varint(&mut rest), i32::try_from(value).ok(), "{value}");
            }
        }
    }

    #[test]
    fn endless_and_truncated_varints_are_refused() {
        assert_eq!(take_varlong(&mut &[0xff; 11][..]), None);
        assert_eq!(take_varlong(&mut &[0x80; 3][..]), None);
        assert_eq!(take_varint(&mut &[0xff, 0xff, 0xff, 0xff, 0x7f][..]), None);
    }
}
