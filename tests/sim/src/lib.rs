//! A whole cluster in one process, by one seed: the nodes are those that the server runs
//! (`Node::control`, `Node::apply`, `Node::load_logs`), their disks forget at a power loss what was
//! not synced and tear what was half written, are slow, or are lost for good; their network loses,
//! doubles, delays and cuts in one direction; their clocks jump by hours; processes are killed and
//! stopped; voters come, go and move; clients create and delete topics, producers write.
//!
//! Held all the time: an epoch has one leader; of a node neither epoch nor high watermark falls
//! (`oracle.rs`); on the disks of all nodes logs that agree on a batch agree on all before it; what
//! is committed is, in its leader's epoch, certainly kept by the disks of a majority of the voters,
//! and every later leader has it; voters change one at a time; a snapshot is what replaying the log
//! makes; what a broker shows is a prefix of that; epochs of brokers, producer ids and topic ids
//! come once (`truth.rs`); what is confirmed is committed, and nobody listens to a run of a broker
//! that is over (`clients.rs`); acknowledged records are kept (`producers.rs`). Held in peace: a
//! healed majority elects within three election time-outs, all serve, all show the same, and every
//! topic whose creation or deletion was confirmed is there or gone (`story.rs`).
//!
//! `TIDELOG_SIM_SEED=n` runs one seed and prints what happened, `TIDELOG_SIM_COUNT=n` that many
//! fresh ones, `seeds.txt` holds those that once found a bug.
#![forbid(unsafe_code)]

#[cfg(test)]
mod clients;
#[cfg(test)]
mod counts;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod network;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod producers;
#[cfg(test)]
mod scale;
#[cfg(test)]
mod story;
#[cfg(test)]
mod truth;
#[cfg(test)]
mod world;

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::time::SystemTime;

    use crate::counts::Counts;
    use crate::story;
    use crate::world::World;

    const FRESH_SEEDS: u64 = if cfg!(debug_assertions) { 5 } else { 100 };
    /// So many seeds see everything that can happen.
    const ENOUGH: u64 = 100;

    fn run_as(seed: u64, tracing: bool, exact: bool) -> (Counts, u64) {
        let mut world = World::new(seed, tracing, exact);
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

    fn run(seed: u64, tracing: bool) -> (Counts, u64) {
        run_as(seed, tracing, false)
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
        assert!(count < ENOUGH || total.all_happened(), "no trouble proves nothing");
    }

    /// Every event and every effect to the last byte: no clock, no hash order and no randomness but
    /// the seed's.
    #[test]
    fn one_seed_is_one_cluster() {
        for seed in [7, 8, 9] {
            let (counts, history) = run_as(seed, false, true);
            let again = run_as(seed, true, true);
            assert!((counts, history) == again, "seed {seed} runs in two ways");
        }
    }
}
