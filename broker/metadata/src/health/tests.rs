//! Which brokers may be restarted, and why not.

use super::*;
use crate::MetadataRecord;
use wire::ids::Uuid;
use wire::messages::metadata_records::{PartitionRecord, RegisterBrokerRecord, TopicRecord};

/// Three brokers, of which 3 is fenced, and one topic with a partition for each
/// (replicas, in sync, leader).
fn image(partitions: &[(&[i32], &[i32], i32)]) -> Image {
    let id = Uuid([7; 16]);
    let mut records: Vec<MetadataRecord> = (1..=3)
        .map(|broker_id| {
            MetadataRecord::RegisterBroker(RegisterBrokerRecord {
                broker_id,
                fenced: broker_id == 3,
                ..Default::default()
            })
        })
        .collect();
    records.push(MetadataRecord::Topic(TopicRecord { name: "t".to_owned(), topic_id: id }));
    for ((replicas, isr, leader), index) in partitions.iter().zip(0..) {
        records.push(MetadataRecord::Partition(PartitionRecord {
            partition_id: index,
            topic_id: id,
            replicas: replicas.to_vec(),
            isr: isr.to_vec(),
            leader: *leader,
            ..Default::default()
        }));
    }
    Image::default().apply(&records).unwrap().0
}

fn found(concerns: Option<Vec<Concern>>) -> Vec<(i32, Why)> {
    concerns.unwrap().into_iter().map(|concern| (concern.partition.0, concern.why)).collect()
}

#[test]
fn a_restart_waits_while_acks_all_would_suffer() {
    let image = image(&[
        (&[1, 2, 3], &[1, 2, 3], 1),
        (&[1, 2, 3], &[1, 2], 2),
        (&[1, 2, 3], &[2, 3], 2),
        // As few replicas as must be in sync: never a reason to wait.
        (&[1, 2], &[1, 2], 1),
        (&[2, 3], &[2], 2),
        (&[1, 2, 3], &[], -1),
    ]);
    let few = Why::TooFewInSync { left: 1, required: 2 };
    let before = |id| found(before_restart(&image, BrokerId(id), |_| 2));
    assert_eq!(before(1), [(1, few), (5, Why::NoLeader)]);
    assert_eq!(before(2), [(1, few), (2, few), (5, Why::NoLeader)]);
    assert_eq!(before(3), [], "a fenced broker is out already");
    assert_eq!(before_restart(&image, BrokerId(9), |_| 2), None);
    // With one replica that must be in sync, the last one of several must not go.
    let alone = self::image(&[(&[1, 2], &[1], 1), (&[1], &[1], 1)]);
    let last = Why::TooFewInSync { left: 0, required: 1 };
    assert_eq!(found(before_restart(&alone, BrokerId(1), |_| 1)), [(0, last)]);
}

#[test]
fn after_a_restart_the_broker_has_to_catch_up() {
    let image = image(&[(&[1, 2], &[2], 2), (&[1, 2], &[1, 2], 2), (&[2, 3], &[], -1)]);
    let after = |id| found(after_restart(&image, BrokerId(id)));
    assert_eq!(after(1), [(0, Why::NotInSync)]);
    assert_eq!(after(2), [(2, Why::NoLeader)]);
    assert_eq!(after_restart(&image, BrokerId(9)), None);
}

#[test]
fn partitions_are_counted() {
    let image = image(&[
        (&[1, 2, 3], &[1, 2, 3], 1),
        (&[1, 2, 3], &[1, 2], 2),
        (&[1, 2, 3], &[3], 3),
        (&[1, 2, 3], &[], -1),
    ]);
    let counts = PartitionCounts {
        all: 4,
        offline: 1,
        under_replicated: 3,
        under_min_isr: 2,
        at_min_isr: 1,
        not_preferred: 2,
    };
    assert_eq!(partition_counts(&image, |_| 2), counts);
}
