//! Writers and long-polling readers on many threads: no wake-up is lost, every reader sees every
//! record in order, and a deleted topic sends everyone home.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use replication::Partition;
use replication::purgatory::{FetchWait, Parked, Wake};
use storage::disk::Disk;
use storage::disk::sim::SimDisk;
use wire::ErrorCode;
use wire::ids::Offset;
use wire::records::BatchIter;

use crate::common::{append, create, delete, open, partition, read_request};

/// Far above what any wake-up takes: reaching it means that one was lost.
const LOST: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Wake for Bell {
    fn wake(&self) {
        *self.rung.lock().unwrap() = true;
        self.heard.notify_all();
    }
}

impl Bell {
    fn wait(&self) {
        let rung = self.rung.lock().unwrap();
        let (rung, late) = self.heard.wait_timeout_while(rung, LOST, |rung| !*rung).unwrap();
        assert!(*rung && !late.timed_out(), "a wake-up was lost");
    }
}

/// Reads as a long poll does, until `count` records are there.
fn follow(partition: &Partition, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = Offset(0);
    while found.len() < count {
        let fetched = partition.read(read_request(at)).unwrap();
        let Some(range) = fetched.range else {
            let bell = Arc::new(Bell::default());
            let wait = FetchWait::new(1, Arc::clone(&bell) as Arc<dyn Wake>);
            let parked = partition.park_fetch(fetched.high_watermark, wait);
            if let Parked::Waiting(_guard) = parked {
                bell.wait();
            }
            continue;
        };
        for batch in BatchIter::new(Bytes::from(range.read().unwrap())) {
            let set = batch.unwrap().records(1 << 20).unwrap();
            for record in set.iter() {
                found.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
            }
        }
        at = fetched.next_offset;
    }
    found
}

#[test]
fn readers_follow_writers_without_losing_a_wake_up() {
    const WRITERS: usize = 3;
    const READERS: usize = 3;
    const EACH: usize = 400;
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let node = open(&disk);
    create(&node, "letters", 1);
    let letters = partition(&node, "letters", 0);
    let seen: Vec<Vec<String>> = std::thread::scope(|scope| {
        let readers: Vec<_> =
            (0..READERS).map(|_| scope.spawn(|| follow(&letters, WRITERS * EACH))).collect();
        for writer in 0..WRITERS {
            let letters = &letters;
            scope.spawn(move || {
                for n in 0..EACH {
                    let produced = append(letters, &[&format!("{writer} {n}")]).unwrap();
                    assert!(produced.committed);
                }
            });
        }
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    for other in &seen[1..] {
        assert_eq!(&seen[0], other);
    }
    for writer in 0..WRITERS {
        let own: Vec<&String> =
            seen[0].iter().filter(|value| value.starts_with(&format!("{writer} "))).collect();
        let expected: Vec<String> = (0..EACH).map(|n| format!("{writer} {n}")).collect();
        assert!(own.into_iter().eq(expected.iter()), "writer {writer} out of order");
    }
}

#[test]
fn a_deleted_topic_sends_those_who_wait_home() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(2));
    let node = open(&disk);
    create(&node, "letters", 1);
    let letters = partition(&node, "letters", 0);
    let bell = Arc::new(Bell::default());
    let wait = FetchWait::new(1, Arc::clone(&bell) as Arc<dyn Wake>);
    let parked = letters.park_fetch(Offset(0), wait);
    assert!(matches!(parked, Parked::Waiting(_)));
    assert_eq!(delete(&node, "letters"), ErrorCode::None);
    bell.wait();
    let gone = letters.read(read_request(Offset(0))).unwrap_err();
    assert_eq!(gone.code(), ErrorCode::UnknownTopicOrPartition);
    let late = FetchWait::new(1, Arc::new(Bell::default()));
    assert!(matches!(letters.park_fetch(Offset(0), late), Parked::Ready));
}
