//! Batches built here, read back, mutated and validated.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::compression::{Codec, CompressionError};

const RULES: ProduceRules = ProduceRules {
    timestamp_type: TimestampType::CreateTime,
    timestamp_min: 0,
    timestamp_max: 1 << 50,
    key_required: false,
    decompressed_bytes_max: 1 << 20,
    strict: true,
};

fn sample(options: BatchOptions) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    builder.append(1_000, Some(b"key"), Some(b"value"), &[]);
    builder.append(3_000, None, Some(b"no key"), &[(b"h", Some(b"1")), (b"h", None)]);
    builder.append(2_000, Some(b""), None, &[]);
    builder.build().unwrap()
}

fn parse(bytes: &Bytes) -> Batch {
    Batch::parse(bytes).unwrap()
}

#[test]
fn records_come_back_with_every_codec() {
    for codec in Codec::ALL {
        let options = BatchOptions { codec, base_offset: 10, ..BatchOptions::default() };
        let batch = parse(&sample(options));
        batch.verify_crc().unwrap();
        let set = batch.records(1 << 20).unwrap();
        let records: Vec<_> = set.iter().map(Result::unwrap).collect();
        assert_eq!(records.iter().map(|r| r.offset).collect::<Vec<_>>(), [10, 11, 12]);
        assert_eq!(records.iter().map(|r| r.timestamp).collect::<Vec<_>>(), [1_000, 3_000, 2_000]);
        assert_eq!((records[0].key, records[0].value), (Some(&b"key"[..]), Some(&b"value"[..])));
        assert_eq!((records[2].key, records[2].value), (Some(&b""[..]), None));
        let headers: Vec<_> = records[1].headers().collect();
        assert_eq!(headers[0], Header { key: b"h", value: Some(b"1") });
        assert_eq!(headers[1], Header { key: b"h", value: None });
        let found = validate_produced(&batch, &RULES).unwrap();
        assert_eq!(found, Validated { max_timestamp: 3_000, max_timestamp_offset_delta: 1 });
    }
}

#[test]
fn fresh_position_keeps_the_crc_and_new_timestamps_renew_it() {
    let batch = parse(&sample(BatchOptions::default()));
    let placed = batch.with_position(99, 7);
    assert_eq!(placed.header().crc, batch.header().crc);
    assert_eq!(placed.bytes()[..16], batch.header().fresh_head(99, 7));
    let stamped = batch.with_timestamps(TimestampType::LogAppendTime, 5_000);
    parse(stamped.bytes()).verify_crc().unwrap();
    let times: Vec<_> =
        stamped.records(1 << 20).unwrap().iter().map(|r| r.unwrap().timestamp).collect();
    assert_eq!(times, [5_000; 3]);
}

#[test]
fn rules_are_enforced() {
    let refused = |options: BatchOptions, rules: &ProduceRules| {
        validate_produced(&parse(&sample(options)), rules).unwrap_err().to_string()
    };
    let plain = BatchOptions::default();
    assert!(refused(BatchOptions { control: true, ..plain }, &RULES).contains("control"));
    assert!(refused(BatchOptions { producer_id: 4, ..plain }, &RULES).contains("sequence"));
    assert!(refused(BatchOptions { transactional: true, ..plain }, &RULES).contains("producer id"));
    // franz-go and sarama send sequence 0 without a producer id; Kafka takes it.
    let unnumbered = sample(BatchOptions { base_sequence: 0, ..plain });
    validate_produced(&parse(&unnumbered), &RULES).unwrap();
    let early = ProduceRules { timestamp_min: 1_500, ..RULES };
    assert_eq!(refused(plain, &early), "timestamp 1000 of record 0 is out of range");
    let late = ProduceRules { timestamp_max: 2_500, ..RULES };
    assert_eq!(refused(plain, &late), "timestamp 3000 of record 1 is out of range");
    let keyed = ProduceRules { key_required: true, ..RULES };
    assert!(refused(plain, &keyed).contains("record 1"));
    let tight = ProduceRules { decompressed_bytes_max: 10, ..RULES };
    let batch = parse(&sample(BatchOptions { codec: Codec::Zstd, ..plain }));
    assert!(matches!(
        validate_produced(&batch, &tight),
        Err(BatchError::Compression(CompressionError::TooLarge { limit: 10 }))
    ));
}

#[test]
fn relaxed_validation_believes_the_header_of_compressed_batches_alone() {
    let relaxed = ProduceRules { strict: false, ..RULES };
    let forged = |codec| {
        let mut bytes = sample(BatchOptions { codec, ..BatchOptions::default() }).to_vec();
        // Three records announced as four: only who opens the batch sees it.
        bytes[57..61].copy_from_slice(&4_i32.to_be_bytes());
        bytes[23..27].copy_from_slice(&3_i32.to_be_bytes());
        super::batch::seal(&mut bytes);
        parse(&bytes.into())
    };
    assert!(validate_produced(&forged(Codec::Zstd), &RULES).is_err());
    assert!(validate_produced(&forged(Codec::None), &relaxed).is_err());
    let found = validate_produced(&forged(Codec::Zstd), &relaxed).unwrap();
    assert_eq!(found, Validated { max_timestamp: 3_000, max_timestamp_offset_delta: 3 });
    let late = ProduceRules { timestamp_max: 2_500, ..relaxed };
    assert!(validate_produced(&forged(Codec::Zstd), &late).is_err());
    let keyed = ProduceRules { key_required: true, ..relaxed };
    assert!(validate_produced(&forged(Codec::Zstd), &keyed).is_err());
}

#[test]
fn a_forged_count_or_offset_is_refused() {
    let sealed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = sample(BatchOptions::default()).to_vec();
        change(&mut bytes);
        super::batch::seal(&mut bytes);
        validate_produced(&parse(&bytes.into()), &RULES)
    };
    // More records announced than there are, fewer, and a count beyond any memory.
    for count in [4, 2, 0, -1, i32::MAX] {
        let forged = sealed(&|bytes| {
            bytes[57..61].copy_from_slice(&count.to_be_bytes());
            bytes[23..27].copy_from_slice(&count.wrapping_sub(1).to_be_bytes());
        });
        assert!(forged.is_err(), "count {count}");
    }
    assert!(sealed(&|bytes| bytes[26] = 9).is_err(), "last offset delta");
    assert!(sealed(&|bytes| bytes[22] |= 7).is_err(), "unknown codec");
    assert!(sealed(&|_| ()).is_ok());
}

#[test]
fn control_batches_name_their_type() {
    let value = Bytes::from_static(b"body");
    let bytes =
        control_batch(BatchOptions::default(), 5, &[(ControlType::SnapshotHeader, value)]).unwrap();
    let set = parse(&bytes).records(100).unwrap();
    let record = set.iter().next().unwrap().unwrap();
    assert_eq!(ControlType::of_key(record.key.unwrap()), Some(ControlType::SnapshotHeader));
}

#[test]
fn batches_are_walked_until_the_torn_one() {
    let one = sample(BatchOptions::default());
    let mut bytes = [&one[..], &one[..]].concat();
    bytes.extend_from_slice(&one[..one.len() - 1]);
    let mut walk = BatchIter::new(bytes.into());
    assert!(walk.next().unwrap().is_ok());
    assert!(walk.next().unwrap().is_ok());
    assert!(matches!(walk.next(), Some(Err(BatchError::Truncated { .. }))));
    assert!(walk.next().is_none());
}

type Field = Option<Vec<u8>>;
type Row = (i64, Field, Field, Vec<(Vec<u8>, Field)>);

fn field() -> impl Strategy<Value = Field> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40))
}

fn row() -> impl Strategy<Value = Row> {
    let key = proptest::collection::vec(any::<u8>(), 0..10);
    (0..1_i64 << 40, field(), field(), proptest::collection::vec((key, field()), 0..4))
}

proptest! {
    #[test]
    fn any_records_round_trip(
        rows in proptest::collection::vec(row(), 1..30),
        codec in 0..5_usize,
    ) {
        let codec = Codec::ALL[codec];
        let mut builder = BatchBuilder::new(BatchOptions { codec, ..BatchOptions::default() });
        for (time, key, value, headers) in &rows {
            let headers: Vec<_> = headers.iter().map(|(k, v)| (&k[..], v.as_deref())).collect();
            builder.append(*time, key.as_deref(), value.as_deref(), &headers);
        }
        let batch = parse(&builder.build().unwrap());
        validate_produced(&batch, &RULES).unwrap();
        let set = batch.records(1 << 20).unwrap();
        let read: Vec<Row> = set.iter().map(|record| {
            let record = record.unwrap();
            let headers = record.headers().map(|h| (h.key.to_vec(), h.value.map(Into::into)));
            let headers = headers.collect();
            (record.timestamp, record.key.map(Into::into), record.value.map(Into::into), headers)
        }).collect();
        prop_assert_eq!(read, rows);
    }

    #[test]
    fn no_bytes_panic(
        mut junk in proptest::collection::vec(any::<u8>(), 61..300),
        seal in any::<bool>(),
    ) {
        junk[16] = 2;
        let length = i32::try_from(junk.len() - 12).unwrap();
        junk[8..12].copy_from_slice(&length.to_be_bytes());
        junk[21] = 0;
        if seal {
            super::batch::seal(&mut junk);
        }
        let batch = parse(&junk.into());
        let _ = validate_produced(&batch, &RULES);
        if let Ok(set) = batch.records(1 << 20) {
            let _ = set.iter().filter_map(Result::ok).map(|r| r.headers().count()).sum::<usize>();
        }
    }
}
