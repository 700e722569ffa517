//! Who leads, and who is in sync, when a broker goes or comes.
//!
//! A partition's last replica in sync stays in its in-sync set when its broker goes: it alone may
//! lead again. So a partition of one replica loses its leader, and gets it back with its broker.

use std::collections::BTreeMap;
use std::sync::Arc;

use wire::ids::{BrokerId, PartitionIndex, TopicId};
use wire::messages::metadata_records::MetadataRecord;
use wire::messages::partition_change_record::PartitionChangeRecord;

use crate::image::{Image, LEADER_UNCHANGED, NO_LEADER, Partition, Topic};

/// A change record that changes nothing yet.
pub(super) fn unchanged() -> PartitionChangeRecord {
    PartitionChangeRecord {
        leader: LEADER_UNCHANGED,
        leader_recovery_state: -1,
        ..Default::default()
    }
}

/// Finishes a change record.
pub(super) fn change(
    topic: &Topic,
    index: PartitionIndex,
    change: PartitionChangeRecord,
) -> MetadataRecord {
    let TopicId(topic_id) = topic.id;
    let partition_id = index.0;
    MetadataRecord::PartitionChange(PartitionChangeRecord { partition_id, topic_id, ..change })
}

/// Takes leadership, and the place in the in-sync set, from `gone` wherever `concerned` says so.
pub(super) fn step_down(
    image: &Image,
    gone: &[BrokerId],
    concerned: impl Fn(&Partition) -> bool,
) -> Vec<MetadataRecord> {
    // A partition may have replicas on several of them.
    let mut theirs = BTreeMap::new();
    for broker in gone {
        let all = image.topics.of_broker(*broker).filter(|(_, _, p)| concerned(p));
        theirs.extend(all.map(|(topic, index, p)| ((topic.id, index), (topic, p))));
    }
    let change_of = |((_, index), (topic, partition)): ((_, _), (&Arc<Topic>, &Arc<Partition>))| {
        without(image, partition, gone).map(|made| change(topic, index, made))
    };
    theirs.into_iter().filter_map(change_of).collect()
}

/// What changes in a partition when the brokers go; `None` when nothing does.
fn without(
    image: &Image,
    partition: &Partition,
    gone: &[BrokerId],
) -> Option<PartitionChangeRecord> {
    let mut in_sync = partition.isr.clone();
    for broker in gone {
        if in_sync.len() > 1 {
            in_sync.retain(|id| id != broker);
        }
    }
    let mut made = unchanged();
    if gone.contains(&partition.leader) {
        let may_lead = |id: &&BrokerId| {
            let active = image.brokers.get(**id).is_some_and(|broker| broker.is_active());
            active && in_sync.contains(id) && !gone.contains(id)
        };
        made.leader = partition.replicas.iter().find(may_lead).unwrap_or(&NO_LEADER).0;
    }
    if in_sync != partition.isr {
        made.isr = Some(in_sync.iter().map(|id| id.0).collect());
    }
    (made != unchanged()).then_some(made)
}

/// Whether the broker leads any partition.
pub(super) fn leads_any(image: &Image, id: BrokerId) -> bool {
    image.topics.of_broker(id).any(|(_, _, partition)| partition.leader == id)
}

/// Gives `id` what it may lead: what it leads already, in a new epoch, and what nobody leads.
///
/// What an unclean stop cut from the log's end must not come back under an epoch that clients have
/// seen. `able` tells the partitions whose log the broker has in service.
pub(super) fn take_lead(
    image: &Image,
    id: BrokerId,
    able: impl Fn(&Partition) -> bool,
) -> Vec<MetadataRecord> {
    let mut records = Vec::new();
    for (topic, index, partition) in image.topics.of_broker(id).filter(|(_, _, p)| able(p)) {
        let Some(made) = leading(partition, id) else { continue };
        let made = PartitionChangeRecord { leader: id.0, ..made };
        records.push(change(topic, index, made));
    }
    records
}

/// What makes `id` the leader, besides its id; `None` when it may not lead.
fn leading(partition: &Partition, id: BrokerId) -> Option<PartitionChangeRecord> {
    if partition.leader != NO_LEADER {
        return (partition.leader == id).then(unchanged);
    }
    if partition.isr.contains(&id) {
        return Some(unchanged());
    }
    if !partition.isr.is_empty() {
        return None;
    }
    // Kafka's controllers move the last replica out of the in-sync set when its broker stops.
    let (eligible, last) = (&partition.eligible_leader_replicas, &partition.last_known_leader);
    if eligible.contains(&id) {
        let others = eligible.iter().filter(|other| **other != id).map(|other| other.0);
        return Some(PartitionChangeRecord {
            isr: Some(vec![id.0]),
            eligible_leader_replicas: Some(others.collect()),
            last_known_elr: Some(Vec::new()),
            ..unchanged()
        });
    }
    // With nobody eligible, whoever led last leads again.
    let again = eligible.is_empty() && **last == [id];
    again.then(|| PartitionChangeRecord {
        isr: Some(vec![id.0]),
        last_known_elr: Some(Vec::new()),
        ..unchanged()
    })
}
