//! What a read gives, and what it never gives.

use super::*;

#[test]
fn whole_batches_from_the_one_that_holds_the_offset() {
    let home = Home::with(LogConfig { segment_bytes: 3000, ..LogConfig::default() });
    let mut log = home.log();
    for _ in 0..30 {
        appended(&mut log, plain(10));
    }
    assert!(log.segment_count() > 2);
    let size = plain(10).len() as u32;
    for offset in 0..300_i64 {
        let slice = log.read(Offset(offset), size * 3, log.end_offset(), false).unwrap();
        let found = batches(&slice);
        assert_eq!(found[0].header().base_offset, offset / 10 * 10);
        assert_eq!(slice.first_offset.0, offset / 10 * 10);
        assert_eq!(found.last().unwrap().header().next_offset(), slice.next_offset.0);
        assert!(found.len() <= 3);
    }
    assert_eq!(read_all(&log, 0).len(), 30);
}

#[test]
fn limits_hold() {
    let mut log = Home::new().log();
    for _ in 0..4 {
        appended(&mut log, plain(10));
    }
    let size = plain(10).len() as u32;
    let read = |offset, max, upto, one| log.read(Offset(offset), max, Offset(upto), one).unwrap();
    assert_eq!(read(0, size * 2 + 1, 40, false).bytes(), size * 2);
    assert_eq!(read(0, size - 1, 40, false).bytes(), 0);
    assert_eq!(read(5, size - 1, 40, true).bytes(), size);
    assert_eq!(read(0, u32::MAX, 20, false).bytes(), size * 2);
    assert_eq!(read(0, u32::MAX, 20, false).next_offset, Offset(20));
    assert_eq!(read(20, u32::MAX, 20, true).bytes(), 0);
    assert_eq!(read(30, u32::MAX, 20, true).bytes(), 0);
    assert_eq!(read(40, u32::MAX, 40, true).bytes(), 0);
    assert_eq!(read(15, u32::MAX, 15, true).bytes(), 0, "not past upto, be it inside a batch");
    let beyond = log.read(Offset(41), 1, Offset(40), true).unwrap_err();
    assert_eq!(
        beyond,
        ReadError::OutOfRange { offset: Offset(41), start: Offset(0), end: Offset(40) }
    );
}

#[test]
fn a_corrupt_batch_of_a_closed_segment_is_never_served() {
    let mut home = Home::with(LogConfig { segment_bytes: 2500, ..LogConfig::default() });
    let mut log = home.log();
    for _ in 0..20 {
        appended(&mut log, plain(10));
    }
    let mut log = home.stopped(log);
    let size = plain(10).len() as u64;
    // One bit of the second batch's records, in the first segment.
    home.disk.flip(&path("00000000000000000000.log"), size + 100, 1).unwrap();
    let first = log.read(Offset(0), u32::MAX, log.end_offset(), true).unwrap();
    assert_eq!(first.next_offset, Offset(10), "what is sound before it is served");
    let error = log.read(Offset(10), u32::MAX, log.end_offset(), true).unwrap_err();
    let expect = Corruption::bad_bytes(0, size, 10);
    assert_eq!(error, ReadError::Corrupt(expect));
    assert_eq!(log.corruption(), Some(expect));
    assert_eq!(read_all(&log, 20).len(), 18);
    // Still so when asked again, and the log goes on.
    assert!(log.read(Offset(15), 10, log.end_offset(), true).is_err());
    assert_eq!(appended(&mut log, plain(1)), (200, 200));
}

#[test]
fn a_corrupt_header_is_never_served() {
    let mut home = Home::new();
    let mut log = home.log();
    for _ in 0..5 {
        appended(&mut log, plain(10));
    }
    log.roll(NOW).unwrap();
    let log = home.stopped(log);
    let size = plain(10).len() as u64;
    home.disk.flip(&path("00000000000000000000.log"), size * 2 + 8, 0x40).unwrap();
    assert_eq!(log.read(Offset(0), u32::MAX, log.end_offset(), true).unwrap().next_offset.0, 20);
    assert!(matches!(
        log.read(Offset(20), u32::MAX, log.end_offset(), true),
        Err(ReadError::Corrupt(Corruption { offset: Offset(20), .. }))
    ));
}

#[test]
fn a_lost_index_is_built_anew() {
    let mut home = Home::with(LogConfig { index_interval_bytes: 200, ..LogConfig::default() });
    let mut log = home.log();
    for at in 0..50 {
        appended(&mut log, batch_of(BatchOptions::default(), &[(NOW + at, "index"); 5]));
    }
    log.roll(NOW).unwrap();
    home.recovery_point = log.close().unwrap().0;
    let read = |name: &str| crate::disk::read_file(home.disk.as_ref(), &path(name), 1 << 20);
    let index = read("00000000000000000000.index").unwrap();
    let times = read("00000000000000000000.timeindex").unwrap();
    assert!(index.len() > 8 * 8 && times.len() > 8 * 12, "{} {}", index.len(), times.len());
    home.disk.remove_file(&path("00000000000000000000.index")).unwrap();
    let torn = home.disk.open(&path("00000000000000000000.timeindex"), Access::ReadWrite);
    torn.unwrap().truncate(13).unwrap();
    let log = home.log();
    assert_eq!(read_all(&log, 33).len(), 44);
    assert_eq!(read("00000000000000000000.index").unwrap(), index);
    assert_eq!(read("00000000000000000000.timeindex").unwrap(), times);
}

use crate::disk::Access;
