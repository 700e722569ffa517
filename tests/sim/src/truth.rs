//! What is true of the cluster's metadata, learned from the logs that its nodes write: every batch
//! ever seen on a disk, what of it is committed, and the state that this makes, replayed here apart
//! from all nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use metadata::{Image, MetadataRecord};
use quorum::{LogEntry, Snapshot, SnapshotId, Voter, Voters, entries};
use storage::disk::sim::SimDisk;
use wire::ids::{BrokerId, Offset, Uuid};
use wire::metadata_frame;
use wire::records::Batch;

use crate::logs::{Added, Head, LogView, keeps};

/// A batch by its epoch and first offset.
type Place = (i32, i64);

/// A disk that can hold a vote.
pub(crate) struct Holder {
    pub(crate) id: BrokerId,
    pub(crate) directory: Uuid,
    pub(crate) disk: SimDisk,
}

/// Who may have committed what a node takes for committed.
pub(crate) enum Committer {
    /// The node itself, which leads this epoch.
    Leader(i32),
    /// The node itself, before its power failed.
    FormerLife,
    Nobody,
}

#[derive(Default)]
pub(crate) struct Truth {
    /// Each batch ever on a disk, by epoch and offset: its bytes' sum, and the batch before it.
    batches: BTreeMap<Place, (u32, Option<Place>)>,
    /// Everything before is committed.
    pub(crate) end: i64,
    /// The last committed batch's epoch.
    last_epoch: i32,
    /// How much was committed by the end of each epoch.
    commits: BTreeMap<i32, (i64, i32)>,
    /// The state at each offset at which a batch ends.
    images: BTreeMap<i64, Arc<Image>>,
    /// The voters from each offset on.
    voters: BTreeMap<i64, Voters>,
    /// The topics that there ever were, and the epochs that brokers ever had.
    pub(crate) topics: BTreeSet<Uuid>,
    broker_epochs: BTreeMap<i64, BrokerId>,
    /// The disks that are no more: what they acknowledged counts.
    pub(crate) lost: Vec<Holder>,
    pub(crate) voter_changes: u64,
    pub(crate) snapshots: u64,
}

impl Truth {
    /// The committed state.
    pub(crate) fn image(&self) -> Arc<Image> {
        self.images.get(&self.end).cloned().unwrap_or_default()
    }

    /// The committed voters, if the log names them.
    pub(crate) fn voters(&self) -> Option<&Voters> {
        self.voters.values().next_back()
    }

    /// The epochs that brokers have had, in their order.
    pub(crate) fn broker_epochs(&self) -> impl Iterator<Item = (i64, BrokerId)> {
        self.broker_epochs.iter().map(|(epoch, broker)| (*epoch, *broker))
    }

    /// Where what is committed ends, and the epoch of its last record.
    pub(crate) fn last(&self) -> (i64, i32) {
        (self.end, self.last_epoch)
    }

    /// Log matching: one batch per epoch and offset, and those that agree on a batch agree on the
    /// one before it. A leader's high watermark is given too.
    pub(crate) fn seen(
        &mut self,
        at: usize,
        view: &LogView,
        disk: &SimDisk,
        leading: Option<Offset>,
        batches: Vec<Added>,
    ) {
        for (before, head, bytes) in batches {
            let key = (head.epoch, head.base);
            let previous = before.map(|before| (before.epoch, before.base));
            let new = !self.batches.contains_key(&key);
            let known = self.batches.entry(key).or_insert((head.crc, previous));
            assert_eq!(known.0, head.crc, "two batches of epoch and offset {key:?}");
            if let (Some(known), Some(before)) = (known.1, previous) {
                assert_eq!(known, before, "logs that meet at {key:?} differ before it");
            }
            known.1 = known.1.or(previous);
            if let Some(before) = before {
                let follows = before.last + 1 == head.base && before.epoch <= head.epoch;
                assert!(follows, "node {at} has {head:?} after {before:?}");
            }
            if let (true, Some(high_watermark)) = (new, leading) {
                self.one_change_at_a_time(at, (view, disk), high_watermark, &head, &bytes);
            }
        }
    }

    /// A leader changes one voter, and not before the change before that is committed.
    fn one_change_at_a_time(
        &mut self,
        at: usize,
        (view, disk): (&LogView, &SimDisk),
        high_watermark: Offset,
        head: &Head,
        bytes: &Bytes,
    ) {
        let Some((_, after)) = voters_of(bytes) else { return };
        self.voter_changes += 1;
        // Of a leader that was cut off: others have committed more, which it has not.
        let from = self.end.min(high_watermark.0);
        let open = view.batches_from(disk, from, head.base);
        let open = open.iter().rev().find_map(voters_of);
        // The same step may have committed one change and made the next, which waited for that.
        let settled = open.as_ref().is_none_or(|(offset, _)| *offset < high_watermark);
        assert!(settled, "voters change again before {open:?} is committed");
        let before = open.map(|(_, voters)| voters);
        let committed = self.voters.range(..from).next_back().map(|(_, voters)| voters);
        let Some(before) = before.as_ref().or(committed) else { return };
        let differ = |a: &Voters, b: &Voters| {
            let same = |voter: &&Voter| !b.iter().any(|other| other == *voter);
            a.iter().filter(same).map(|voter| voter.id).collect::<BTreeSet<_>>()
        };
        let mut changed = differ(before, &after);
        changed.extend(differ(&after, before));
        let disks = |voters: &Voters, other: &Voters| {
            voters.iter().filter(|v| !other.contains(v.id, v.directory)).count()
        };
        let one = changed.len() <= 1 && disks(before, &after) + disks(&after, before) <= 1;
        assert!(one, "node {at}: from {} to {} at once", before.describe(), after.describe());
    }

    /// A snapshot is what replaying the log up to its end makes.
    pub(crate) fn is_replay(&mut self, at: usize, id: SnapshotId, file: Bytes) {
        let end = id.end_offset.0;
        // With the first one a cluster begins.
        if end == 0 {
            return;
        }
        let snapshot = Snapshot::parse(id, file).unwrap();
        assert!(end <= self.end, "node {at}: snapshot {id} of what is not committed");
        let records = snapshot.records.into_iter().map(metadata_frame::decode);
        let records: Vec<MetadataRecord> = records.collect::<Result<_, _>>().unwrap();
        let image = Image::default().apply(&records).unwrap().0;
        let truth = self.images.get(&end);
        assert!(
            truth.is_some_and(|truth| **truth == image),
            "node {at}: snapshot {id} is no replay"
        );
        let voters = self.voters.range(..end).next_back().map(|(_, voters)| voters);
        // The only voter stands in the snapshot with which it began, and in no record.
        let only =
            |voters: &Voters| voters.len() == 1 && voters.by_id(BrokerId(at as i32)).is_some();
        let alone = voters.is_none() && snapshot.voters.as_ref().is_some_and(only);
        let same = alone || snapshot.voters.as_ref() == voters;
        assert!(
            same,
            "node {at}: {:?} are the voters of snapshot {id}, not {voters:?}",
            snapshot.voters
        );
        self.snapshots += 1;
    }

    /// Whoever leads an epoch has all that was committed in earlier ones.
    pub(crate) fn elected(&self, at: usize, view: &LogView, epoch: i32) {
        // Votes of an epoch may come in when a later one has its leader, and records: whoever wins
        // by them can commit nothing and need not have those.
        let Some((_, (end, last))) = self.commits.range(..epoch).next_back() else { return };
        let has = view.has(end - 1, *last) || view.snapshots_from(*end);
        assert!(has, "node {at} leads epoch {epoch} without the committed record {}", end - 1);
    }

    /// What a node takes for committed is: by the leader of the epoch, in its own epoch, on a
    /// majority's disks, once and for all.
    pub(crate) fn committed(
        &mut self,
        at: usize,
        (view, disk): (&LogView, &SimDisk),
        (upto, by): (i64, Committer),
        voters: [&[Voter]; 2],
        holders: &[Holder],
    ) {
        if upto <= self.end {
            return;
        }
        assert!(!matches!(by, Committer::Nobody), "node {at} commits {upto}, which no leader did");
        for bytes in view.batches_from(disk, self.end, upto) {
            self.replay(&bytes);
        }
        assert_eq!(self.end, upto, "node {at} commits what it has not");
        if let Committer::Leader(epoch) = by {
            assert_eq!(self.last_epoch, epoch, "node {at}: an older epoch's record is the last");
        }
        self.commits.insert(self.last_epoch, (self.end, self.last_epoch));
        let holds = |voter: &&Voter| {
            let own = |holder: &&Holder| {
                let disk = voter.directory.is_zero() || holder.directory == voter.directory;
                holder.id == voter.id && disk
            };
            let mut disks = holders.iter().chain(&self.lost).filter(own);
            disks.any(|holder| keeps(&holder.disk, self.end - 1, self.last_epoch))
        };
        let majority = |voters: &&[Voter]| {
            let count = voters.iter().filter(holds).count();
            count > voters.len() / 2
        };
        assert!(
            voters.iter().any(majority),
            "node {at}: {upto} is not on a majority of {voters:?}"
        );
    }

    fn replay(&mut self, bytes: &Bytes) {
        let batch = Batch::parse(bytes).unwrap();
        let header = batch.header();
        assert_eq!(header.base_offset, self.end, "committed offsets follow each other");
        let mut records = Vec::new();
        for entry in entries(&batch).unwrap() {
            match entry {
                LogEntry::Data { offset, value } => {
                    let record = metadata_frame::decode(value).unwrap();
                    self.follows(offset, &record);
                    records.push(record);
                }
                LogEntry::Voters { offset, voters } => drop(self.voters.insert(offset.0, voters)),
                _ => {}
            }
        }
        let image = self.image().apply(&records).unwrap().0;
        self.end = header.next_offset();
        self.last_epoch = header.partition_leader_epoch;
        self.images.insert(self.end, Arc::new(image));
    }

    /// What is given once is not given again.
    fn follows(&mut self, offset: Offset, record: &MetadataRecord) {
        match record {
            MetadataRecord::RegisterBroker(register) => {
                let epoch = register.broker_epoch;
                let last = self.broker_epochs.last_key_value().map(|(epoch, _)| *epoch);
                assert!(last < Some(epoch), "epoch {epoch} of a broker comes again at {offset}");
                self.broker_epochs.insert(epoch, BrokerId(register.broker_id));
            }
            MetadataRecord::ProducerIds(block) => {
                let next = self.image().producer_ids.next;
                assert!(block.next_producer_id > next, "producer ids come again at {offset}");
            }
            MetadataRecord::Topic(topic) => {
                let new = self.topics.insert(topic.topic_id);
                assert!(new, "topic {} comes again at {offset}", topic.name);
            }
            _ => {}
        }
    }

    /// What a broker shows is a prefix of the truth.
    pub(crate) fn shows(&self, at: usize, upto: i64, image: &Image) {
        assert!(upto <= self.end, "node {at} shows {upto}, committed is {}", self.end);
        let truth = self.images.get(&upto);
        let same = truth.is_some_and(|truth| **truth == *image);
        assert!(same, "node {at} shows another cluster at offset {upto}");
    }
}

fn voters_of(bytes: &Bytes) -> Option<(Offset, Voters)> {
    let batch = Batch::parse(bytes).unwrap();
    if !batch.header().attributes.is_control() {
        return None;
    }
    entries(&batch).unwrap().into_iter().find_map(|entry| match entry {
        LogEntry::Voters { offset, voters } => Some((offset, voters)),
        _ => None,
    })
}
