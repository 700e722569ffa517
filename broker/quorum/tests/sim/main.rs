//! Seeded simulation of whole quorums: several nodes in one process, on disks that lose what was
//! not flushed and a network that loses, doubles, delays and cuts, with crashes, wiped disks,
//! clocks that jump, and voters that come and go.
//!
//! Held after every step (`oracle.rs`): one leader per epoch; logs that agree on a record agree on
//! all before it; epochs and high watermarks never fall; a record is committed by a leader, in its
//! own epoch, on the disks of a majority, and is never lost or replaced; a snapshot is what replay
//! makes; voters change one at a time and are those that the log names; a vote or acknowledgement
//! leaves only when it is on disk, and one disk has one vote. Held in peace (`story.rs`): a healed
//! majority elects in three election time-outs, everybody gets all of the log, a voter that comes
//! back costs no election, a leader without its majority gives up.
//!
//! `seeds.txt` holds seeds that once found a bug. `TIDELOG_QUORUM_SEED=n` runs one seed and prints
//! what happened, `TIDELOG_QUORUM_COUNT=n` that many fresh ones (the long form),
//! `TIDELOG_QUORUM_FROM=n` from this seed on.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test panics; its fresh seeds come from the clock and its bounds from variables"
)]

extern crate tidelog_quorum as quorum;

mod disk;
mod node;
mod oracle;
mod random;
mod story;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::SystemTime;

use world::{Counts, World};

pub(crate) const FETCH_TIMEOUT_MS: i64 = 200;
pub(crate) const ELECTION_TIMEOUT_MS: i64 = 100;
/// Less than half a minute on one core; fewer where the compiler has not optimised.
const FRESH_SEEDS: u64 = if cfg!(debug_assertions) { 150 } else { 2_000 };

fn run(seed: u64, tracing: bool) -> Counts {
    let mut world = World::new(seed, tracing);
    let told = catch_unwind(AssertUnwindSafe(|| story::run(&mut world)));
    told.unwrap_or_else(|failure| {
        world.trace.iter().for_each(|line| println!("{line}"));
        println!("TIDELOG_QUORUM_SEED={seed} fails at {} ms", world.now - 1_000_000);
        resume_unwind(failure)
    })
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn regression_seeds() {
    for line in include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#')) {
        run(line.split_whitespace().next().unwrap().parse().unwrap(), false);
    }
}

#[test]
fn fresh_seeds() {
    if let Some(seed) = variable("TIDELOG_QUORUM_SEED") {
        println!("{:?}", run(seed, true));
        return;
    }
    let count = variable("TIDELOG_QUORUM_COUNT").unwrap_or(FRESH_SEEDS);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let first = variable("TIDELOG_QUORUM_FROM").unwrap_or(now.as_secs() * 100_000);
    let mut total = Counts::default();
    for seed in first..first + count {
        total.add(&run(seed, false));
    }
    println!("{count} seeds from {first}: {total:?}");
    // A test that never gets into trouble proves nothing.
    if count >= FRESH_SEEDS {
        total.assert_all_happened();
    }
}

#[test]
fn one_seed_is_one_history() {
    assert_eq!(run(11, false), run(11, true));
}
