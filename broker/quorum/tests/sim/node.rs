//! One node: its disk, its clock, its quorum while it runs, and the state that the log tells.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorum::{Bootstrap, Config, Endpoint, Loader, LogEntry, Quorum, Request, entries};
use wire::ids::{BrokerId, Offset, Uuid};

use crate::disk::Disk;

/// The state: the last number of each key.
pub(crate) type State = BTreeMap<u8, u64>;

/// A record: a key and a number.
pub(crate) fn record(key: u8, number: u64) -> Bytes {
    let mut bytes = vec![key];
    bytes.extend_from_slice(&number.to_be_bytes());
    Bytes::from(bytes)
}

pub(crate) fn apply(state: &mut State, record: &Bytes) {
    let number = u64::from_be_bytes(record[1..9].try_into().unwrap());
    state.insert(record[0], number);
}

/// Who asked, and what.
pub(crate) struct Caller {
    pub(crate) node: usize,
    pub(crate) life: u32,
    pub(crate) id: u64,
    pub(crate) request: Request,
}

pub(crate) struct Node {
    pub(crate) id: BrokerId,
    pub(crate) bootstrap: Bootstrap,
    pub(crate) auto_join: bool,
    pub(crate) disk: Disk,
    /// `None` while it is down.
    pub(crate) quorum: Option<Quorum>,
    /// Counts its starts: what was on the way to an earlier life does not reach this one.
    pub(crate) life: u32,
    pub(crate) clock_offset: i64,
    pub(crate) state: State,
    pub(crate) applied: Offset,
    pub(crate) callers: BTreeMap<u64, Caller>,
}

impl Node {
    pub(crate) fn new(id: i32, bootstrap: Bootstrap, auto_join: bool, directory: Uuid) -> Self {
        Self {
            id: BrokerId(id),
            bootstrap,
            auto_join,
            disk: Disk::new(directory),
            quorum: None,
            life: 0,
            clock_offset: 0,
            state: State::new(),
            applied: Offset(0),
            callers: BTreeMap::new(),
        }
    }

    fn config(&self, seed: u64) -> Config {
        Config {
            endpoints: vec![endpoint(self.id)],
            cluster_id: Some("cluster".to_owned()),
            bootstrap: self.bootstrap.clone(),
            auto_join: self.auto_join,
            seed,
            fetch_timeout_ms: crate::FETCH_TIMEOUT_MS,
            election_timeout_ms: crate::ELECTION_TIMEOUT_MS,
            request_timeout_ms: 150,
            retry_backoff_ms: 10,
            fetch_wait_ms: 60,
            fetch_bytes: 400,
            snapshot_bytes: 1_500,
            retention_bytes: 4_000,
            ..Config::new(self.id, self.disk.directory)
        }
    }

    /// Starts from what the disk holds.
    pub(crate) fn open(&mut self, seed: u64) {
        let mut loader = Loader::new(self.config(seed));
        let files = &self.disk.now;
        if let Some(state) = &files.state {
            loader.quorum_state(state).unwrap();
        }
        self.state = State::new();
        self.applied = Offset(0);
        let mut snapshots: Vec<_> = files.snapshots.iter().collect();
        if let Some((id, file)) = snapshots.pop() {
            for (id, file) in snapshots {
                loader.older_snapshot(*id, file.len() as u64, file.clone());
            }
            let records = loader.newest_snapshot(*id, file.clone()).unwrap();
            records.iter().for_each(|record| apply(&mut self.state, record));
            self.applied = id.end_offset;
        }
        for batch in &files.log {
            loader.batch(batch).unwrap();
        }
        let quorum = loader.finish(files.log_start, files.end()).unwrap();
        self.quorum = Some(quorum);
        self.life += 1;
        self.callers.clear();
    }

    /// The records of the log in `applied..upto`, applied; each offset with what is there.
    pub(crate) fn apply_upto(&mut self, upto: Offset) -> Vec<(Offset, i32, Bytes)> {
        let mut seen = Vec::new();
        for batch in &self.disk.now.log {
            let header = batch.header();
            if header.last_offset() < self.applied.0 || header.base_offset >= upto.0 {
                continue;
            }
            assert!(header.base_offset >= self.applied.0, "committed up to within a batch");
            for (at, entry) in (header.base_offset..).zip(entries(batch).unwrap()) {
                let what = match entry {
                    LogEntry::Data { value, .. } => {
                        apply(&mut self.state, &value);
                        value
                    }
                    other => Bytes::from(format!("{other:?}")),
                };
                seen.push((Offset(at), header.partition_leader_epoch, what));
            }
        }
        self.applied = upto;
        seen
    }
}

pub(crate) fn endpoint(id: BrokerId) -> Endpoint {
    Endpoint { listener: "CONTROLLER".to_owned(), host: format!("node-{id}"), port: 9093 }
}
