//! What happens to the cluster, and what is measured meanwhile.

use std::time::Duration;

use metadata::Image;
use node::{ControlRequest, ControlResponse};
use wire::ids::BrokerId;
use wire::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use wire::metadata_frame;

use super::costs::{processor_time, resident};
use super::world::{CONTROLLERS, World};

/// How large.
pub(super) struct Scale {
    pub(super) brokers: usize,
    pub(super) partitions: usize,
    pub(super) heartbeat_ms: i64,
    pub(super) session_ms: i64,
}

/// Partitions of topics as they come: many small ones, a few large.
const TOPIC_SIZES: [usize; 8] = [1, 3, 6, 6, 12, 24, 48, 100];
const RACKS: usize = 10;
const STEADY_MS: i64 = 10_000;
const MINUTE_MS: i64 = 60_000;
/// How long a cluster may be without a controller that answers, in any of these cases.
const FAILOVER_MS_MAX: i64 = 5_000;

pub(super) fn run(scale: &Scale) {
    let Scale { brokers, partitions, heartbeat_ms, session_ms } = *scale;
    println!(
        "{brokers} brokers in {RACKS} racks, {partitions} partitions, a heartbeat every \
         {heartbeat_ms} ms, sessions of {session_ms} ms"
    );
    let mut world = World::new(brokers, RACKS, heartbeat_ms, session_ms);
    register(&mut world);
    create(&mut world, partitions);
    steady(&mut world);
    sizes(&world, partitions);
    fail_over(&mut world, true);
    fail_over(&mut world, false);
    lose_a_rack(&mut world);
    assert_eq!(world.fencings, 0, "brokers that were there were fenced");
}

/// Does something, and prints what it cost the active controller.
fn measured(world: &mut World, what: &str, act: impl FnOnce(&mut World)) -> Duration {
    (0..CONTROLLERS).for_each(|at| drop(world.take_costs(at)));
    let began = world.elapsed();
    act(world);
    let at = leader(world);
    let costs = world.take_costs(at);
    let (took, all) = (world.elapsed() - began, costs.all());
    println!("{what}: {took} ms, processor time of the active controller {all:.1?}");
    costs.print();
    all
}

fn leader(world: &mut World) -> usize {
    world.until("a controller", MINUTE_MS, |world| world.leader().is_some());
    world.leader().unwrap()
}

fn image(world: &World) -> std::sync::Arc<Image> {
    world.node(world.leader().unwrap()).image()
}

fn register(world: &mut World) {
    let known = |world: &World| world.leader().is_some_and(|_| image(world).cluster_id().is_some());
    world.until("a cluster", MINUTE_MS, known);
    let cluster = image(world).cluster_id().unwrap().to_owned();
    world.learn_cluster(&cluster);
    let count = world.brokers.len();
    measured(world, "all brokers register at once", |world| {
        (0..count).for_each(|at| world.start_broker(at));
        let serving = |world: &World| world.brokers.iter().all(|broker| !broker.fenced);
        world.until("all brokers serve", MINUTE_MS, serving);
    });
}

fn request(world: &mut World, topics: Vec<CreatableTopic>) {
    let request: ControlRequest =
        CreateTopicsRequest { topics, timeout_ms: 30_000, ..Default::default() }.into();
    let at = leader(world);
    world.ask(at, &request);
    world.until("an answer", MINUTE_MS, |world| !world.answers.is_empty());
    let Some(ControlResponse::CreateTopics(answer)) = world.answers.pop_front() else { panic!() };
    for topic in &answer.topics {
        assert_eq!(topic.error_code, 0, "{topic:?}");
    }
}

/// Topics until there are so many partitions; as many in a request as there are sizes.
fn create(world: &mut World, partitions: usize) {
    let before = resident();
    let mut made = 0;
    let mut topics = 0;
    measured(world, "topics are made, request after request", |world| {
        while made < partitions {
            let mut batch = Vec::new();
            for size in TOPIC_SIZES {
                let size = size.min(partitions - made);
                made += size;
                let topic = CreatableTopic {
                    name: format!("topic-{topics:06}"),
                    num_partitions: size as i32,
                    replication_factor: 1,
                    ..Default::default()
                };
                topics += usize::from(size > 0);
                batch.extend((size > 0).then_some(topic));
            }
            request(world, batch);
        }
    });
    let grown = (resident() - before) / (CONTROLLERS * made) as i64;
    println!("    {topics} topics, {made} partitions; {grown} bytes each, disk and all");
    assert_eq!(image(world).topics.partition_count(), partitions);
    assert_eq!(leaderless(world), 0);
    world.run(2_000);
}

fn leaderless(world: &World) -> usize {
    let image = image(world);
    let partitions = image.topics.iter().flat_map(|topic| topic.partitions.values());
    partitions.filter(|partition| !partition.has_leader()).count()
}

fn steady(world: &mut World) {
    let all = measured(world, "nothing happens", |world| world.run(STEADY_MS));
    let share = all.as_secs_f64() * 1_000.0 / STEADY_MS as f64;
    println!("    {:.2} % of a core", share * 100.0);
}

/// What the state takes, in memory and on disk.
fn sizes(world: &World, partitions: usize) {
    let at = world.leader().unwrap();
    let image = image(world);
    println!("the metadata log and its snapshots on disk: {} bytes", world.disk_bytes(at));
    let began = processor_time();
    let records = image.to_records();
    let encoded: Vec<_> = records.iter().map(|one| metadata_frame::encode(one).unwrap()).collect();
    let took = processor_time() - began;
    let bytes: usize = encoded.iter().map(|record| record.len()).sum();
    println!("a snapshot: {} records, {bytes} bytes, written in {took:.1?}", records.len());
    drop(encoded);
    // The first ones fill what was freed before.
    let read = || Image::default().apply(&records).unwrap().0;
    let mut images = vec![read(), read()];
    let (before, began) = (resident(), processor_time());
    images.extend([read(), read(), read()]);
    let (took, grown) = ((processor_time() - began) / 3, (resident() - before) / 3);
    println!("an image: read in {took:.1?}, {} bytes a partition", grown / partitions as i64);
    assert!(images.iter().all(|again| *again == *image));
}

/// The active controller dies, alone or with its host, and comes back later.
fn fail_over(world: &mut World, refuses: bool) {
    let old = leader(world);
    let how = if refuses { "is killed" } else { "is gone with its host" };
    let began = world.now;
    (0..CONTROLLERS).for_each(|at| drop(world.take_costs(at)));
    world.kill_controller(old, refuses);
    let elected = world.until("another controller", FAILOVER_MS_MAX, |world| {
        world.leader().is_some_and(|at| at != old)
    });
    let new = world.leader().unwrap();
    let probe = CreatableTopic {
        name: format!("probe-{began}"),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    request(world, vec![probe]);
    let serves = world.now - began;
    let heard = move |world: &World| {
        let beaten = |broker: &super::broker::Broker| {
            broker.beaten.is_some_and(|(at, by)| at > began && by == new)
        };
        world.brokers.iter().all(beaten)
    };
    world.until("all brokers are heard", MINUTE_MS, heard);
    let all = world.now - began;
    let costs = world.take_costs(new);
    println!(
        "the active controller {how}: another after {elected} ms, which has made a topic after \
         {serves} ms and heard of all brokers after {all} ms, processor time {:.1?}",
        costs.all()
    );
    costs.print();
    assert!(serves <= FAILOVER_MS_MAX);
    let began = processor_time();
    world.start_controller(old);
    println!("    the old one opens its log in {:.1?}", processor_time() - began);
    world.until("the old one has caught up", MINUTE_MS, |world| {
        world.node(old).image().topics.len() == image(world).topics.len()
    });
    // Whoever was waiting has its full session from now on.
    world.run(5_000);
}

/// All brokers of a rack are gone at once, and come back.
fn lose_a_rack(world: &mut World) {
    let rack: Vec<usize> =
        (0..world.brokers.len()).filter(|at| world.brokers[*at].rack == 3).collect();
    let ids: Vec<BrokerId> = rack.iter().map(|at| BrokerId(world.brokers[*at].id)).collect();
    let theirs = {
        let image = image(world);
        let all = image.topics.iter().flat_map(|topic| topic.partitions.values());
        all.filter(|partition| ids.contains(&partition.leader)).count()
    };
    let what = format!("{} brokers are gone, who led {theirs} partitions", rack.len());
    measured(world, &what, |world| {
        rack.iter().for_each(|at| world.stop_broker(*at));
        world.until("all of it is fenced", MINUTE_MS, |world| {
            let image = image(world);
            ids.iter().all(|id| image.brokers.get(*id).is_some_and(|broker| broker.fenced))
        });
    });
    assert_eq!(leaderless(world), theirs, "the others lead what they led");
    world.run(2_000);
    measured(world, "they are back", |world| {
        rack.iter().for_each(|at| world.start_broker(*at));
        world.until("all serve", MINUTE_MS, |world| {
            rack.iter().all(|at| !world.brokers[*at].fenced) && leaderless(world) == 0
        });
    });
    world.run(2_000);
}
