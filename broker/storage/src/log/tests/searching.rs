//! ListOffsets: by timestamp and by name.

use wire::compression::Codec;

use super::*;

/// Records with these timestamps, `per_batch` to a batch, with an index entry for nearly each.
fn with_times(times: &[i64], per_batch: usize, codec: Codec) -> Log {
    let config = LogConfig {
        segment_bytes: 600,
        index_interval_bytes: 50,
        timestamp_after_max_ms: i64::MAX,
        ..LogConfig::default()
    };
    let mut log = Home::with(config).log();
    let options = BatchOptions { codec, ..BatchOptions::default() };
    for times in times.chunks(per_batch) {
        let records: Vec<_> = times.iter().map(|time| (*time, "search")).collect();
        appended(&mut log, batch_of(options, &records));
    }
    log
}

fn find(log: &Log, timestamp: i64) -> Option<(i64, i64)> {
    let found = log.offset_for_timestamp(timestamp, log.end_offset()).unwrap();
    found.map(|found| (found.timestamp, found.offset.0))
}

#[test]
fn the_first_record_at_or_after_a_time() {
    let mut times: Vec<i64> = (0..200).map(|at| 1000 + at * 10).collect();
    // Out of order here and there, as producers are.
    times.swap(20, 25);
    times.swap(100, 140);
    for codec in [Codec::None, Codec::Zstd] {
        for per_batch in [1, 3, 7] {
            let log = with_times(&times, per_batch, codec);
            assert!(log.segment_count() > 2);
            for wanted in (990..3010).step_by(7) {
                let expect = times.iter().position(|time| *time >= wanted);
                let expect = expect.map(|at| (times[at], at as i64));
                assert_eq!(find(&log, wanted), expect, "{wanted} {per_batch}");
            }
        }
    }
}

#[test]
fn names() {
    let mut log = with_times(&[1000, 5000, 3000, 5000, 2000], 2, Codec::None);
    assert_eq!(find(&log, EARLIEST), Some((-1, 0)));
    assert_eq!(find(&log, EARLIEST_LOCAL), Some((-1, 0)));
    assert_eq!(find(&log, LATEST), Some((-1, 5)));
    assert_eq!(find(&log, MAX_TIMESTAMP), Some((5000, 1)));
    assert_eq!(find(&log, LATEST_TIERED), None);
    assert_eq!(log.offset_for_timestamp(MAX_TIMESTAMP, Offset(1)).unwrap(), None);
    let latest = log.offset_for_timestamp(LATEST, Offset(3)).unwrap().unwrap();
    assert_eq!((latest.offset, latest.leader_epoch), (Offset(3), Some(LeaderEpoch(3))));
    log.delete_records(Offset(2), Offset(5)).unwrap();
    assert_eq!(find(&log, EARLIEST), Some((-1, 2)));
    assert_eq!(find(&log, 0), Some((3000, 2)), "not before the start");
    assert_eq!(log.offset_for_timestamp(4000, Offset(3)).unwrap(), None, "not past the mark");
    let empty = Home::new().log();
    assert_eq!(find(&empty, MAX_TIMESTAMP), None);
    assert_eq!(find(&empty, 0), None);
    assert_eq!(find(&empty, LATEST), Some((-1, 0)));
}
