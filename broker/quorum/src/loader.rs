//! From the files on disk to a quorum that can start.

use bytes::Bytes;
use wire::ids::{BrokerId, LeaderEpoch, Offset, Uuid};
use wire::records::Batch;

use crate::batches::{LogEntry, entries};
use crate::epochs::Epochs;
use crate::log_view::LogView;
use crate::quorum::{EPOCHS_AHEAD_MAX, Restored};
use crate::voter_history::VoterHistory;
use crate::{Bootstrap, Config, ElectionState, Error, Quorum, Snapshot, SnapshotId, Voter, Voters};

/// The header of a snapshot, with the voters, ends before.
pub const SNAPSHOT_HEAD_BYTES: u64 = 64 << 10;

/// Reads what the node finds in the metadata directory, in this order: `quorum-state`, the
/// snapshots, the log's batches from its start. The records that it hands back make the state:
/// those of the snapshot, which the node has made sure is durable, are committed; those of the log
/// are once `Committed` has passed them, which in a quorum of several may never be.
#[derive(Debug)]
pub struct Loader {
    config: Config,
    state: ElectionState,
    /// Whole snapshots on disk, the oldest first.
    snapshots: Vec<SnapshotFile>,
    epochs: Epochs,
    voters: VoterHistory,
    /// The voters' ids as the last leader named them: those of a static quorum (`kraft.version` 0,
    /// `controller.quorum.voters`) stand nowhere else.
    static_voters: Vec<BrokerId>,
    /// Where the next batch must begin; unknown before the first.
    next: Option<Offset>,
    last_epoch: LeaderEpoch,
    last_ms: i64,
    /// Bytes of log after the newest snapshot.
    bytes_since_snapshot: u64,
}

/// A whole snapshot on disk, with what retention asks about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SnapshotFile {
    pub(crate) id: SnapshotId,
    pub(crate) bytes: u64,
    pub(crate) last_contained_ms: i64,
    /// Bytes of log between the snapshot before this one and this one.
    pub(crate) log_bytes: u64,
}

impl Loader {
    /// For this node.
    pub fn new(config: Config) -> Self {
        let voters = match &config.bootstrap {
            Bootstrap::Static(voters) => voters.clone(),
            _ => Voters::default(),
        };
        Self {
            epochs: Epochs::default(),
            voters: VoterHistory::new(0, voters),
            config,
            state: ElectionState::default(),
            snapshots: Vec::new(),
            static_voters: Vec::new(),
            next: None,
            last_epoch: LeaderEpoch(0),
            last_ms: 0,
            bytes_since_snapshot: 0,
        }
    }

    /// The content of `quorum-state`, if there is one.
    ///
    /// # Errors
    /// It is not what a quorum writes.
    pub fn quorum_state(&mut self, content: &[u8]) -> Result<(), Error> {
        self.state = ElectionState::parse(content)?;
        Ok(())
    }

    /// A snapshot older than the newest: it is only kept in mind, for retention. `head` is the
    /// beginning of its file, [`SNAPSHOT_HEAD_BYTES`] of it; one that is not sound is the first to
    /// go.
    pub fn older_snapshot(&mut self, id: SnapshotId, bytes: u64, head: Bytes) {
        let last_contained_ms = Snapshot::last_contained_ms(head).unwrap_or_default();
        self.snapshots.push(SnapshotFile { id, bytes, last_contained_ms, log_bytes: 0 });
        self.snapshots.sort_by_key(|snapshot| snapshot.id);
    }

    /// The newest snapshot. Gives its records, with which the state begins.
    ///
    /// # Errors
    /// The file is damaged or says something that this version does not follow.
    pub fn newest_snapshot(&mut self, id: SnapshotId, file: Bytes) -> Result<Vec<Bytes>, Error> {
        let bytes = u64::try_from(file.len()).unwrap_or(u64::MAX);
        let snapshot = Snapshot::parse(id, file)?;
        let last_contained_ms = snapshot.last_contained_ms;
        self.snapshots.push(SnapshotFile { id, bytes, last_contained_ms, log_bytes: 0 });
        self.snapshots.sort_by_key(|snapshot| snapshot.id);
        self.last_epoch = self.last_epoch.max(id.epoch);
        self.last_ms = last_contained_ms;
        if let Some(voters) = snapshot.voters {
            self.voters = VoterHistory::new(snapshot.kraft_version, voters);
        }
        Ok(snapshot.records)
    }

    /// The next batch of the log. Gives its records that the newest snapshot does not contain.
    ///
    /// # Errors
    /// The batch is damaged, does not continue the log, or says something that this version does
    /// not follow.
    pub fn batch(&mut self, batch: &Batch) -> Result<Vec<(Offset, Bytes)>, Error> {
        let header = batch.header();
        let found = Offset(header.base_offset);
        if let Some(expected) = self.next.filter(|next| *next != found) {
            return Err(Error::Gap { expected, found });
        }
        self.next = Some(Offset(header.next_offset()));
        let epoch = LeaderEpoch(header.partition_leader_epoch);
        let contained = self.newest_end();
        if epoch < self.last_epoch && found >= contained {
            return Err(Error::EpochBackwards { offset: found, epoch });
        }
        self.last_epoch = self.last_epoch.max(epoch);
        self.epochs.note(epoch, found);
        let bytes = u64::try_from(header.size_in_bytes()).unwrap_or(u64::MAX);
        let last = Offset(header.last_offset());
        match self.snapshots.iter_mut().find(|snapshot| snapshot.id.end_offset > last) {
            Some(snapshot) => snapshot.log_bytes = snapshot.log_bytes.saturating_add(bytes),
            None => self.bytes_since_snapshot = self.bytes_since_snapshot.saturating_add(bytes),
        }
        let mut records = Vec::new();
        if last < contained {
            // The snapshot says everything but the static voters.
            if header.attributes.is_control() {
                entries(batch)?.into_iter().for_each(|entry| self.note_static_voters(entry));
            }
            return Ok(records);
        }
        self.last_ms = header.max_timestamp;
        for entry in entries(batch)? {
            match entry {
                LogEntry::Data { offset, value } if offset >= contained => {
                    records.push((offset, value));
                }
                LogEntry::Voters { offset, voters } => self.voters.set_voters(offset, voters),
                LogEntry::KRaftVersion { offset, version } => {
                    self.voters.set_kraft_version(offset, version);
                }
                other => self.note_static_voters(other),
            }
        }
        Ok(records)
    }

    /// The quorum, ready to start. `log_start` and `log_end` are those of the log itself.
    ///
    /// # Errors
    /// The files contradict each other, or are another node's.
    pub fn finish(mut self, log_start: Offset, log_end: Offset) -> Result<Quorum, Error> {
        if let Some(found) = self.next.filter(|next| *next != log_end) {
            return Err(Error::Gap { expected: log_end, found });
        }
        let snapshot = self.newest_end();
        if log_start > snapshot {
            return Err(Error::MissingSnapshot(log_start));
        }
        if log_end < snapshot {
            return Err(Error::LogBehindSnapshot { end: log_end, snapshot });
        }
        let fresh = self.snapshots.is_empty() && log_end == Offset(0);
        if fresh {
            self.voters = match &self.config.bootstrap {
                Bootstrap::Alone => VoterHistory::new(1, Voters::new(vec![self.config.voter()])),
                Bootstrap::Voters(voters) => VoterHistory::new(1, voters.clone()),
                Bootstrap::Static(_) | Bootstrap::Join => self.voters,
            };
        }
        let formed_here = matches!(self.config.bootstrap, Bootstrap::Alone | Bootstrap::Voters(_));
        if formed_here && self.voters.latest().is_empty() {
            self.voters = VoterHistory::new(0, self.static_voters());
        }
        if self.config.bootstrap == Bootstrap::Alone {
            self.require_alone()?;
        }
        let mut log = LogView::new(log_start, log_end, snapshot, self.epochs, self.voters);
        // A crash may have come between the removal of a snapshot and of the log before the next.
        let mut bases = self.snapshots.iter().filter(|file| file.id.end_offset >= log_start);
        if let Some(base) = bases.next().filter(|_| log_start > Offset(0)) {
            log.trim(base.id);
        }
        let mut election = self.state;
        if election.epoch.0.saturating_sub(log.last_epoch().0) > EPOCHS_AHEAD_MAX {
            return Err(Error::StateEpoch { state: election.epoch, log: log.last_epoch() });
        }
        if election.epoch < log.last_epoch() {
            election = ElectionState { epoch: log.last_epoch(), ..ElectionState::default() };
        }
        let restored = Restored {
            forms: fresh && formed_here,
            election,
            log,
            last_ms: self.last_ms,
            snapshots: self.snapshots,
            bytes_since_snapshot: self.bytes_since_snapshot,
        };
        Ok(Quorum::new(self.config, restored))
    }

    /// A node that is to be a quorum of its own refuses a disk that tells of another.
    fn require_alone(&self) -> Result<(), Error> {
        let voters = self.voters.latest();
        if !voters.contains(self.config.node, self.config.directory) {
            return Err(Error::NotAVoter {
                node: self.config.node,
                directory: self.config.directory,
                voters: voters.describe(),
            });
        }
        if voters.len() > 1 {
            return Err(Error::SeveralVoters(voters.len()));
        }
        Ok(())
    }

    fn note_static_voters(&mut self, entry: LogEntry) {
        if let LogEntry::LeaderChange { voters, .. } = entry {
            self.static_voters = voters;
        }
    }

    /// The voters of a quorum that Kafka formed with `controller.quorum.voters`. They have no
    /// directories: this node's own id stands for its disk.
    fn static_voters(&self) -> Voters {
        let named = match self.static_voters.is_empty() {
            true => &self.state.static_voters,
            false => &self.static_voters,
        };
        let voter = |id: &BrokerId| match *id == self.config.node {
            true => self.config.voter(),
            false => Voter { id: *id, directory: Uuid::ZERO, endpoints: Vec::new() },
        };
        Voters::new(named.iter().map(voter).collect())
    }

    fn newest_end(&self) -> Offset {
        self.snapshots.last().map_or(Offset(0), |snapshot| snapshot.id.end_offset)
    }
}
