//! Retention by time, size and start offset.

use super::*;

const HOUR: i64 = 3_600_000;

/// One segment per hour, the newest at `NOW`.
fn hourly(config: LogConfig, hours: i64) -> (Home, Log) {
    let home = Home::with(config);
    let mut log = home.log();
    for at in (0..hours).rev() {
        appended(&mut log, batch_of(BatchOptions::default(), &[(NOW - at * HOUR, "hour"); 10]));
        if at > 0 {
            log.roll(NOW).unwrap();
        }
    }
    (home, log)
}

fn retire(log: &mut Log) -> Retired {
    let end = log.end_offset();
    log.apply_retention(NOW, end).unwrap()
}

#[test]
fn by_time() {
    let config = LogConfig { retention_ms: 2 * HOUR, ..LogConfig::default() };
    let (home, mut log) = hourly(config, 5);
    let held = log.read(Offset(0), u32::MAX, Offset(50), true).unwrap();
    assert_eq!(log.apply_retention(NOW, Offset(15)).unwrap().segments, 1, "not past the mark");
    let retired = retire(&mut log);
    assert_eq!((retired.segments, log.log_start_offset()), (1, Offset(20)));
    assert!(matches!(log.read(Offset(19), 1, Offset(50), true), Err(ReadError::OutOfRange { .. })));
    let deletion = retired.deletion.unwrap();
    assert_eq!(deletion.due_ms, NOW + 60_000);
    assert!(deletion.names.contains(&"00000000000000000010.log.deleted".to_owned()));
    deletion.run(home.disk.as_ref()).unwrap();
    deletion.run(home.disk.as_ref()).unwrap();
    assert!(!home.names("").contains(&"00000000000000000010.log.deleted".to_owned()));
    assert_eq!(batches(&held).len(), 1, "held ranges stay readable");
    assert_eq!(retire(&mut log), Retired::default());
    assert_eq!(read_all(&log, 20).len(), 3);
}

#[test]
fn the_active_segment_is_rolled_before_it_goes() {
    let config = LogConfig { retention_ms: 2 * HOUR, ..LogConfig::default() };
    let (mut home, mut log) = hourly(config, 3);
    let retired = log.apply_retention(NOW + 3 * HOUR, Offset(30)).unwrap();
    assert_eq!((retired.segments, log.segment_count()), (3, 1));
    assert_eq!((log.log_start_offset(), log.end_offset()), (Offset(30), Offset(30)));
    assert_eq!(appended(&mut log, plain(1)), (30, 30));
    let (log, _) = home.killed(log);
    assert_eq!((log.log_start_offset(), log.end_offset()), (Offset(30), Offset(31)));
}

#[test]
fn by_size() {
    let (_home, mut log) = hourly(LogConfig { retention_ms: -1, ..LogConfig::default() }, 5);
    let one = log.size_bytes() / 5;
    log.update_config(Arc::new(LogConfig {
        retention_ms: -1,
        retention_bytes: i64::try_from(one * 3 - 1).unwrap(),
        ..LogConfig::default()
    }));
    assert_eq!(log.apply_retention(NOW, Offset(15)).unwrap().segments, 1, "not past the mark");
    assert_eq!(retire(&mut log).segments, 1);
    assert_eq!(log.log_start_offset(), Offset(20));
    log.update_config(Arc::new(LogConfig { retention_bytes: 0, ..LogConfig::default() }));
    retire(&mut log);
    assert_eq!(log.segment_count(), 1, "the active one stays");
}

#[test]
fn by_start_offset() {
    let keep = LogConfig { retention_ms: -1, ..LogConfig::default() };
    let (mut home, mut log) = hourly(keep, 5);
    assert!(matches!(log.delete_records(Offset(41), Offset(40)), Err(LogError::OutOfRange { .. })));
    assert_eq!(log.delete_records(Offset(25), Offset(50)).unwrap(), Offset(25));
    assert_eq!(log.delete_records(Offset(5), Offset(50)).unwrap(), Offset(25));
    assert_eq!(retire(&mut log).segments, 2);
    assert_eq!(log.epochs().entries(), [(LeaderEpoch(3), Offset(25))]);
    let slice = log.read(Offset(25), u32::MAX, Offset(50), true).unwrap();
    assert_eq!(slice.first_offset, Offset(20));
    let mut log = home.stopped(log);
    assert_eq!(log.log_start_offset(), Offset(25));
    assert_eq!(log.delete_records(Offset(-1), Offset(50)).unwrap(), Offset(50));
    assert_eq!(retire(&mut log).segments, 2);
}

#[test]
fn compaction_without_deletion_keeps_everything() {
    let cleanup = crate::config::CleanupPolicy { delete: false, compact: true };
    let (_home, mut log) = hourly(LogConfig { retention_ms: -1, ..LogConfig::default() }, 3);
    log.update_config(Arc::new(LogConfig { retention_ms: 1, cleanup, ..LogConfig::default() }));
    assert_eq!(retire(&mut log).segments, 0);
}

#[test]
fn a_full_disk_can_still_make_room() {
    let config = LogConfig { retention_ms: 2 * HOUR, ..LogConfig::default() };
    let (home, mut log) = hourly(config, 3);
    home.disk.set_capacity(Some(home.disk.used()));
    let retired = log.apply_retention(NOW + 9 * HOUR, Offset(30)).unwrap();
    assert!(retired.segments >= 2, "{retired:?}");
    assert!(!log.is_poisoned());
}
