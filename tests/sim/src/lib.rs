//! A whole cluster in one process, by one seed: the nodes are those that the server runs
//! (`Node::control`, `Node::apply`, `Node::load_logs`), their disks forget at a power loss what was
//! not synced and tear what was half written, their network loses, doubles, delays and cuts in one
//! direction, their clocks jump, and clients create and delete topics at any of them.
//!
//! Held all the time (`oracle.rs`): an epoch has one leader; a node's epoch never falls; the images
//! of two brokers at one metadata offset are one image, whether it came by replay, by snapshot or
//! from the disk; what a broker shows never goes back. Held in peace (`story.rs`): a healed
//! majority elects within three election time-outs, all serve, all show the same, and every topic
//! whose creation or deletion was confirmed is there or gone.
//!
//! `TIDELOG_SIM_SEED=n` runs one seed and prints what happened, `TIDELOG_SIM_COUNT=n` that many
//! fresh ones, `seeds.txt` holds those that once found a bug.
#![forbid(unsafe_code)]

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod scale;
#[cfg(test)]
mod story;
#[cfg(test)]
mod world;

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::time::SystemTime;

    use crate::story;
    use crate::world::{Counts, World};

    const FRESH_SEEDS: u64 = if cfg!(debug_assertions) { 5 } else { 100 };

    fn run(seed: u64, tracing: bool) -> (Counts, u64) {
        let mut world = World::new(seed, tracing);
        let told = catch_unwind(AssertUnwindSafe(|| story::run(&mut world)));
        if let Err(failure) = told {
            world.trace.iter().for_each(|line| println!("{line}"));
            println!(
                "TIDELOG_SIM_SEED={seed} fails at {} ms: {}",
                world.elapsed(),
                world.describe()
            );
            resume_unwind(failure);
        }
        (world.counts, world.history)
    }

    fn variable(name: &str) -> Option<u64> {
        std::env::var(name).ok().map(|text| text.parse().unwrap())
    }

    fn fresh() -> u64 {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() * 10_000
    }

    #[test]
    fn regression_clusters() {
        for line in include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#')) {
            run(line.split_whitespace().next().unwrap().parse().unwrap(), false);
        }
    }

    #[test]
    fn fresh_clusters() {
        if let Some(seed) = variable("TIDELOG_SIM_SEED") {
            println!("{:?}", run(seed, true));
            return;
        }
        let count = variable("TIDELOG_SIM_COUNT").unwrap_or(FRESH_SEEDS);
        let first = variable("TIDELOG_SIM_FROM").unwrap_or_else(fresh);
        let mut total = Counts::default();
        for seed in first..first + count {
            total.add(&run(seed, false).0);
        }
        println!("{count} clusters from {first}: {total:?}");
        assert!(count < FRESH_SEEDS || total.all_happened(), "no trouble proves nothing");
    }

    #[test]
    fn one_seed_is_one_cluster() {
        assert_eq!(run(7, false), run(7, true));
    }
}
