//! Transactions that Apache Kafka left behind: how far readers of committed records get, and what
//! they are told to leave out.

use super::*;
use crate::disk::write_file_atomically;

/// What a batch of the log is.
#[derive(Clone, Copy)]
enum Is {
    Plain,
    Data(i64),
    Abort(i64),
    Commit(i64),
}

fn batch(base_offset: i64, is: Is) -> Bytes {
    let (producer_id, transactional) = match is {
        Is::Plain => (-1, false),
        Is::Data(id) | Is::Abort(id) | Is::Commit(id) => (id, true),
    };
    let kind = match is {
        Is::Abort(_) => Some(0u8),
        Is::Commit(_) => Some(1),
        _ => None,
    };
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset,
        leader_epoch: 3,
        producer_id,
        producer_epoch: if transactional { 0 } else { -1 },
        transactional,
        control: kind.is_some(),
        ..BatchOptions::default()
    });
    match kind {
        Some(kind) => builder.append(NOW, Some(&[0, 0, 0, kind]), Some(&[0; 6]), &[]),
        None => builder.append(NOW, None, Some(b"value"), &[]),
    }
    builder.build().unwrap()
}

/// A log of these batches, of one record each, as another broker leaves it.
fn left(batches: &[Is]) -> Home {
    let home = Home::new();
    let bytes: Vec<Bytes> = (0..).zip(batches).map(|(at, is)| batch(at, *is)).collect();
    write(&home, ".log", &bytes.concat());
    home
}

fn write(home: &Home, extension: &str, bytes: &[u8]) {
    let name = format!("{:020}{extension}", 0);
    write_file_atomically(&*home.disk, &path(&name), bytes).unwrap();
}

fn index(home: &Home) -> Vec<(i64, i64, i64, i64)> {
    let name = path(&format!("{:020}.txnindex", 0));
    let bytes = crate::disk::read_file(&*home.disk, &name, 1 << 20).unwrap_or_default();
    let all = crate::index::txn::decode(&bytes).into_iter();
    all.map(|it| (it.producer_id, it.first_offset.0, it.last_offset.0, it.last_stable_offset.0))
        .collect()
}

fn aborted(log: &Log, from: i64, upto: i64) -> Vec<(i64, i64)> {
    let found = log.aborted_transactions(Offset(from), Offset(upto)).into_iter();
    found.map(|it| (it.producer_id, it.first_offset.0)).collect()
}

const LOG: &[Is] = &[
    Is::Plain,
    Is::Data(7),
    Is::Data(8),
    Is::Data(7),
    Is::Abort(7),
    Is::Plain,
    Is::Commit(8),
    Is::Abort(8),
    Is::Data(9),
    Is::Abort(9),
    Is::Plain,
    Is::Data(7),
    Is::Plain,
];

#[test]
fn an_unclean_stop_of_kafka_loses_no_aborted_transaction() {
    let expected = [(7, 1, 4, 2), (9, 8, 9, 10)];
    // Nothing, a part, and what was never there: the batches say what holds.
    let part = crate::index::txn::encode(&[Aborted {
        producer_id: 5,
        first_offset: Offset(0),
        last_offset: Offset(3),
        last_stable_offset: Offset(4),
    }]);
    for stale in [None, Some(part.as_slice()), Some(b"torn")] {
        let mut home = left(LOG);
        if let Some(bytes) = stale {
            write(&home, ".txnindex", bytes);
        }
        let log = home.open(false).0;
        assert_eq!(index(&home), expected);
        let after_a_clean_stop = home.stopped(log);
        assert_eq!(index(&home), expected);
        for log in [after_a_clean_stop, home.open(false).0] {
            assert_eq!(log.last_stable_offset(Offset(13)), Offset(11), "7 is open again");
            assert_eq!(aborted(&log, 0, 13), [(7, 1), (9, 8)]);
            assert_eq!(aborted(&log, 2, 8), [(7, 1)]);
            assert_eq!(aborted(&log, 5, 8), []);
            assert_eq!(aborted(&log, 5, 9), [(9, 8)]);
        }
    }
}

#[test]
fn what_was_cut_off_has_not_ended() {
    let home = left(LOG);
    let (mut log, _) = home.open(false);
    log.truncate(NOW, Offset(4)).unwrap();
    assert_eq!(aborted(&log, 0, 4), []);
    assert_eq!(log.last_stable_offset(Offset(4)), Offset(1));
    assert_eq!(index(&home), []);
    drop(log);
    assert_eq!(home.open(false).0.last_stable_offset(Offset(4)), Offset(1));
}

#[test]
fn readers_of_committed_records_stop_before_an_open_transaction() {
    let home = left(LOG);
    let (log, _) = home.open(false);
    let stable = log.last_stable_offset(log.end_offset());
    let slice = log.read(Offset(9), 1 << 20, stable, true).unwrap();
    assert_eq!((slice.next_offset, batches(&slice).len()), (Offset(11), 2));
    assert!(log.read(stable, 1 << 20, stable, true).unwrap().range.is_none());
    let behind = log.read(Offset(12), 1 << 20, stable, true).unwrap();
    assert!(behind.range.is_none(), "no error where a reader of all records has been");
    let (mut log, _) = home.open(false);
    log.delete_records(Offset(12), Offset(13)).unwrap();
    assert_eq!(log.last_stable_offset(Offset(13)), Offset(12), "never below the log's start");
    let home = left(&LOG[..11]);
    let (log, _) = home.open(false);
    assert_eq!(log.last_stable_offset(Offset(11)), Offset(11), "none is open");
    assert_eq!(log.last_stable_offset(Offset(6)), Offset(6), "at most the high watermark");
}
