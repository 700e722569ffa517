//! Three nodes make one cluster: they elect, decide, pass on, lose each other and come back.

mod addresses;
mod hanging;
mod leaving;
mod refusing;
mod world;

use std::collections::BTreeSet;
use std::path::Path;

use storage::disk::{Disk, read_file};
use wire::ErrorCode;
use wire::ids::BrokerId;
use wire::messages::create_topics_request::CreateTopicsRequest;

use self::world::{World, code_of, create_request};

fn names(world: &World, at: usize) -> BTreeSet<String> {
    world.node(at).image().topics.iter().map(|topic| topic.name.to_string()).collect()
}

#[test]
fn three_nodes_form_one_cluster() {
    let mut world = World::new(3, 1);
    let took = world.until("formation", 2_000, |world| {
        world.hosts.iter().all(|host| host.ready) && world.leader().is_some()
    });
    println!("formed in {took} ms");
    world.agree();
    let image = world.node(0).image();
    assert_eq!(image.brokers.iter().filter(|broker| broker.is_active()).count(), 3);
    let id = image.cluster_id().unwrap().to_owned();
    assert!((0..3).all(|at| world.node(at).cluster_id() == id));
    assert_eq!(world.node(1).control_status().voters.len(), 3);
}

#[test]
fn what_a_follower_is_asked_the_controller_decides() {
    let mut world = World::new(3, 2);
    let leader = world.settle();
    let follower = (leader + 1) % 3;
    assert_eq!(world.create(follower, "orders"), ErrorCode::None);
    assert_eq!(world.create(follower, "orders"), ErrorCode::TopicAlreadyExists);
    assert_eq!(world.create(leader, "payments"), ErrorCode::None);
    // The leader's own answer comes when its image shows the topic.
    assert!(names(&world, leader).contains("payments"));
    world.agree();
    // Partitions of one replica spread over the brokers, each served where it is.
    let image = world.node(leader).image();
    let topic = image.topics.by_name("orders").unwrap();
    let leaders: BTreeSet<_> = topic.partitions.iter().map(|(_, p)| p.leader).collect();
    assert_eq!(leaders.len(), 3);
    for (index, partition) in topic.partitions.iter() {
        let at = usize::try_from(partition.leader.0).unwrap();
        assert!(world.node(at).partition(topic.id, *index).is_ok());
    }
}

#[test]
fn what_was_made_by_a_follower_is_shown_by_it() {
    let mut world = World::new(3, 9);
    let leader = world.settle();
    // The other one makes the majority: this one hears of what was decided much later.
    let follower = (leader + 1) % 3;
    world.slow_fetches.insert(follower);
    for n in 0..10 {
        let name = format!("topic-{n}");
        let token = world.ask(follower, create_request(&name));
        world.until("an answer", 2_000, |world| {
            let answered = world.answers.contains_key(&token);
            assert!(!answered || names(world, follower).contains(&name), "{name} is not shown");
            answered
        });
        assert_eq!(code_of(&world.answers[&token]), ErrorCode::None);
    }
    // Nor does an answer wait for ever: the controller dies with its log's end untold.
    let token = world.ask(follower, create_request("last"));
    world.run(15);
    world.kill(leader);
    world.until("an answer", 5_000, |world| world.answers.contains_key(&token));
    assert!(names(&world, follower).contains("last"));
}

#[test]
fn a_stop_before_the_logs_are_open_promises_nothing() {
    let mut world = World::new(3, 5);
    let leader = world.settle();
    let at = (leader + 1) % 3;
    assert_eq!(world.create(at, "orders"), ErrorCode::None);
    world.kill(at);
    world.start(at);
    // No controller has been met yet: what a power loss left of the logs is unknown.
    let (node, disk) = (world.hosts[at].node.take().unwrap(), world.hosts[at].disk.clone());
    let checkpoint = Path::new("/data/recovery-point-offset-checkpoint");
    let before = read_file(&disk, checkpoint, 1 << 20).ok();
    node.shutdown(world.now).unwrap();
    assert!(!disk.exists(Path::new("/data/.kafka_cleanshutdown")).unwrap());
    assert_eq!(read_file(&disk, checkpoint, 1 << 20).ok(), before);
}

#[test]
fn the_loss_of_the_controller_loses_nothing() {
    let mut world = World::new(3, 3);
    world.settle();
    let mut made = BTreeSet::new();
    for round in 0..6 {
        let leader = world.settle();
        let at = (leader + 1) % 3;
        let name = format!("before-{round}");
        assert_eq!(world.create(at, &name), ErrorCode::None);
        made.insert(name);
        // Asked for, and the controller dies before or after it has decided.
        let name = format!("during-{round}");
        let token = world.ask(at, create_request(&name));
        world.run(round);
        world.kill(leader);
        let took = world.until("another controller", 5_000, |world| {
            world.leader().is_some_and(|now| now != leader)
        });
        println!("another controller after {took} ms");
        world.until("an answer", 40_000, |world| world.answers.contains_key(&token));
        let code = code_of(&world.answers[&token]);
        // Asked again by this broker after the loss, it may have been made the first time.
        assert!([ErrorCode::None, ErrorCode::TopicAlreadyExists].contains(&code), "{code}");
        made.insert(name);
        world.start(leader);
        world.settle();
        world.agree();
        assert_eq!(names(&world, leader), made);
    }
}

#[test]
fn what_was_not_committed_is_cut() {
    let mut world = World::new(3, 4);
    let old = world.settle();
    world.agree();
    // Nobody hears the leader any more; it decides, and the decision is on its disk alone.
    let others = [(old + 1) % 3, (old + 2) % 3];
    world.cut = others.iter().map(|other| (old.min(*other), old.max(*other))).collect();
    let token = world.ask(old, create_request("lost"));
    world.until("another leader", 5_000, |world| {
        others.iter().all(|at| {
            let leader = world.node(*at).control_status().leader;
            leader.is_some_and(|leader| leader.0 != old as i32)
        })
    });
    assert!(!names(&world, old).contains("lost"), "what is not committed is not shown");
    assert_eq!(world.create(others[0], "kept"), ErrorCode::None);
    world.cut.clear();
    world.settle();
    world.agree();
    world.until("an answer", 40_000, |world| world.answers.contains_key(&token));
    assert_eq!(code_of(&world.answers[&token]), ErrorCode::NotController);
    assert_eq!(names(&world, old), BTreeSet::from(["kept".to_owned()]));
    // Nor does it come back from the disk.
    world.kill(old);
    world.start(old);
    world.settle();
    world.agree();
    assert_eq!(names(&world, old), BTreeSet::from(["kept".to_owned()]));
}

#[test]
fn a_wiped_node_takes_the_snapshot_and_votes_anew() {
    let (mut world, leader) = World::with_a_snapshot_to_take(5);
    let wiped = (leader + 1) % 3;
    world.wipe(wiped);
    let votes = |world: &World| {
        let voters = &world.node(leader).control_status().voters;
        voters.iter().find(|voter| voter.id.0 == wiped as i32).map(|voter| voter.directory)
    };
    let before = votes(&world);
    world.start(wiped);
    world.settle();
    world.agree();
    assert_eq!(names(&world, wiped).len(), 60);
    let files = world.hosts[wiped].disk.list(Path::new("/data/__cluster_metadata-0")).unwrap();
    let from_the_start = files.iter().any(|file| file.name == "00000000000000000000.log");
    assert!(!from_the_start, "it has fetched the log, not the snapshot: {files:?}");
    world.until("another directory votes", 10_000, |world| {
        votes(world).is_some() && votes(world) != before
    });
    assert!(world.hosts.iter().all(|host| host.fatal.is_none()));
}

#[test]
fn two_wiped_disks_of_three_form_nothing() {
    let mut world = World::new(3, 8);
    let leader = world.settle();
    assert_eq!(world.create(leader, "kept"), ErrorCode::None);
    world.agree();
    let survivor = (leader + 1) % 3;
    let others = [(survivor + 1) % 3, (survivor + 2) % 3];
    let epoch = world.node(survivor).control_status().epoch;
    for at in others {
        world.wipe(at);
    }
    world.kill(survivor);
    let log = Path::new("/data/__cluster_metadata-0/00000000000000000000.log");
    let before = read_file(&world.hosts[survivor].disk, log, 1 << 20).unwrap();
    // An election would begin an epoch.
    let latest = |world: &World| {
        let up = world.hosts.iter().filter_map(|host| host.node.as_ref());
        up.map(|node| node.control_status().epoch).max()
    };
    // Neither by themselves nor with who remembers the cluster.
    others.into_iter().for_each(|at| world.start(at));
    world.run(10_000);
    assert!(latest(&world) <= Some(epoch), "a second cluster");
    world.start(survivor);
    world.run(10_000);
    assert!(latest(&world) <= Some(epoch), "a second cluster");
    assert!(world.hosts.iter().all(|host| host.fatal.is_none()));
    let after = read_file(&world.hosts[survivor].disk, log, 1 << 20).unwrap();
    assert!(after.starts_with(&before), "its metadata is gone");
}

#[test]
fn many_topics_in_one_question_are_one_change() {
    let mut world = World::new(3, 6);
    let leader = world.settle();
    let topics = (0..100).flat_map(|n| create_request(&format!("topic-{n}")).topics).collect();
    let request = CreateTopicsRequest { topics, ..Default::default() };
    let follower = (leader + 2) % 3;
    let token = world.ask(follower, request);
    let whole = |world: &World, at: usize| [0, 100].contains(&names(world, at).len());
    world.until("an answer", 10_000, |world| {
        assert!((0..3).all(|at| whole(world, at)));
        world.answers.contains_key(&token)
    });
    world.agree();
    assert_eq!(names(&world, follower).len(), 100);
}

#[test]
fn a_broker_that_stops_is_let_go() {
    let mut world = World::new(3, 7);
    let leader = world.settle();
    world.agree();
    let going = (leader + 1) % 3;
    world.stop_gently(going);
    let image = world.node(leader).image();
    assert!(!image.brokers.get(BrokerId(going as i32)).unwrap().is_active());
    // The controller itself: another takes over at once.
    let now = world.leader().unwrap();
    world.stop_gently(now);
}

#[test]
fn a_broker_that_is_killed_is_missed_at_once() {
    let mut world = World::new(3, 8);
    let leader = world.settle();
    world.agree();
    let gone = (leader + 1) % 3;
    let id = BrokerId(gone as i32);
    let fenced = move |world: &World| world.node(leader).image().brokers.get(id).unwrap().fenced;
    world.kill(gone);
    let took = world.until("it is fenced", 5_000, fenced);
    assert!(took <= 700, "{took} ms: nobody has looked for it");
    // Its next run need not wait for the session of the last one.
    world.start(gone);
    let took = world.until("it serves", 5_000, |world| world.hosts[gone].ready);
    assert!(took <= 1_000, "{took} ms");
    // Where nothing comes back there is no telling: the session runs out.
    world.agree();
    world.cut = [(gone.min(leader), gone.max(leader))].into();
    let took = world.until("it is fenced", 5_000, fenced);
    assert!(took >= 1_200, "{took} ms: fenced although it may be there");
}

#[test]
fn a_clean_stop_is_told_at_the_next_start() {
    let mut world = World::new(3, 9);
    let leader = world.settle();
    world.agree();
    let going = (leader + 1) % 3;
    let id = BrokerId(going as i32);
    let epoch = world.node(leader).image().brokers.get(id).unwrap().epoch;
    world.stop_gently(going);
    world.node(going).shutdown(world.now).unwrap();
    world.kill(going);
    world.registrations.clear();
    world.start(going);
    world.settle();
    assert_eq!(world.registrations.first(), Some(&(going, epoch)));
    // A kill is no clean stop.
    world.kill(going);
    world.registrations.clear();
    world.start(going);
    world.settle();
    assert_eq!(world.registrations.first(), Some(&(going, -1)));
}

#[test]
fn a_cordoned_broker_takes_no_new_partitions() {
    let mut world = World::new(3, 10);
    let leader = world.settle();
    world.agree();
    let closed = (leader + 1) % 3;
    let id = BrokerId(closed as i32);
    let token = world.ask(closed, crate::dirs::cordon_request(id.0, "*"));
    world.until("it is set", 5_000, |world| world.answers.contains_key(&token));
    let takes =
        move |world: &World| world.node(leader).image().brokers.get(id).unwrap().takes_partitions();
    let took = world.until("the controller hears of it", 2_000, |world| !takes(world));
    assert!(took <= 100, "{took} ms: it waited for a heartbeat");
    assert_eq!(world.create(leader, "elsewhere"), ErrorCode::None);
    let image = world.node(leader).image();
    let topic = image.topics.by_name("elsewhere").unwrap();
    assert!(topic.partitions.values().all(|one| one.replicas != [id]), "{topic:?}");
    let token = world.ask(closed, crate::dirs::cordon_request(id.0, ""));
    world.until("it is set", 5_000, |world| world.answers.contains_key(&token));
    world.until("the controller hears of it", 2_000, takes);
}
