//! What no crash can excuse: nothing is cut, what is sound is served. Appends go on behind a bad
//! batch that sound ones follow, and nowhere else; by name, the loss can be accepted.

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
    assert_eq!(appended(&mut log, plain(10)), (300, 309));
    // The recovery point that is written now keeps the next start from cutting.
    home.intact_below = 0;
    let (log, report) = home.killed(log);
    assert_eq!((report.cut.len(), log.end_offset()), (0, Offset(310)));
    assert_eq!(home.names(".log"), before);
    // However often it stops and starts: reads find it, appends go on.
    let mut log = home.stopped(log);
    for round in 0..3 {
        let end = 310 + round * 10;
        assert_eq!(appended(&mut log, plain(10)), (end, end + 9));
        let bad = log.read(Offset(90), u32::MAX, log.end_offset(), true);
        assert!(matches!(bad, Err(ReadError::Corrupt(_))));
        log = if round == 1 { home.killed(log).0 } else { home.stopped(log) };
    }
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
        assert_eq!(report.corruption.unwrap().position, size * 4);
        assert!(!report.is_quarantined);
        assert_eq!(appended(&mut log, plain(10)), (100, 109));
        // A stop does not lose what is known.
        home.recovery_point = log.close().unwrap().0;
        home.intact_below = 0;
        let (mut log, report) = home.open(false);
        assert_eq!((report.cut.len(), len(&home, FIRST)), (0, size * 11));
        assert_eq!(report.corruption.unwrap().offset, Offset(40));
        assert_eq!(read_all(&log, 50).len(), 6);
        assert_eq!(appended(&mut log, plain(10)), (110, 119));
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

fn remove(home: &Home, name: &str) {
    home.disk.remove_file(&path(name)).unwrap();
}

/// Thirty batches of ten in segments of four, stopped clean.
fn stopped() -> Home {
    let (mut home, log) = filled(small(), 30);
    drop(home.stopped(log));
    home
}

/// The first offset of the batches that can be read, asking for each; and the first error's.
fn readable(log: &Log) -> Vec<i64> {
    let mut seen = Vec::new();
    for offset in (log.log_start_offset().0..log.end_offset().0).step_by(10) {
        if let Ok(slice) = log.read(Offset(offset), 1, log.end_offset(), true) {
            assert_eq!(slice.first_offset, Offset(offset), "a hole is not passed over in silence");
            seen.push(offset);
        }
    }
    seen
}

#[test]
fn what_is_missing_after_a_clean_stop_is_corruption() {
    let segment = |base: i64| format!("{base:020}.log");
    // What is taken away, the first offset that is lost, and where records go on.
    let cases: [(&str, &[i64], bool, i64, i64); 5] = [
        ("the first", &[0], false, 0, 40),
        ("one in the middle", &[80], false, 80, 120),
        ("two of them", &[80, 120], false, 80, 160),
        ("the last", &[280], false, 280, 300),
        ("the first is empty", &[0], true, 0, 40),
    ];
    for (name, bases, emptied, from, upto) in cases {
        let mut home = stopped();
        for base in bases {
            match emptied {
                true => drop(home.disk.open(&path(&segment(*base)), Access::CreateTruncate)),
                false => remove(&home, &segment(*base)),
            }
        }
        for clean in [true, true, false] {
            let (mut log, report) = home.open(clean);
            let corruption = report.corruption.expect(name);
            assert_eq!((corruption.offset, report.is_quarantined), (Offset(from), true), "{name}");
            assert_eq!(corruption.missing_upto, Some(Offset(upto)), "{name}");
            let lost = |offset: &i64| (from..upto).contains(offset);
            let all: Vec<i64> = (0..300).step_by(10).filter(|offset| !lost(offset)).collect();
            assert_eq!(readable(&log), all, "{name}");
            assert_eq!(refused(&mut log).offset, Offset(from), "{name}");
            // Who had read all of it does not start over.
            let caught_up = log.read(Offset(300), 1, log.end_offset(), true);
            assert_eq!(caught_up.is_err(), upto == 300, "{name}");
            assert!(matches!(caught_up, Ok(_) | Err(ReadError::Corrupt(_))), "{name}");
            home.recovery_point = log.close().unwrap().0;
            assert_eq!(home.recovery_point, 300, "{name}: what should be there stays known");
            if upto == 300 {
                break;
            }
        }
    }
}

#[test]
fn a_named_loss_is_given_up_and_no_offset_comes_twice() {
    let segment = |base: i64| format!("{base:020}.log");
    for from in [0, 80, 280] {
        let mut home = stopped();
        remove(&home, &segment(from));
        // Another offset is not what was agreed to.
        home.accept = vec![Offset(from + 10)];
        assert!(home.open(true).1.is_quarantined);
        home.accept = vec![Offset(from)];
        let (mut log, report) = home.open(true);
        assert_eq!(report.corruption, None);
        let upto = if from == 280 { 300 } else { from + 40 };
        let lost: Vec<_> =
            report.given_up.iter().map(|cut| (cut.lost_from.0, cut.lost_upto)).collect();
        assert_eq!(lost, [(from, Some(Offset(upto)))]);
        assert_eq!(appended(&mut log, plain(10)), (300, 309));
        let start = if from == 0 { 40 } else { 0 };
        assert_eq!(log.log_start_offset(), Offset(start));
        let sound = read_all(&log, start).into_iter().filter(|it| !(from..upto).contains(it));
        assert_eq!(sound.count() as i64, 31 - (upto - from) / 10);
        // The agreement is used up, and the log whole for good.
        for clean in [true, false] {
            let (log, report) = match clean {
                true => {
                    home.recovery_point = log.close().unwrap().0;
                    home.start = log.log_start_offset().0;
                    home.open(true)
                }
                false => home.open(false),
            };
            assert_eq!((report.corruption, report.given_up.len()), (None, 0), "{from} {clean}");
            assert_eq!(log.end_offset(), Offset(310));
        }
    }
}

#[test]
fn bad_bytes_are_kept_aside_and_sound_batches_stay() {
    let size = plain(10).len() as u64;
    // A payload, a length, the first, the last batch of a closed segment, of the active one.
    for (base, batch, at) in [(80, 1, 80), (80, 1, 8), (80, 0, 80), (80, 3, 80), (280, 1, 80)] {
        let name = format!("{base:020}.log");
        let mut home = stopped();
        home.disk.flip(&path(&name), size * batch + at, 0x20).unwrap();
        let bad = base + batch as i64 * 10;
        home.accept = vec![Offset(bad)];
        let (mut log, report) = home.open(true);
        assert_eq!(report.corruption, None, "{bad}");
        let lost = &report.given_up[0];
        assert_eq!((lost.lost_from, lost.lost_upto), (Offset(bad), Some(Offset(bad + 10))));
        assert_eq!(lost.kept, Some(path(&format!("{base:020}.log.corrupt"))));
        assert_eq!(len(&home, &format!("{base:020}.log.corrupt")), size);
        assert_eq!(appended(&mut log, plain(10)), (300, 309));
        let all: Vec<i64> = (0..31).map(|at| at * 10).collect();
        assert_eq!(read_all(&log, 0), all, "an empty batch has the lost offsets");
        let hole = log.read(Offset(bad), 1, log.end_offset(), true).unwrap();
        assert_eq!((hole.bytes(), hole.next_offset.0), (61, bad + 10));
        assert_eq!(home.killed(log).1.corruption, None);
    }
}

#[test]
fn logs_that_were_compacted_may_have_gaps() {
    let mut home = stopped();
    remove(&home, "00000000000000000080.log");
    home.was_compacted = true;
    let (mut log, report) = home.open(true);
    assert_eq!(report.corruption, None);
    assert_eq!(appended(&mut log, plain(1)), (300, 300));
}
