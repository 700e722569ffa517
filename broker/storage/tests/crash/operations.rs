//! What is done to the logs, and that each call does what the model says.

use bytes::Bytes;
use tidelog_storage::directory::PartitionCheckpoint;
use tidelog_storage::disk::DiskErrorKind;
use tidelog_storage::error::{AppendError, LogError};
use tidelog_storage::log::{AppendOrigin, Appended, FlushScope};
use wire::compression::Codec;
use wire::ids::{LeaderEpoch, Offset, TopicId, Uuid};
use wire::records::{Batch, BatchBuilder, BatchIter, BatchOptions};

use crate::model::{Entry, Model};
use crate::world::{PRODUCERS, Trouble, World};

impl World {
    pub(crate) fn batch(&mut self, producer: Option<(i64, i32)>) -> (Bytes, Vec<i64>) {
        let codec = if self.random.one_in(6) { Codec::Lz4 } else { Codec::None };
        let (producer_id, base_sequence) = producer.unwrap_or((-1, -1));
        let mut builder = BatchBuilder::new(BatchOptions {
            codec,
            producer_id,
            producer_epoch: if producer.is_some() { 0 } else { -1 },
            base_sequence,
            ..BatchOptions::default()
        });
        let mut timestamps = Vec::new();
        for _ in 0..1 + self.random.below(4) {
            let back = i64::try_from(self.random.below(300)).unwrap();
            let timestamp = self.now_ms - back;
            let size = if self.random.one_in(10) { 1500 } else { 120 };
            let fill = u8::try_from(self.random.below(256)).unwrap();
            let value = vec![fill; usize::try_from(self.random.below(size)).unwrap()];
            builder.append(timestamp, None, Some(&value), &[]);
            timestamps.push(timestamp);
        }
        (builder.build().unwrap(), timestamps)
    }

    pub(crate) fn call_append(&mut self, at: usize, bytes: Bytes) -> Result<Appended, AppendError> {
        let (now_ms, epoch) = (self.now_ms, LeaderEpoch(self.epoch));
        let log = self.parts[at].log.as_mut().unwrap();
        // Clients send one batch at a time; coordinators of this broker may write several.
        let one = BatchIter::new(bytes.clone()).count() == 1;
        let origin = if one { AppendOrigin::Client } else { AppendOrigin::Coordinator };
        log.append(now_ms, bytes, origin, epoch)
    }

    pub(crate) fn append(&mut self, at: usize) {
        let mut bytes = Vec::new();
        let mut entries = Vec::new();
        let mut end = self.parts[at].model.end;
        let mut sequences = self.parts[at].model.sequences.clone();
        for _ in 0..1 + self.random.below(3) / 2 {
            let id = 100 + i64::try_from(self.random.below(PRODUCERS)).unwrap();
            let producer =
                self.random.one_in(2).then(|| (id, sequences.get(&id).copied().unwrap_or(0)));
            let (batch, timestamps) = self.batch(producer);
            bytes.extend_from_slice(&batch);
            let count = i64::try_from(timestamps.len()).unwrap();
            let placed = Batch::parse(&batch).unwrap().with_position(end, self.epoch);
            let entry = Entry {
                bytes: placed.bytes().clone(),
                base: end,
                next: end + count,
                timestamps,
                epoch: self.epoch,
                producer,
            };
            if producer.is_some() {
                sequences.insert(id, entry.last_sequence() + 1);
            }
            end = entry.next;
            entries.push(entry);
        }
        match self.call_append(at, bytes.into()) {
            Ok(appended) => {
                assert!(!appended.duplicate, "a new batch is no duplicate");
                assert_eq!(appended.first_offset.0, entries[0].base);
                assert_eq!(appended.last_offset.0, end - 1);
                for entry in entries {
                    self.parts[at].model.push(entry);
                }
                self.counts.appends += 1;
            }
            Err(AppendError::DiskFull(error) | AppendError::Disk(error)) => {
                // The power may also go while what was written is taken back.
                if self.trouble(at, &error) == Trouble::Down || self.disk.is_down() {
                    self.parts[at].model.unsure = entries;
                }
                let end = self.parts[at].log.as_ref().unwrap().end_offset().0;
                assert_eq!(end, self.parts[at].model.end, "a failed append changes nothing");
            }
            Err(AppendError::AppendTooLarge { bytes, max }) => assert!(bytes > u64::from(max)),
            Err(error) => panic!("{}: {error}", self.parts[at].name),
        }
    }

    /// A retry of one of the producer's last five batches is the same offsets again.
    pub(crate) fn retry(&mut self, at: usize) {
        let id = 100 + i64::try_from(self.random.below(PRODUCERS)).unwrap();
        let batches = self.parts[at].model.batches_of(id);
        let Some(newest) = batches.len().checked_sub(1) else { return };
        let back = usize::try_from(self.random.below(5)).unwrap().min(newest);
        let entry = batches[newest - back].clone();
        self.expect_duplicate(at, &entry);
    }

    pub(crate) fn expect_duplicate(&mut self, at: usize, entry: &Entry) {
        match self.call_append(at, entry.bytes.clone()) {
            Ok(appended) => {
                assert!(appended.duplicate, "a retry must be found out: {entry:?}");
                assert_eq!(appended.first_offset.0, entry.base);
                assert_eq!(appended.last_offset.0, entry.next - 1);
                self.counts.duplicates += 1;
            }
            Err(error) => panic!("retry of offset {}: {error}", entry.base),
        }
    }

    pub(crate) fn skip_sequences(&mut self, at: usize) {
        let id = 100 + i64::try_from(self.random.below(PRODUCERS)).unwrap();
        if self.parts[at].model.batches_of(id).is_empty() {
            return;
        }
        let next = self.parts[at].model.sequences[&id];
        let (bytes, _) = self.batch(Some((id, next + 7)));
        match self.call_append(at, bytes) {
            Err(AppendError::OutOfOrderSequence { .. }) => {}
            other => panic!("a gap in the sequence must be refused, got {other:?}"),
        }
    }

    /// Up to three flushes at a time, appends between them, finished in any order.
    pub(crate) fn flush(&mut self, at: usize) {
        let mut jobs = Vec::new();
        for _ in 0..[1, 1, 2, 3][usize::try_from(self.random.below(4)).unwrap()] {
            let scope = if self.random.one_in(4) { FlushScope::Closed } else { FlushScope::All };
            let job = self.parts[at].log.as_mut().unwrap().begin_flush(scope);
            let end = self.parts[at].model.end;
            assert!(job.upto().0 == end || (scope == FlushScope::Closed && job.upto().0 < end));
            jobs.push((job, end));
            match self.random.below(4) {
                0 if self.works(at) => self.append(at),
                1 if self.works(at) => self.roll(at),
                _ => {}
            }
        }
        while !jobs.is_empty() {
            let next = usize::try_from(self.random.below(jobs.len() as u64)).unwrap();
            let (job, end) = jobs.remove(next);
            let upto = job.upto();
            let outcome = job.run();
            match self.parts[at].log.as_mut().unwrap().finish_flush(outcome) {
                Ok(point) => {
                    assert!(point.0 <= self.parts[at].model.end && upto.0 <= end);
                    let model = &mut self.parts[at].model;
                    model.durable = model.durable.max(upto.0).max(point.0);
                    self.counts.flushes += 1;
                }
                Err(LogError::Poisoned) => assert!(self.disk.is_down() || self.is_offline(at)),
                Err(error) => {
                    if self.log_trouble(at, error) == Trouble::Broken {
                        let log = self.parts[at].log.as_ref().unwrap();
                        assert!(log.is_poisoned(), "a failed sync closes the log for writing");
                    }
                }
            }
        }
        if self.is_offline(at) {
            self.stays_refused(at);
        }
    }

    pub(crate) fn works(&self, at: usize) -> bool {
        self.parts[at].log.is_some() && !self.disk.is_down() && !self.is_offline(at)
    }

    pub(crate) fn is_offline(&self, at: usize) -> bool {
        self.dirs().dir_of(&self.parts[at].name).unwrap().is_offline()
    }

    /// After the device failed nothing is acknowledged any more.
    pub(crate) fn stays_refused(&mut self, at: usize) {
        if self.disk.is_down() {
            return;
        }
        let log = self.parts[at].log.as_mut().unwrap();
        if log.is_poisoned() {
            assert!(log.flush().is_err(), "a flush after a failed sync promises nothing");
            let (bytes, _) = self.batch(None);
            assert!(matches!(self.call_append(at, bytes), Err(AppendError::Poisoned)));
        }
    }

    pub(crate) fn roll(&mut self, at: usize) {
        let now_ms = self.now_ms;
        if let Err(error) = self.parts[at].log.as_mut().unwrap().roll(now_ms) {
            self.log_trouble(at, error);
        }
    }

    pub(crate) fn retention(&mut self, at: usize) {
        let now_ms = self.now_ms;
        let log = self.parts[at].log.as_mut().unwrap();
        let upto = log.end_offset();
        match log.apply_retention(now_ms, upto) {
            Ok(retired) => {
                self.counts.segments_retired += retired.segments as u64;
                self.parts[at].deletions.extend(retired.deletion);
            }
            Err(error) => {
                self.log_trouble(at, error);
            }
        }
        self.start_moved(at);
    }

    pub(crate) fn delete_records(&mut self, at: usize) {
        let model = &self.parts[at].model;
        let span = u64::try_from(model.end - model.start).unwrap();
        let upto = Offset(model.start + i64::try_from(self.random.below(span + 1)).unwrap());
        let log = self.parts[at].log.as_mut().unwrap();
        let end = log.end_offset();
        match log.delete_records(upto, end) {
            Ok(start) => assert_eq!(start, upto),
            Err(error) => {
                self.log_trouble(at, error);
            }
        }
        self.start_moved(at);
    }

    /// What a follower does that has diverged: the checkpoint first, then the cut.
    pub(crate) fn truncate(&mut self, at: usize) {
        let model = &self.parts[at].model;
        let span = u64::try_from(model.end - model.start).unwrap();
        let back = self.random.below(span + 1).min(self.random.below(20));
        let to = model.end - i64::try_from(back).unwrap();
        let to = model.at(to).map_or(model.end, |at| model.entries[at].base).max(model.start);
        if model.at(to).is_some_and(|at| model.entries[at].base != to) {
            return;
        }
        self.parts[at].model.durable = self.parts[at].model.durable.min(to);
        let mut checkpoints = self.checkpoints();
        for checkpoint in &mut checkpoints {
            if checkpoint.partition == self.parts[at].name {
                checkpoint.recovery_point = checkpoint.recovery_point.min(Offset(to));
            }
        }
        if !self.dirs().write_checkpoints(&checkpoints).is_empty() {
            return;
        }
        let now_ms = self.now_ms;
        let model = self.parts[at].model.clone();
        match self.parts[at].log.as_mut().unwrap().truncate(now_ms, Offset(to)) {
            Ok(deletion) => {
                self.parts[at].deletions.extend(deletion);
                self.counts.truncations += 1;
                self.parts[at].model.survived(model.start, to);
                let log = self.parts[at].log.as_ref().unwrap();
                assert_eq!((log.log_start_offset().0, log.end_offset().0), (model.start, to));
            }
            Err(error) => {
                // Cut or not: the next start tells.
                self.log_trouble(at, error);
                self.parts[at].log = None;
            }
        }
    }

    /// The topic is deleted, and made again with another id under the same name.
    pub(crate) fn recreate(&mut self, at: usize) {
        let part = &mut self.parts[at];
        // The metadata log says so first, and durably.
        part.id = TopicId(Uuid((u128::from_be_bytes(part.id.0.0) + 16).to_be_bytes()));
        part.model = Model::default();
        part.log = None;
        part.deletions.clear();
        let name = part.name.clone();
        let id = Uuid::from_random(u128::from(self.random.next_u64()));
        match self.dirs().delete_partition(&name, id, self.now_ms, 1000) {
            Ok(()) => {}
            Err(error) => {
                self.trouble(at, error.disk_error().expect("only the disk may fail"));
                return;
            }
        }
        self.counts.recreated += 1;
        self.create(at);
    }

    pub(crate) fn start_moved(&mut self, at: usize) {
        let part = &mut self.parts[at];
        let log = part.log.as_ref().unwrap();
        let start = log.log_start_offset().0;
        assert!(start >= part.model.start && start <= part.model.end);
        assert_eq!(log.end_offset().0, part.model.end);
        part.model.start = start;
    }

    pub(crate) fn run_deletions(&mut self, at: usize) {
        let now_ms = self.now_ms;
        let (due, later) = std::mem::take(&mut self.parts[at].deletions)
            .into_iter()
            .partition::<Vec<_>, _>(|deletion| deletion.due_ms <= now_ms);
        self.parts[at].deletions = later;
        for deletion in due {
            if let Err(error) = deletion.run(&self.disk) {
                self.trouble(at, &error);
            }
        }
    }

    pub(crate) fn checkpoint(&mut self) {
        let checkpoints = self.checkpoints();
        for error in self.dirs().write_checkpoints(&checkpoints) {
            assert_ne!(error.kind, DiskErrorKind::NoSpace, "no full disk was planned");
        }
    }

    pub(crate) fn checkpoints(&self) -> Vec<PartitionCheckpoint> {
        let logs = self.parts.iter().filter_map(|part| Some((part, part.log.as_ref()?)));
        logs.map(|(part, log)| PartitionCheckpoint {
            partition: part.name.clone(),
            recovery_point: log.recovery_point(),
            log_start: log.log_start_offset(),
            high_watermark: log.end_offset(),
        })
        .collect()
    }

    /// The disk fills up under load; reads go on, and when space is back so do appends.
    pub(crate) fn full_disk(&mut self) {
        self.disk.set_capacity(Some(self.disk.used() + self.random.below(6000)));
        for _ in 0..20 {
            let at = usize::try_from(self.random.below(self.parts.len() as u64)).unwrap();
            if !self.works(at) {
                continue;
            }
            match self.random.below(8) {
                0 => self.flush(at),
                1 => self.roll(at),
                2 => self.read_somewhere(at),
                3 => self.retention(at),
                4 => self.run_deletions(at),
                _ => self.append(at),
            }
        }
        self.disk.set_capacity(None);
        for at in 0..self.parts.len() {
            let before = self.counts.appends;
            while self.parts[at].log.is_some() && self.counts.appends == before {
                if self.is_offline(at) || self.disk.is_down() {
                    break;
                }
                // Refusals for want of space would be counted, and must have ended.
                let refused = self.counts.full;
                self.append(at);
                assert_eq!(self.counts.full, refused, "a full disk must heal");
            }
        }
    }
}
