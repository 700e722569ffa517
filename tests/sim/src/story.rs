//! What a seed lives through: trouble at random with clients at work, then peace.

use wire::ErrorCode;

use crate::world::{Act, FETCH_TIMEOUT_MS, SESSION_MS, World};

/// The longest election time-out that a node draws, three times.
const ELECTIONS_MS: i64 = 3 * 2 * crate::world::ELECTION_TIMEOUT_MS;

pub(crate) fn run(world: &mut World) {
    // A cluster forms before it is hurt.
    world.until("the cluster forms", 10_000, |world| world.all_serve());
    let rounds = 6 + world.random.below(14);
    for _ in 0..rounds {
        trouble(world);
        for _ in 0..world.random.below(3) {
            client(world);
        }
        let ms = 20 + world.random.below(1_500) as i64;
        world.run(ms);
    }
    peace(world);
    // Once more from the disks alone.
    for at in 0..world.hosts.len() {
        world.kill(at);
        world.start(at);
    }
    peace(world);
    world.counts.epochs = world.oracle.epochs();
}

fn pick(world: &mut World) -> usize {
    let count = world.hosts.len() as u64;
    world.random.below(count) as usize
}

fn trouble(world: &mut World) {
    let (at, other) = (pick(world), pick(world));
    let up = world.hosts[at].node.is_some();
    match world.random.below(16) {
        0..=2 if up => world.kill(at),
        3 if up => {
            // In the middle of some write to come.
            let calls = 1 + world.random.below(40);
            world.hosts[at].disk.crash_after(calls);
        }
        0..=5 if !up => world.start(at),
        6 | 7 => {
            world.counts.cuts += 1;
            world.network.blocked.insert((at, other));
        }
        8 => {
            world.counts.cuts += 1;
            for other in 0..world.hosts.len() {
                world.network.blocked.insert((at, other));
                world.network.blocked.insert((other, at));
            }
        }
        9 | 10 => world.network.blocked.clear(),
        11 => {
            world.network.loss = [0, 10, 100, 300][world.random.below(4) as usize];
            world.network.doubles = [0, 0, 100][world.random.below(3) as usize];
            world.network.delay_ms_max = [2, 2, 30, 150][world.random.below(4) as usize];
        }
        12 => {
            world.counts.clock_jumps += 1;
            let jump = [-3_600_000, -400, 400, 3_600_000][world.random.below(4) as usize];
            world.hosts[at].clock_offset += jump;
        }
        13 => world.hosts[at].slow_ms = [0, 0, 15, 120][world.random.below(4) as usize],
        14 => world.hosts[at].disk.write_back_some(),
        _ => {}
    }
}

/// A client asks any node that runs for a topic, or to be rid of one.
fn client(world: &mut World) {
    let at = pick(world);
    if world.hosts[at].node.is_none() {
        return;
    }
    let name = format!("topic-{}", world.random.below(12));
    let act = if world.random.one_in(3) { Act::Delete } else { Act::Create };
    world.client(at, act, name);
}

fn heal(world: &mut World) {
    world.network.blocked.clear();
    (world.network.loss, world.network.doubles, world.network.delay_ms_max) = (0, 0, 2);
    for at in 0..world.hosts.len() {
        world.hosts[at].slow_ms = 0;
        world.revive(at);
    }
}

fn peace(world: &mut World) {
    heal(world);
    // Until it is noticed that a leader is gone, and what is on its way has failed or arrived.
    let noticed = FETCH_TIMEOUT_MS * 2 + crate::world::REQUEST_TIMEOUT_MS;
    world.until("a leader", noticed + ELECTIONS_MS, |world| world.leader().is_some());
    world.until("all serve", 10 * SESSION_MS + 10_000, |world| world.all_serve());
    world.until("all clients have an answer", 60_000, |world| world.clients.is_empty());
    world.until("all show the same", 10_000, |world| world.all_agree());
    let image = world.node(0).image();
    for (name, expected) in &world.topics {
        let there = image.topics.by_name(name).is_some();
        if let Some(expected) = expected {
            assert_eq!(there, *expected, "{name}, as confirmed");
        }
    }
    // And it decides, at the latest when asked again: who leads may yet change once, by a campaign
    // that began before.
    for again in 0.. {
        world.client(0, Act::Create, "the-last".to_owned());
        world.until("an answer in peace", 10_000, |world| world.clients.is_empty());
        match world.last_code {
            Some(ErrorCode::None | ErrorCode::TopicAlreadyExists) => return,
            Some(ErrorCode::NotController) if again < 2 => {}
            other => panic!("no decision in peace: {other:?}"),
        }
    }
}
