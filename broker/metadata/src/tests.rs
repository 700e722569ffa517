//! The image as a whole: replaying equals, sharing holds, contradictions are refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use wire::ids::{BrokerId, PartitionIndex, TopicId, Uuid};
use wire::messages::client_quota_record::EntityData;
use wire::messages::metadata_records::{
    AbortTransactionRecord, AccessControlEntryRecord, BeginTransactionRecord,
    BrokerRegistrationChangeRecord, ClearElrRecord, ClientQuotaRecord, ConfigRecord,
    EndTransactionRecord, FeatureLevelRecord, FenceBrokerRecord, PartitionChangeRecord,
    PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord, RegisterControllerRecord,
    RemoveAccessControlEntryRecord, RemoveTopicRecord, RemoveUserScramCredentialRecord,
    TopicRecord, UnfenceBrokerRecord, UnregisterBrokerRecord, UserScramCredentialRecord,
    ZkMigrationStateRecord,
};
use wire::messages::register_controller_record::{ControllerEndpoint, ControllerFeature};
use wire::metadata_frame;

use crate::features::METADATA_VERSION;
use crate::image::{LEADER_UNCHANGED, Resource};
use crate::{Delta, Image, MetadataRecord, ReplayError, TopicChange};

fn id(n: u8) -> Uuid {
    Uuid([n; 16])
}

fn topic(n: u8) -> MetadataRecord {
    let name = format!("t{}{n}", if n.is_multiple_of(3) { "." } else { "-" });
    MetadataRecord::Topic(TopicRecord { name, topic_id: id(n) })
}

fn partition(n: u8, index: i32, leader: i32) -> MetadataRecord {
    MetadataRecord::Partition(PartitionRecord {
        partition_id: index,
        topic_id: id(n),
        replicas: vec![1, 2],
        isr: vec![leader],
        leader,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: vec![id(91), id(92)],
        ..Default::default()
    })
}

fn change(n: u8, index: i32, leader: i32, isr: Option<Vec<i32>>) -> MetadataRecord {
    MetadataRecord::PartitionChange(PartitionChangeRecord {
        partition_id: index,
        topic_id: id(n),
        leader,
        isr,
        ..Default::default()
    })
}

fn broker(n: u8) -> MetadataRecord {
    MetadataRecord::RegisterBroker(RegisterBrokerRecord {
        broker_id: i32::from(n),
        broker_epoch: i64::from(n) * 7,
        incarnation_id: id(n),
        rack: n.is_multiple_of(2).then(|| format!("rack{n}")),
        log_dirs: vec![id(n), id(n + 1)],
        ..Default::default()
    })
}

fn config(kind: i8, name: &str, key: &str, value: Option<&str>) -> MetadataRecord {
    MetadataRecord::Config(ConfigRecord {
        resource_type: kind,
        resource_name: name.to_owned(),
        name: key.to_owned(),
        value: value.map(str::to_owned),
    })
}

fn feature(name: &str, level: i16) -> MetadataRecord {
    let name = name.to_owned();
    MetadataRecord::FeatureLevel(FeatureLevelRecord { name, feature_level: level })
}

/// One record of any kind; some contradict the image and are refused.
fn record() -> impl Strategy<Value = MetadataRecord> {
    let n = 1u8..12;
    prop_oneof![
        3 => n.clone().prop_map(topic),
        5 => (n.clone(), 0i32..200, 1i32..3).prop_map(|(n, p, l)| partition(n, p, l)),
        3 => (n.clone(), 0i32..200, -2i32..3, any::<Option<bool>>())
            .prop_map(|(n, p, l, isr)| change(n, p, l, isr.map(|b| vec![1 + i32::from(b)]))),
        1 => n.clone().prop_map(|n| {
            MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: id(n) })
        }),
        1 => n.clone().prop_map(broker),
        1 => (n.clone(), -1i8..2).prop_map(|(n, fenced)| {
            MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
                broker_id: i32::from(n),
                fenced,
                in_controlled_shutdown: i8::from(fenced == 0),
                cordoned_log_dirs: (n > 3).then(|| vec![id(n)]),
                ..Default::default()
            })
        }),
        1 => (n.clone(), 1u8..4).prop_map(|(n, run)| {
            MetadataRecord::RegisterController(RegisterControllerRecord {
                controller_id: i32::from(n),
                incarnation_id: id(run),
                end_points: vec![ControllerEndpoint { port: 9093, ..Default::default() }],
                features: vec![ControllerFeature {
                    max_supported_version: 30,
                    ..Default::default()
                }],
                ..Default::default()
            })
        }),
        1 => n.clone().prop_map(|n| {
            let (broker_id, broker_epoch) = (i32::from(n), 0);
            MetadataRecord::UnregisterBroker(UnregisterBrokerRecord { broker_id, broker_epoch })
        }),
        2 => (n.clone(), any::<Option<u8>>()).prop_map(|(n, v)| {
            let value = v.map(|v| v.to_string());
            config(2, &format!("t-{n}"), "retention.ms", value.as_deref())
        }),
        1 => any::<Option<u8>>().prop_map(|v| {
            config(4, "", "tidelog.x", v.map(|v| v.to_string()).as_deref())
        }),
        1 => (0i16..3).prop_map(|level| feature("group.version", level)),
        1 => Just(feature("metadata.version", METADATA_VERSION)),
        1 => (0i64..9000).prop_map(|next_producer_id| {
            let (broker_id, broker_epoch) = (1, 3);
            MetadataRecord::ProducerIds(ProducerIdsRecord {
                broker_id,
                broker_epoch,
                next_producer_id,
            })
        }),
    ]
}

proptest! {
    /// A snapshot, through its bytes, makes the same image; a refused record changes nothing; the
    /// delta names exactly what differs.
    #[test]
    fn a_snapshot_replays_to_the_image(records in prop::collection::vec(record(), 0..300)) {
        let mut image = Image::default();
        for record in &records {
            let before = image.clone();
            match image.apply([record]) {
                Ok((next, delta)) => {
                    check_delta(&before, &next, &delta)?;
                    image = next;
                }
                Err(_) => prop_assert_eq!(&before, &image),
            }
        }
        let bytes: Vec<_> =
            image.to_records().iter().map(|r| metadata_frame::encode(r).unwrap()).collect();
        let back: Vec<MetadataRecord> =
            bytes.into_iter().map(|b| metadata_frame::decode(b).unwrap()).collect();
        let (replayed, _) = Image::default().apply(&back).unwrap();
        prop_assert_eq!(&replayed, &image);
        let counted: usize = image.topics.iter().map(|t| t.partitions.len()).sum();
        prop_assert_eq!(image.topics.partition_count(), counted);
    }
}

fn check_delta(before: &Image, after: &Image, delta: &Delta) -> Result<(), TestCaseError> {
    let ids: BTreeSet<TopicId> =
        before.topics.iter().chain(after.topics.iter()).map(|topic| topic.id).collect();
    for id in ids {
        let (old, new) = (before.topics.by_id(id), after.topics.by_id(id));
        let said = delta.topics.get(&id);
        match (old, new, said) {
            (None, Some(_), Some(TopicChange::Changed { created: true, .. }))
            | (Some(_), None, Some(TopicChange::Deleted { .. })) => {}
            (Some(old), Some(new), None) => prop_assert!(Arc::ptr_eq(old, new)),
            (Some(_), Some(_), Some(TopicChange::Changed { created: false, .. })) => {}
            other => prop_assert!(false, "{:?}", other),
        }
    }
    let changed = before.configs != after.configs;
    prop_assert!(!changed || !delta.configs.is_empty());
    prop_assert!(before.brokers == after.brokers || !delta.brokers.is_empty());
    prop_assert!(before.controllers == after.controllers || !delta.controllers.is_empty());
    Ok(())
}

#[test]
fn what_a_batch_does_not_touch_is_shared() {
    let records: Vec<MetadataRecord> = (1..=200).map(topic).collect();
    let (image, _) = Image::default().apply(&records).unwrap();
    let (next, delta) = image.apply([&partition(7, 0, 1)]).unwrap();
    for n in 1..=200 {
        let id = TopicId(id(n));
        let same = Arc::ptr_eq(image.topics.by_id(id).unwrap(), next.topics.by_id(id).unwrap());
        assert_eq!(same, n != 7);
    }
    assert_eq!(delta.topics.len(), 1);
    assert_eq!(image.topics.partition_count(), 0, "the former image stays as it was");
    assert_eq!(next.topics.partition_count(), 1);
}

#[test]
fn a_change_moves_the_epochs() {
    let (image, _) = Image::default().apply(&[topic(1), partition(1, 0, 1)]).unwrap();
    let at = |image: &Image| {
        let topic = image.topics.by_id(TopicId(id(1))).unwrap();
        (**topic.partition(PartitionIndex(0)).unwrap()).clone()
    };
    let (image, _) = image.apply([&change(1, 0, LEADER_UNCHANGED, Some(vec![1, 2]))]).unwrap();
    let one = at(&image);
    assert_eq!((one.leader_epoch.0, one.partition_epoch), (0, 1));
    assert_eq!(one.isr, [BrokerId(1), BrokerId(2)]);
    let (image, _) = image.apply([&change(1, 0, 1, None)]).unwrap();
    let two = at(&image);
    assert_eq!((two.leader, two.leader_epoch.0, two.partition_epoch), (BrokerId(1), 1, 2));
    assert_eq!(two.directory_of(BrokerId(2)), Some(id(92)));
    assert_eq!(two.directory_of(BrokerId(3)), None);
    let (image, _) = image.apply([&change(1, 0, -1, None)]).unwrap();
    assert!(!at(&image).has_leader());
}

#[test]
fn a_topic_takes_its_configuration_along() {
    let named = |key| config(2, "t-1", key, Some("1"));
    let records =
        [topic(1), named("retention.ms"), named("segment.ms"), config(2, "u", "x", Some("1"))];
    let (image, _) = Image::default().apply(&records).unwrap();
    assert_eq!(image.configs.of_topic("t-1").count(), 2);
    let remove = MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: id(1) });
    let (image, delta) = image.apply([&remove]).unwrap();
    assert_eq!(image.configs.of_topic("t-1").count(), 0);
    assert_eq!(image.configs.iter().count(), 1);
    assert!(delta.configs.contains(&Resource::topic("t-1")));
    // Made and gone in one batch: nothing to start or stop.
    let (_, delta) = image.apply(&[topic(1), partition(1, 0, 1), remove]).unwrap();
    assert!(delta.topics.is_empty());
}

#[test]
fn contradictions_are_refused_by_name() {
    let image = Image::default();
    let refused = |records: &[MetadataRecord]| image.apply(records).unwrap_err();
    let unknown = ReplayError::UnknownTopic(TopicId(id(1)));
    assert_eq!(refused(&[partition(1, 0, 1)]), unknown);
    assert!(matches!(refused(&[topic(1), topic(1)]), ReplayError::TopicExists { .. }));
    assert!(matches!(
        refused(&[topic(1), change(1, 3, 1, None)]),
        ReplayError::UnknownPartition(..)
    ));
    assert_eq!(
        refused(&[feature("metadata.version", METADATA_VERSION + 1)]),
        ReplayError::UnsupportedMetadataVersion(METADATA_VERSION + 1)
    );
    assert_eq!(refused(&[config(3, "x", "y", None)]), ReplayError::UnknownResource(3));
    let migration = |state| ZkMigrationStateRecord { zk_migration_state: state };
    assert_eq!(refused(&[migration(2).into()]), ReplayError::ZkMigration);
    assert!(image.apply(&[migration(0).into(), migration(3).into()]).is_ok());
    let (begin, end, abort) = transaction();
    assert_eq!(refused(&[end]), ReplayError::TransactionOrder);
    assert_eq!(refused(&[abort]), ReplayError::TransactionOrder);
    assert_eq!(refused(&[begin.clone(), begin]), ReplayError::TransactionOrder);
}

fn transaction() -> (MetadataRecord, MetadataRecord, MetadataRecord) {
    (
        BeginTransactionRecord { name: None }.into(),
        EndTransactionRecord {}.into(),
        AbortTransactionRecord { reason: None }.into(),
    )
}

#[test]
fn an_aborted_transaction_leaves_nothing() {
    let (begin, end, abort) = transaction();
    let (before, _) = Image::default().apply(&[topic(1)]).unwrap();
    let made = [begin.clone(), topic(2), partition(2, 0, 1)];
    let (open, _) = before.apply(&made).unwrap();
    assert!(open.is_within_transaction());
    assert_eq!(open.apply([&abort]).unwrap().0, before);
    let (ended, _) = open.apply([&end]).unwrap();
    assert!(!ended.is_within_transaction());
    assert_eq!(ended, before.apply(&[topic(2), partition(2, 0, 1)]).unwrap().0);
    let given_up = crate::control::features::abandoned_transaction(&open);
    assert_eq!(open.apply(&given_up).unwrap().0, before);
    assert!(crate::control::features::abandoned_transaction(&ended).is_empty());
}

#[test]
fn what_nothing_acts_on_is_kept() {
    let entity = |name: &str| EntityData {
        entity_type: "user".to_owned(),
        entity_name: Some(name.to_owned()),
    };
    let quota = |name: &str, remove| ClientQuotaRecord {
        entity: vec![entity(name)],
        key: "producer_byte_rate".to_owned(),
        value: 7.0,
        remove,
    };
    let scram = |name: &str| UserScramCredentialRecord {
        name: name.to_owned(),
        mechanism: 1,
        ..Default::default()
    };
    let acl = |n| AccessControlEntryRecord { id: id(n), ..Default::default() };
    let records: [MetadataRecord; 8] = [
        quota("a", false).into(),
        quota("b", false).into(),
        quota("a", true).into(),
        scram("u").into(),
        RemoveUserScramCredentialRecord { name: "v".to_owned(), mechanism: 1 }.into(),
        acl(1).into(),
        RegisterControllerRecord { controller_id: 1, ..Default::default() }.into(),
        acl(2).into(),
    ];
    let (image, _) = Image::default().apply(&records).unwrap();
    let kept = &image.kept;
    assert_eq!((kept.quotas(), kept.credentials(), kept.access_control_entries()), (1, 1, 2));
    let again = Image::default().apply(&image.to_records()).unwrap().0;
    assert_eq!(again, image);
    let remove: MetadataRecord = RemoveAccessControlEntryRecord { id: id(1) }.into();
    assert_eq!(image.apply([&remove]).unwrap().0.kept.access_control_entries(), 1);
}

#[test]
fn fencing_and_elr_records_of_kafka_are_followed() {
    let fence = MetadataRecord::from(FenceBrokerRecord { id: 1, epoch: 7 });
    let unfence = MetadataRecord::from(UnfenceBrokerRecord { id: 1, epoch: 7 });
    let fenced = |image: &Image| image.brokers.get(BrokerId(1)).unwrap().fenced;
    let (image, _) = Image::default().apply(&[broker(1), fence]).unwrap();
    assert!(fenced(&image));
    assert!(!fenced(&image.apply([&unfence]).unwrap().0));
    let elr = |n| {
        MetadataRecord::from(PartitionChangeRecord {
            partition_id: 0,
            topic_id: id(n),
            leader: LEADER_UNCHANGED,
            leader_recovery_state: -1,
            eligible_leader_replicas: Some(vec![2]),
            ..Default::default()
        })
    };
    let made = [topic(1), partition(1, 0, 1), topic(2), partition(2, 0, 1), elr(1), elr(2)];
    let (image, _) = Image::default().apply(&made).unwrap();
    let eligible = |image: &Image, n| {
        let topic = image.topics.by_id(TopicId(id(n))).unwrap();
        topic.partition(PartitionIndex(0)).unwrap().eligible_leader_replicas.len()
    };
    let clear = |name: &str| MetadataRecord::from(ClearElrRecord { topic_name: name.to_owned() });
    let (one, _) = image.apply([&clear("t-1")]).unwrap();
    assert_eq!((eligible(&one, 1), eligible(&one, 2)), (0, 1));
    let (none, delta) = image.apply([&clear("")]).unwrap();
    assert_eq!((eligible(&none, 1), eligible(&none, 2)), (0, 0));
    assert_eq!(delta.topics.len(), 2);
}

#[test]
fn many_topics_one_by_one_stay_cheap() {
    // A copy of everything per topic would be 10^8 entries here; this takes a moment in debug.
    let mut image = Image::default();
    for n in 0..10_000u32 {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        let topic_id = Uuid(bytes);
        let records = [
            MetadataRecord::Topic(TopicRecord { name: format!("topic.{n}"), topic_id }),
            MetadataRecord::Partition(PartitionRecord {
                topic_id,
                partition_id: 0,
                ..Default::default()
            }),
        ];
        image = image.apply(&records).unwrap().0;
    }
    assert_eq!((image.topics.len(), image.topics.partition_count()), (10_000, 10_000));
    assert_eq!(image.topics.colliding_with("topic_77").map(|n| &**n), Some("topic.77"));
    assert_eq!(image.topics.iter_from("topic.9998").count(), 2);
}
