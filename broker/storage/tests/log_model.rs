//! A log against a plain list of records: whatever is appended, read, rolled, cut, given up and
//! reopened, both say the same. proptest prints the failing steps and keeps their seed.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail")]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use tidelog_storage::LogConfig;
use tidelog_storage::disk::Disk;
use tidelog_storage::disk::sim::SimDisk;
use tidelog_storage::error::{AppendError, ReadError};
use tidelog_storage::log::{AppendOrigin, Log, OpenArgs};
use wire::compression::Codec;
use wire::ids::{LeaderEpoch, Offset};
use wire::records::{BatchBuilder, BatchIter, BatchOptions};

const NOW: i64 = 1_700_000_000_000;
const DIR: &str = "/data/model-0";

#[derive(Clone, Debug)]
enum Op {
    /// Batches of one call: record sizes per batch.
    Append {
        batches: Vec<Vec<u16>>,
        codec: usize,
        jump_ms: i64,
    },
    /// The next batch of an idempotent producer, or one of its last ones again.
    Produce {
        producer: i64,
        records: u8,
        again: Option<usize>,
    },
    Read {
        at: u16,
        max_bytes: u32,
        min_one: bool,
    },
    Find {
        back_ms: i64,
    },
    Roll,
    Flush,
    Stop,
    Kill,
    DeleteRecords {
        at: u16,
    },
    Truncate {
        at: u16,
    },
    NewEpoch,
}

fn op() -> impl Strategy<Value = Op> {
    let sizes = proptest::collection::vec(0_u16..400, 1..12);
    prop_oneof![
        10 => (proptest::collection::vec(sizes, 1..4), 0_usize..5, -50_i64..100)
            .prop_map(|(batches, codec, jump_ms)| Op::Append { batches, codec, jump_ms }),
        8 => (0_i64..3, 1_u8..5, proptest::option::of(0_usize..7))
            .prop_map(|(producer, records, again)| Op::Produce { producer, records, again }),
        10 => (any::<u16>(), 0_u32..6000, any::<bool>())
            .prop_map(|(at, max_bytes, min_one)| Op::Read { at, max_bytes, min_one }),
        4 => (-100_i64..3000).prop_map(|back_ms| Op::Find { back_ms }),
        1 => Just(Op::Roll),
        2 => Just(Op::Flush),
        1 => Just(Op::Stop),
        2 => Just(Op::Kill),
        1 => any::<u16>().prop_map(|at| Op::DeleteRecords { at }),
        1 => any::<u16>().prop_map(|at| Op::Truncate { at }),
        1 => Just(Op::NewEpoch),
    ]
}

#[derive(Clone, Debug, PartialEq)]
struct Record {
    offset: i64,
    timestamp: i64,
    value: Vec<u8>,
}

/// A batch of a producer: its first sequence, records, first offset.
type Sent = (i32, u8, i64);

struct Model {
    disk: Arc<SimDisk>,
    log: Log,
    /// Every record that may be read, and those before the start in the same batch.
    records: Vec<Record>,
    start: i64,
    clock: i64,
    epoch: i32,
    sent: [Vec<Sent>; 3],
    no_retry_below: i64,
    counter: u32,
}

fn open(disk: &Arc<SimDisk>, start: i64, recovery_point: i64, clean: bool) -> Log {
    let config = LogConfig {
        segment_bytes: 8000,
        index_interval_bytes: 500,
        timestamp_after_max_ms: i64::MAX,
        ..LogConfig::default()
    };
    let (log, report) = Log::open(OpenArgs {
        disk: Arc::clone(disk) as Arc<dyn Disk>,
        dir: DIR.into(),
        config: Arc::new(config),
        recovery_point: Offset(recovery_point),
        intact_below: Offset(0),
        log_start_offset: Offset(start),
        clean,
        was_compacted: false,
        accept: Vec::new(),
        now_ms: NOW,
    })
    .unwrap();
    assert_eq!((report.cut, report.corruption), (Vec::new(), None));
    log
}

impl Model {
    fn new() -> Self {
        let disk = Arc::new(SimDisk::new(1));
        disk.create_dir_all(Path::new(DIR)).unwrap();
        let log = open(&disk, 0, 0, true);
        Self {
            disk,
            log,
            records: Vec::new(),
            start: 0,
            clock: NOW,
            epoch: 0,
            sent: Default::default(),
            no_retry_below: 0,
            counter: 0,
        }
    }

    fn end(&self) -> i64 {
        self.log.end_offset().0
    }

    /// Builds a batch and adds its records to the list at the log's end.
    fn batch(&mut self, options: BatchOptions, sizes: &[u16], into: &mut Vec<Record>) -> Bytes {
        let mut builder = BatchBuilder::new(options);
        for size in sizes {
            self.counter += 1;
            self.clock += 3;
            let value = format!("{:08}", self.counter).repeat(usize::from(*size) / 8 + 1);
            builder.append(self.clock, None, Some(value.as_bytes()), &[]);
            let offset = self.end() + i64::try_from(into.len()).unwrap();
            into.push(Record { offset, timestamp: self.clock, value: value.into_bytes() });
        }
        builder.build().unwrap()
    }

    fn append(&mut self, bytes: Bytes, added: Vec<Record>) {
        let end = self.end();
        let epoch = LeaderEpoch(self.epoch);
        let one = BatchIter::new(bytes.clone()).count() == 1;
        let origin = if one { AppendOrigin::Client } else { AppendOrigin::Coordinator };
        let done = self.log.append(NOW, bytes, origin, epoch).unwrap();
        assert!(!done.duplicate);
        assert_eq!(done.first_offset.0, end);
        assert_eq!(done.last_offset.0, end + i64::try_from(added.len()).unwrap() - 1);
        self.records.extend(added);
    }

    fn produce(&mut self, producer: i64, records: u8, again: Option<usize>) {
        let slot = usize::try_from(producer).unwrap();
        let sent = self.sent[slot].clone();
        let retry = again.and_then(|back| sent.len().checked_sub(back + 1)).map(|at| sent[at]);
        let retry = retry.filter(|(_, _, offset)| *offset >= self.no_retry_below);
        let next = sent.last().map_or(0, |(first, count, _)| first + i32::from(*count));
        let (sequence, count) = retry.map_or((next, records), |(first, count, _)| (first, count));
        let options = BatchOptions {
            producer_id: 100 + producer,
            producer_epoch: 0,
            base_sequence: sequence,
            ..BatchOptions::default()
        };
        let mut added = Vec::new();
        let bytes = self.batch(options, &vec![16; usize::from(count)], &mut added);
        let Some((_, _, original)) = retry else {
            self.sent[slot].push((sequence, count, self.end()));
            return self.append(bytes, added);
        };
        let again_at = again.unwrap();
        let epoch = LeaderEpoch(self.epoch);
        match self.log.append(NOW, bytes, AppendOrigin::Client, epoch) {
            Ok(done) => {
                assert!(done.duplicate && again_at < 5);
                assert_eq!(done.first_offset.0, original);
            }
            Err(AppendError::OutOfOrderSequence { .. }) => assert!(again_at >= 5, "{again_at}"),
            Err(other) => panic!("{other}"),
        }
    }

    /// The records in what a read gave.
    fn decoded(bytes: Vec<u8>) -> Vec<Record> {
        let mut records = Vec::new();
        for batch in BatchIter::new(bytes.into()) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            for record in &batch.records(1 << 20).unwrap() {
                let record = record.unwrap();
                records.push(Record {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    value: record.value.unwrap().to_vec(),
                });
            }
        }
        records
    }

    fn read(&self, at: u16, max_bytes: u32, min_one: bool) {
        let offset = i64::from(at) % (self.end() + 2);
        let upto = self.log.end_offset();
        let slice = match self.log.read(Offset(offset), max_bytes, upto, min_one) {
            Ok(slice) => slice,
            Err(ReadError::OutOfRange { .. }) => {
                assert!(offset < self.start || offset > self.end());
                return;
            }
            Err(other) => panic!("{other}"),
        };
        assert!((self.start..=self.end()).contains(&offset));
        assert!(slice.bytes() <= max_bytes || min_one);
        assert!(slice.bytes() > 0 || !min_one || offset == self.end());
        let Some(range) = slice.range else { return };
        let got = Self::decoded(range.read().unwrap());
        assert!(slice.first_offset.0 <= offset && offset < slice.next_offset.0);
        let expect: Vec<_> = self
            .records
            .iter()
            .filter(|r| (slice.first_offset.0..slice.next_offset.0).contains(&r.offset))
            .cloned()
            .collect();
        assert_eq!(got, expect);
    }

    fn find(&self, back_ms: i64) {
        let wanted = self.clock - back_ms;
        let found = self.log.offset_for_timestamp(wanted, self.log.end_offset()).unwrap();
        let expect = self.records.iter().find(|r| r.offset >= self.start && r.timestamp >= wanted);
        let found = found.map(|found| (found.offset.0, found.timestamp));
        assert_eq!(found, expect.map(|r| (r.offset, r.timestamp)));
    }

    fn truncate(&mut self, at: u16) {
        // Near the end, where followers truncate; and not into a producer's remembered past.
        let to = (self.end() - i64::from(at % 20)).max(self.start).max(0);
        if let Some(gone) = self.log.truncate(NOW, Offset(to)).unwrap() {
            gone.run(self.disk.as_ref()).unwrap();
        }
        let end = self.end();
        assert!(end <= to);
        self.records.retain(|record| record.offset < end);
        self.start = self.log.log_start_offset().0;
        for sent in &mut self.sent {
            sent.retain(|(_, _, offset)| *offset < end);
        }
        // Fewer than five may be remembered of what was sent before: it is not sent again.
        self.no_retry_below = end;
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Append { batches, codec, jump_ms } => {
                self.clock += jump_ms;
                let options = BatchOptions { codec: Codec::ALL[*codec], ..Default::default() };
                let mut added = Vec::new();
                let mut bytes = Vec::new();
                for sizes in batches {
                    bytes.extend_from_slice(&self.batch(options, sizes, &mut added));
                }
                if bytes.len() <= 8000 {
                    self.append(bytes.into(), added);
                }
            }
            Op::Produce { producer, records, again } => self.produce(*producer, *records, *again),
            Op::Read { at, max_bytes, min_one } => self.read(*at, *max_bytes, *min_one),
            Op::Find { back_ms } => self.find(*back_ms),
            Op::Roll => drop(self.log.roll(NOW).unwrap()),
            Op::Flush => drop(self.log.flush().unwrap()),
            Op::Stop => {
                let point = self.log.close().unwrap().0;
                self.log = open(&self.disk, self.start, point, true);
            }
            Op::Kill => {
                let point = self.log.recovery_point().0;
                self.log = open(&self.disk, self.start, point, false);
            }
            Op::DeleteRecords { at } => {
                let upto = self.start + i64::from(at % 50).min(self.end() - self.start);
                self.start =
                    self.log.delete_records(Offset(upto), self.log.end_offset()).unwrap().0;
                let end = self.log.end_offset();
                if let Some(gone) = self.log.apply_retention(NOW, end).unwrap().deletion {
                    gone.run(self.disk.as_ref()).unwrap();
                }
            }
            Op::Truncate { at } => self.truncate(*at),
            Op::NewEpoch => self.epoch += 1,
        }
    }

    fn check(&self) {
        assert_eq!(self.log.log_start_offset().0, self.start);
        let mut offset = self.start;
        let mut got = Vec::new();
        while offset < self.end() {
            let upto = self.log.end_offset();
            let slice = self.log.read(Offset(offset), 4000, upto, true).unwrap();
            got.extend(Self::decoded(slice.range.unwrap().read().unwrap()));
            offset = slice.next_offset.0;
        }
        got.retain(|record| record.offset >= self.start);
        let expect: Vec<_> =
            self.records.iter().filter(|r| r.offset >= self.start).cloned().collect();
        assert_eq!(got, expect);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_log_is_a_list(ops in proptest::collection::vec(op(), 1..80)) {
        let mut model = Model::new();
        for op in &ops {
            model.step(op);
        }
        model.check();
        let point = model.log.recovery_point().0;
        model.log = open(&model.disk, model.start, point, false);
        model.check();
    }
}
