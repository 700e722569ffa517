//! The snapshot's bytes.

use super::*;

const NOW: i64 = 1_000;

fn header(producer_id: i64, sequence: i32, offset: i64) -> BatchHeader {
    let mut builder = wire::records::BatchBuilder::new(wire::records::BatchOptions {
        base_offset: offset,
        producer_id,
        producer_epoch: 7,
        base_sequence: sequence,
        ..Default::default()
    });
    builder.append(500, None, Some(b"a"), &[]);
    builder.append(600, None, Some(b"b"), &[]);
    BatchHeader::parse(&builder.build().unwrap()).unwrap()
}

/// As Apache Kafka 4.3.1's `ProducerStateManager.readSnapshot` takes it (see `kafka_dump`): one
/// producer with one batch of two records.
const GOLDEN: [u8; 56] = [
    0, 1, // version
    0x62, 0xfe, 0x7d, 0xe7, // CRC-32C of what follows
    0, 0, 0, 1, // entries
    0, 0, 0, 0, 0, 0, 0, 42, // producer id
    0, 7, // epoch
    0, 0, 0, 6, // last sequence
    0, 0, 0, 0, 0, 0, 0, 101, // last offset
    0, 0, 0, 1, // offset delta
    0, 0, 0, 0, 0, 0, 2, 88, // timestamp
    0xff, 0xff, 0xff, 0xff, // coordinator epoch
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, // first offset of the open transaction
];

#[test]
fn golden_bytes() {
    let mut producers = Producers::default();
    producers.record(&header(42, 5, 100), NOW, 10);
    assert_eq!(snapshot::encode(&producers), GOLDEN);
    assert_eq!(snapshot::decode(&GOLDEN, NOW), Some(producers));
}

#[test]
fn five_batches_of_each_come_back() {
    let mut producers = Producers::default();
    for at in 0..9 {
        producers.record(&header(1, at * 2, i64::from(at) * 4), NOW, 10);
        producers.record(
            &header(2, wire::records::add_sequence(i32::MAX - 4, at), i64::from(at) * 4 + 2),
            NOW,
            10,
        );
    }
    let mut marker = header(3, -1, 90);
    marker.producer_epoch = 9;
    producers.record_marker(&marker, 4, NOW);
    let bytes = snapshot::encode(&producers);
    assert_eq!(bytes.len(), 10 + 46 * 11);
    assert_eq!(snapshot::decode(&bytes, NOW), Some(producers));
}

#[test]
fn torn_or_flipped_snapshots_are_not_read() {
    for at in 0..GOLDEN.len() {
        let mut bytes = GOLDEN;
        bytes[at] ^= 0x10;
        assert_eq!(snapshot::decode(&bytes, NOW), None, "byte {at}");
        assert_eq!(snapshot::decode(&GOLDEN[..at], NOW), None, "{at} bytes");
    }
    let longer = [&GOLDEN[..], &[0]].concat();
    assert_eq!(snapshot::decode(&longer, NOW), None);
}

#[test]
fn first_sequences_wrap_backwards() {
    let batch = |last_sequence, offset_delta| ProducedBatch {
        last_sequence,
        last_offset: 0,
        offset_delta,
        timestamp: 0,
    };
    assert_eq!(batch(5, 2).first_sequence(), 3);
    assert_eq!(batch(0, 2).first_sequence(), i32::MAX - 1);
    assert_eq!(batch(0, 0).first_sequence(), 0);
}
