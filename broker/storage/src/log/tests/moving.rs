//! Logs that Apache Kafka wrote and we do not.

use std::io::IoSlice;

use super::*;
use crate::disk::Access;

fn write(home: &Home, name: &str, bytes: &[u8]) {
    let file = home.disk.open(&path(name), Access::Create).unwrap();
    file.write_all_at(&[IoSlice::new(bytes)], 0).unwrap();
}

/// A message as before Kafka 0.11: offset, size, CRC, format, attributes, and so on.
fn old_message(magic: u8) -> Vec<u8> {
    let mut bytes = vec![0; 40];
    bytes[11] = 28;
    bytes[16] = magic;
    bytes
}

#[test]
fn an_old_format_is_named_and_nothing_is_cut() {
    for magic in [0, 1] {
        for clean in [true, false] {
            let home = Home::new();
            let name = "00000000000000000000.log";
            write(&home, name, &old_message(magic));
            // A newer segment behind it does not hide it.
            write(&home, "00000000000000000001.log", &plain(2));
            let error = home.try_open(clean).unwrap_err();
            let file = path(name);
            assert_eq!(error, LogError::OldFormat { file: file.clone(), magic });
            let kept = crate::disk::read_file(&*home.disk, &file, 1000).unwrap();
            assert_eq!(kept, old_message(magic));
        }
    }
}

#[test]
fn zeros_of_a_crash_are_no_old_format() {
    let home = Home::new();
    write(&home, "00000000000000000000.log", &[0; 4096]);
    let (log, report) = home.open(false);
    assert_eq!((log.end_offset(), report.cut.len()), (Offset(0), 1));
}

/// Version, producer, first and last offset, last stable offset.
fn entry(producer: i64, first: i64, last: i64) -> Vec<u8> {
    let numbers = [producer, first, last, last + 1];
    [&[0, 0][..], &numbers.map(i64::to_be_bytes).concat()].concat()
}

#[test]
fn aborted_transactions_of_kafka_are_known() {
    let mut home = Home::new();
    let mut log = home.log();
    for _ in 0..6 {
        appended(&mut log, plain(5));
    }
    let log = home.stopped(log);
    assert!(log.aborted_transactions(Offset(0), Offset(30)).is_empty());
    drop(log);
    let torn = &entry(9, 8, 9)[..20];
    let file = [&entry(7, 3, 6), &entry(8, 10, 19), torn].concat();
    write(&home, "00000000000000000000.txnindex", &file);
    write(&home, "00000000000000000777.txnindex", &entry(1, 0, 29));
    let log = home.log();
    let found = |from, upto| -> Vec<i64> {
        let all = log.aborted_transactions(Offset(from), Offset(upto));
        all.iter().map(|it| it.producer_id).collect()
    };
    assert_eq!(found(0, 30), [7, 8]);
    assert_eq!(found(6, 10), [7]);
    assert_eq!(found(7, 11), [8]);
    assert_eq!(found(20, 30), []);
    assert!(home.names(".txnindex").len() == 1, "an index without its segment is a leftover");
}
