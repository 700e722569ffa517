//! Every history of a small quorum, up to a bound: three voters that run the real state machine
//! elect, append, change voters, crash and lose messages in every order that there is (`world.rs`
//! says what a state is). The simulator of `tests/sim` goes far at random; this goes everywhere
//! near.
//!
//! A scenario bounds the epochs, the proposals, the changes of voters and the crashes; within
//! that, messages arrive late, twice (an answer is lost, the question asked again) or never, disks
//! finish when they like, and time-outs come at any moment. Each scenario is searched to its end.

mod node;
mod world;

use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, Model, Property};

use self::world::{Action, Left, World};
use crate::Role;

/// Where a search begins and where it ends.
#[derive(Clone)]
struct Scenario {
    begin: World,
    epochs: i32,
    /// The longest log.
    log_end: i64,
    /// What has to happen somewhere, for the search to mean anything.
    reaches: Vec<Property<Self>>,
}

impl Model for Scenario {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.begin.clone()]
    }

    fn actions(&self, state: &World, actions: &mut Vec<Action>) {
        if state.truth.broken.is_none() {
            state.actions(actions);
        }
    }

    fn next_state(&self, last_state: &World, action: Action) -> Option<World> {
        let mut next = last_state.clone();
        next.act(action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let always = [
            Property::always("nothing that must not happen", |_: &Self, world: &World| {
                world.truth.broken.is_none()
            }),
            Property::always("logs that agree on a record agree before it", |_, world: &World| {
                world.logs_match()
            }),
        ];
        always.into_iter().chain(self.reaches.clone()).collect()
    }

    fn within_boundary(&self, state: &World) -> bool {
        let ends = state.nodes.iter().all(|node| node.quorum.log_end().0 <= self.log_end);
        // What is beyond is not judged either, so what is broken has to be within.
        (state.epoch() <= self.epochs && ends) || state.truth.broken.is_some()
    }
}

/// Searches a scenario to its end.
#[expect(clippy::disallowed_methods, reason = "it prints how long it took")]
fn search(name: &str, scenario: Scenario) {
    let (began, properties) = (Instant::now(), scenario.properties());
    let begin = scenario.begin.clone();
    let checker = scenario.checker().threads(1).timeout(LONGEST).target_state_count(STATES_MAX);
    let checker = checker.spawn_bfs().join();
    assert!(began.elapsed() < LONGEST, "{name}: not searched to its end");
    println!(
        "{name}: {} states, {} distinct, depth {}, {:.1} s",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        began.elapsed().as_secs_f64()
    );
    for property in properties {
        match (property.expectation, checker.discovery(property.name)) {
            (Expectation::Always, Some(path)) => {
                let mut world = begin.clone();
                let actions = path.into_actions();
                actions.iter().for_each(|action| world.act(*action));
                panic!("{name}: {:?} by {actions:#?}", world.truth.broken);
            }
            (Expectation::Sometimes, None) if STATES_MAX == usize::MAX => {
                panic!("{name}: never {}", property.name)
            }
            _ => {}
        }
    }
}

const NOTHING_LEFT: Left =
    Left { proposals: 0, changes: 0, crashes: 0, restless: [true; 3], fragile: [true; 3] };
/// A search that takes longer than this has left its bound.
const LONGEST: Duration = Duration::from_secs(900);
/// Where the compiler has not optimised only the nearest states are looked at.
const STATES_MAX: usize = if cfg!(debug_assertions) { 5_000 } else { usize::MAX };

/// Lets the nodes of `group` go on among themselves, without time-outs, until something holds.
fn drive(world: &mut World, group: &[usize], holds: impl Fn(&World) -> bool) {
    for _ in 0..500 {
        if holds(world) {
            return;
        }
        let mut actions = Vec::new();
        world.actions(&mut actions);
        // The oldest kind first: disks, then answers, then questions in turn.
        let within = |action: &&Action| world.is_among(**action, group);
        let Some(action) = actions.iter().filter(within).min_by_key(|a| world.turn(**a)).copied()
        else {
            break;
        };
        world.act(action);
    }
    panic!("the beginning did not come about: {world:?}");
}

fn leads(world: &World, at: usize) -> bool {
    world.nodes[at].quorum.role() == Role::Leader
}

/// Three voters; the first leads epoch 1, and all have all of its log.
fn settled(left: Left, stale_max: usize) -> World {
    let mut world = World::new(NOTHING_LEFT, stale_max);
    world.act(Action::Timeout(0));
    drive(&mut world, &[0, 1, 2], |world| {
        let ends = world.nodes.iter().map(|node| {
            let quorum = &node.quorum;
            (quorum.log_end(), quorum.high_watermark(), quorum.log.durable())
        });
        let ends: Vec<_> = ends.collect();
        // The epoch's own batch, and the one that tells of the voters.
        leads(world, 0) && ends.iter().all(|end| end.0 == end.1 && end.0 == end.2 && end.0.0 > 2)
    });
    world.left = left;
    world
}

fn two_leaders() -> Property<Scenario> {
    Property::sometimes("a second leader", |_, world: &World| world.truth.leaders.len() > 1)
}

/// Two of three fresh voters stand for the first epoch, while the third loses its power, or just
/// its process, whenever it likes.
#[test]
fn a_voter_crashes_in_the_first_election() {
    let restless = [true, true, false];
    let left = Left { crashes: 1, restless, fragile: [false, false, true], ..NOTHING_LEFT };
    let reaches = vec![
        Property::sometimes("a leader", |_, world: &World| !world.truth.leaders.is_empty()),
        Property::sometimes("a leader and no crash yet", |_, world: &World| {
            world.left.crashes == 1 && !world.truth.leaders.is_empty()
        }),
        Property::sometimes("a leader by the vote of one that crashed", |_, world: &World| {
            world.left.crashes == 0 && !world.truth.leaders.is_empty()
        }),
    ];
    search(
        "first election",
        Scenario { begin: World::new(left, 0), epochs: 1, log_end: 1, reaches },
    );
}

/// The leader has something to say, or crashes, while the others elect another.
#[test]
fn a_leader_is_followed_by_another() {
    let restless = [false, true, true];
    let left = Left { proposals: 1, restless, ..NOTHING_LEFT };
    let reaches = vec![
        two_leaders(),
        Property::sometimes("a record commits in the first epoch", |_, world: &World| {
            world.truth.committed.get(3).is_some_and(|(epoch, _)| *epoch == 1)
        }),
        Property::sometimes("it does not", |_, world: &World| {
            world.left.proposals == 0
                && world.truth.committed.get(3).is_some_and(|(epoch, _)| *epoch == 2)
        }),
    ];
    search("second leader", Scenario { begin: settled(left, 0), epochs: 2, log_end: 4, reaches });
    let (restless, fragile) = ([false, false, true], [true, false, false]);
    let left = Left { crashes: 1, proposals: 1, restless, fragile, ..NOTHING_LEFT };
    let reaches = vec![two_leaders()];
    search("crash", Scenario { begin: settled(left, 0), epochs: 2, log_end: 4, reaches });
}

#[test]
fn voters_change_under_an_election() {
    let left = Left { changes: 1, restless: [false, true, true], ..NOTHING_LEFT };
    let changed = |_: &Scenario, world: &World| {
        world.nodes.iter().any(|node| {
            let quorum = &node.quorum;
            quorum.log.voters.at(quorum.high_watermark()).1.len() == 2
        })
    };
    let reaches = vec![two_leaders(), Property::sometimes("a voter fewer", changed)];
    search("a change", Scenario { begin: settled(left, 0), epochs: 2, log_end: 4, reaches });
    // The second change: of another voter, or back again.
    let left = Left { changes: 2, restless: [false; 3], ..NOTHING_LEFT };
    let back = |_: &Scenario, world: &World| {
        let committed = i64::try_from(world.truth.committed.len()).unwrap();
        world.left.changes == 0
            && committed > 4
            && world.nodes.iter().any(|node| node.quorum.voters().len() == 3)
    };
    let reaches = vec![
        Property::sometimes("a voter fewer", changed),
        Property::sometimes("three voters again", back),
    ];
    search("two changes", Scenario { begin: settled(left, 0), epochs: 1, log_end: 9, reaches });
}

/// A record of epoch 1 is on its leader's disk alone, another's first record of epoch 2 too; the
/// first leads again in epoch 3, and the other may again in epoch 4. What a majority has of epoch
/// 1 can still be cut.
#[test]
fn an_older_epochs_record_is_not_committed_by_count() {
    let mut begin = settled(NOTHING_LEFT, 0);
    begin.left = Left { proposals: 1, crashes: 1, ..NOTHING_LEFT };
    begin.act(Action::Propose(0));
    begin.act(Action::Flushed(0));
    begin.act(Action::Crash { at: 2, power: false });
    // It gives up on the leader, and its turn comes.
    (0..2).for_each(|_| begin.act(Action::Timeout(1)));
    drive(&mut begin, &[1, 2], |world| leads(world, 1));
    // It resigns, hears of epoch 2, and stands for the next.
    (0..3).for_each(|_| begin.act(Action::Timeout(0)));
    drive(&mut begin, &[0, 2], |world| world.nodes[0].quorum.epoch().0 == 2);
    begin.act(Action::Timeout(0));
    drive(&mut begin, &[0, 2], |world| leads(world, 0));
    begin.piecemeal = true;
    begin.left = Left { restless: [false, true, true], ..NOTHING_LEFT };
    let reaches = vec![
        Property::sometimes("a fourth leader", |_, world: &World| {
            world.truth.leaders.contains_key(&4)
        }),
        Property::sometimes("the record of epoch 1 commits", |_, world: &World| {
            world.truth.committed.get(3).is_some_and(|(epoch, _)| *epoch == 1)
        }),
        Property::sometimes("the record of epoch 2 commits", |_, world: &World| {
            world.truth.committed.get(3).is_some_and(|(epoch, _)| *epoch == 2)
        }),
    ];
    search("older epoch", Scenario { begin, epochs: 4, log_end: 5, reaches });
}
