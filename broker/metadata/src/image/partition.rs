//! One partition as the metadata log describes it.

use wire::ids::{BrokerId, LeaderEpoch, Uuid};
use wire::messages::partition_change_record::PartitionChangeRecord;
use wire::messages::partition_record::PartitionRecord;

/// The leader of a partition that has none.
pub const NO_LEADER: BrokerId = BrokerId(-1);
/// What a change record says when the leader stays.
pub const LEADER_UNCHANGED: i32 = -2;
/// What a change record says when the recovery state stays.
const RECOVERY_UNCHANGED: i8 = -1;

/// One partition's assignment and state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The brokers that hold it, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The log directory of each replica, in the order of `replicas`; zero when unassigned.
    pub directories: Vec<Uuid>,
    /// The replicas that have everything committed.
    pub isr: Vec<BrokerId>,
    /// Replicas on their way out.
    pub removing_replicas: Vec<BrokerId>,
    /// Replicas on their way in.
    pub adding_replicas: Vec<BrokerId>,
    /// Replicas outside the ISR that may still lead without loss.
    pub eligible_leader_replicas: Vec<BrokerId>,
    /// Who led last when nobody is left.
    pub last_known_leader: Vec<BrokerId>,
    /// The leader, or [`NO_LEADER`].
    pub leader: BrokerId,
    /// Whether the leader was elected uncleanly and has yet to recover.
    pub leader_recovering: bool,
    /// Counts leaders.
    pub leader_epoch: LeaderEpoch,
    /// Counts changes.
    pub partition_epoch: i32,
}

/// The protocol's list of broker ids as ours.
fn brokers(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

/// Our list of broker ids as the protocol's.
fn raw(ids: &[BrokerId]) -> Vec<i32> {
    ids.iter().map(|id| id.0).collect()
}

impl Partition {
    /// Whether a leader is known.
    pub fn has_leader(&self) -> bool {
        self.leader != NO_LEADER
    }

    /// The log directory that the assignment gives to `broker`; `None` for a stranger.
    pub fn directory_of(&self, broker: BrokerId) -> Option<Uuid> {
        let at = self.replicas.iter().position(|id| *id == broker)?;
        Some(self.directories.get(at).copied().unwrap_or(Uuid::ZERO))
    }

    pub(crate) fn from_record(record: &PartitionRecord) -> Self {
        let mut directories = record.directories.clone();
        // Older records have no directories: one per replica all the same.
        directories.resize(record.replicas.len(), Uuid::ZERO);
        Self {
            replicas: brokers(&record.replicas),
            directories,
            isr: brokers(&record.isr),
            removing_replicas: brokers(&record.removing_replicas),
            adding_replicas: brokers(&record.adding_replicas),
            eligible_leader_replicas: optional(&record.eligible_leader_replicas),
            last_known_leader: optional(&record.last_known_elr),
            leader: BrokerId(record.leader),
            leader_recovering: record.leader_recovery_state != 0,
            leader_epoch: LeaderEpoch(record.leader_epoch),
            partition_epoch: record.partition_epoch,
        }
    }

    pub(crate) fn to_record(&self, topic_id: Uuid, index: i32) -> PartitionRecord {
        PartitionRecord {
            partition_id: index,
            topic_id,
            replicas: raw(&self.replicas),
            isr: raw(&self.isr),
            removing_replicas: raw(&self.removing_replicas),
            adding_replicas: raw(&self.adding_replicas),
            leader: self.leader.0,
            leader_recovery_state: i8::from(self.leader_recovering),
            leader_epoch: self.leader_epoch.0,
            partition_epoch: self.partition_epoch,
            directories: self.directories.clone(),
            eligible_leader_replicas: unless_empty(&self.eligible_leader_replicas),
            last_known_elr: unless_empty(&self.last_known_leader),
        }
    }

    /// Applies a change; the epochs count it.
    pub(crate) fn change(&mut self, record: &PartitionChangeRecord) {
        if let Some(replicas) = &record.replicas {
            // A replica that stays keeps its directory unless the record says otherwise.
            let kept = |id: &i32| self.directory_of(BrokerId(*id)).unwrap_or(Uuid::ZERO);
            self.directories = replicas.iter().map(kept).collect();
            self.replicas = brokers(replicas);
        }
        if let Some(directories) = &record.directories {
            self.directories.clone_from(directories);
            self.directories.resize(self.replicas.len(), Uuid::ZERO);
        }
        set(&mut self.isr, &record.isr);
        set(&mut self.removing_replicas, &record.removing_replicas);
        set(&mut self.adding_replicas, &record.adding_replicas);
        set(&mut self.eligible_leader_replicas, &record.eligible_leader_replicas);
        set(&mut self.last_known_leader, &record.last_known_elr);
        if record.leader != LEADER_UNCHANGED {
            self.leader = BrokerId(record.leader);
            self.leader_epoch = LeaderEpoch(self.leader_epoch.0.saturating_add(1));
        }
        if record.leader_recovery_state != RECOVERY_UNCHANGED {
            self.leader_recovering = record.leader_recovery_state != 0;
        }
        self.partition_epoch = self.partition_epoch.saturating_add(1);
    }
}

fn optional(ids: &Option<Vec<i32>>) -> Vec<BrokerId> {
    ids.as_deref().map(brokers).unwrap_or_default()
}

fn unless_empty(ids: &[BrokerId]) -> Option<Vec<i32>> {
    (!ids.is_empty()).then(|| raw(ids))
}

fn set(into: &mut Vec<BrokerId>, ids: &Option<Vec<i32>>) {
    if let Some(ids) = ids {
        *into = brokers(ids);
    }
}
