//! Clean stops, power losses, starts, and what must have survived.

use std::path::PathBuf;
use std::sync::Arc;

use tidelog_storage::checkpoints::CheckpointError;
use tidelog_storage::directory::{DirectoryError, LoadArgs, LogDirs, Placement, TopicPartition};
use tidelog_storage::disk::Disk;
use tidelog_storage::disk::sim::Fault;
use wire::ids::{BrokerId, LeaderEpoch, Offset};

use crate::model::Entry;
use crate::reading::check_index_files;
use crate::world::{PRODUCERS, World};

impl World {
    /// Says whether the stop was clean.
    pub(crate) fn clean_stop(&mut self) -> bool {
        for at in 0..self.parts.len() {
            let Some(mut log) = self.parts[at].log.take() else { continue };
            let closed = log.close();
            let end = log.end_offset().0;
            self.parts[at].log = Some(log);
            match closed {
                Ok(point) => {
                    assert_eq!(point.0, end);
                    self.parts[at].model.durable = end;
                }
                Err(_) if self.is_offline(at) || self.disk.is_down() => return false,
                Err(error) => {
                    self.log_trouble(at, error);
                    return false;
                }
            }
        }
        let checkpoints = self.checkpoints();
        if !self.dirs().close_clean(&checkpoints, i64::from(self.epoch)).is_empty() {
            return false;
        }
        if self.dirs().dirs().iter().any(|dir| dir.is_offline()) {
            return false;
        }
        self.counts.clean_stops += 1;
        self.stop();
        // Power may well go after a clean stop: everything must be on the disk.
        if self.random.one_in(2) {
            self.disk.crash();
        }
        self.disk.clear_faults();
        self.open_dirs();
        self.load_all(true);
        true
    }

    pub(crate) fn stop(&mut self) {
        for part in &mut self.parts {
            part.log = None;
            part.deletions.clear();
        }
        self.dirs = None;
    }

    pub(crate) fn power_loss(&mut self) {
        loop {
            self.stop();
            self.disk.crash();
            self.disk.clear_faults();
            self.counts.crashes += 1;
            // The next crash may well come during the recovery from this one.
            if self.random.one_in(4) {
                self.disk.crash_after(1 + self.random.below(40));
            }
            if self.random.one_in(6) {
                // A start needs little space: half of them have next to none.
                let free = self.random.below(3000);
                let free = if free.is_multiple_of(2) { free / 50 } else { free };
                self.disk.set_capacity(Some(self.disk.used() + free));
                self.full = true;
            }
            let opened = self.open_dirs() && self.load_all(false);
            self.disk.set_capacity(None);
            self.full = false;
            match (opened, self.disk.is_down()) {
                (true, false) => return,
                (false, false) => self.counts.full_starts += 1,
                (_, true) => self.counts.crashes_in_recovery += 1,
            }
        }
    }

    pub(crate) fn open_dirs(&mut self) -> bool {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let paths = ["/data/a", "/data/b"].map(PathBuf::from);
        let opened = LogDirs::open(disk, &paths, BrokerId(1), Some("cluster")).and_then(|dirs| {
            let random = &mut self.random;
            let mut draw = || u128::from(random.next_u64()) << 64 | u128::from(random.next_u64());
            dirs.format("cluster", &mut draw).map(|()| dirs)
        });
        match opened {
            Ok(dirs) => self.dirs = Some(dirs),
            Err(error) => assert!(self.in_trouble(), "{error}"),
        }
        self.dirs.is_some()
    }

    /// Whether the power is gone or the disk full, so that a start may fail.
    pub(crate) fn in_trouble(&self) -> bool {
        self.full || self.disk.is_down()
    }

    /// Opens all logs and holds them against the models. False when the power went again.
    pub(crate) fn load_all(&mut self, clean: bool) -> bool {
        self.epoch += 1;
        let config = Arc::clone(&self.config);
        let random = &mut self.random;
        let parts = &self.parts;
        let id_now =
            |name: &TopicPartition| parts.iter().find(|part| part.name == *name).unwrap().id;
        let id_of = |name: &TopicPartition| {
            let part = parts.iter().find(|part| part.name == *name).unwrap();
            assert_eq!(part.model.durable, 0, "{name}: topic id lost under flushed records");
            part.id
        };
        let loaded = self.dirs.as_ref().unwrap().load(LoadArgs {
            now_ms: self.now_ms,
            threads: 1,
            delete_delay_ms: 500,
            place: &|partition, found| match found {
                Some(id) if id != id_now(partition) => Placement::Stray,
                Some(_) => Placement::Keep(Arc::clone(&config)),
                // The name of `partition.metadata` was not durable, so neither was any record.
                None => Placement::Adopt(Arc::clone(&config), id_of(partition)),
            },
            accept: &std::collections::BTreeSet::new(),
            random: &mut || u128::from(random.next_u64()),
        });
        if self.disk.is_down() {
            return false;
        }
        let full = self.full;
        let loaded = match loaded {
            Ok(loaded) if loaded.failed.is_empty() => loaded,
            Ok(loaded) if full => {
                let heals = |error: &DirectoryError| error.disk_error().unwrap().heals();
                assert!(loaded.failed.iter().all(|(_, error)| heals(error)), "{:?}", loaded.failed);
                return false;
            }
            Err(DirectoryError::AllOffline { .. }) if full => return false,
            Ok(loaded) => panic!("{:?}", loaded.failed),
            Err(error) => panic!("{error}"),
        };
        // Its bytes are synced by the first flush; `id_of` holds that none came before.
        let torn = |error: &CheckpointError| error.to_string().contains("partition.metadata");
        assert!(loaded.damaged_checkpoints.iter().all(torn), "{:?}", loaded.damaged_checkpoints);
        for found in loaded.logs {
            let at = self.parts.iter().position(|part| part.name == found.partition).unwrap();
            assert_eq!(found.topic_id, Some(self.parts[at].id));
            assert_eq!(found.report.corruption, None, "a crash is no corruption");
            self.counts.torn_tails += found.report.cut.len() as u64;
            if clean {
                assert_eq!(found.report.segments_recovered, 0, "nothing to do after a clean stop");
            }
            self.parts[at].log = Some(found.log);
        }
        for at in 0..self.parts.len() {
            if self.parts[at].log.is_none() {
                self.create(at);
            }
            if self.disk.is_down() || self.parts[at].log.is_none() {
                return false;
            }
            self.check_survival(at, clean);
            self.check_everything(at);
            if self.disk.is_down() {
                return false;
            }
        }
        true
    }

    /// Makes a log that is not there yet: it was never there, or its making was not completed.
    pub(crate) fn create(&mut self, at: usize) {
        let part = &mut self.parts[at];
        assert_eq!(part.model.durable, 0, "{} was durable and is gone", part.name);
        let config = Arc::clone(&self.config);
        let dirs = self.dirs.as_ref().unwrap();
        match dirs.create_partition(&part.name, part.id, config, self.now_ms) {
            Ok((log, _)) => part.log = Some(log),
            Err(error) => {
                let broken = error.disk_error().is_some_and(|error| error.kind == Fault::EIO);
                let offline = matches!(error, DirectoryError::AllOffline { .. });
                assert!(broken || offline || self.in_trouble(), "{error}");
            }
        }
    }

    pub(crate) fn check_survival(&mut self, at: usize, clean: bool) {
        let part = &mut self.parts[at];
        let log = part.log.as_ref().unwrap();
        let (start, end) = (log.log_start_offset().0, log.end_offset().0);
        let (name, model) = (&part.name, &mut part.model);
        assert!(end >= model.durable, "{name}: flushed to {}, ends at {end}", model.durable);
        assert!(start <= end);
        assert!(
            start <= model.start || start == end,
            "{name}: starts at {start}, was {}",
            model.start
        );
        if clean {
            assert_eq!(
                (start, end),
                (model.start, model.end),
                "{name}: a clean stop loses nothing"
            );
        }
        let before = model.entries.len() + model.unsure.len();
        model.survived(start, end);
        self.counts.lost_batches += (before - model.entries.len()) as u64;
        assert!(
            start == end || model.at(end - 1).is_some_and(|at| model.entries[at].next == end),
            "{name}: cut in the middle of a batch at {end}"
        );
    }

    pub(crate) fn check_everything(&mut self, at: usize) {
        let (mut offset, end) = (self.parts[at].model.start, self.parts[at].model.end);
        while offset < end && !self.disk.is_down() {
            let max_bytes = u32::try_from(self.random.below(20_000)).unwrap();
            offset = self.read(at, offset, max_bytes);
        }
        for _ in 0..5 {
            self.read_somewhere(at);
        }
        let part = &self.parts[at];
        let epochs = part.log.as_ref().unwrap().epochs();
        let kept = part.model.readable().iter().filter(|it| it.base >= part.model.given_up);
        for entry in kept {
            let known = epochs.epoch_of(Offset(entry.base));
            let expect = Some(LeaderEpoch(entry.epoch));
            assert_eq!(known, expect, "{}: epoch at {}", part.name, entry.base);
        }
        check_index_files(&self.disk, part.log.as_ref().unwrap().dir(), &part.model);
        for id in 100..100 + i64::try_from(PRODUCERS).unwrap() {
            let batches = self.parts[at].model.batches_of(id);
            let newest: Vec<Entry> = batches.iter().rev().take(5).map(|e| (*e).clone()).collect();
            for entry in newest {
                self.expect_duplicate(at, &entry);
            }
        }
    }
}
