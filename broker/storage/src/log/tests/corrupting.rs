//! What no crash can excuse: nothing is cut, what is sound is served, nothing is appended.

use super::*;
use crate::disk::Access;

const FIRST: &str = "00000000000000000000.log";

fn filled(config: LogConfig, count: usize) -> (Home, Log) {
    let home = Home::with(config);
    let mut log = home.log();
    for _ in 0..count {
        appended(&mut log, plain(10));
    }
    (home, log)
}

fn small() -> LogConfig {
    LogConfig { segment_bytes: 1000, index_interval_bytes: 100, ..LogConfig::default() }
}

fn refused(log: &mut Log) -> Corruption {
    match append(log, plain(1)) {
        Err(AppendError::Quarantined(corruption)) => corruption,
        other => panic!("{other:?}"),
    }
}

fn len(home: &Home, name: &str) -> u64 {
    home.disk.open(&path(name), Access::Read).unwrap().len().unwrap()
}

#[test]
fn a_bad_batch_in_a_closed_segment_below_what_was_acknowledged_is_no_torn_tail() {
    let (mut home, log) = filled(small(), 30);
    home.intact_below = 300;
    let (before, size) = (home.names(".log"), plain(10).len() as u64);
    home.disk.flip(&path("00000000000000000080.log"), size + 100, 1).unwrap();
    let (mut log, report) = home.killed(log);
    assert_eq!(report.corruption.map(|it| (it.position, it.offset)), Some((size, Offset(90))));
    assert_eq!((report.cut.len(), log.end_offset()), (0, Offset(300)));
    assert_eq!(home.names(".log"), before);
    assert_eq!(log.read(Offset(80), u32::MAX, Offset(300), true).unwrap().next_offset.0, 90);
    assert!(matches!(
        log.read(Offset(90), u32::MAX, Offset(300), true),
        Err(ReadError::Corrupt(_))
    ));
    assert_eq!(read_all(&log, 100).len(), 20);
    assert_eq!(refused(&mut log).offset, Offset(90));
    // The recovery point that is written now keeps the next start from cutting.
    home.intact_below = 0;
    let (log, report) = home.killed(log);
    assert_eq!((report.cut.len(), log.end_offset()), (0, Offset(300)));
    assert_eq!(home.names(".log"), before);
}

#[test]
fn a_bad_batch_that_sound_ones_follow_in_its_segment_is_no_torn_tail() {
    let size = plain(10).len() as u64;
    // A payload; then a length, behind which the next batch has to be looked for.
    for (at, mask) in [(80, 4), (8, 0x20)] {
        let (mut home, log) = filled(LogConfig::default(), 10);
        home.intact_below = 100;
        home.disk.flip(&path(FIRST), size * 4 + at, mask).unwrap();
        let (mut log, report) = home.killed(log);
        assert_eq!(report.corruption.unwrap().offset, Offset(40));
        assert!(report.cut.is_empty());
        assert_eq!(len(&home, FIRST), size * 10);
        assert_eq!(refused(&mut log).position, size * 4);
        // A stop does not lose what is known.
        home.recovery_point = log.close().unwrap().0;
        home.intact_below = 0;
        let (mut log, report) = home.open(false);
        assert_eq!((report.cut.len(), len(&home, FIRST)), (0, size * 10));
        assert_eq!(refused(&mut log).offset, Offset(40));
    }
}

#[test]
fn the_last_batch_is_torn_whatever_was_acknowledged() {
    let (mut home, log) = filled(LogConfig::default(), 10);
    home.intact_below = 100;
    let size = plain(10).len() as u64;
    home.disk.flip(&path(FIRST), size * 9 + 80, 4).unwrap();
    let (mut log, report) = home.killed(log);
    assert_eq!((report.corruption, report.cut.len()), (None, 1));
    assert_eq!((report.cut[0].lost_from, report.cut[0].lost_upto), (Offset(90), None));
    assert_eq!(appended(&mut log, plain(1)), (90, 90));
}

#[test]
fn a_cut_names_the_offsets_that_are_lost() {
    let (mut home, log) = filled(small(), 30);
    home.disk.flip(&path("00000000000000000080.log"), 100, 1).unwrap();
    let (_, report) = home.killed(log);
    assert_eq!(report.cut[0].lost_from, Offset(80));
    assert_eq!(report.cut.iter().filter_map(|cut| cut.lost_upto).max(), Some(Offset(300)));
}

#[test]
fn a_shorter_file_after_a_clean_stop_is_served_up_to_its_last_whole_batch() {
    let size = plain(10).len() as u64;
    // In a batch that the index names, and behind a batch.
    for lost in [7, size, size + 7] {
        let (mut home, log) = filled(small(), 30);
        drop(home.stopped(log));
        let active = home.names(".log").pop().unwrap();
        let left = len(&home, &active) - lost;
        let file = home.disk.open(&path(&active), Access::ReadWrite).unwrap();
        file.truncate(left).unwrap();
        let (mut log, report) = home.open(true);
        let end = if lost > size { 280 } else { 290 };
        assert_eq!(report.corruption.map(|it| it.offset), Some(Offset(end)), "{lost}");
        assert_eq!(log.end_offset(), Offset(end));
        assert_eq!(read_all(&log, 0).len() as i64, end / 10);
        assert_eq!(refused(&mut log).offset, Offset(end));
        assert_eq!(len(&home, &active), left);
        // Nor does the next stop forget it.
        assert_eq!(log.close().unwrap(), Offset(300));
        assert!(home.open(true).1.corruption.is_some());
    }
}
