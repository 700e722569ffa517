//! Controllers that come back on another port, one after another: the voters say where each is.

use wire::ErrorCode;

use super::world::World;

/// Whether a node knows the voter there where it listens now.
fn knows(world: &World, at: usize, who: usize) -> bool {
    let status = world.node(at).control_status();
    let mut voters = status.voters.iter().filter(|voter| voter.id.0 == who as i32);
    voters.any(|voter| voter.endpoints == [world.endpoint(who)])
}

/// It stops and comes back on another port; all others learn of it.
fn restart_elsewhere(world: &mut World, at: usize) {
    world.kill(at);
    world.settle();
    world.hosts[at].port += 1;
    world.start(at);
    world.settle();
    world.until("the others know where it is", 2_000, |world| {
        (0..world.hosts.len()).all(|other| other == at || knows(world, other, at))
    });
}

fn formed(seed: u64) -> (World, usize) {
    let mut world = World::new(3, seed);
    let leader = world.settle();
    world.until("the voters are known by their disks", 10_000, |world| {
        world.node(leader).control_status().kraft_version == 1
    });
    world.agree();
    (world, leader)
}

#[test]
fn controllers_move_to_other_ports_one_after_another() {
    for seed in 0..6 {
        println!("seed {seed}");
        let (mut world, leader) = formed(700 + seed);
        let first = leader + usize::try_from(seed).unwrap() % 3;
        for at in (first..first + 3).map(|at| at % 3) {
            restart_elsewhere(&mut world, at);
        }
        // No address of before is needed any more: not with one of them lost, nor after all were.
        let leader = world.leader().unwrap();
        world.kill(leader);
        let leader = world.settle();
        assert_eq!(world.create(leader, "orders"), ErrorCode::None);
        (0..3).for_each(|at| world.kill(at));
        world.start_all();
        let leader = world.settle();
        assert_eq!(world.create(leader, "payments"), ErrorCode::None);
        // Each has said it, and has not gone on saying it.
        assert!(world.moves <= 6, "{} requests", world.moves);
        let moves = world.moves;
        world.run(10_000);
        assert_eq!(world.moves, moves);
    }
}

#[test]
fn who_has_moved_and_leads_writes_down_where_it_is() {
    let (mut world, leader) = formed(710);
    let (moved, other) = ((leader + 1) % 3, (leader + 2) % 3);
    world.kill(leader);
    world.kill(moved);
    world.hosts[moved].port += 1;
    world.start(moved);
    // Of the two that are left it reaches the other, and only that: where it was nobody is.
    let leads = world.settle();
    assert_eq!(leads, moved);
    world.until("it has written where it is", 2_000, |world| knows(world, other, moved));
    assert_eq!(world.moves, 0, "nobody was asked");
}

#[test]
fn who_has_not_moved_says_nothing() {
    let (mut world, _) = formed(720);
    for at in 0..3 {
        world.kill(at);
        world.settle();
        world.start(at);
        world.settle();
    }
    world.run(10_000);
    assert_eq!(world.moves, 0);
}
