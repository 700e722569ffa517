//! Idempotent producers: retries, gaps, epochs, restarts.

use super::*;

fn out_of_order(result: Result<Appended, AppendError>) -> bool {
    matches!(result, Err(AppendError::OutOfOrderSequence { .. }))
}

#[test]
fn the_last_five_batches_are_acknowledged_again() {
    let mut log = Home::new().log();
    for at in 0..7 {
        assert_eq!(appended(&mut log, produced(9, 0, at * 2, 2)).0, i64::from(at) * 2);
    }
    for at in 2..7 {
        let again = append(&mut log, produced(9, 0, at * 2, 2)).unwrap();
        assert!(again.duplicate);
        assert_eq!(again.first_offset, Offset(i64::from(at) * 2));
        assert_eq!(again.last_offset, Offset(i64::from(at) * 2 + 1));
        assert_eq!(again.log_append_time_ms, NOW);
    }
    assert!(out_of_order(append(&mut log, produced(9, 0, 2, 2))), "older than five");
    assert!(out_of_order(append(&mut log, produced(9, 0, 15, 2))), "a gap");
    assert!(out_of_order(append(&mut log, produced(9, 0, 12, 1))), "half a batch");
    assert_eq!(log.end_offset(), Offset(14));
}

#[test]
fn epochs_fence_and_begin_anew() {
    let mut log = Home::new().log();
    appended(&mut log, produced(9, 4, 0, 2));
    assert!(matches!(
        append(&mut log, produced(9, 3, 2, 1)),
        Err(AppendError::StaleProducerEpoch { current: 4, got: 3, .. })
    ));
    assert!(out_of_order(append(&mut log, produced(9, 5, 2, 1))));
    assert_eq!(appended(&mut log, produced(9, 5, 0, 1)), (2, 2));
    assert!(out_of_order(append(&mut log, produced(9, 5, 0, 2))), "of the epoch before");
}

#[test]
fn an_unknown_producer_may_begin_anywhere() {
    let mut log = Home::new().log();
    appended(&mut log, produced(9, 4, 1000, 2));
    assert_eq!(log.producers().len(), 1);
    assert_eq!(log.expire_producers(NOW + 86_399_999), 0);
    assert_eq!(log.expire_producers(NOW + 86_400_000), 1);
    assert_eq!(appended(&mut log, produced(9, 4, 7, 1)), (2, 2));
}

#[test]
fn sequences_wrap() {
    let mut log = Home::new().log();
    appended(&mut log, produced(9, 0, i32::MAX - 1, 4));
    assert!(append(&mut log, produced(9, 0, i32::MAX - 1, 4)).unwrap().duplicate);
    assert!(out_of_order(append(&mut log, produced(9, 0, 3, 1))));
    assert_eq!(appended(&mut log, produced(9, 0, 2, 1)), (4, 4));
    let mut log = Home::new().log();
    appended(&mut log, produced(9, 0, i32::MAX, 1));
    assert_eq!(appended(&mut log, produced(9, 0, 0, 1)), (1, 1));
}

#[track_caller]
fn check_restart(restart: fn(&mut Home, Log) -> Log) {
    let mut home = Home::with(LogConfig { segment_bytes: 1500, ..LogConfig::default() });
    let mut log = home.log();
    for at in 0..20 {
        appended(&mut log, produced(9, 0, at, 1));
        appended(&mut log, produced(10 + i64::from(at), 1, 5, 2));
    }
    assert!(log.segment_count() > 2);
    let before = log.producers().clone();
    let mut log = restart(&mut home, log);
    assert_eq!(log.producers(), &before);
    for at in 15..20 {
        assert!(append(&mut log, produced(9, 0, at, 1)).unwrap().duplicate, "batch {at}");
    }
    assert!(out_of_order(append(&mut log, produced(9, 0, 14, 1))));
    assert_eq!(appended(&mut log, produced(9, 0, 20, 1)), (60, 60));
}

#[test]
fn a_clean_restart_remembers() {
    check_restart(|home, log| home.stopped(log));
}

#[test]
fn a_kill_remembers() {
    check_restart(|home, log| home.killed(log).0);
}

#[test]
fn a_kill_after_a_flush_remembers() {
    check_restart(|home, mut log| {
        log.flush().unwrap();
        home.killed(log).0
    });
}

#[test]
fn without_any_snapshot_the_log_tells() {
    check_restart(|home, mut log| {
        home.recovery_point = log.close().unwrap().0;
        for name in home.names(".snapshot") {
            home.disk.remove_file(&path(&name)).unwrap();
        }
        home.log()
    });
}

#[test]
fn a_flood_of_producers_is_bounded() {
    let mut log = Home::with(LogConfig { producers_max: 32, ..LogConfig::default() }).log();
    for id in 0..200 {
        log.append(NOW + id, produced(id, 0, 0, 1), AppendOrigin::Client, LeaderEpoch(0)).unwrap();
        assert!(log.producers().len() <= 32);
    }
    assert!(append(&mut log, produced(199, 0, 0, 1)).unwrap().duplicate);
}
