//! `compression.type`: batches in another codec than the topic's.

use wire::compression::Codec;
use wire::records::{HEADER_BYTES, TimestampType};

use super::*;
use crate::config::Compression;

fn fixed(codec: Codec, level: Option<i32>) -> LogConfig {
    LogConfig { compression: Compression::Fixed { codec, level }, ..LogConfig::default() }
}

/// A batch of a producer with everything that must survive.
fn sent(codec: Codec) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions {
        codec,
        producer_id: 77,
        producer_epoch: 3,
        base_sequence: 40,
        ..BatchOptions::default()
    });
    for n in 0..50 {
        let value = format!("value {n} {}", "tidal ".repeat(20));
        let key = format!("key {n}");
        let key = (n % 3 != 0).then_some(key.as_bytes());
        let headers: [(&[u8], Option<&[u8]>); 2] = [(b"h", Some(b"1")), (b"h", None)];
        builder.append(NOW - 1_000 + 7 * n, key, Some(value.as_bytes()), &headers);
    }
    builder.build().unwrap()
}

fn only(bytes: &Bytes) -> Batch {
    let mut all = BatchIter::new(bytes.clone());
    let batch = all.next().unwrap().unwrap();
    assert!(all.next().is_none());
    batch
}

#[test]
fn only_the_codec_changes() {
    for from in Codec::ALL {
        let batch = sent(from);
        for to in Codec::ALL {
            let stored = converted(&fixed(to, None), batch.clone()).unwrap();
            if from == to {
                assert_eq!(stored, batch, "{from:?} stays");
                continue;
            }
            let (was, is) = (only(&batch), only(&stored));
            is.verify_crc().unwrap();
            assert_eq!(is.header().attributes.codec().unwrap(), to);
            let plain = |batch: &Batch| batch.records(1 << 20).unwrap().plain_bytes().clone();
            assert_eq!(plain(&is), plain(&was), "{from:?} to {to:?}");
            let mut header = *was.header();
            header.attributes = is.header().attributes;
            header.batch_length = is.header().batch_length;
            header.crc = is.header().crc;
            assert_eq!(*is.header(), header);
            assert_eq!(stored.len(), is.header().size_in_bytes());
        }
    }
}

#[test]
fn the_level_counts() {
    let text: String = (0..20_000).map(|n| format!("{} ", n * 7919 % 10_007)).collect();
    let batch = batch_of(BatchOptions::default(), &[(NOW, &text)]);
    for (codec, low, high) in [(Codec::Gzip, 1, 9), (Codec::Zstd, 1, 19)] {
        let size = |level| converted(&fixed(codec, Some(level)), batch.clone()).unwrap().len();
        assert!(size(high) < size(low), "{codec:?}: {} {}", size(low), size(high));
    }
}

#[test]
fn a_log_keeps_what_was_converted() {
    let config =
        LogConfig { timestamp_type: TimestampType::LogAppendTime, ..fixed(Codec::Zstd, Some(3)) };
    let mut log = Home::with(config.clone()).log();
    let stored = converted(&config, sent(Codec::Gzip)).unwrap();
    assert_eq!(appended(&mut log, stored.clone()), (0, 49));
    // A retry converts to the same batch and is known.
    let again = converted(&config, sent(Codec::Gzip)).unwrap();
    let again = log.append(NOW + 5, again, AppendOrigin::Client, LeaderEpoch(3)).unwrap();
    assert!(again.duplicate);
    let slice = log.read(Offset(0), 1 << 20, log.end_offset(), true).unwrap();
    let found = batches(&slice);
    let header = found[0].header();
    assert_eq!((header.producer_id, header.base_sequence, header.max_timestamp), (77, 40, NOW));
    assert_eq!(header.attributes.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(found[0].bytes()[HEADER_BYTES..], stored[HEADER_BYTES..]);
}

#[test]
fn what_was_broken_stays_refused() {
    // The codec's own checks see nothing of a plain batch: only its CRC tells.
    let mut flipped = sent(Codec::None).to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let error = converted(&fixed(Codec::Gzip, None), flipped.into()).unwrap_err();
    assert!(matches!(error, AppendError::Corrupt(_)), "{error}");
    let config = fixed(Codec::None, None);
    let two: Bytes = [sent(Codec::Gzip), sent(Codec::Gzip)].concat().into();
    assert_eq!(converted(&config, two.clone()).unwrap(), two, "the append refuses it");
    let torn = sent(Codec::Gzip).slice(..70);
    assert_eq!(converted(&config, torn.clone()).unwrap(), torn);
    let small = LogConfig { max_message_bytes: 100, ..config.clone() };
    let error = converted(&small, sent(Codec::Gzip)).unwrap_err();
    assert!(matches!(error, AppendError::BatchTooLarge { max: 100, .. }), "{error}");
    let bounded = LogConfig { decompressed_bytes_max: 1_000, ..config };
    let error = converted(&bounded, sent(Codec::Gzip)).unwrap_err();
    assert!(matches!(error, AppendError::Corrupt(_)), "{error}");
}

#[test]
fn a_batch_that_grew_too_large_is_refused() {
    let packed = sent(Codec::Gzip);
    let limit = u32::try_from(packed.len()).unwrap() + 100;
    let config = LogConfig { max_message_bytes: limit, ..fixed(Codec::None, None) };
    let mut log = Home::with(config.clone()).log();
    let stored = converted(&config, packed).unwrap();
    let error = append(&mut log, stored).unwrap_err();
    assert!(matches!(error, AppendError::BatchTooLarge { .. }), "{error}");
    assert_eq!(log.end_offset(), Offset(0));
}
