//! Brokers that come, stop, break and go: against a plain model, and case by case.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use wire::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use wire::messages::broker_heartbeat_response::BrokerHeartbeatResponse;

use super::*;
use crate::control::brokers::{broker_heartbeat, fence_brokers, unregister_broker};
use crate::control::requests;
use crate::image::SupportedFeature;

/// A broker that is always there, so that nobody is ever alone.
const BYSTANDER: i32 = 9;

fn dir(broker: i32, which: u8) -> Uuid {
    Uuid([100 + broker as u8 * 10 + which; 16])
}

fn registration(broker: i32, run: u8) -> Registration {
    Registration {
        id: BrokerId(broker),
        incarnation: Uuid([run; 16]),
        cluster_id: Some("cluster".to_owned()),
        endpoints: Vec::new(),
        features: Registration::own_features(),
        rack: None,
        log_dirs: vec![dir(broker, 0), dir(broker, 1)],
        previous_epoch: -1,
    }
}

fn beat(image: &Image, broker: i32) -> BrokerHeartbeatRequest {
    let epoch = image.brokers.get(BrokerId(broker)).map_or(0, |broker| broker.epoch);
    BrokerHeartbeatRequest {
        broker_id: broker,
        broker_epoch: epoch,
        current_metadata_offset: epoch,
        ..Default::default()
    }
}

/// What happens to one of the brokers 1 to 3.
#[derive(Debug, Clone)]
enum Step {
    Register { broker: i32, same_run: bool },
    Heartbeat { broker: i32, behind: bool, fence: bool, stop: bool, seen: bool, lost: Option<u8> },
    Fence(Vec<i32>),
    Unregister(i32),
    Place { broker: i32, which: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let broker = 1..4i32;
    let rarely = || prop::bool::weighted(0.15);
    let beat = (broker.clone(), rarely(), rarely(), rarely(), any::<bool>());
    prop_oneof![
        3 => (broker.clone(), rarely())
            .prop_map(|(broker, same_run)| Step::Register { broker, same_run }),
        8 => (beat, prop::option::weighted(0.2, 0..2u8)).prop_map(
            |((broker, behind, fence, stop, seen), lost)| {
                Step::Heartbeat { broker, behind, fence, stop, seen, lost }
            }
        ),
        1 => prop::collection::vec(broker.clone(), 1..3).prop_map(Step::Fence),
        1 => broker.clone().prop_map(Step::Unregister),
        2 => (broker, 0..2u8).prop_map(|(broker, which)| Step::Place { broker, which }),
    ]
}

/// A broker as the model has it.
#[derive(Debug, Clone, Default)]
struct Known {
    run: u8,
    fenced: bool,
    stopping: bool,
    lost: BTreeSet<u8>,
}

#[derive(Debug, Default)]
struct Model {
    brokers: BTreeMap<i32, Known>,
    /// The home of each partition and its directory there.
    partitions: Vec<(i32, u8)>,
    runs: u8,
}

impl Model {
    fn leader(&self, (home, which): (i32, u8)) -> BrokerId {
        let serves = |b: &Known| !b.fenced && !b.stopping && !b.lost.contains(&which);
        if self.brokers.get(&home).is_some_and(serves) { BrokerId(home) } else { BrokerId(-1) }
    }

    /// The leader it has, were it not for what is happening to its broker.
    fn leads_any(&self, broker: i32) -> bool {
        self.partitions.iter().any(|p| self.leader(*p) == BrokerId(broker))
    }

    fn heartbeat(&mut self, step: &Step) -> BrokerHeartbeatResponse {
        let Step::Heartbeat { broker, behind, fence, stop, seen, lost } = *step else {
            return BrokerHeartbeatResponse::default();
        };
        let leads_any = self.leads_any(broker);
        let Some(known) = self.brokers.get_mut(&broker) else {
            return BrokerHeartbeatResponse {
                error_code: ErrorCode::BrokerIdNotRegistered.into(),
                is_fenced: true,
                ..Default::default()
            };
        };
        let mut should_shut_down = false;
        if known.fenced {
            should_shut_down = stop;
            if !stop && !fence && !behind && !known.stopping {
                known.fenced = false;
            }
        } else if known.stopping {
            should_shut_down = seen;
        } else if stop {
            should_shut_down = fence || !leads_any;
            known.stopping |= !should_shut_down;
        } else if fence {
            known.fenced = true;
        }
        known.fenced |= should_shut_down;
        known.lost.extend(lost);
        BrokerHeartbeatResponse {
            is_caught_up: !behind,
            is_fenced: known.fenced,
            should_shut_down,
            ..Default::default()
        }
    }
}

/// The image under test beside the model.
struct Bench {
    harness: Harness,
    model: Model,
    next_offset: i64,
}

impl Bench {
    fn new() -> Self {
        let harness = Harness::with_brokers(&[BYSTANDER]);
        let mut bench = Self { harness, model: Model::default(), next_offset: 1000 };
        let made = topic("t", 1, 1);
        bench.harness.create_one(made);
        bench.model.partitions.push((BYSTANDER, 0));
        bench.model.brokers.insert(BYSTANDER, Known::default());
        bench
    }

    fn write(&mut self, records: &[MetadataRecord]) {
        self.harness.apply(records);
        self.next_offset += records.len() as i64;
    }

    fn run(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Register { broker, same_run } => {
                let known = self.model.brokers.get(broker).cloned();
                let same = known.filter(|_| *same_run);
                self.model.runs += 1;
                let run = same.as_ref().map_or(self.model.runs, |known| known.run);
                let before = self.harness.image.brokers.get(BrokerId(*broker)).map(|b| b.epoch);
                let decision = register_broker(
                    &self.harness.image,
                    &registration(*broker, run),
                    self.next_offset,
                    same.is_some(),
                );
                let epoch = decision.response.unwrap();
                match (&same, before) {
                    (Some(_), Some(before)) => prop_assert_eq!(epoch, before),
                    _ => prop_assert!(before.is_none_or(|before| epoch > before)),
                }
                self.write(&decision.records);
                if same.is_none() {
                    prop_assert_eq!(epoch, self.next_offset - 1, "the offset of the record");
                    let fresh = Known { run, fenced: true, ..Known::default() };
                    self.model.brokers.insert(*broker, fresh);
                }
            }
            Step::Heartbeat { broker, behind, fence, stop, seen, lost } => {
                let mut request = beat(&self.harness.image, *broker);
                request.current_metadata_offset -= i64::from(*behind);
                (request.want_fence, request.want_shut_down) = (*fence, *stop);
                // A broker repeats what it has lost until it starts again.
                let known = self.model.brokers.get(broker).map(|known| &known.lost);
                let all: BTreeSet<u8> = known.into_iter().flatten().chain(lost).copied().collect();
                request.offline_log_dirs = all.iter().map(|which| dir(*broker, *which)).collect();
                let decision = requests::broker_heartbeat(&self.harness.image, &request, *seen);
                self.write(&decision.records);
                prop_assert_eq!(decision.response, self.model.heartbeat(step));
            }
            Step::Fence(brokers) => {
                let ids: Vec<BrokerId> = brokers.iter().copied().map(BrokerId).collect();
                self.write(&fence_brokers(&self.harness.image, &ids).records);
                for broker in brokers {
                    self.model.brokers.entry(*broker).and_modify(|known| known.fenced = true);
                }
            }
            Step::Unregister(broker) => {
                let decision = unregister_broker(&self.harness.image, BrokerId(*broker));
                let known = self.model.brokers.remove(broker).is_some();
                prop_assert_eq!(decision.response.is_ok(), known);
                self.write(&decision.records);
            }
            Step::Place { broker, which } => {
                let able = (*broker, *which);
                if self.model.leader(able) == BrokerId(-1) {
                    return Ok(());
                }
                let index = self.model.partitions.len() as i32;
                let id = self.harness.image.topics.id_of("t").unwrap();
                let ids = [BrokerId(*broker)];
                let mut made = crate::control::topics::new_partition(&self.harness.image, &ids);
                made.directories = vec![dir(*broker, *which)];
                self.write(&[MetadataRecord::Partition(made.to_record(id.0, index))]);
                self.model.partitions.push(able);
            }
        }
        Ok(())
    }

    fn check(&self, before: &Image) -> Result<(), TestCaseError> {
        let image = &self.harness.image;
        let now = image.topics.by_name("t").unwrap();
        for (at, place) in self.model.partitions.iter().enumerate() {
            let index = PartitionIndex(at as i32);
            let partition = now.partition(index).unwrap();
            prop_assert_eq!(partition.leader, self.model.leader(*place), "partition {}", at);
            prop_assert_eq!(&partition.isr[..], [BrokerId(place.0)]);
            let Some(old) = before.topics.by_name("t").unwrap().partition(index) else { continue };
            prop_assert!(partition.leader_epoch >= old.leader_epoch);
            let same = partition.leader_epoch == old.leader_epoch;
            prop_assert!(!same || partition.leader == old.leader, "a leader has its own epoch");
        }
        for (id, known) in &self.model.brokers {
            let broker = image.brokers.get(BrokerId(*id)).unwrap();
            prop_assert_eq!(broker.fenced, known.fenced, "broker {}", id);
            prop_assert_eq!(broker.in_controlled_shutdown, known.stopping, "broker {}", id);
        }
        prop_assert_eq!(image.brokers.len(), self.model.brokers.len());
        let replayed = Image::default().apply(&image.to_records()).unwrap().0;
        prop_assert_eq!(&replayed, image);
        Ok(())
    }
}

proptest! {
    /// Who leads what follows from who is registered, unfenced and not stopping, and from which
    /// directories are in service; nothing is led twice in one epoch.
    #[test]
    fn partitions_follow_their_brokers(steps in prop::collection::vec(step(), 1..60)) {
        let mut bench = Bench::new();
        for step in &steps {
            let before = bench.harness.image.clone();
            bench.run(step)?;
            bench.check(&before)?;
        }
    }
}

#[test]
fn a_registration_says_who_and_where() {
    let h = Harness::with_brokers(&[1]);
    let good = registration(2, 7);
    let refused = |change: &dyn Fn(&mut Registration)| {
        let mut other = good.clone();
        change(&mut other);
        let decision = register_broker(&h.image, &other, 50, false);
        assert!(decision.records.is_empty());
        decision.response.unwrap_err()
    };
    let invalid = ErrorCode::InvalidRegistration;
    assert_eq!(refused(&|r| r.log_dirs.clear()).code, invalid);
    assert_eq!(refused(&|r| r.log_dirs.push(r.log_dirs[0])).code, invalid);
    assert_eq!(refused(&|r| r.log_dirs[0] = Uuid::ZERO).code, invalid);
    let taken = refused(&|r| r.log_dirs[1] = Uuid([101; 16]));
    assert!(taken.message.starts_with("Broker 1 is already registered with directory"), "{taken}");
    assert_eq!(refused(&|r| r.features.clear()).code, invalid);
    let older = refused(&|r| {
        for feature in r.features.iter_mut().filter(|f| f.name == "metadata.version") {
            feature.max -= 1;
        }
    });
    assert_eq!(older.code, ErrorCode::UnsupportedVersion);
    assert!(older.message.contains("finalized version 30 of metadata.version"), "{older}");
    assert_eq!(register_broker(&h.image, &good, 50, false).response.unwrap(), 50);
    let mut request = good.to_request();
    assert_eq!(Registration::from_request(&request).as_ref(), Ok(&good));
    request.is_migrating_zk_broker = true;
    let answer = requests::register_broker(&h.image, &request, 50, false);
    assert_eq!(answer.response.error_code, ErrorCode::BrokerIdNotRegistered.code());
    assert_eq!((answer.response.broker_epoch, answer.records.len()), (-1, 0));
}

#[test]
fn a_level_that_nobody_here_knows_binds_nobody() {
    let mut h = Harness::with_brokers(&[1]);
    let moved_in = wire::messages::feature_level_record::FeatureLevelRecord {
        name: "transaction.version".to_owned(),
        feature_level: 2,
    };
    h.apply(&[MetadataRecord::FeatureLevel(moved_in)]);
    let theirs = SupportedFeature { name: "share.version".to_owned(), min: 0, max: 3 };
    let mut broker = registration(2, 7);
    broker.features.push(theirs);
    assert!(register_broker(&h.image, &broker, 50, false).response.is_ok());
}

#[test]
fn an_unclean_stop_ends_the_claim_to_lead() {
    let mut h = Harness::with_brokers(&[1, 2]);
    h.create_one(assigned("t", &[(0, &[2])]));
    let id = h.image.topics.id_of("t").unwrap();
    h.apply(&[MetadataRecord::PartitionChange(PartitionChangeRecord {
        topic_id: id.0,
        partition_id: 0,
        leader: -1,
        leader_recovery_state: -1,
        isr: Some(Vec::new()),
        eligible_leader_replicas: Some(vec![2]),
        ..Default::default()
    })]);
    let epoch = h.image.brokers.get(BrokerId(2)).unwrap().epoch;
    let eligible = |previous_epoch| {
        let broker = Registration { previous_epoch, ..registration(2, 77) };
        let decision = register_broker(&h.image, &broker, 50, false);
        let image = h.image.apply(&decision.records).unwrap().0;
        let topic = image.topics.by_id(id).unwrap();
        let partition = topic.partition(PartitionIndex(0)).unwrap();
        (partition.eligible_leader_replicas.len(), partition.last_known_leader.clone())
    };
    assert_eq!(eligible(epoch), (1, Vec::new()), "it stopped cleanly");
    assert_eq!(eligible(-1), (0, vec![BrokerId(2)]));
}

#[test]
fn a_stale_heartbeat_changes_nothing() {
    let mut h = Harness::with_brokers(&[1, 2]);
    let mut request = beat(&h.image, 1);
    request.broker_epoch -= 1;
    let stale = broker_heartbeat(&h.image, &request, false);
    assert_eq!(stale.response.unwrap_err().code, ErrorCode::StaleBrokerEpoch);
    assert!(stale.records.is_empty());
    let unknown = requests::broker_heartbeat(&h.image, &beat(&h.image, 5), false);
    assert_eq!(unknown.response.error_code, ErrorCode::BrokerIdNotRegistered.code());
    // The usual heartbeat writes nothing.
    assert!(broker_heartbeat(&h.image, &beat(&h.image, 1), false).records.is_empty());
    let cordon = BrokerHeartbeatRequest {
        cordoned_log_dirs: Some(vec![Uuid([101; 16])]),
        ..beat(&h.image, 1)
    };
    let decision = broker_heartbeat(&h.image, &cordon, false);
    assert_eq!(decision.records.len(), 1);
    h.apply(&decision.records);
    assert!(broker_heartbeat(&h.image, &cordon, false).records.is_empty(), "said once");
    h.create_one(topic("t", 4, 1));
    assert!(h.replicas("t").iter().all(|r| r == &[2]), "a cordoned broker takes nothing new");
}

#[test]
fn partitions_of_one_replica_spread_and_more_replicas_are_refused_by_name() {
    let mut h = Harness::with_brokers(&[1, 2, 3]);
    h.create_one(topic("t", 30, 1));
    for broker in 1..=3 {
        assert_eq!(h.replicas("t").iter().filter(|r| r == &&[broker]).count(), 10);
    }
    for wanted in [topic("u", 1, 3), topic("u", 1, 9), assigned("u", &[(0, &[1, 2])])] {
        let result = h.create_one(wanted);
        assert_eq!(code(&result), ErrorCode::InvalidReplicationFactor);
        let message = result.error_message.unwrap();
        assert!(message.contains("replication is not built yet"), "{message}");
    }
    let groups = crate::topic_name::GROUP_METADATA_TOPIC;
    let decision = h.decide(|ctx| auto_create(ctx, &[groups]));
    h.apply(&decision.records);
    assert_eq!(h.replicas(groups).len(), 50);
    for broker in 1..=3 {
        let led = h.replicas(groups).iter().filter(|r| r == &&[broker]).count();
        assert!((16..=17).contains(&led), "broker {broker}: {led}");
    }
}
