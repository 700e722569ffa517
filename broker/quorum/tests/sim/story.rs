//! What a seed lives through: trouble at random, then peace, in which the cluster must recover.

use quorum::{Event, ReplicaKey, Request, Role};

use crate::world::{Counts, World};
use crate::{ELECTION_TIMEOUT_MS, FETCH_TIMEOUT_MS};

/// The longest election time-out that a node draws.
const ELECTION_MS_MAX: i64 = 2 * ELECTION_TIMEOUT_MS;

pub(crate) fn run(world: &mut World) -> Counts {
    let rounds = 20 + world.random.below(60);
    for _ in 0..rounds {
        trouble(world);
        let ms = world.random.between(1, 120);
        world.run(ms);
        work(world);
    }
    heal(world);
    recover(world);
    converge(world);
    a_lost_voter_disturbs_nobody(world);
    a_lost_leader_gives_up(world);
    heal(world);
    recover(world);
    converge(world);
    a_killed_leader_is_replaced(world);
    heal(world);
    recover(world);
    converge(world);
    world.counts.elections = world.oracle.elections() as u64;
    world.counts.committed = world.oracle.committed.len() as u64;
    world.counts.clone()
}

/// Somebody proposes something to whoever believes to lead.
fn work(world: &mut World) {
    for at in 0..world.nodes.len() {
        let leads = |q: &quorum::Quorum| q.role() == Role::Leader;
        if world.nodes[at].quorum.as_ref().is_some_and(leads) {
            for _ in 0..world.random.below(6) {
                let count = 1 + world.random.below(3);
                world.propose(at, count);
            }
        }
    }
}

fn trouble(world: &mut World) {
    let at = world.random.below(world.nodes.len());
    let other = world.random.below(world.nodes.len());
    let up = world.nodes[at].quorum.is_some();
    match world.random.below(26) {
        0..=2 if up => world.stop(at, false),
        3..=5 if up => world.stop(at, true),
        0..=9 if !up => world.start(at),
        6 | 7 => {
            world.counts.partitions += 1;
            world.network.blocked.insert((at, other));
        }
        8 => isolate(world, at),
        9 | 10 => split(world),
        11..=13 => world.network.blocked.clear(),
        14 => {
            world.network.loss = [0, 10, 100, 400][world.random.below(4)];
            world.network.duplicates = [0, 0, 100][world.random.below(3)];
            world.network.cuts = [0, 0, 200][world.random.below(3)];
            world.network.delay_ms_max = [3, 3, 20, 90][world.random.below(4)];
        }
        15 => {
            world.counts.clock_jumps += 1;
            let jump = [-7_200_000, -300, 40, 300, 7_200_000][world.random.below(5)];
            world.nodes[at].clock_offset += jump;
        }
        16 => {
            let ms = [0, 0, 10, 80][world.random.below(4)];
            world.slow(at, ms);
        }
        17 if up => world.step(at, Event::Resign),
        18 | 19 => wipe(world, at),
        20..=22 => change_voters(world, at),
        23 => everybody_stops(world),
        _ => {}
    }
}

pub(crate) fn isolate(world: &mut World, at: usize) {
    world.counts.partitions += 1;
    for other in 0..world.nodes.len() {
        world.network.blocked.insert((at, other));
        world.network.blocked.insert((other, at));
    }
}

fn split(world: &mut World) {
    world.counts.partitions += 1;
    let side: Vec<bool> = world.nodes.iter().map(|_| world.random.chance(500)).collect();
    for from in 0..side.len() {
        for to in 0..side.len() {
            if side[from] != side[to] {
                world.network.blocked.insert((from, to));
            }
        }
    }
}

/// The power goes for all at once.
fn everybody_stops(world: &mut World) {
    for at in 0..world.nodes.len() {
        if world.nodes[at].quorum.is_some() {
            world.stop(at, true);
        }
    }
    for at in 0..world.nodes.len() {
        if world.random.chance(800) {
            world.start(at);
        }
    }
}

/// Whether all voters of a leader run with the disks by which they are known. While one of them is
/// lost for good, nobody takes away another.
fn has_all_voters(world: &World, leader: usize) -> bool {
    let quorum = world.nodes[leader].quorum.as_ref().unwrap();
    let has_disk = |voter: &quorum::Voter| {
        let node = world.nodes.iter().find(|node| node.id == voter.id).unwrap();
        let unknown = voter.directory.is_zero();
        node.quorum.is_some() && (unknown || node.disk.directory == voter.directory)
    };
    quorum.voters().iter().all(has_disk)
}

/// A disk is replaced, when the cluster can bear it: there are more than two voters, nobody knows
/// of others, and all that is committed is on all their disks.
fn wipe(world: &mut World, at: usize) {
    let Some(leader) = world.leader() else { return };
    let quorum = world.nodes[leader].quorum.as_ref().unwrap();
    let voters = quorum.voters();
    let settled = quorum.kraft_version() > 0 && voters.len() > 2 && has_all_voters(world, leader);
    let end = world.oracle.end();
    let agree = world.nodes.iter().all(|node| {
        node.disk.durable.end() >= end
            && node.quorum.as_ref().is_some_and(|quorum| quorum.voters() == voters)
    });
    if settled && agree && world.nodes[at].auto_join {
        world.wipe(at);
    }
}

fn change_voters(world: &mut World, at: usize) {
    let Some(leader) = world.leader() else { return };
    world.counts.voter_changes += 1;
    let node = &world.nodes[at];
    let key = ReplicaKey { id: node.id, directory: node.disk.directory };
    let voters = world.nodes[leader].quorum.as_ref().unwrap().voters();
    if voters.contains(key.id, key.directory) {
        if voters.len() > 1 && has_all_voters(world, leader) {
            world.ask(leader, Request::RemoveVoter(key));
        }
    } else {
        world.add_voter(leader, at);
    }
}

pub(crate) fn heal(world: &mut World) {
    world.network.blocked.clear();
    world.network.loss = 0;
    world.network.duplicates = 0;
    world.network.cuts = 0;
    world.network.delay_ms_max = 3;
    for at in 0..world.nodes.len() {
        world.slow(at, 0);
        if world.nodes[at].quorum.is_none() {
            world.start(at);
        }
    }
}

/// A healed majority elects within three election time-outs, counted from when it has noticed
/// that its leader is gone, and what is still on its way from before has arrived or failed.
fn recover(world: &mut World) {
    let noticed = FETCH_TIMEOUT_MS * 3 / 2 + 150;
    let until = world.now + noticed + 3 * ELECTION_MS_MAX;
    let elected = world.run_until(until, |world| world.leader().is_some());
    assert!(elected, "no leader in three election time-outs: {}", roles(world));
}

fn roles(world: &World) -> String {
    let role = |node: &crate::node::Node| match &node.quorum {
        Some(q) => format!(
            "{}@{} {:?} in {} of {} end {} hw {}; ",
            node.id,
            node.disk.directory,
            q.role(),
            q.epoch(),
            q.voters().describe(),
            q.log_end(),
            q.high_watermark()
        ),
        None => format!("{} down; ", node.id),
    };
    world.nodes.iter().map(role).collect()
}

/// In peace everybody gets all of the log, and a voter without its disk becomes one again.
fn converge(world: &mut World) {
    let settled = |world: &World| {
        let Some(leader) = world.leader() else { return false };
        let voters = world.nodes[leader].quorum.as_ref().unwrap().voters();
        let joined = |node: &crate::node::Node| {
            !node.auto_join || voters.contains(node.id, node.disk.directory)
        };
        let upgraded = world.nodes[leader].quorum.as_ref().unwrap().kraft_version() == 1;
        let end = world.oracle.end();
        let current = |node: &crate::node::Node| {
            let quorum = node.quorum.as_ref().unwrap();
            quorum.high_watermark() == end && quorum.log_end() == end && quorum.voters() == voters
        };
        upgraded && world.nodes.iter().all(|node| current(node) && joined(node))
    };
    if let Some(leader) = world.leader() {
        world.propose(leader, 1);
    }
    let until = world.now + 6_000;
    let done = world.run_until(until, settled);
    assert!(done, "not all have all of the log: {} truth {}", roles(world), world.oracle.end());
    let state = world.oracle.state_at(world.oracle.end());
    for node in &world.nodes {
        assert_eq!(node.state, state, "the state of node {}", node.id);
        world.oracle.audit(node);
    }
}

/// A voter that was cut off and comes back costs nobody an election (KIP-996).
fn a_lost_voter_disturbs_nobody(world: &mut World) {
    let leader = world.leader().unwrap();
    let voters = world.voters(leader);
    let Some(lost) = voters.iter().copied().find(|at| *at != leader) else { return };
    if voters.len() < 3 || !voters.contains(&leader) {
        return;
    }
    let epoch = world.nodes[leader].quorum.as_ref().unwrap().epoch();
    isolate(world, lost);
    world.run(3 * FETCH_TIMEOUT_MS + 3 * ELECTION_MS_MAX);
    work(world);
    heal(world);
    world.run(2 * FETCH_TIMEOUT_MS + ELECTION_MS_MAX);
    let quorum = world.nodes[leader].quorum.as_ref().unwrap();
    let undisturbed = quorum.role() == Role::Leader && quorum.epoch() == epoch;
    assert!(undisturbed, "node {lost} came back and cost an election: {}", roles(world));
    converge(world);
}

/// A leader that its majority cannot reach any more knows that it may not be one (check-quorum),
/// and the others elect another.
fn a_lost_leader_gives_up(world: &mut World) {
    let leader = world.leader().unwrap();
    let voters = world.voters(leader);
    if voters.len() < 3 {
        return;
    }
    isolate(world, leader);
    world.run(FETCH_TIMEOUT_MS * 3 / 2 + 60);
    let role = world.nodes[leader].quorum.as_ref().unwrap().role();
    assert_ne!(role, Role::Leader, "node {leader} leads on without its majority");
    recover(world);
    assert_ne!(world.leader(), Some(leader));
}

/// A refused connection says that the leader's process is gone: most often another leads before
/// anybody's patience with a silent leader would be over.
fn a_killed_leader_is_replaced(world: &mut World) {
    let leader = world.leader().unwrap();
    if world.voters(leader).len() < 3 {
        return;
    }
    world.stop(leader, false);
    let until = world.now + FETCH_TIMEOUT_MS;
    world.counts.leaders_killed += 1;
    if world.run_until(until, |world| world.leader().is_some()) {
        world.counts.replaced_at_once += 1;
    }
    recover(world);
}
