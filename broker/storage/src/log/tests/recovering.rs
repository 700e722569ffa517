//! Opening again: after a clean stop, a kill, a torn tail, a flipped bit.

use std::io::IoSlice;

use super::*;
use crate::disk::Access;

fn filled(config: LogConfig, count: usize) -> (Home, Log) {
    let home = Home::with(config);
    let mut log = home.log();
    for _ in 0..count {
        appended(&mut log, plain(10));
    }
    (home, log)
}

fn small() -> LogConfig {
    LogConfig { segment_bytes: 1000, index_interval_bytes: 300, ..LogConfig::default() }
}

fn add_bytes(home: &Home, name: &str, bytes: &[u8]) {
    let file = home.disk.open(&path(name), Access::ReadWrite).unwrap();
    let len = file.len().unwrap();
    file.write_all_at(&[IoSlice::new(bytes)], len).unwrap();
}

#[test]
fn nothing_is_read_after_a_clean_stop() {
    let (mut home, log) = filled(small(), 30);
    let log = home.stopped(log);
    assert_eq!(log.recovery_point(), Offset(300));
    assert_eq!(read_all(&log, 0).len(), 30);
    assert_eq!(log.epochs().latest(), Some(LeaderEpoch(3)));
    let (mut log, report) = home.open(true);
    assert_eq!((report.segments_recovered, report.end_offset), (0, Some(Offset(300))));
    assert_eq!(appended(&mut log, plain(1)), (300, 300));
    assert_eq!(read_all(&log, 0).len(), 31);
}

#[test]
fn a_kill_loses_nothing() {
    let (mut home, log) = filled(small(), 30);
    let (mut log, report) = home.killed(log);
    assert_eq!(report.segments_recovered, log.segment_count());
    assert_eq!((report.cut.len(), report.corruption), (0, None));
    assert_eq!(read_all(&log, 0).len(), 30);
    assert_eq!(log.epochs().entries(), [(LeaderEpoch(3), Offset(0))]);
    assert_eq!(appended(&mut log, plain(1)), (300, 300));
}

#[test]
fn only_what_lies_past_the_recovery_point_is_read_again() {
    let (mut home, mut log) = filled(small(), 30);
    log.flush().unwrap();
    appended(&mut log, plain(10));
    let segments = log.segment_count();
    let (log, report) = home.killed(log);
    assert!(segments > 5);
    assert!(report.segments_recovered <= 2, "{report:?}");
    assert_eq!(read_all(&log, 0).len(), 31);
}

#[test]
fn a_torn_tail_is_cut_and_kept() {
    let (mut home, mut log) = filled(LogConfig::default(), 3);
    log.flush().unwrap();
    let size = log.size_bytes();
    let name = "00000000000000000000.log";
    add_bytes(&home, name, &plain(10)[..70]);
    let (mut log, report) = home.killed(log);
    let kept = path("00000000000000000000.log.corrupt");
    let cut = CutTail {
        segment: Offset(0),
        position: size,
        lost_from: Offset(30),
        lost_upto: None,
        bytes: 70,
        kept: Some(kept.clone()),
    };
    assert_eq!(report.cut, [cut]);
    assert_eq!(report.corruption, None);
    assert_eq!(log.size_bytes(), size);
    let bytes = crate::disk::read_file(home.disk.as_ref(), &kept, 1000).unwrap();
    assert_eq!(bytes, plain(10)[..70]);
    assert_eq!(appended(&mut log, plain(1)), (30, 30));
    let (log, report) = home.killed(log);
    assert_eq!(report.cut, []);
    assert_eq!(read_all(&log, 0), [0, 10, 20, 30]);
}

#[test]
fn zeros_are_cut_and_not_kept() {
    let (mut home, log) = filled(LogConfig::default(), 3);
    add_bytes(&home, "00000000000000000000.log", &[0; 5000]);
    let (log, report) = home.killed(log);
    assert_eq!((report.cut.len(), report.cut[0].bytes), (1, 5000));
    assert_eq!(report.cut[0].kept, None);
    assert_eq!(read_all(&log, 0).len(), 3);
}

#[test]
fn a_torn_middle_takes_the_later_segments_along() {
    let (mut home, log) = filled(small(), 30);
    home.disk.flip(&path("00000000000000000080.log"), 100, 1).unwrap();
    let (mut log, report) = home.killed(log);
    assert_eq!(log.end_offset(), Offset(80));
    assert!(report.cut.len() > 1);
    assert!(report.cut.iter().all(|cut| cut.kept.is_some()));
    assert_eq!(read_all(&log, 0).len(), 8);
    assert_eq!(appended(&mut log, plain(1)), (80, 80));
    let (log, report) = home.killed(log);
    assert_eq!(report.cut, []);
    assert_eq!(read_all(&log, 0).len(), 9);
}

#[test]
fn a_hole_between_segments_is_a_torn_tail() {
    let (mut home, log) = filled(small(), 30);
    let file = home.disk.open(&path("00000000000000000080.log"), Access::ReadWrite).unwrap();
    file.truncate(plain(10).len() as u64).unwrap();
    let (log, report) = home.killed(log);
    assert_eq!(log.end_offset(), Offset(90));
    assert!(!report.cut.is_empty());
    assert_eq!(report.corruption, None);
}

#[test]
fn a_bad_batch_before_the_recovery_point_is_corruption() {
    let (mut home, mut log) = filled(LogConfig::default(), 10);
    log.flush().unwrap();
    appended(&mut log, plain(10));
    let size = plain(10).len() as u64;
    home.disk.flip(&path("00000000000000000000.log"), size * 4 + 80, 4).unwrap();
    let (mut log, report) = home.killed(log);
    let expect = Corruption::bad_bytes(0, size * 4, 40);
    assert_eq!(report.corruption, Some(expect));
    assert_eq!((report.cut.len(), log.end_offset()), (0, Offset(110)));
    assert_eq!(log.read(Offset(0), u32::MAX, Offset(110), true).unwrap().next_offset.0, 40);
    let error = log.read(Offset(40), u32::MAX, Offset(110), true).unwrap_err();
    assert_eq!(error, ReadError::Corrupt(expect));
    assert_eq!(read_all(&log, 50).len(), 6);
    assert_eq!(appended(&mut log, plain(1)), (110, 110));
}

#[test]
fn a_bad_last_batch_before_the_recovery_point_closes_the_log() {
    let (mut home, mut log) = filled(LogConfig::default(), 10);
    log.flush().unwrap();
    let size = plain(10).len() as u64;
    // Nothing but the bad batch itself says where the log ends.
    home.disk.flip(&path("00000000000000000000.log"), size * 9 + 80, 4).unwrap();
    let (mut log, report) = home.killed(log);
    assert_eq!(report.corruption.unwrap().offset, Offset(90));
    assert!(report.cut.is_empty() && report.is_quarantined);
    assert_eq!(read_all(&log, 0).len(), 9);
    assert!(matches!(append(&mut log, plain(1)), Err(AppendError::Quarantined(_))));
    // Not one byte was thrown away.
    let file = home.disk.open(&path("00000000000000000000.log"), Access::Read).unwrap();
    assert_eq!(file.len().unwrap(), size * 10);
}

#[test]
fn a_torn_tail_after_a_clean_stop_is_corruption() {
    let (mut home, log) = filled(LogConfig::default(), 3);
    drop(home.stopped(log));
    add_bytes(&home, "00000000000000000000.log", b"garbage");
    let (mut log, report) = home.open(true);
    assert_eq!(report.corruption.unwrap().offset, Offset(30));
    assert_eq!(read_all(&log, 0).len(), 3);
    assert!(matches!(append(&mut log, plain(1)), Err(AppendError::Quarantined(_))));
}

#[test]
fn a_start_beyond_the_end_begins_anew() {
    let (mut home, mut log) = filled(LogConfig::default(), 3);
    log.delete_records(Offset(30), Offset(30)).unwrap();
    let name = "00000000000000000000.log";
    let (log, _) = home.killed(log);
    assert_eq!((log.log_start_offset(), log.end_offset()), (Offset(30), Offset(30)));
    drop(log);
    home.disk.open(&path(name), Access::ReadWrite).unwrap().truncate(10).unwrap();
    let (mut log, _) = home.open(false);
    assert_eq!((log.log_start_offset(), log.end_offset()), (Offset(30), Offset(30)));
    assert_eq!(appended(&mut log, plain(1)), (30, 30));
}

#[test]
fn leftovers_go() {
    let (mut home, log) = filled(small(), 5);
    let leftovers = ["00000000000000000099.index", "00000000000000000000.log.deleted", "x.tmp"];
    for name in leftovers {
        home.disk.open(&path(name), Access::Create).unwrap();
    }
    drop(home.stopped(log));
    let names = home.names("");
    assert!(leftovers.iter().all(|left| !names.contains(&(*left).to_owned())), "{names:?}");
    assert!(names.contains(&"leader-epoch-checkpoint".to_owned()));
}

#[test]
fn snapshots_do_not_pile_up() {
    let (mut home, mut log) = filled(LogConfig::default(), 3);
    for _ in 0..5 {
        appended(&mut log, plain(1));
        log = home.stopped(log);
    }
    assert_eq!(home.names(".snapshot").len(), 1);
}

#[test]
fn truncation_cuts_whole_batches_and_begins_a_new_segment() {
    let (mut home, mut log) = filled(small(), 30);
    log.flush().unwrap();
    for (to, end) in [(295, 290), (250, 250), (141, 140), (60, 60), (5, 0)] {
        let gone = log.truncate(NOW, Offset(to)).unwrap();
        assert_eq!(log.end_offset(), Offset(if to == 5 { 0 } else { end }), "{to}");
        assert_eq!(read_all(&log, 0).len() as i64, log.end_offset().0 / 10);
        assert!(log.recovery_point() <= log.end_offset());
        if let Some(gone) = gone {
            gone.run(home.disk.as_ref()).unwrap();
        }
        let at = log.end_offset().0;
        assert_eq!(appended(&mut log, plain(1)), (at, at));
        log.truncate(NOW, Offset(at))
            .unwrap()
            .map_or(Ok(()), |it| it.run(home.disk.as_ref()))
            .unwrap();
        log = home.killed(log).0;
        assert_eq!(log.end_offset(), Offset(at));
    }
}

/// Epochs that begin within segments and at their beginning, and span several.
fn of_many_epochs(home: &Home) -> Log {
    let mut log = home.log();
    for at in 0..30 {
        let epoch = LeaderEpoch([1, 1, 2, 4, 4, 4, 4, 4, 5, 9][at / 3]);
        log.append(NOW, plain(10), AppendOrigin::Client, epoch).unwrap();
    }
    assert!(log.segment_count() > 5);
    log
}

const MANY_EPOCHS: [(LeaderEpoch, Offset); 5] = [
    (LeaderEpoch(1), Offset(0)),
    (LeaderEpoch(2), Offset(60)),
    (LeaderEpoch(4), Offset(90)),
    (LeaderEpoch(5), Offset(240)),
    (LeaderEpoch(9), Offset(270)),
];

#[test]
fn lost_epochs_are_read_from_the_batches() {
    for (clean, damage) in [(true, None), (true, Some("0\n2\n1 0\n")), (false, Some("-\n"))] {
        let mut home = Home::with(small());
        let mut log = of_many_epochs(&home);
        // Behind the recovery point is an empty segment only.
        log.flush().unwrap();
        log.roll(NOW).unwrap();
        log.flush().unwrap();
        home.recovery_point = if clean { log.close().unwrap().0 } else { log.recovery_point().0 };
        drop(log);
        let file = path("leader-epoch-checkpoint");
        home.disk.remove_file(&file).unwrap();
        if let Some(text) = damage {
            let file = home.disk.open(&file, Access::CreateNew).unwrap();
            file.write_all_at(&[IoSlice::new(text.as_bytes())], 0).unwrap();
        }
        let (log, report) = home.open(clean);
        assert_eq!(log.epochs().entries(), MANY_EPOCHS, "{clean} {damage:?}");
        assert_eq!(report.segments_recovered, usize::from(!clean));
        // And they are on the disk again with the next flush.
        let log = home.stopped(log);
        assert_eq!(log.epochs().entries(), MANY_EPOCHS);
        assert!(home.disk.exists(&file).unwrap());
    }
}
