//! The primitives at their edges.

use bytes::Bytes;

use super::{DecodeError, EncodeError, Reader, Writer};
use crate::records_slot::{NoRange, Piece, Records, concat};

fn reader(bytes: &[u8]) -> Reader {
    Reader::new(Bytes::copy_from_slice(bytes))
}

fn written(write: impl FnOnce(&mut Writer)) -> Bytes {
    let mut writer = Writer::new();
    write(&mut writer);
    concat(writer.finish())
}

#[test]
fn varints_at_their_edges() {
    for value in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_456, u32::MAX] {
        let bytes = written(|w| w.unsigned_varint(value));
        assert_eq!(Reader::new(bytes).unsigned_varint(), Ok(value));
    }
    for value in [0, -1, 1, 63, -64, 64, i32::MAX, i32::MIN] {
        assert_eq!(Reader::new(written(|w| w.varint(value))).varint(), Ok(value));
    }
    for value in [0, -1, i64::from(i32::MIN), i64::MAX, i64::MIN] {
        assert_eq!(Reader::new(written(|w| w.varlong(value))).varlong(), Ok(value));
    }
    assert_eq!(written(|w| w.varint(-1))[..], [1]);
    assert_eq!(written(|w| w.unsigned_varint(300))[..], [0xac, 0x02]);
}

#[test]
fn long_varints_are_refused() {
    let overflow = Err(DecodeError::VarintOverflow);
    assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x1f]).unsigned_varint(), overflow);
    assert_eq!(reader(&[0x80; 6]).unsigned_varint(), overflow);
    assert_eq!(reader(&[0x80; 11]).varlong(), Err(DecodeError::VarintOverflow));
    let truncated = Err(DecodeError::Truncated { needed: 1, remaining: 0 });
    assert_eq!(reader(&[0x80]).unsigned_varint(), truncated);
}

#[test]
fn strings_and_nulls() {
    assert_eq!(reader(&[0, 2, b'h', b'i']).string(false), Ok("hi".into()));
    assert_eq!(reader(&[3, b'h', b'i']).string(true), Ok("hi".into()));
    assert_eq!(reader(&[0xff, 0xff]).nullable_string(false), Ok(None));
    assert_eq!(reader(&[0]).nullable_string(true), Ok(None));
    assert_eq!(reader(&[0]).string(true), Err(DecodeError::UnexpectedNull));
    assert_eq!(reader(&[0xff, 0xfe]).string(false), Err(DecodeError::NegativeLength(-2)));
    assert_eq!(reader(&[3, 0xc3, 0x28]).string(true), Err(DecodeError::InvalidUtf8));
    let truncated = DecodeError::Truncated { needed: 9, remaining: 1 };
    assert_eq!(reader(&[0, 9, b'x']).string(false), Err(truncated));
}

#[test]
fn bytes_are_slices_of_the_frame() {
    let frame = Bytes::from(vec![0, 0, 0, 3, 7, 8, 9]);
    let slice = Reader::new(frame.clone()).bytes(false).unwrap();
    assert_eq!(slice.as_ptr(), frame[4..].as_ptr());
}

#[test]
fn counts_are_not_believed() {
    let count = usize::try_from(i32::MAX).unwrap();
    let outcome = reader(&[0x7f, 0xff, 0xff, 0xff, 0, 0]).array(false, 4, Reader::i32);
    assert_eq!(outcome, Err(DecodeError::CountTooLarge { count, remaining: 2 }));
    let outcome = reader(&[4, 0, 0, 0]).array(true, 1, Reader::i8);
    assert_eq!(outcome, Ok(vec![0, 0, 0]));
    assert_eq!(reader(&[0xff; 4]).nullable_array(false, 1, Reader::i8), Ok(None));
    assert_eq!(reader(&[0xff; 4]).array(false, 1, Reader::i8), Err(DecodeError::UnexpectedNull));
}

#[test]
fn memory_is_bounded_by_the_input() {
    // One-byte elements that take 64 bytes each: refused before any is read.
    let mut bytes = vec![0_u8; 100_004];
    bytes[..4].copy_from_slice(&100_000_i32.to_be_bytes());
    let mut seen = 0;
    let outcome = reader(&bytes).array(false, 1, |_| {
        seen += 1;
        Ok([0_u64; 8])
    });
    assert_eq!(outcome, Err(DecodeError::TooMuchMemory { input: 100_004 }));
    assert_eq!(seen, 0);
}

#[test]
fn unknown_tags_are_skipped_and_known_ones_must_fit() {
    let bytes = [2, 0, 1, 5, 9, 2, 0xaa, 0xbb, 0x77];
    let mut found = None;
    let mut input = reader(&bytes);
    input
        .tags(|r, tag| match tag {
            0 => {
                found = Some(r.i8()?);
                Ok(true)
            }
            _ => Ok(false),
        })
        .unwrap();
    assert_eq!((found, input.remaining()), (Some(5), 1));

    let oversize = reader(&[1, 0, 2, 5, 6]).tags(|r, _| r.i8().map(|_| true));
    assert_eq!(oversize, Err(DecodeError::TrailingBytes(1)));
    let many = written(|w| w.unsigned_varint(5000));
    assert_eq!(Reader::new(many).skip_tags(), Err(DecodeError::TooManyTags(5000)));
}

#[test]
fn a_tag_in_a_tag_charges_the_same_budget() {
    let mut writer = Writer::<NoRange>::new();
    writer.unsigned_varint(1);
    writer
        .tag(7, |w| {
            w.raw(&[1; 300]);
            Ok(())
        })
        .unwrap();
    let bytes = concat(writer.finish());
    assert_eq!(bytes[..4], [1, 7, 0xac, 0x02]);
    let mut input = Reader::new(bytes);
    input.skip_tags().unwrap();
    assert_eq!(input.finish(), Ok(()));
}

#[test]
fn ranges_keep_their_place() {
    let mut records = Records::<&str>::new();
    records.push_bytes(Bytes::from_static(b"ab"));
    records.push_range("file", 1000);
    records.push_bytes(Bytes::from(vec![7; 600]));
    let mut writer = Writer::new();
    writer.i16(1);
    writer.records(true, Some(&records)).unwrap();
    writer.i16(2);
    assert_eq!(writer.len(), 2 + 2 + 1602 + 2);
    let pieces = writer.finish();
    let expected = [
        Piece::Bytes(Bytes::from_static(&[0, 1, 0xc3, 0x0c, b'a', b'b'])),
        Piece::Range { range: "file", len: 1000 },
        Piece::Bytes(Bytes::from(vec![7; 600])),
        Piece::Bytes(Bytes::from_static(&[0, 2])),
    ];
    assert_eq!(pieces, expected);
}

#[test]
fn a_range_cannot_lie_in_a_tag() {
    let mut records = Records::<u8>::new();
    records.push_range(1, 10);
    let mut writer = Writer::new();
    let outcome = writer.tag(0, |w| w.records(true, Some(&records)));
    assert_eq!(outcome, Err(EncodeError::RangeInTag));
}

#[test]
fn long_strings_are_refused_in_both_directions() {
    let long = "x".repeat(40_000);
    for flexible in [false, true] {
        let outcome = Writer::<NoRange>::new().string(flexible, &long);
        assert_eq!(outcome, Err(EncodeError::TooLong(40_000)));
    }
    let raw = written(|w| {
        w.unsigned_varint(40_001);
        w.raw(long.as_bytes());
    });
    assert_eq!(Reader::new(raw).string(true), Err(DecodeError::StringTooLong(40_000)));
}
