//! What a seed lives through: trouble at random with clients at work, then peace, at first for a
//! majority only.

use std::collections::BTreeSet;

use metadata::Image;
use node::{ControlEvent, Node, QuorumState, Role, Voter};
use wire::ErrorCode;
use wire::ids::{BrokerId, Uuid};

use crate::clients::Act;
use crate::world::{ELECTION_TIMEOUT_MS, End, FETCH_TIMEOUT_MS, Host, SESSION_MS, World};

/// The longest election time-out that a node draws, three times.
const ELECTIONS_MS: i64 = 3 * 2 * ELECTION_TIMEOUT_MS;
/// The longest fetch time-out that a node draws, after which it misses its leader, and a message
/// that was on its way.
const NOTICED_MS: i64 = FETCH_TIMEOUT_MS * 3 / 2 + 150;
/// Longer than what was asked by a client that is gone, or heard already, is on its way.
const REMOVAL_ON_ITS_WAY_MS: i64 = 1_000;
const HOUR_MS: i64 = 3_600_000;

pub(crate) fn run(world: &mut World) {
    // A cluster forms before it is hurt.
    world.until("the cluster forms", 10_000, all_serve);
    let rounds = 6 + world.random.below(14);
    for _ in 0..rounds {
        trouble(world);
        for _ in 0..world.random.below(4) {
            client(world);
        }
        let ms = 20 + world.random.below(1_500) as i64;
        world.run(ms);
    }
    a_majority_elects(world);
    peace(world);
    // Once more from the disks alone.
    (0..world.hosts.len()).for_each(|at| world.end(at, End::Power));
    peace(world);
    let counts = &mut world.counts;
    counts.epochs = world.oracle.epochs();
    counts.committed = world.oracle.truth.end as u64;
    counts.snapshots = world.oracle.truth.snapshots;
    counts.records = world.producers.acknowledged;
    counts.duplicates = world.producers.duplicates;
}

fn pick(world: &mut World) -> usize {
    let count = world.hosts.len() as u64;
    world.random.below(count) as usize
}

fn trouble(world: &mut World) {
    let (at, other) = (pick(world), pick(world));
    let up = world.hosts[at].node.is_some();
    match world.random.below(24) {
        0 | 1 if up => world.end(at, End::Power),
        2 | 3 if up => world.end(at, End::Kill),
        4 if up => {
            world.hosts[at].stopping = true;
            world.tell(at, ControlEvent::Shutdown);
        }
        5 if up => {
            // In the middle of some write to come.
            let calls = 1 + world.random.below(40);
            world.hosts[at].disk.crash_after(calls);
        }
        0..=7 if !up => world.start(at),
        6 | 7 => {
            world.counts.cuts += 1;
            world.network.blocked.insert((at, other));
        }
        8 => isolate(world, at),
        9 | 10 => world.network.blocked.clear(),
        11 => {
            world.network.loss = [0, 10, 100, 300][world.random.below(4) as usize];
            world.network.doubles = [0, 0, 100][world.random.below(3) as usize];
            world.network.delay_ms_max = [2, 2, 30, 150][world.random.below(4) as usize];
        }
        12 => {
            world.counts.clock_jumps += 1;
            let jumps = [-5 * HOUR_MS, -HOUR_MS, -400, 400, HOUR_MS, 5 * HOUR_MS];
            world.hosts[at].clock_offset += jumps[world.random.below(6) as usize];
        }
        13 => {
            world.counts.slow_disks += 1;
            world.hosts[at].slow_ms = [0, 0, 15, 120][world.random.below(4) as usize];
        }
        14 => world.hosts[at].disk.write_back_some(),
        15 => lose_a_disk(world, at),
        16 | 17 => change_voters(world, at),
        18 => ghost(world),
        19..=22 => {
            let name = format!("again-{}", world.random.below(2));
            if let Some(leader) = leader(world) {
                world.remake(leader, &name);
            }
        }
        _ => {}
    }
}

fn isolate(world: &mut World, at: usize) {
    world.counts.cuts += 1;
    for other in 0..world.hosts.len() {
        world.network.blocked.insert((at, other));
        world.network.blocked.insert((other, at));
    }
}

/// A client asks any node that runs for something, or a producer writes there.
fn client(world: &mut World) {
    let at = pick(world);
    if world.hosts[at].node.is_none() {
        return;
    }
    let name = format!("topic-{}", world.random.below(20));
    match world.random.below(10) {
        0..=3 => world.client(at, Act::Create(name)),
        4 | 5 => world.client(at, Act::Delete(name)),
        6 => world.client(at, Act::ProducerIds),
        _ => (0..3).for_each(|_| world.produce(at)),
    }
}

fn state(node: &Node) -> QuorumState {
    node.quorum_state().unwrap()
}

/// Whether this host is the voter, with the disk by which it is known.
fn is_voter(voter: &Voter, at: usize, host: &Host) -> bool {
    let disk = voter.directory.is_zero() || voter.directory == host.directory;
    voter.id == BrokerId(at as i32) && disk
}

/// Whether all voters run with the disks by which they are known. While one of them is lost for
/// good, nobody takes away another.
fn has_all_voters(world: &World, voters: &[Voter]) -> bool {
    let runs = |voter: &Voter| {
        let mut hosts = world.hosts.iter().enumerate();
        hosts.any(|(at, host)| host.node.is_some() && is_voter(voter, at, host))
    };
    voters.iter().all(runs)
}

/// A disk is lost for good, when the cluster can bear it: there are more than two voters, nobody
/// knows of others or is about to take one away, and all that is committed is on the disks of all.
fn lose_a_disk(world: &mut World, at: usize) {
    let Some(leader) = leader(world) else { return };
    let removal = world.clients.values().any(|client| client.act.is_removal());
    if removal || world.now < world.removal_at + REMOVAL_ON_ITS_WAY_MS {
        return;
    }
    let voters = world.node(leader).control_status().voters.clone();
    let known = voters.len() > 2 && voters.iter().all(|voter| voter.directory != Uuid::ZERO);
    let (end, epoch) = world.oracle.truth.last();
    let agree = world.hosts.iter().all(|host| {
        let Some(node) = &host.node else { return false };
        let kept = crate::logs::keeps(&host.disk, end - 1, epoch);
        kept && node.control_status().voters == voters
    });
    if known && agree && has_all_voters(world, &voters) {
        world.wipe(at);
    }
}

/// A voter goes, comes back, or is reached elsewhere.
fn change_voters(world: &mut World, at: usize) {
    let Some(leader) = leader(world) else { return };
    let voters = world.node(leader).control_status().voters.clone();
    let host = &world.hosts[at];
    if host.directory.is_zero() {
        return;
    }
    let act = match voters.iter().find(|voter| is_voter(voter, at, host)) {
        Some(_) if world.random.one_in(3) => {
            Act::UpdateVoter(at, 9_000 + world.random.below(9) as u16)
        }
        Some(voter) if voters.len() > 1 && has_all_voters(world, &voters) => {
            Act::RemoveVoter(voter.id, voter.directory)
        }
        Some(_) => return,
        None => Act::AddVoter(at),
    };
    let asked = if matches!(act, Act::UpdateVoter(..)) { leader } else { pick(world) };
    if world.hosts[asked].node.is_some() {
        world.client(asked, act);
    }
}

/// A run of a broker that is over is heard of once more.
fn ghost(world: &mut World) {
    let Some(leader) = leader(world) else { return };
    let (current, epochs) = (world.oracle.truth.image(), world.oracle.truth.broker_epochs());
    let over = epochs.filter(|(epoch, broker)| {
        current.brokers.get(*broker).is_none_or(|known| known.epoch != *epoch)
    });
    if let Some((epoch, broker)) = over.last() {
        world.counts.ghosts += 1;
        world.client(leader, Act::Ghost(broker.0 as usize, epoch));
    }
}

/// The leader that a majority knows.
fn leader(world: &World) -> Option<usize> {
    let states: Vec<QuorumState> = world.nodes().map(state).collect();
    let leads = states.iter().filter(|one| one.role == Role::Leader).max_by_key(|one| one.epoch)?;
    let agree = states.iter().filter(|one| (one.epoch, one.leader) == (leads.epoch, leads.leader));
    let majority = world.hosts.len() / 2 + 1;
    (agree.count() >= majority).then_some(usize::try_from(leads.leader?.0).unwrap())
}

fn all_serve(world: &World) -> bool {
    let count = world.hosts.len();
    let active = |image: &Image| image.brokers.iter().filter(|b| b.is_active()).count() == count;
    world.hosts.iter().all(|host| host.node.is_some() && host.ready && !host.stopping)
        && leader(world).is_some()
        && world.nodes().all(|node| active(&node.image()))
}

/// All have all of the log, and show it; who lost a disk votes again.
fn all_agree(world: &World) -> bool {
    let truth = world.oracle.truth.image();
    let Some(voters) = world.oracle.truth.voters() else { return world.hosts.len() == 1 };
    let votes = |(at, host)| voters.iter().any(|voter| is_voter(voter, at, host));
    world.nodes().all(|node| *node.image() == *truth) && world.hosts.iter().enumerate().all(votes)
}

fn heal(world: &mut World, whom: &BTreeSet<usize>) {
    (world.network.loss, world.network.doubles, world.network.delay_ms_max) = (0, 0, 2);
    world.network.blocked.retain(|(from, to)| !whom.contains(from) || !whom.contains(to));
    for at in whom {
        world.hosts[*at].slow_ms = 0;
        world.revive(*at);
    }
    world.keep_up = whom.clone();
}

/// While some are down or cut off, the others are healed: if they are a majority, they elect.
fn a_majority_elects(world: &mut World) {
    let count = world.hosts.len();
    let mut whom: BTreeSet<usize> = (0..count).collect();
    for _ in 0..world.random.below((count as u64).div_ceil(2)) {
        let lost = pick(world);
        whom.remove(&lost);
    }
    if whom.len() < count {
        for at in (0..count).filter(|at| !whom.contains(at)) {
            match world.random.one_in(2) {
                true => isolate(world, at),
                false if world.hosts[at].node.is_some() => world.end(at, End::Kill),
                false => {}
            }
        }
        heal(world, &whom);
        // Of the voters that any of them goes by: a change may be open.
        let majority = |voters: &[Voter]| {
            let here =
                |voter: &&Voter| whom.iter().any(|at| is_voter(voter, *at, &world.hosts[*at]));
            voters.iter().filter(here).count() > voters.len() / 2
        };
        let known = world.oracle.truth.voters();
        let known = known.is_none_or(|all| majority(&all.iter().cloned().collect::<Vec<_>>()));
        let mut nodes = whom.iter().filter_map(|at| world.hosts[*at].node.as_ref());
        if known && nodes.all(|node| majority(&node.control_status().voters)) {
            world.counts.elections_by_a_majority += 1;
            elect(world);
        }
    }
    world.keep_up.clear();
}

/// A healed majority elects within three election time-outs.
fn elect(world: &mut World) {
    let healed = world.now;
    world.until("a leader", NOTICED_MS + ELECTIONS_MS, |world| leader(world).is_some());
    let took = world.now - healed;
    world.counts.election_ms_max = world.counts.election_ms_max.max(took);
}

fn peace(world: &mut World) {
    heal(world, &(0..world.hosts.len()).collect());
    elect(world);
    world.until("all serve", 10 * SESSION_MS + 10_000, all_serve);
    world.until("all clients have an answer", 60_000, |world| world.clients.is_empty());
    world.until("all show the same", 20_000, all_agree);
    let image = world.oracle.truth.image();
    for (name, expected) in &world.topics {
        let there = image.topics.by_name(name).is_some();
        if let Some(expected) = expected {
            assert_eq!(there, *expected, "{name}, as confirmed");
        }
    }
    world.producers.forget(&image);
    for at in 0..world.hosts.len() {
        let (now, node) = (world.local(at), world.hosts[at].node.as_ref().unwrap());
        world.producers.check(now, at, node);
    }
    assert!(world.producers.all_seen(), "a partition is served by nobody in peace");
    // And it decides, at the latest when asked again: who leads may yet change once, by a campaign
    // that began before.
    for again in 0.. {
        world.client(0, Act::Create("the-last".to_owned()));
        world.until("an answer in peace", 10_000, |world| world.clients.is_empty());
        match world.last_code {
            Some(ErrorCode::None | ErrorCode::TopicAlreadyExists) => break,
            Some(ErrorCode::NotController) if again < 2 => {}
            other => panic!("no decision in peace: {other:?}"),
        }
    }
    world.keep_up.clear();
}
