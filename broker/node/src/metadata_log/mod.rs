//! The metadata log on this node's disk: carries out what the quorum asks of the disk, in its
//! order, and hands out what concerns others.
//!
//! Everything blocks until it is done. When the disk refuses, the quorum stops; a full disk heals,
//! so the quorum may be loaded again from what is on disk.

mod carry_out;
mod durable_point;
mod load;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use metadata::{Delta, Image, MetadataRecord};
use quorum::{Destination, Event, Quorum, Request, Response, SnapshotId};
use storage::checkpoints::partition_metadata;
use storage::directory::LogDir;
use storage::disk::Disk;
use storage::error::{LogError, ReadError};
use storage::log::{Log, OpenArgs, RecoveryReport};
use wire::ids::{LeaderEpoch, Offset, TopicId, Uuid};

use self::durable_point::DurablePoint;
use self::load::{LoadedQuorum, load, log_config, remove_parts, snapshots};
use crate::error::Error;
use crate::late_snapshot::LateSnapshot;
use crate::not_taken::NotTaken;

/// The directory of the metadata log in its log directory.
pub(crate) const DIRECTORY: &str = "__cluster_metadata-0";
/// The quorum's own file.
pub(crate) const QUORUM_STATE: &str = "quorum-state";
/// The largest snapshot read.
const SNAPSHOT_BYTES_MAX: u64 = 2 << 30;
/// The ending of a leader's snapshot that is not whole yet.
const PART_SUFFIX: &str = ".checkpoint.part";
/// Space kept for the log on its disk: a node starts, and topics are deleted, on a full disk too.
const RESERVED_BYTES: u64 = 1 << 20;

/// The log, its directory, the quorum over it, and the state that is committed.
pub(crate) struct MetadataLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    log: Log,
    durable: DurablePoint,
    config: quorum::Config,
    pub(crate) quorum: Quorum,
    /// The state before `image_end`: committed.
    image: Image,
    image_end: Offset,
    /// What follows in the log: its fate is open.
    tail: VecDeque<Tail>,
    /// What was read of the log last (from, up to, at most so many bytes), while that is in it.
    served: Option<((Offset, Offset, u32), Bytes)>,
    pub(crate) late: LateSnapshot,
    pub(crate) not_taken: NotTaken,
}

/// A batch of the log with the records that the state is made of.
struct Tail {
    /// The offset of its last record.
    last: Offset,
    records: Vec<MetadataRecord>,
}

/// What a step of the quorum means to others than the disk.
pub(crate) enum Outcome {
    /// Ask another node.
    Send { id: u64, to: Destination, request: Request },
    /// Answer a question; the payload is in it.
    Respond { token: u64, response: Response },
    /// This node leads; its state is whole once everything before and at `start` is committed.
    Elected { epoch: LeaderEpoch, start: Offset },
    /// It leads no more.
    Deposed,
    /// A proposal has its place in the log.
    Accepted { token: u64, last: Offset },
    /// A proposal was not taken.
    Refused { token: u64, why: quorum::Refusal },
    /// The committed state has moved: to this image, by this much.
    Committed { upto: Offset, image: Image, delta: Delta },
}

impl MetadataLog {
    /// Opens or makes the log in `log_dir`. Nothing happens before [`Event::Start`].
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        log_dir: &LogDir,
        config: quorum::Config,
        now_ms: i64,
    ) -> Result<(Self, RecoveryReport), Error> {
        let dir = log_dir.path().join(DIRECTORY);
        if !disk.exists(&dir)? {
            disk.create_dir_all(&dir)?;
            disk.sync_dir(log_dir.path())?;
        }
        let identity = dir.join(partition_metadata::FILE);
        if !disk.exists(&identity)? {
            partition_metadata::write(&*disk, &identity, TopicId(Uuid::METADATA_TOPIC))?;
        }
        remove_parts(&*disk, &dir)?;
        // What a snapshot contains was durable before the snapshot was written.
        let newest = snapshots(&*disk, &dir)?.pop();
        let durable = DurablePoint::open(&disk, &dir)?;
        let mut recovery_point = newest.map_or(Offset(0), |id| id.end_offset);
        recovery_point = recovery_point.max(durable.offset());
        if log_dir.was_closed_clean()? {
            recovery_point = Offset(i64::MAX);
        }
        let alone = config.bootstrap == quorum::Bootstrap::Alone;
        // Alone, every commit is synced before the next is written: only the last can be torn. A
        // voter takes several batches at once: what lies beyond the durable point was, but for the
        // last second, not synced, and promised to nobody.
        let intact_below = if alone { Offset(i64::MAX) } else { recovery_point };
        let (mut log, report) = Log::open(OpenArgs {
            disk: Arc::clone(&disk),
            dir: dir.clone(),
            config: Arc::new(log_config()),
            recovery_point,
            intact_below,
            log_start_offset: Offset(0),
            clean: false,
            was_compacted: false,
            accept: Vec::new(),
            now_ms,
        })?;
        if let Some(corruption) = report.corruption {
            return Err(Error::MetadataCorrupt { dir, corruption });
        }
        let (end, synced) = (log.end_offset(), durable.offset());
        if end < synced {
            return Err(Error::MetadataCut { dir, end, synced });
        }
        if let Some(newest) = newest.filter(|_| !alone) {
            follow_snapshot(&*disk, &mut log, newest, now_ms)?;
        }
        let loaded = match load(&*disk, &dir, &log, config.clone()) {
            Err(Error::MetadataRead(ReadError::Corrupt(corruption))) => {
                return Err(Error::MetadataCorrupt { dir, corruption });
            }
            loaded => loaded?,
        };
        // What is appended from now on may be torn by the next crash.
        log_dir.consume_clean_marker()?;
        log.reserve(RESERVED_BYTES);
        let LoadedQuorum { quorum, image, image_end, tail } = loaded;
        let log = Self {
            disk,
            dir,
            log,
            durable,
            config,
            quorum,
            image,
            image_end,
            tail,
            served: None,
            late: LateSnapshot::default(),
            not_taken: NotTaken::default(),
        };
        Ok((log, report))
    }

    /// The committed state.
    pub(crate) fn image(&self) -> &Image {
        &self.image
    }

    /// Everything before is in the committed state.
    pub(crate) fn image_end(&self) -> Offset {
        self.image_end
    }

    /// Steps the quorum, and again with each completion, until it asks the disk for nothing more.
    /// What came out is in `out`, also after an error.
    pub(crate) fn step(
        &mut self,
        now_ms: i64,
        event: Event,
        out: &mut Vec<Outcome>,
    ) -> Result<(), Error> {
        // A snapshot that the disk had no space for is tried again when its time has come.
        let late = match event {
            Event::Tick => {
                self.durable.tick(now_ms)?;
                self.late.due(now_ms)
            }
            _ => None,
        };
        let event = match late {
            None => event,
            Some(snapshot) => match self.write_snapshot(now_ms, snapshot)? {
                None => return Ok(()),
                Some(written) => written,
            },
        };
        let mut result = Ok(());
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for effect in self.quorum.step(now_ms, event) {
                if result.is_err() {
                    // The quorum is about to hear of the failure; what it asked for is void.
                    break;
                }
                match self.carry_out(now_ms, effect, out) {
                    Ok(completion) => events.extend(completion),
                    Err(error) => {
                        result = Err(error);
                        events.clear();
                        events.push_back(Event::DiskFailed);
                    }
                }
            }
        }
        result
    }

    /// Loads the quorum again from the disk after a failure that heals; [`Event::Start`] follows.
    /// What was committed stays so; what was under way is in the log or is not.
    pub(crate) fn heal(&mut self) -> Result<(), Error> {
        if self.log.is_poisoned() {
            return Err(Error::ControllerStopped);
        }
        let loaded = load(&*self.disk, &self.dir, &self.log, self.config.clone())?;
        self.quorum = loaded.quorum;
        self.late = LateSnapshot::default();
        self.served = None;
        if loaded.image_end > self.image_end {
            // The failure came after a snapshot had been made durable and before it was told.
            (self.image, self.image_end) = (loaded.image, loaded.image_end);
        }
        self.tail = loaded.tail;
        let known = self.image_end;
        self.tail.retain(|batch| batch.last >= known);
        Ok(())
    }

    /// The cluster's id is known from now on.
    pub(crate) fn learn_cluster(&mut self, cluster_id: &str) {
        self.config.cluster_id = Some(cluster_id.to_owned());
        self.quorum.learn_cluster(cluster_id);
    }

    /// Clean stop. A full disk is none to this log: every record was synced when it was committed,
    /// and a start reads all of them and makes their indexes anew.
    pub(crate) fn close(&mut self) -> Result<bool, Error> {
        match self.log.close() {
            Err(LogError::Disk(error)) if error.heals() => {
                return Ok(self.log.flush().is_ok());
            }
            closed => self.durable.reached(closed?)?,
        }
        self.durable.sync()?;
        Ok(true)
    }

    /// Takes what is committed now out of the tail and into the state.
    fn commit(&mut self, upto: Offset, out: &mut Vec<Outcome>) -> Result<(), Error> {
        if upto <= self.image_end {
            return Ok(());
        }
        let mut records = Vec::new();
        while let Some(batch) = self.tail.pop_front_if(|batch| batch.last < upto) {
            records.extend(batch.records);
        }
        let (image, delta) = self.image.apply(&records)?;
        self.image = image.clone();
        self.image_end = upto;
        out.push(Outcome::Committed { upto, image, delta });
        Ok(())
    }
}

/// Ends what a crash came into the middle of: a leader's snapshot replaces a log that ends sooner.
fn follow_snapshot(
    disk: &dyn Disk,
    log: &mut Log,
    newest: SnapshotId,
    now_ms: i64,
) -> Result<(), Error> {
    if log.end_offset() < newest.end_offset
        && let Some(deletion) = log.restart_at(now_ms, newest.end_offset)?
    {
        deletion.run(disk)?;
    }
    Ok(())
}
