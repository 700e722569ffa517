//! When a flush is due, what it covers, and what a failed one means.

use super::*;
use crate::disk::Operation;
use crate::disk::sim::Fault;

#[test]
fn messages_and_age_make_it_due() {
    let config = LogConfig { flush_messages: 10, flush_ms: 1000, ..LogConfig::default() };
    let mut log = Home::with(config).log();
    assert_eq!(log.flush_due(NOW + 5000), None);
    assert!(!append(&mut log, plain(9)).unwrap().flush_due);
    assert_eq!(log.flush_due(NOW + 999), None);
    assert_eq!(log.flush_due(NOW + 1000), Some(FlushScope::All));
    assert!(append(&mut log, plain(1)).unwrap().flush_due);
    assert_eq!(log.flush_due(NOW), Some(FlushScope::All));
    let job = log.begin_flush(FlushScope::All);
    assert_eq!(log.flush_due(NOW + 1000), None, "one is under way");
    assert!(!append(&mut log, plain(9)).unwrap().flush_due, "begun is counted");
    assert_eq!(log.recovery_point(), Offset(0));
    assert_eq!(log.finish_flush(job.run()).unwrap(), Offset(10));
    assert_eq!(log.recovery_point(), Offset(10));
}

#[test]
fn a_roll_wants_the_closed_segments_flushed() {
    let mut log = Home::new().log();
    appended(&mut log, plain(5));
    log.roll(NOW).unwrap();
    appended(&mut log, plain(5));
    assert_eq!(log.flush_due(NOW), Some(FlushScope::Closed));
    let job = log.begin_flush(FlushScope::Closed);
    assert_eq!(log.flush_due(NOW), None);
    assert_eq!(log.finish_flush(job.run()).unwrap(), Offset(5));
}

#[test]
fn what_was_flushed_survives_a_power_cut() {
    let mut home = Home::with(LogConfig { segment_bytes: 600, ..LogConfig::default() });
    let mut log = home.log();
    for at in 0..10 {
        appended(&mut log, produced(1, 0, at * 10, 10));
    }
    assert_eq!(log.flush().unwrap(), Offset(100));
    for at in 10..20 {
        appended(&mut log, produced(1, 0, at * 10, 10));
    }
    home.recovery_point = 100;
    drop(log);
    home.disk.crash();
    let (mut log, report) = home.open(false);
    assert_eq!(report.corruption, None);
    let seen = read_all(&log, 0);
    assert!(seen.len() >= 10, "{seen:?}");
    assert_eq!(seen, (0..seen.len() as i64).map(|at| at * 10).collect::<Vec<_>>());
    let last = i32::try_from(log.end_offset().0).unwrap() - 10;
    assert!(append(&mut log, produced(1, 0, last, 10)).unwrap().duplicate);
    assert_eq!(log.epochs().entries(), [(LeaderEpoch(3), Offset(0))]);
}

#[test]
fn a_failed_sync_closes_the_log() {
    let home = Home::new();
    let mut log = home.log();
    appended(&mut log, plain(5));
    home.disk.inject(Fault::nth(Operation::Sync, 1));
    assert!(matches!(log.flush(), Err(LogError::Disk(_))));
    home.disk.clear_faults();
    assert!(log.is_poisoned());
    assert_eq!(log.recovery_point(), Offset(0));
    assert!(matches!(append(&mut log, plain(5)), Err(AppendError::Poisoned)));
    assert!(matches!(log.flush(), Err(LogError::Poisoned)));
    assert!(matches!(log.close(), Err(LogError::Poisoned)));
    assert_eq!(read_all(&log, 0), [0]);
}

#[test]
fn a_segment_that_was_flushed_before_its_roll_keeps_its_indexes() {
    for seed in 0..30 {
        let config = LogConfig { index_interval_bytes: 100, ..LogConfig::default() };
        let mut home = Home::seeded(seed, config);
        let mut log = home.log();
        for at in 0..20 {
            appended(&mut log, batch_of(BatchOptions::default(), &[(NOW + at, "index"); 5]));
        }
        home.recovery_point = log.flush().unwrap().0;
        log.roll(NOW).unwrap();
        drop(log);
        home.disk.crash();
        let (log, report) = home.open(false);
        assert_eq!(report.cut, [], "seed {seed}");
        let name = if log.segment_count() == 1 { "recovered again" } else { "closed" };
        let found = log.offset_for_timestamp(NOW + 7, log.end_offset()).unwrap().unwrap();
        assert_eq!(found.offset, Offset(35), "seed {seed}, {name}");
        assert_eq!(log.max_timestamp(0).unwrap().timestamp, NOW + 19, "seed {seed}, {name}");
    }
}

#[test]
fn closing_what_nobody_touched_changes_nothing() {
    let mut home = Home::new();
    let mut log = home.log();
    let calls = home.disk.calls();
    log.close().unwrap();
    assert_eq!(home.disk.calls(), calls, "an empty log");
    appended(&mut log, plain(3));
    let mut log = home.stopped(log);
    let calls = home.disk.calls();
    assert_eq!(log.close().unwrap(), Offset(3));
    assert_eq!(home.disk.calls(), calls, "a log that was only read");
    assert_eq!(read_all(&home.log(), 0), [0]);
}
